//! `wait`: until containers have ended.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::cli::args::lifecycle::{DownArgs, WaitArgs};
use crate::cli::command::{down, label_names};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::resource::container::WaitCondition;

/// Runs the command; the code is that of the container that ended last.
pub(super) async fn run(args: WaitArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let services = label_names(project.as_ref(), &args.services)?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let every = observed.all().chain(observed.one_offs());
    let running = every.filter(|it| services.contains(&it.service) && it.info.state.is_running());
    let mut waits: FuturesUnordered<_> = running
        .map(|replica| async move {
            let id = replica.info.id.to_string();
            let status = client.wait_container(&id, WaitCondition::NotRunning).await;
            (id, status)
        })
        .collect();
    if waits.is_empty() {
        return Err(CommandError::new(format!("no containers for project \"{name}\"")));
    }
    let mut code = 0;
    while let Some((id, status)) = waits.next().await {
        let status = status?;
        context.terminal.line(&format!("container \"{id}\" exited with status code {}", status.code));
        context.terminal.flush();
        code = u8::try_from(status.code & 0xff).unwrap_or(1);
    }
    if args.down_project {
        down::run(DownArgs { remove_orphans: true, ..DownArgs::default() }, context).await?;
    }
    Ok(code)
}
