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
use crate::api::server::query;
use crate::api::server::router::panicked;
use crate::api::wire::extension::WHOLE;
use crate::api::wire::progress::{pushed_to_json, step_to_json, text_to_json};
use crate::api::wire::{image, system};
use crate::engine::Engine;
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::{Credentials, ImageInfo, ImageProgress, ImageReference, ImportOptions, LoadedImage, Platform, PlatformError};
use crate::resource::push::{PushNews, PushTarget};

type Answer = Result<Response<Body>, Failure>;

pub(super) async fn list(mut call: Call) -> Answer {
    let mut filters = call.query.filters()?;
    let whole = call.query.flag(WHOLE);
    let older = call.older();
    if older(41) {
        filters.entry("reference".to_owned()).or_default().extend(call.query.text("filter"));
        filters.retain(|_, values| !values.is_empty());
    }
    let sizes = call.query.flag("shared-size") && !older(42);
    // There are no intermediate images here, nor several images under one name; digests are told in any case.
    for inert in ["all", "digests", "manifests"] {
        call.query.flag(inert);
    }
    let (engine, _) = call.only_name()?;
    let images = engine.images(&filters).await?;
    if whole {
        return Ok(answer::ok(&images.iter().map(image::to_json).collect()));
    }
    let usage = engine.image_usage(sizes).await;
    let line = |info: &ImageInfo| image::summary_to_json(info, &usage.get(&info.id).copied().unwrap_or_default(), older);
    Ok(answer::ok(&images.iter().map(line).collect()))
}

pub(super) async fn inspect(mut call: Call) -> Answer {
    let older = call.older();
    // An engine whose images are layers has no list of manifests to show, as Docker with its graph drivers.
    let manifests = call.query.flag("manifests") && !older(48);
    let platform = call.platform(49)?;
    if manifests && platform.is_some() {
        return Err(Failure::invalid("conflicting options: manifests and platform options cannot both be set"));
    }
    let (engine, name) = call.only_name()?;
    let info = engine.image(&name).await?;
    check_platform(&engine, &name, platform.as_ref()).await?;
    Ok(answer::ok(&image::old_to_json(&info, older)))
}

pub(super) async fn history(mut call: Call) -> Answer {
    let platform = call.platform(48)?;
    let (engine, name) = call.only_name()?;
    let (info, steps) = (engine.image(&name).await?, engine.image_history(&name).await?);
    check_platform(&engine, &name, platform.as_ref()).await?;
    Ok(answer::ok(&image::history_to_json(&steps, &info)))
}

async fn check_platform(engine: &Engine, name: &str, platform: Option<&Platform>) -> Result<(), Failure> {
    match platform {
        Some(platform) => engine.check_image_platform(name, platform).await,
        None => Ok(()),
    }
}

impl Call {
    /// Whether the client speaks a version of the API from before 1.x, as a question for who knows no versions.
    fn older(&self) -> impl Fn(u16) -> bool + Copy + use<> {
        let version = self.version;
        move |minor| version.is_before(minor)
    }

    /// Takes the one platform of the query, which versions before 1.x do not look at.
    fn platform(&mut self, since: u16) -> Result<Option<Platform>, Failure> {
        let given: Vec<String> = self.query.all("platform").into_iter().filter(|text| !text.is_empty()).collect();
        match given.as_slice() {
            _ if self.version.is_before(since) => Ok(None),
            [] => Ok(None),
            [one] => Ok(Some(image::platform_from_text(one)?)),
            _ => Err(Failure::invalid("multiple platform parameters not supported")),
        }
    }

    /// Credentials that the client sends along. As in Docker what cannot be read is none.
    fn credentials(&self) -> Option<Credentials> {
        let header = self.headers.get("x-registry-auth").and_then(|value| value.to_str().ok()).unwrap_or_default();
        system::credentials_from_header(header).unwrap_or_else(|error| {
            tracing::debug!(%error, "credentials that cannot be read");
            None
        })
    }
}

/// Pulls, or imports, by what the query names.
pub(super) async fn create(mut call: Call) -> Answer {
    match (call.query.text("fromImage"), call.query.text("fromSrc")) {
        (Some(name), None) => pull(call, &name).await,
        (None, Some(source)) => import(call, source).await,
        _ => Err(Failure::invalid("either `fromImage` or `fromSrc` is expected")),
    }
}

