//! Images.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::api::server::answer::{self, Body};
use crate::api::server::body::{BodyReader, BodyWriter};
use crate::api::server::call::Call;
use crate::api::server::progress::{self, Steps};
use crate::api::server::router::panicked;
use crate::api::wire::error::WireError;
use crate::api::wire::extension::WHOLE;
use crate::api::wire::progress::{step_to_json, text_to_json};
use crate::api::wire::{image, system};
use crate::resource::failure::Failure;
use crate::resource::image::{ImageInfo, ImageProgress, ImageReference};

type Answer = Result<Response<Body>, Failure>;

pub(super) async fn list(mut call: Call) -> Answer {
    let filters = call.query.filters()?;
    let whole = call.query.flag(WHOLE);
    // There are no intermediate images here; digests are told in any case.
    call.query.flag("all");
    call.query.flag("digests");
    let (engine, _) = call.only_name()?;
    let line = |info: &ImageInfo| if whole { image::to_json(info) } else { image::summary_to_json(info) };
    Ok(answer::ok(&engine.images(&filters).await?.iter().map(line).collect()))
}

pub(super) async fn inspect(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    Ok(answer::ok(&image::to_json(&engine.image(&name).await?)))
}

pub(super) async fn history(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    let (info, steps) = (engine.image(&name).await?, engine.image_history(&name).await?);
    Ok(answer::ok(&image::history_to_json(&steps, &info)))
}

/// Pulls, or imports, by what the query names.
pub(super) async fn create(mut call: Call) -> Answer {
    match (call.query.text("fromImage"), call.query.text("fromSrc")) {
        (Some(name), None) => pull(call, &name).await,
        (None, Some(source)) if source == "-" => import(call).await,
        (None, Some(source)) => Err(WireError::unsupported("fromSrc", &source.into()).into()),
        _ => Err(Failure::invalid("either `fromImage` or `fromSrc` is expected")),
    }
}

async fn pull(mut call: Call, name: &str) -> Answer {
    let tag = call.query.text("tag");
    let platform = call.query.text("platform");
    let reference = pulled_reference(name, tag.as_deref())?;
    let header = call.headers.get("x-registry-auth").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let credentials = system::credentials_from_header(header)?;
    let (engine, _) = call.only_name()?;
    progress::answer(|steps| async move {
        engine.pull_image(&reference, platform.as_deref(), credentials, move |step| steps.tell(step)).await?;
        Ok(Vec::new())
    })
    .await
}

/// A tag or digest may be apart from the name. Without either dockerd would pull every tag there is.
fn pulled_reference(name: &str, tag: Option<&str>) -> Result<ImageReference, Failure> {
    let name = name.trim_end_matches(':');
    let whole = match tag {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None if name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':')) => name.to_owned(),
        None => return Err(Failure::unsupported(format!("a pull of every tag of `{name}` is not supported by this engine: name one"))),
    };
    parse(&whole)
}

async fn import(mut call: Call) -> Answer {
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let reference = repository.map(|repository| named_reference(&repository, tag.as_deref())).transpose()?;
    let changes = call.query.all("changes");
    let message = call.query.text("message").unwrap_or_default();
    call.query.finish()?;
    let (engine, archive) = (call.engine, BodyReader::new(call.body));
    progress::answer(|_| async move {
        let id = engine.import_image(archive, reference.as_ref(), &changes, &message).await?;
        Ok(vec![step_to_json(&ImageProgress { id: String::new(), status: id.to_string(), current: None, total: None })])
    })
    .await
}

/// A repository and a tag beside it, if there is one; the repository may have it, too.
pub(super) fn named_reference(repository: &str, tag: Option<&str>) -> Result<ImageReference, Failure> {
    match tag {
        Some(tag) => parse(&format!("{repository}:{tag}")),
        None => parse(repository),
    }
}

fn parse(text: &str) -> Result<ImageReference, Failure> {
    text.parse().map_err(|error: crate::resource::image::ReferenceError| Failure::invalid(error.to_string()))
}

