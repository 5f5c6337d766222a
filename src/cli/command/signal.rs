//! `kill`, `pause` and `unpause`: a word to every container at once.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use crate::api::client::Client;
use crate::cli::args::lifecycle::{KillArgs, ServiceArgs};
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::output::progress::{Progress, Status};
use crate::compose::plan::{ObservedState, Replica};
use crate::compose::project::model::Project;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::name::ServiceName;

/// Runs `kill`; one-offs are killed, too, and orphans when that is asked for.
pub(super) async fn kill(args: KillArgs, context: &Context) -> Result<u8, CommandError> {
    let Scene { client, observed, services, project } = scene(context, &args.services).await?;
    let orphans = args.remove_orphans || context.says(project.as_ref(), "COMPOSE_REMOVE_ORPHANS");
    let known = |it: &Replica| orphans || project.as_ref().is_none_or(|project| project.services.contains_key(&it.service));
    let chosen = |it: &&Replica| if services.is_empty() { known(it) } else { services.contains(&it.service) };
    let running: Vec<&str> = observed.all().chain(observed.one_offs()).filter(chosen).filter(|it| it.is_up()).map(Replica::name).collect();
    if running.is_empty() {
        context.terminal.note("No container to kill");
        return Ok(0);
    }
    let progress = context.progress("kill");
    let signal = args.signal.as_str();
    let each = running.into_iter().map(|name| tell(&progress, name, ["Killing", "Killed"], client.kill_container(name, signal)));
    let results = join_all(each).await;
    finish(progress, results)
}

/// Runs `pause`.
pub(super) async fn pause(args: ServiceArgs, context: &Context) -> Result<u8, CommandError> {
    let Scene { client, observed, services, .. } = scene(context, &args).await?;
    let chosen = observed.all().filter(|it| services.is_empty() || services.contains(&it.service));
    let names: Vec<&str> = chosen.filter(|it| it.info.state.is_running()).map(Replica::name).collect();
    let progress = context.progress("pause");
    let each = names.into_iter().map(|name| tell(&progress, name, ["Pausing", "Paused"], client.pause_container(name)));
    let results = join_all(each).await;
    finish(progress, results)
}

/// Runs `unpause`.
pub(super) async fn unpause(args: ServiceArgs, context: &Context) -> Result<u8, CommandError> {
    let Scene { client, observed, services, .. } = scene(context, &args).await?;
    let chosen = observed.all().filter(|it| services.is_empty() || services.contains(&it.service));
    // One that is not frozen is a mistake, as in Docker Compose.
    let running = chosen.filter(|it| it.info.state.is_running());
    let progress = context.progress("unpause");
    let each = running.map(|it| tell(&progress, it.name(), ["Unpausing", "Unpaused"], client.unpause_container(it.name())));
    let results = join_all(each).await;
    finish(progress, results)
}

struct Scene<'a> {
    client: &'a Client,
    observed: ObservedState,
    /// The services that were named.
    services: BTreeSet<ServiceName>,
    project: Option<Project>,
}

async fn scene<'a>(context: &'a Context, args: &ServiceArgs) -> Result<Scene<'a>, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let services = known_names(project.as_ref(), &observed, &args.services)?;
    Ok(Scene { client, observed, services, project })
}

async fn tell(progress: &Progress, name: &str, words: [&str; 2], change: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let id = format!("Container {name}");
    progress.tell(&id, Status::Working, words[0]);
    match change.await {
        // It ended by itself meanwhile.
        Err(failure) if !matches!(failure.kind, FailureKind::NotFound | FailureKind::NotModified) => {
            progress.tell_more(&id, Status::Error, "Error", &failure.message, None);
            Err(failure)
        }
        _ => {
            progress.tell(&id, Status::Done, words[1]);
            Ok(())
        }
    }
}

fn finish(progress: Progress, results: Vec<Result<(), Failure>>) -> Result<u8, CommandError> {
    progress.finish();
    results.into_iter().collect::<Result<(), Failure>>()?;
    Ok(0)
}