async fn pull(mut call: Call, name: &str) -> Answer {
    let tag = call.query.text("tag");
    let platform = call.query.text("platform").filter(|_| !call.version.is_before(32));
    let PushTarget { reference, all } = target(name, tag.as_deref())?;
    if reference.familiar_name() == "scratch" {
        return Err(Failure::denied("'scratch' is a reserved name"));
    }
    let credentials = call.credentials();
    let (engine, _) = call.only_name()?;
    progress::answer(|steps| async move {
        let tell = move |step| steps.tell(step);
        if all {
            engine.pull_images(&reference, platform.as_deref(), credentials, tell).await?;
        } else {
            engine.pull_image(&reference, platform.as_deref(), credentials, tell).await?;
        }
        Ok(Vec::new())
    })
    .await
}

/// A tag or digest may be apart from the name; without either, every tag is meant.
fn target(name: &str, tag: Option<&str>) -> Result<PushTarget, Failure> {
    let reference = parse(name.trim_end_matches(':'))?;
    let bare = reference.familiar_name();
    match tag {
        Some(digest) if digest.contains(':') => Ok(PushTarget { reference: parse(&format!("{bare}@{digest}"))?, all: false }),
        Some(tag) => Ok(PushTarget { reference: parse(&format!("{bare}:{tag}"))?, all: false }),
        None => {
            let all = !name.contains('@') && !name.trim_end_matches(':').rsplit('/').next().is_some_and(|last| last.contains(':'));
            Ok(PushTarget { reference, all })
        }
    }
}

/// Pushes a tag, or every tag. What goes wrong is told in the stream, as dockerd does.
pub(super) async fn push(mut call: Call) -> Answer {
    let tag = call.query.text("tag");
    let target = target(&call.name, tag.as_deref())?;
    let platform = call.platform(46)?;
    let credentials = call.credentials();
    let (engine, _) = call.only_name()?;
    if let Some(platform) = &platform {
        engine.check_image_platform(&target.reference.familiar(), platform).await?;
    }
    Ok(progress::answer_in_any_case(|steps| async move {
        let tell = move |news: PushNews| match news {
            PushNews::Step(step) => steps.tell(step),
            PushNews::Pushed(pushed) => steps.note(pushed_to_json(&pushed)),
        };
        engine.push_image(&target, credentials, tell).await?;
        Ok(Vec::new())
    }))
}

/// Tells what a registry has under a name.
pub(super) async fn remote(call: Call) -> Answer {
    let name = call.name.clone();
    if name.parse::<ImageId>().is_ok() || format!("sha256:{name}").parse::<ImageId>().is_ok() {
        return Err(Failure::invalid("no manifest found for full image ID"));
    }
    let reference = parse(&name)?;
    let credentials = call.credentials();
    let (engine, _) = call.only_name()?;
    Ok(answer::ok(&image::remote_to_json(&engine.remote_image(&reference, credentials).await?)))
}

/// Says why nothing is searched for.
pub(super) async fn search(_call: Call) -> Answer {
    Err(Failure::unsupported(
        "a search asks Docker Hub alone, by an interface that no other registry has, and is not supported by this engine: search on its web \
         pages, and pull by name",
    ))
}

async fn import(mut call: Call, source: String) -> Answer {
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let platform = call.query.text("platform").filter(|_| !call.version.is_before(32));
    let wrong = |error: PlatformError| Failure::invalid(error.to_string());
    let options = ImportOptions {
        reference: repository.map(|repository| named_reference(&repository, tag.as_deref())).transpose()?,
        platform: platform.map(|text| text.parse()).transpose().map_err(wrong)?,
        changes: call.query.all("changes"),
        message: call.query.text("message").unwrap_or_else(|| format!("Imported from {source}")),
    };
    call.query.finish()?;
    let (engine, body) = (call.engine, call.body);
    progress::answer(|steps| async move {
        let id = if source == "-" {
            engine.import_image(BodyReader::new(body), options).await?
        } else {
            // As in Docker, who names no protocol means the oldest.
            let url = if source.contains("://") { source } else { format!("http://{source}") };
            engine.import_image_from(&url, options, move |step| steps.tell(step)).await?
        };
        Ok(vec![step_to_json(&ImageProgress { id: String::new(), status: id.to_string(), current: None, total: None })])
    })
    .await
}

/// A repository, and a tag beside it that counts more than its own.
pub(super) fn named_reference(repository: &str, tag: Option<&str>) -> Result<ImageReference, Failure> {
    let reference = parse(repository)?;
    match tag {
        _ if reference.digest().is_some() => Err(Failure::invalid("cannot import digest reference")),
        Some(tag) => parse(&format!("{}:{tag}", reference.familiar_name())),
        None => Ok(reference),
    }
}

fn parse(text: &str) -> Result<ImageReference, Failure> {
    text.parse().map_err(|error: crate::resource::image::ReferenceError| Failure::invalid(error.to_string()))
}

