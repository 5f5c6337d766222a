//! `pull`: the images of the project's services.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::cli::apply::{Applier, ApplyOptions};
use crate::cli::args::lifecycle::{PullArgs, PullPolicy};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::output::progress::{Progress, Style};
use crate::compose::plan;
use crate::resource::operation::Operation;

/// Runs the command.
pub(super) async fn run(args: PullArgs, context: &Context) -> Result<u8, CommandError> {
    let project = context.project(&args.services.services)?.select(&args.services.services, args.include_deps)?;
    let plan = plan::pull(&project, &BTreeSet::new());
    if context.dry_run {
        context.terminal.out(plan.to_string().as_bytes());
        return Ok(0);
    }
    let client = context.client().await?;
    let progress = if args.quiet { Progress::new(&context.terminal, Style::Quiet, "pull", false) } else { context.progress("pull") };
    let options = ApplyOptions { parallel: context.parallel, ..ApplyOptions::default() };
    let applier = Applier::new(client, &progress, None, &plan, options);
    let failures = RefCell::new(Vec::new());
    let result = plan::execute(&plan, |operation| {
        let (applier, failures, policy) = (applier.clone(), &failures, args.policy);
        let ignore = args.ignore_pull_failures;
        async move {
            if policy != PullPolicy::Always && is_here(client, &operation).await {
                return Ok(());
            }
            match applier.apply(operation).await {
                Err(error) if ignore => {
                    failures.borrow_mut().push(error);
                    Ok(())
                }
                outcome => outcome,
            }
        }
    })
    .await;
    progress.finish();
    for error in failures.into_inner() {
        context.terminal.warn(error.message());
    }
    result.map(|()| 0)
}

async fn is_here(client: &crate::api::client::Client, operation: &Operation) -> bool {
    let Operation::PullImage { image, .. } = operation else { return false };
    client.image(image).await.is_ok()
}
