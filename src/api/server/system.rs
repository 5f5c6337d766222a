//! The engine itself: which it is, what it knows of its machine, and its end.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::{Response, StatusCode};

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::router::forbid_caching;
use crate::api::wire::{observation, system};
use crate::resource::container::ContainerFilter;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::observation::Observation;

pub(super) async fn ping(_: Call) -> Result<Response<Body>, Failure> {
    let mut response = answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"OK"));
    forbid_caching(response.headers_mut());
    Ok(response)
}

pub(super) async fn version(call: Call) -> Result<Response<Body>, Failure> {
    let (engine, _) = call.only_name()?;
    Ok(answer::ok(&system::version_to_json(&engine.version())))
}

pub(super) async fn info(call: Call) -> Result<Response<Body>, Failure> {
    let (engine, _) = call.only_name()?;
    Ok(answer::ok(&system::info_to_json(&engine.info().await?)))
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
    let observation = Observation {
        containers: engine.containers(&ContainerFilter { all: true, filters }).await?,
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
