//! Builds: over a connection of their own, and as Docker's classic builder has them, an archive in and lines of JSON out.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use hyper::Response;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::server::answer::{self, Body, Outcome};
use crate::api::server::body::BodyReader;
use crate::api::server::build_session::BuildSession;
use crate::api::server::build_settings::{self, Settings};
use crate::api::server::call::Call;
use crate::api::server::hijack::is_upgrade;
use crate::api::server::router::panicked;
use crate::api::wire::build::classic::{Narrator, quiet_to_json};
use crate::api::wire::{image, system};
use crate::engine::Engine;
use crate::engine::build::Supply;
use crate::engine::build::context::ArchiveEnd;
use crate::resource::build::BuildPrune;
use crate::resource::failure::Failure;

/// Lines and events that may wait for a slow client; then the build waits.
const WAITING: usize = 64;

/// One build over this connection.
pub(super) async fn session(call: Call) -> Result<Outcome, Failure> {
    let is_upgrade = is_upgrade(&call.headers);
    let (engine, _) = call.only_name()?;
    if !is_upgrade {
        return Err(Failure::invalid("a build takes its connection over: an `Upgrade` is expected"));
    }
    Ok(BuildSession::new(engine).into())
}

/// A build of an archive. It ends when the client goes.
pub(super) async fn classic(mut call: Call) -> Result<Response<Body>, Failure> {
    let settings = build_settings::take(&mut call.query)?;
    let header = call.headers.get("x-registry-config").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let supply = Supply { credentials: system::all_credentials_from_header(header)?, ..Supply::default() };
    call.query.finish()?;
    let archive = BodyReader::new(call.body);
    answer(|lines| build(call.engine, settings, supply, archive, lines)).await
}

/// Builds, and tells it line by line.
async fn build(
    engine: Engine,
    Settings { spec, quiet }: Settings,
    mut supply: Supply,
    archive: BodyReader,
    lines: mpsc::Sender<Vec<Value>>,
) -> Result<Vec<Value>, (Failure, Value)> {
    let mut narrator = Narrator::default();
    let contexts = engine.contexts().clone();
    let unpacked = match tokio::task::spawn_blocking(move || contexts.unpack(archive, ArchiveEnd::MayBeMissing)).await {
        Ok(unpacked) => unpacked.map_err(Failure::from),
        Err(error) => Err(panicked(Some(&error))),
    };
    match unpacked {
        Ok(tree) => supply.context = Some(tree),
        Err(failure) => return Err((failure.clone(), narrator.failed(&failure))),
    }
    let tags = spec.tags.clone();
    let (tell, mut told) = mpsc::channel(WAITING);
    let telling = async {
        while let Some(event) = told.recv().await {
            let told = narrator.tell(&event);
            // A client that has gone ends it all.
            if !(quiet || told.is_empty()) && lines.send(told).await.is_err() {
                break;
            }
        }
    };
    let (built, ()) = tokio::join!(engine.build(spec, supply, tell), telling);
    match built {
        Ok(image) if quiet => Ok(vec![quiet_to_json(&image)]),
        Ok(image) => Ok(narrator.built(&image, &tags)),
        Err(failure) => Err((failure.clone(), narrator.failed(&failure))),
    }
}

/// Answers with the lines of some work. Work that fails before its first line has the status of its failure; work whose client has gone is
/// dropped.
async fn answer<F>(work: impl FnOnce(mpsc::Sender<Vec<Value>>) -> F) -> Result<Response<Body>, Failure>
where
    F: Future<Output = Result<Vec<Value>, (Failure, Value)>> + Send + 'static,
{
    let (sender, mut lines) = mpsc::channel(WAITING);
    let work = work(sender);
    let mut tasks = JoinSet::new();
    tasks.spawn(work);
    let first = match lines.recv().await {
        Some(first) => first,
        None => ended(&mut tasks).await.map_err(|(failure, _)| failure)?,
    };
    let rest = stream::unfold((Some(first), lines, tasks), |(first, mut lines, mut tasks)| async move {
        let next = match first {
            Some(first) => first,
            None => match lines.recv().await {
                Some(next) => next,
                None if tasks.is_empty() => return None,
                None => ended(&mut tasks).await.unwrap_or_else(|(_, line)| vec![line]),
            },
        };
        let text: String = next.iter().map(|line| format!("{line}\r\n")).collect();
        Some((Ok::<_, io::Error>(Bytes::from(text)), (None, lines, tasks)))
    });
    Ok(answer::stream("application/json", rest))
}

async fn ended(tasks: &mut JoinSet<Result<Vec<Value>, (Failure, Value)>>) -> Result<Vec<Value>, (Failure, Value)> {
    let broken = |failure: Failure| {
        let line = Narrator::default().failed(&failure);
        Err((failure, line))
    };
    match tasks.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) => broken(panicked(Some(&error))),
        None => broken(panicked(None)),
    }
}

/// Removes what builds have kept.
pub(super) async fn prune(mut call: Call) -> Result<Response<Body>, Failure> {
    let prune = BuildPrune {
        all: call.query.flag("all"),
        // The name of before 1.48, and the one since.
        keep: match call.query.number("reserved-space")? {
            None => call.query.number("keep-storage")?,
            keep => keep,
        },
        filters: call.query.filters()?,
    };
    let _ = call.query.number::<u64>("keep-storage")?;
    let (engine, _) = call.only_name()?;
    let (removed, reclaimed) = engine.prune_build_cache(&prune).await?;
    Ok(answer::ok(&image::build_prune_to_json(&removed, reclaimed)))
}

/// Lists what builds have kept.
pub(super) async fn cache(call: Call) -> Result<Response<Body>, Failure> {
    let (engine, _) = call.only_name()?;
    let known = tokio::task::spawn_blocking(move || engine.build_cache()).await;
    let known = known.map_err(|error| panicked(Some(&error)))?;
    let list = serde_json::to_value(known).map_err(|error| Failure::internal(format!("the list cannot be written: {error}")))?;
    Ok(answer::ok(&list))
}

/// Builds have no name by which they could be cancelled.
pub(super) async fn cancel(_: Call) -> Result<Response<Body>, Failure> {
    Err(Failure::unsupported("a build is cancelled when its client closes the connection; this engine knows it by no id"))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    async fn text(answer: Response<Body>) -> String {
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        String::from_utf8(body.to_vec()).expect("text").replace("\r\n", ";")
    }

    #[tokio::test]
    async fn lines_come_before_the_end() {
        let good = answer(|lines| async move {
            lines.send(vec![json!(1), json!(2)]).await.expect("heard");
            Ok(vec![json!(3)])
        });
        assert_eq!(text(good.await.expect("an answer")).await, "1;2;3;");
        let silent = answer(|_| async move { Ok(vec![json!(3)]) });
        assert_eq!(text(silent.await.expect("an answer")).await, "3;");
        let bad = answer(|lines| async move {
            lines.send(vec![json!(1)]).await.expect("heard");
            Err((Failure::invalid("no"), json!("no")))
        });
        assert_eq!(text(bad.await.expect("an answer")).await, "1;\"no\";");
        let early = answer(|_| async { Err((Failure::invalid("no"), json!("no"))) });
        assert_eq!(early.await.expect_err("a failure"), Failure::invalid("no"));
        let broken = answer(|_| async { panic!("a bug") });
        assert!(broken.await.expect_err("a failure").message.contains("bug"));
    }
}