/// Brings in what an archive has. What goes wrong is told in the stream, as dockerd does.
pub(super) async fn load(mut call: Call) -> Answer {
    let quiet = call.query.text("quiet").is_none_or(|text| query::is_yes(&text));
    let platform = call.platform(48)?;
    call.query.finish()?;
    let (engine, archive) = (call.engine, BodyReader::new(call.body));
    Ok(progress::answer_in_any_case(|steps| async move {
        let steps = if quiet { Steps::silent() } else { steps };
        let images = engine.load_image(archive, platform.as_ref(), move |step| steps.tell(step)).await?;
        Ok(images.iter().flat_map(loaded).collect())
    }))
}

/// Says what was loaded in dockerd's words, in which clients look for the name.
fn loaded(image: &LoadedImage) -> Vec<Value> {
    let Some(name) = &image.name else { return vec![text_to_json(&format!("Loaded image ID: {}\n", image.id))] };
    let moved =
        |old: &ImageId| text_to_json(&format!("The image {name} already exists, renaming the old one with ID {old} to empty string\n"));
    image.replaced.iter().map(moved).chain([text_to_json(&format!("Loaded image: {name}\n"))]).collect()
}

/// Saves the image in the path or those in the query.
pub(super) async fn save(mut call: Call) -> Answer {
    let platform = call.platform(48)?;
    let mut names = call.query.all("names");
    if !call.name.is_empty() {
        names = vec![call.name];
    }
    call.query.finish()?;
    if names.is_empty() {
        return Err(Failure::invalid("`names`: an image is expected"));
    }
    for name in &names {
        check_platform(&call.engine, name, platform.as_ref()).await?;
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
    if reference.familiar_name() == "sha256" {
        return Err(Failure::invalid("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    let (engine, name) = call.only_name()?;
    engine.tag_image(&name, &reference).await?;
    Ok(answer::empty(StatusCode::CREATED))
}

pub(super) async fn remove(mut call: Call) -> Answer {
    let force = call.query.flag("force");
    // It spares parents without a name: images have none here.
    call.query.flag("noprune");
    let platforms: Vec<String> = call.query.all("platforms").into_iter().filter(|_| !call.version.is_before(50)).collect();
    let (engine, name) = call.only_name()?;
    match platforms.as_slice() {
        [] => {}
        [one] => check_platform(&engine, &name, Some(&image::platform_from_text(one)?)).await?,
        _ => return Err(Failure::invalid("multiple platforms are not supported")),
    }
    Ok(answer::ok(&image::removals_to_json(&engine.remove_image(&name, force).await?)))
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
    fn what_is_pulled_or_pushed_is_one_tag_or_all() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let check = |name: &str, tag: Option<&str>, expect: &str, all: bool| {
            let target = target(name, tag).expect("a good reference");
            assert_eq!((target.reference.familiar().as_str(), target.all), (expect, all), "{name} {tag:?}");
        };
        check("redis", Some("7"), "redis:7", false);
        check("redis:7", None, "redis:7", false);
        check("redis:6", Some("7"), "redis:7", false);
        check("127.0.0.1:5000/a", Some("x"), "127.0.0.1:5000/a:x", false);
        check("redis", Some(&digest), &format!("redis@{digest}"), false);
        check(&format!("redis@{digest}"), None, &format!("redis@{digest}"), false);
        check("redis:", None, "redis:latest", true);
        check("127.0.0.1:5000/a", None, "127.0.0.1:5000/a:latest", true);
        assert!(target("Redis", Some("7")).is_err());
    }

    #[test]
    fn a_tag_beside_a_name_counts() {
        let check = |name: &str, tag: Option<&str>, expect: Option<&str>| {
            assert_eq!(named_reference(name, tag).ok().map(|it| it.familiar()).as_deref(), expect, "{name} {tag:?}");
        };
        check("a", None, Some("a:latest"));
        check("a:1", Some("2"), Some("a:2"));
        check("", None, None);
        check("a", Some("-x"), None);
        check(&format!("a@sha256:{}", "0".repeat(64)), None, None);
    }

    #[test]
    fn names_and_ids_are_loaded_in_dockers_words() {
        let id = ImageId::from_bytes([1; 32]);
        let lines = |name: Option<&str>, replaced| {
            let told = loaded(&LoadedImage { id, name: name.map(str::to_owned), replaced });
            told.iter().map(|line| line["stream"].as_str().expect("a text").to_owned()).collect::<String>()
        };
        assert_eq!(lines(Some("redis:7"), None), "Loaded image: redis:7\n");
        assert_eq!(lines(None, None), format!("Loaded image ID: {id}\n"));
        assert!(lines(Some("a:1"), Some(id)).starts_with("The image a:1 already exists, renaming the old one with ID sha256:01"));
    }
}
