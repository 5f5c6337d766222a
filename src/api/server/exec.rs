//! Commands run beside a container's own; their streams are in `attach`.

use hyper::{Response, StatusCode};

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::wire::answer::created_to_json;
use crate::api::wire::exec;
use crate::resource::failure::Failure;

pub(super) async fn create(mut call: Call) -> Result<Response<Body>, Failure> {
    let spec = exec::create_from_json(call.json().await?)?;
    let (engine, name) = call.only_name()?;
    let id = engine.exec_create(&name, &spec).await?;
    Ok(answer::json(StatusCode::CREATED, &created_to_json(id)))
}

pub(super) async fn resize(mut call: Call) -> Result<Response<Body>, Failure> {
    let size = call.query.size()?;
    let (engine, name) = call.only_name()?;
    engine.exec_resize(&name, size).await?;
    Ok(answer::empty(StatusCode::OK))
}

pub(super) async fn inspect(call: Call) -> Result<Response<Body>, Failure> {
    let (engine, name) = call.only_name()?;
    Ok(answer::ok(&exec::to_json(&engine.exec_inspect(&name).await?)))
}
