//! What has become of containers: other limits, other files, other images.

use hyper::{Response, StatusCode};

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::image::named_reference;
use crate::api::wire::answer::{committed_to_json, updated_to_json};
use crate::api::wire::{change, spec};
use crate::resource::container::CommitOptions;
use crate::resource::failure::Failure;

type Answer = Result<Response<Body>, Failure>;

/// Changes the limits and the restart policy of a container.
pub(super) async fn update(mut call: Call) -> Answer {
    let change = spec::change_from_json(call.json().await?)?;
    let (engine, name) = call.only_name()?;
    engine.update_container(&name, &change).await?;
    Ok(answer::ok(&updated_to_json()))
}

/// Tells at which paths a container's root is not its image's.
pub(super) async fn changes(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    Ok(answer::ok(&change::to_json(&engine.container_changes(&name).await?)))
}

/// Makes an image of a container.
pub(super) async fn commit(mut call: Call) -> Answer {
    let body = call.json().await?;
    let config = spec::override_from_json(body.clone())?;
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let name = call.query.text("container").unwrap_or_default();
    let options = CommitOptions {
        reference: repository.map(|repository| named_reference(&repository, tag.as_deref())).transpose()?,
        comment: call.query.text("comment").unwrap_or_default(),
        author: call.query.text("author").unwrap_or_default(),
        pause: call.query.flag_or("pause", true),
        changes: call.query.all("changes"),
        config,
    };
    call.query.ignore_repeated(&body);
    call.query.finish()?;
    let image = call.engine.commit_container(&name, &options).await?;
    Ok(answer::json(StatusCode::CREATED, &committed_to_json(&image)))
}
