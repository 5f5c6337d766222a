//! `push`: the images that the project's services build.

use crate::cli::apply::{Applier, ApplyOptions};
use crate::cli::args::lifecycle::PushArgs;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::output::progress::{Progress, Status, Style};
use crate::compose::plan::{self, Pushes};
use crate::compose::project::model::Project;

/// Runs the command.
pub(super) async fn run(args: PushArgs, context: &Context) -> Result<u8, CommandError> {
    let whole = context.project(&args.services.services)?;
    let project = whole.select(&args.services.services, args.include_deps)?;
    push(context, &project, args.quiet, args.ignore_push_failures).await.map_err(|error| error.placed(&whole)).map(|()| 0)
}

/// Pushes what a project builds; a failure is only a warning where that is asked for.
pub(super) async fn push(context: &Context, project: &Project, quiet: bool, go_on: bool) -> Result<(), CommandError> {
    let Pushes { plan, skipped } = plan::push(project);
    if context.dry_run {
        context.terminal.out(plan.to_string().as_bytes());
        return Ok(());
    }
    let client = context.client().await?;
    let progress = if quiet { Progress::new(&context.terminal, Style::Quiet, "push", false) } else { context.progress("push") };
    for service in skipped {
        progress.tell(service.as_str(), Status::Done, "Skipped");
    }
    let options = ApplyOptions { parallel: context.parallel, ..ApplyOptions::default() };
    let applier = Applier::new(client, &progress, None, &plan, options);
    let (result, failures) = applier.apply_forgiving(&plan, |_| go_on).await;
    progress.finish();
    for error in failures.values() {
        context.terminal.warn(error.message());
    }
    result
}
