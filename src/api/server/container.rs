//! Containers; their streams are in `attach`, their logs in `log`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Body as _;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::query::Query;
use crate::api::server::{older, older_create};
use crate::api::wire::answer::{Pruned, container_created_to_json, exit_to_json, processes_to_json, prune_to_json};
use crate::api::wire::container::summary::{self, Passing};
use crate::api::wire::container::{inspect, whole};
use crate::api::wire::extension::{SKIP_DEAF, UNHEARD, WHOLE};
use crate::api::wire::spec;
use crate::engine::clock;
use crate::engine::container::signal;
use crate::resource::container::{ContainerFilter, ExitStatus, StopOptions, Stopped, WaitCondition};
use crate::resource::failure::Failure;

type Answer = Result<Response<Body>, Failure>;

pub(super) async fn list(mut call: Call) -> Answer {
    let limit = call.query.number::<i64>("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|&limit| limit > 0);
    // The last so many, running or not.
    let all = call.query.flag("all") || limit.is_some();
    let filters = call.query.filters()?;
    // Wishes of older clients that dockerd no longer heeds; the first two are filters now.
    for key in ["before", "since", "trunc_cmd"] {
        call.query.text(key);
    }
    let version = call.version;
    let (is_whole, is_sized) = (call.query.flag(WHOLE), call.query.flag("size"));
    call.query.finish()?;
    let mut containers = call.engine.containers(&ContainerFilter { all, filters }).await?;
    containers.truncate(limit.unwrap_or(usize::MAX));
    if is_whole {
        return Ok(answer::bytes(StatusCode::OK, "application/json", whole::to_json(containers.iter().map(|told| &***told)).into()));
    }
    let now = clock::now();
    // Many of a long list are of one image.
    let mut images = BTreeMap::new();
    let mut lines = answer::List::of(containers.len());
    for info in &containers {
        let sizes = if is_sized { call.engine.container_size(info).await? } else { (0, 0) };
        let image = images.entry((&info.spec.image, info.image)).or_insert_with(|| call.engine.image_name(info));
        let passing = Passing::of(info, image, now).with_sizes(sizes);
        let passing = if older::lists_annotations(version) { passing } else { passing.without_annotations() };
        lines.push(info.written(summary::lasting), &passing);
    }
    Ok(lines.into_answer())
}

pub(super) async fn create(mut call: Call) -> Answer {
    let name = call.query.text("name");
    // Before, nobody could say it.
    let platform = call.query.text("platform").filter(|_| !call.version.is_before(41));
    let mut body = call.json().await?;
    if body.is_null() {
        return Err(Failure::invalid("invalid JSON: got EOF while reading request body"));
    }
    call.query.ignore_repeated(&body);
    let mut warnings = older_create::renew(&mut body, call.version)?;
    let mut spec = spec::from_json(body, platform)?;
    warnings.extend(older_create::settle(&mut spec, call.version));
    call.query.finish()?;
    let id = call.engine.create_container(name.as_deref().map(|name| name.trim_start_matches('/')), &spec).await?;
    warnings.extend(call.engine.creation_warnings(&spec));
    Ok(answer::json(StatusCode::CREATED, &container_created_to_json(id, &warnings)))
}

pub(super) async fn inspect(mut call: Call) -> Answer {
    let (is_sized, version) = (call.query.flag("size"), call.version);
    let (engine, name) = call.only_name()?;
    let info = engine.container(&name).await?;
    let mut value = inspect::to_json(&info);
    if is_sized {
        inspect::add_sizes(&mut value, engine.container_size(&info).await?);
    }
    older::container(&mut value, version);
    Ok(answer::ok(&value))
}

pub(super) async fn processes(mut call: Call) -> Answer {
    let arguments = call.query.text("ps_args").unwrap_or_default();
    let (engine, name) = call.only_name()?;
    let list = engine.container_processes(&name, &arguments).await?;
    Ok(answer::ok(&processes_to_json(&list.titles, &list.rows)))
}

/// Whether a container is at work.
pub(super) async fn is_busy(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    Ok(answer::ok(&engine.container_is_busy(&name).await?.into()))
}

pub(super) async fn start(call: Call) -> Answer {
    // Up to seven bytes are `{}` or `null` and white space, which some clients send; dockerd lets as many pass, where it knows how many.
    if call.body.size_hint().exact().is_none_or(|length| length > 7) {
        let message = "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24";
        return Err(Failure::invalid(message));
    }
    let (engine, name) = call.only_name()?;
    engine.start_container(&name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn stop(mut call: Call) -> Answer {
    let options = stop_options(&mut call.query)?;
    let (engine, name) = call.only_name()?;
    let stopped = engine.stop_container(&name, &options).await?;
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    if stopped == Stopped::Unheard {
        answer.headers_mut().insert(UNHEARD, HeaderValue::from_static("1"));
    }
    Ok(answer)
}

pub(super) async fn restart(mut call: Call) -> Answer {
    let options = stop_options(&mut call.query)?;
    let (engine, name) = call.only_name()?;
    engine.restart_container(&name, &options).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Reads how long a stop may take: seconds, and less than none is for ever.
fn stop_options(query: &mut Query) -> Result<StopOptions, Failure> {
    let seconds: Option<i64> = query.number("t")?;
    let timeout = seconds.map(|seconds| u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs));
    let signal = query.text("signal").map(|text| signal::parse(&text)).transpose()?;
    Ok(StopOptions { timeout, signal, skip_deaf: query.flag(SKIP_DEAF) })
}

pub(super) async fn kill(mut call: Call) -> Answer {
    let signal = call.query.text("signal").unwrap_or_default();
    let (engine, name) = call.only_name()?;
    engine.kill_container(&name, &signal).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn pause(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    engine.pause_container(&name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn unpause(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    engine.unpause_container(&name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Waits for an end. The head is sent at once, and says that the wait has begun.
pub(super) async fn wait(mut call: Call) -> Answer {
    let wanted = call.query.text("condition");
    // Before, there was one condition, and no head until it was met.
    let is_old = call.version.is_before(30);
    let condition = if is_old { WaitCondition::NotRunning } else { condition(wanted.as_deref())? };
    let (engine, name) = call.only_name()?;
    let wait = engine.watch_container(&name, condition)?;
    let ended = async {
        let status = wait.status().await.unwrap_or_else(|failure| ExitStatus { code: -1, out_of_memory: false, error: failure.message });
        Bytes::from(format!("{}\n", exit_to_json(&status)))
    };
    if is_old {
        return Ok(answer::bytes(StatusCode::OK, "application/json", ended.await));
    }
    Ok(answer::stream("application/json", stream::once(async { Ok(ended.await) })))
}

fn condition(text: Option<&str>) -> Result<WaitCondition, Failure> {
    match text {
        None | Some("not-running") => Ok(WaitCondition::NotRunning),
        Some("next-exit") => Ok(WaitCondition::NextExit),
        Some("removed") => Ok(WaitCondition::Removed),
        Some(other) => Err(Failure::invalid(format!("invalid condition: {other:?}"))),
    }
}

pub(super) async fn rename(mut call: Call) -> Answer {
    let to = call.query.text("name").ok_or_else(|| Failure::invalid("Neither old nor new names may be empty"))?;
    let (engine, name) = call.only_name()?;
    engine.rename_container(&name, to.trim_start_matches('/')).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn resize(mut call: Call) -> Answer {
    let size = call.query.size()?;
    let (engine, name) = call.only_name()?;
    engine.resize_container(&name, size).await?;
    Ok(answer::empty(StatusCode::OK))
}

pub(super) async fn remove(mut call: Call) -> Answer {
    let (force, volumes, link) = (call.query.flag("force"), call.query.flag("v"), call.query.flag("link"));
    let (engine, name) = call.only_name()?;
    if link {
        engine.container(&name).await?;
        // A link would be called `container/alias`, which is no container's name.
        return Err(Failure::conflict("Conflict, cannot remove the default link name of the container"));
    }
    engine.remove_container(&name, force, volumes).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn prune(mut call: Call) -> Answer {
    let filters = call.query.filters()?;
    let (engine, _) = call.only_name()?;
    let (removed, reclaimed) = engine.prune_containers(&filters).await?;
    let removed: Vec<String> = removed.iter().map(ToString::to_string).collect();
    Ok(answer::ok(&prune_to_json(Pruned::Containers, &removed, reclaimed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_takes_seconds_or_for_ever() {
        let read = |text: &str| stop_options(&mut Query::parse(text).expect("a good query"));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(read(""), Ok(StopOptions::default()));
        assert_eq!(read("t=0&skip-deaf=1"), Ok(StopOptions { timeout: seconds(0), signal: None, skip_deaf: true }));
        assert_eq!(read("t=7"), Ok(StopOptions { timeout: seconds(7), ..StopOptions::default() }));
        assert_eq!(read("t=-1"), Ok(StopOptions { timeout: Some(Duration::MAX), ..StopOptions::default() }));
        assert_eq!(read("signal=SIGINT"), Ok(StopOptions { signal: Some(2), ..StopOptions::default() }));
        assert!(read("signal=NONE").is_err());
        assert!(read("t=soon").is_err());
    }

    #[test]
    fn conditions_are_dockers() {
        assert_eq!(condition(None), Ok(WaitCondition::NotRunning));
        assert_eq!(condition(Some("removed")), Ok(WaitCondition::Removed));
        assert_eq!(condition(Some("never")), Err(Failure::invalid("invalid condition: \"never\"")));
    }
}
