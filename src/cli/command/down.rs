//! `down`: the project's containers and networks go, and with `-v` its volumes.

use crate::cli::args::lifecycle::DownArgs;
use crate::cli::command::{label_names, seconds};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::{command::up, observe};
use crate::compose::plan::{self, DownOptions};

/// Runs the command.
pub(super) async fn run(args: DownArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::project(client, &name, project.as_ref()).await?;
    let options = DownOptions {
        services: label_names(project.as_ref(), &args.services.services)?,
        volumes: args.volumes,
        remove_orphans: args.remove_orphans || context.environment.is_true("COMPOSE_REMOVE_ORPHANS"),
        timeout: seconds(args.timeout),
    };
    let plan = plan::down(&name, project.as_ref(), &observed, &options)?;
    if plan.is_empty() {
        context.terminal.warn(&format!("No resource found to remove for project \"{name}\"."));
        return Ok(0);
    }
    up::apply(context, client, &name, &plan, "down").await?;
    Ok(0)
}
