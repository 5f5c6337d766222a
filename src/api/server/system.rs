//! The engine itself: which it is, what it knows of its machine, and its end.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::older;
use crate::api::server::router::{ApiVersion, forbid_caching};
use crate::api::wire::{disk, observation, system};
use crate::engine::clock;
use crate::resource::container::{ContainerFilter, ContainerInfo};
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::observation::Observation;
use crate::resource::system::DiskQuestion;

pub(super) async fn ping(_: Call) -> Result<Response<Body>, Failure> {
    let mut response = answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"OK"));
    let headers = response.headers_mut();
    forbid_caching(headers);
    // The builder that is spoken to by `POST /build`, and no swarm.
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    Ok(response)
}

pub(super) async fn version(call: Call) -> Result<Response<Body>, Failure> {
    let (engine, _) = call.only_name()?;
    Ok(answer::ok(&system::version_to_json(&engine.version())))
}

pub(super) async fn info(call: Call) -> Result<Response<Body>, Failure> {
    let version = call.version;
    let (engine, _) = call.only_name()?;
    let mut value = system::info_to_json(&engine.info().await?);
    older::info(&mut value, version);
    Ok(answer::ok(&value))
}

/// What takes how much of the disk.
pub(super) async fn disk_usage(mut call: Call) -> Result<Response<Body>, Failure> {
    let version = call.version;
    let asked = question(&call.query.all("type"), version)?;
    let (engine, _) = call.only_name()?;
    let mut value = disk::to_json(&engine.disk_use(asked).await?, clock::now());
    older::disk_usage(&mut value, version);
    Ok(answer::ok(&value))
}

/// Of which things it is asked; of all unless it is said, or could not be said.
fn question(kinds: &[String], version: ApiVersion) -> Result<DiskQuestion, Failure> {
    let all = kinds.is_empty() || version.is_before(42);
    let mut asked = DiskQuestion { images: all, containers: all, volumes: all, build_cache: all };
    for kind in kinds.iter().filter(|_| !all) {
        match kind.as_str() {
            "image" => asked.images = true,
            "container" => asked.containers = true,
            "volume" => asked.volumes = true,
            "build-cache" => asked.build_cache = true,
            other => return Err(Failure::invalid(format!("unknown object type: {other}"))),
        }
    }
    Ok(asked)
}

/// Whether a registry lets somebody in.
pub(super) async fn login(mut call: Call) -> Result<Response<Body>, Failure> {
    let (registry, credentials) = system::login_from_json(call.json().await?)?;
    let credentials = credentials.ok_or_else(|| Failure::denied("no user and no password, nor a token, to log in with"))?;
    let (engine, _) = call.only_name()?;
    engine.login(&registry, &credentials).await?;
    Ok(answer::ok(&system::logged_in_to_json()))
}

/// One look at everything a project may concern.
pub(super) async fn observe(mut call: Call) -> Result<Response<Body>, Failure> {
    let (filters, references) = (call.query.filters()?, call.query.all("image"));
    let (engine, _) = call.only_name()?;
    let mut images = BTreeMap::new();
    for reference in references {
        match engine.image(&reference).await {
            Ok(image) => drop(images.insert(reference, image.id)),
            Err(failure) if failure.kind == FailureKind::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    let everything = BTreeMap::new();
    let containers = engine.containers(&ContainerFilter { all: true, filters }).await?;
    let observation = Observation {
        containers: containers.iter().map(|told| ContainerInfo::clone(told)).collect(),
        networks: engine.networks(&everything).await?,
        volumes: engine.volumes(&everything).await?,
        images,
    };
    Ok(answer::bytes(StatusCode::OK, "application/json", observation::to_json(observation).into()))
}

/// What the engine wrote down of itself.
pub(super) async fn log(call: Call) -> Result<Response<Body>, Failure> {
    let (engine, _) = call.only_name()?;
    Ok(answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", engine.log().await?.into()))
}

/// Stops every container and the engine.
pub(super) async fn stop(call: Call) -> Result<Response<Body>, Failure> {
    let (engine, _) = call.only_name()?;
    engine.stop_and_leave().await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_asked_for_one_thing_or_all() {
        let ask =
            |kinds: &[&str], minor| question(&kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>(), ApiVersion::new(1, minor));
        let nothing = DiskQuestion { images: false, containers: false, volumes: false, build_cache: false };
        let everything = DiskQuestion { images: true, containers: true, volumes: true, build_cache: true };
        assert_eq!(ask(&[], 51), Ok(everything));
        assert_eq!(ask(&["image"], 41), Ok(everything));
        assert_eq!(ask(&["image", "build-cache"], 42), Ok(DiskQuestion { images: true, build_cache: true, ..nothing }));
        assert_eq!(ask(&["bad"], 51), Err(Failure::invalid("unknown object type: bad")));
    }
}
