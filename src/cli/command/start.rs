//! `start`: containers that exist run again, dependencies first.

use crate::cli::args::lifecycle::StartArgs;
use crate::cli::command::up;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::compose::plan;

/// Runs the command.
pub(super) async fn run(args: StartArgs, context: &Context) -> Result<u8, CommandError> {
    let project = context.project(&args.services.services)?.select(&args.services.services, true)?;
    let client = context.client().await?;
    let observed = observe::project(client, &project.name, Some(&project)).await?;
    let mut plan = plan::start(&project, &observed, args.wait)?;
    // What runs already is not worth a word here.
    plan.kept.clear();
    let started = up::within(args.wait_timeout, up::apply(context, client, &project.name, &plan, "start"), client, &project.name).await;
    started.map(|()| 0).map_err(|error| error.placed(&project))
}