pub(super) async fn load(mut call: Call) -> Answer {
    let quiet = call.query.flag("quiet");
    call.query.finish()?;
    let (engine, archive) = (call.engine, BodyReader::new(call.body));
    progress::answer(|steps| async move {
        let steps = if quiet { Steps::silent() } else { steps };
        let names = engine.load_image(archive, move |step| steps.tell(step)).await?;
        Ok(names.iter().map(|name| loaded(name)).collect())
    })
    .await
}

/// Says what was loaded in dockerd's words, in which clients look for the name.
fn loaded(name: &str) -> Value {
    let what = if name.starts_with("sha256:") { "Loaded image ID" } else { "Loaded image" };
    text_to_json(&format!("{what}: {name}\n"))
}

/// Saves the image in the path or those in the query.
pub(super) async fn save(mut call: Call) -> Answer {
    let mut names = call.query.all("names");
    if !call.name.is_empty() {
        names.push(call.name);
    }
    call.query.finish()?;
    if names.is_empty() {
        return Err(Failure::invalid("`names`: an image is expected"));
    }
    let (engine, (writer, mut pieces)) = (call.engine, BodyWriter::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { engine.save_image(&names, writer).await });
    let ended = async |tasks: &mut JoinSet<Result<(), Failure>>| match tasks.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) => Err(panicked(Some(&error))),
        None => Ok(()),
    };
    // What fails before the first byte has a status of its own.
    let first = match pieces.recv().await {
        Some(piece) => piece,
        None => ended(&mut tasks).await.map(|()| Bytes::new())?,
    };
    let rest = stream::unfold((pieces, tasks), move |(mut pieces, mut tasks)| async move {
        match pieces.recv().await {
            Some(piece) => Some((Ok(piece), (pieces, tasks))),
            // The head has gone out; a connection that breaks off is what is left to say that this is not the end.
            None => ended(&mut tasks).await.err().map(|failure| (Err(io::Error::other(failure)), (pieces, tasks))),
        }
    });
    Ok(answer::stream("application/x-tar", stream::iter([Ok(first)]).chain(rest)))
}

pub(super) async fn tag(mut call: Call) -> Answer {
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let reference = named_reference(&repository.unwrap_or_default(), tag.as_deref())?;
    let (engine, name) = call.only_name()?;
    engine.tag_image(&name, &reference).await?;
    Ok(answer::empty(StatusCode::CREATED))
}

pub(super) async fn remove(mut call: Call) -> Answer {
    let (force, no_prune) = (call.query.flag("force"), call.query.flag("noprune"));
    let (engine, name) = call.only_name()?;
    Ok(answer::ok(&image::removals_to_json(&engine.remove_image(&name, force, no_prune).await?)))
}

pub(super) async fn prune(mut call: Call) -> Answer {
    let filters = call.query.filters()?;
    let (engine, _) = call.only_name()?;
    Ok(answer::ok(&image::prune_to_json(&engine.prune_images(&filters).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_names_one_image() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let check = |name: &str, tag: Option<&str>, expect: &str| {
            assert_eq!(pulled_reference(name, tag).expect("a good reference").familiar(), expect);
        };
        check("redis", Some("7"), "redis:7");
        check("redis:7", None, "redis:7");
        check("127.0.0.1:5000/a", Some("x"), "127.0.0.1:5000/a:x");
        check("redis", Some(&digest), &format!("redis@{digest}"));
        check(&format!("redis@{digest}"), None, &format!("redis@{digest}"));
        for name in ["redis", "127.0.0.1:5000/a"] {
            assert!(pulled_reference(name, None).expect_err("a refusal").message.contains("every tag"));
        }
        assert!(pulled_reference("Redis", Some("7")).is_err());
    }

    #[test]
    fn names_and_ids_are_loaded_in_dockers_words() {
        assert_eq!(loaded("redis:7")["stream"], "Loaded image: redis:7\n");
        assert_eq!(loaded("sha256:ab")["stream"], "Loaded image ID: sha256:ab\n");
    }
}
