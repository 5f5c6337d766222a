//! Volumes.

use hyper::{Response, StatusCode};

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::{older, swarm};
use crate::api::wire::answer::{Pruned, prune_to_json};
use crate::api::wire::volume;
use crate::resource::failure::Failure;

type Answer = Result<Response<Body>, Failure>;

pub(super) async fn list(mut call: Call) -> Answer {
    let filters = call.query.filters()?;
    let (engine, _) = call.only_name()?;
    Ok(answer::ok(&volume::list_to_json(&engine.volumes(&filters).await?)))
}

pub(super) async fn inspect(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    Ok(answer::ok(&volume::to_json(&engine.volume(&name).await?)))
}

pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    call.query.ignore_repeated(&body);
    let (name, spec) = volume::create_from_json(body).map_err(swarm::refuse_cluster_volume)?;
    let (engine, _) = call.only_name()?;
    let info = engine.create_volume(name.as_deref(), &spec).await?;
    Ok(answer::json(StatusCode::CREATED, &volume::to_json(&info)))
}

pub(super) async fn remove(mut call: Call) -> Answer {
    let force = call.query.flag("force");
    let (engine, name) = call.only_name()?;
    engine.remove_volume(&name, force).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn prune(mut call: Call) -> Answer {
    let mut filters = call.query.filters()?;
    if older::prunes_named_volumes(call.version) {
        filters.insert("all".to_owned(), vec!["true".to_owned()]);
    }
    let (engine, _) = call.only_name()?;
    let (removed, reclaimed) = engine.prune_volumes(&filters).await?;
    Ok(answer::ok(&prune_to_json(Pruned::Volumes, &removed, reclaimed)))
}
