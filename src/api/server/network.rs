//! Networks.

use hyper::{Response, StatusCode};

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::older;
use crate::api::wire::answer::{Pruned, network_created_to_json, prune_to_json};
use crate::api::wire::network;
use crate::resource::failure::Failure;
use crate::resource::truth;

type Answer = Result<Response<Body>, Failure>;

pub(super) async fn list(mut call: Call) -> Answer {
    let (filters, with_members) = (call.query.filters()?, older::lists_members(call.version));
    let (engine, _) = call.only_name()?;
    let networks = engine.networks(&filters).await?;
    Ok(answer::ok(&networks.iter().map(|info| network::to_json(info, with_members)).collect()))
}

pub(super) async fn inspect(mut call: Call) -> Answer {
    // The only scope there is.
    if call.query.text("scope").is_some_and(|scope| scope != "local") {
        return Err(Failure::not_found(format!("network {} not found", call.name)));
    }
    // More of a swarm's network; of others it says nothing more.
    if let Some(text) = call.query.text("verbose").filter(|text| truth::parse(text).is_none()) {
        return Err(Failure::invalid(format!("invalid value for verbose: {text}: strconv.ParseBool: parsing {text:?}: invalid syntax")));
    }
    let (engine, name) = call.only_name()?;
    Ok(answer::ok(&network::to_json(&engine.network(&name).await?, true)))
}

pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    call.query.ignore_repeated(&body);
    let (name, spec) = network::create_from_json(body)?;
    let (engine, _) = call.only_name()?;
    let id = engine.create_network(&name, &spec).await?;
    Ok(answer::json(StatusCode::CREATED, &network_created_to_json(id)))
}

pub(super) async fn connect(mut call: Call) -> Answer {
    let (container, endpoint) = network::connect_from_json(call.json().await?)?;
    let (engine, name) = call.only_name()?;
    engine.connect_network(&name, &container, &endpoint).await?;
    Ok(answer::empty(StatusCode::OK))
}

pub(super) async fn disconnect(mut call: Call) -> Answer {
    let (container, force) = network::disconnect_from_json(call.json().await?)?;
    let (engine, name) = call.only_name()?;
    engine.disconnect_network(&name, &container, force).await?;
    Ok(answer::empty(StatusCode::OK))
}

pub(super) async fn remove(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    engine.remove_network(&name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn prune(mut call: Call) -> Answer {
    let filters = call.query.filters()?;
    let (engine, _) = call.only_name()?;
    let removed = engine.prune_networks(&filters).await?;
    Ok(answer::ok(&prune_to_json(Pruned::Networks, &removed, 0)))
}
