//! Docker's endpoints of a cluster and of plugins, answered as by an engine that has neither; and of what else is refused by name.

use hyper::{Response, StatusCode};
use serde_json::json;

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::wire::error::WireError;
use crate::resource::failure::Failure;

type Answer = Result<Response<Body>, Failure>;

/// What a plugin can be asked for by.
const PLUGIN_FILTERS: [&str; 2] = ["capability", "enabled"];

/// What only a manager of a swarm can do.
pub(super) async fn manager_only(_: Call) -> Answer {
    Err(no_manager())
}

/// What only a manager can change: the version of what is to be changed is looked at first.
pub(super) async fn update(mut call: Call) -> Answer {
    let version = call.query.text("version").unwrap_or_default();
    match version.parse::<u64>() {
        Ok(_) => Err(no_manager()),
        Err(_) => Err(Failure::invalid(format!("invalid version '{version}' of what is to be updated"))),
    }
}

/// dockerd's words for it.
pub(super) fn no_manager() -> Failure {
    Failure::unavailable(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
    )
}

pub(super) async fn leave(_: Call) -> Answer {
    Err(Failure::unavailable("This node is not part of a swarm"))
}

/// A swarm is neither begun nor joined here.
pub(super) async fn begin(_: Call) -> Answer {
    Err(Failure::unsupported("this engine takes part in no swarm"))
}

/// The volumes that can be updated are a swarm's.
pub(super) async fn update_volume(_: Call) -> Answer {
    Err(Failure::unavailable("volume update only valid for cluster volumes, but swarm is unavailable"))
}

/// There are no plugins.
pub(super) async fn plugins(mut call: Call) -> Answer {
    let filters = call.query.filters()?;
    call.query.finish()?;
    match filters.into_keys().find(|key| !PLUGIN_FILTERS.contains(&key.as_str())) {
        Some(key) => Err(Failure::invalid(format!("invalid filter '{key}'"))),
        None => Ok(answer::ok(&json!([]))),
    }
}

pub(super) async fn no_plugin(call: Call) -> Answer {
    Err(Failure::not_found(format!("plugin {:?} not found", call.name)))
}

pub(super) async fn install(_: Call) -> Answer {
    Err(Failure::unsupported("plugins are not supported by this engine"))
}

/// dockerd has checkpoints in its experimental mode only.
pub(super) async fn checkpoint(_: Call) -> Answer {
    Err(Failure::unsupported(
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.",
    ))
}

/// Any path may be asked for what it can do, and no answer tells.
pub(super) async fn options(_: Call) -> Answer {
    Ok(answer::empty(StatusCode::OK))
}

/// Refuses a volume that a swarm would have to make.
pub(super) fn refuse_cluster_volume(error: WireError) -> Failure {
    match error {
        WireError::Unsupported { field, .. } if field == "ClusterVolumeSpec" => no_manager(),
        other => other.into(),
    }
}
