//! `pull`: the images of the project's services.

use crate::cli::apply::{Applier, ApplyOptions};
use crate::cli::args::lifecycle::PullArgs;
use crate::cli::command::up;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::output::progress::{Progress, Status, Style};
use crate::compose::plan::{self, Pulls};
use crate::compose::project::model::{Project, PullPolicy};

/// Runs the command.
pub(super) async fn run(args: PullArgs, context: &Context) -> Result<u8, CommandError> {
    for (given, flag) in [(args.deprecated_parallel, "--parallel"), (args.no_parallel, "--no-parallel")] {
        if given.is_some() {
            context.terminal.warn(&format!(
                "{flag} of pull is deprecated and has no effect: `--parallel N` before the command says how many images are pulled at once"
            ));
        }
    }
    let whole = context.project(&args.services.services)?;
    let mut project = whole.select(&args.services.services, args.include_deps)?;
    up::override_policies(&mut project, args.policy.map(Into::into));
    pull(&args, context, &project).await.map_err(|error| error.placed(&whole))
}

async fn pull(args: &PullArgs, context: &Context, project: &Project) -> Result<u8, CommandError> {
    // Who pulls everything anyway need not know what is here.
    let observed = if project.services.values().any(|service| service.pull_policy == PullPolicy::Missing) {
        Some(observe::project(context.client().await?, &project.name, Some(project)).await?)
    } else {
        None
    };
    let here = |image: &str| observed.as_ref().is_some_and(|it| it.has_image(image));
    let Pulls { plan, skipped, builders } = plan::pull(project, here, args.ignore_buildable);
    if context.dry_run {
        context.terminal.out(plan.to_string().as_bytes());
        return Ok(0);
    }
    let client = context.client().await?;
    let progress = if args.quiet { Progress::new(&context.terminal, Style::Quiet, "pull", false) } else { context.progress("pull") };
    for (image, reason) in skipped {
        progress.tell_more(&format!("Image {image}"), Status::Done, "Skipped", reason, None);
    }
    let options = ApplyOptions { parallel: context.parallel, ..ApplyOptions::default() };
    let applier = Applier::new(client, &progress, None, &plan, options);
    // What can be built does not keep the others from coming.
    let may_fail = |image: &str| args.ignore_pull_failures || builders.contains_key(image);
    let (result, mut failures) = applier.apply_forgiving(&plan, may_fail).await;
    progress.finish();
    let unbuilt = failures.keys().filter_map(|image| builders.get(image)).flatten().map(|name| name.as_str()).collect::<Vec<_>>();
    if !unbuilt.is_empty() {
        context.terminal.warn(&format!("some images could not be pulled, and can be built: run `gantry build {}`", unbuilt.join(" ")));
    }
    let result = match result {
        Ok(()) if !args.ignore_pull_failures => failures.pop_first().map_or(Ok(()), |(_, error)| Err(error)),
        result => result,
    };
    for error in failures.values() {
        context.terminal.warn(error.message());
    }
    result.map(|()| 0)
}
