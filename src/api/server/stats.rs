//! What containers use.

use bytes::Bytes;
use futures_util::stream;
use hyper::Response;

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::wire::stats;
use crate::resource::failure::Failure;

/// A line of JSON for each look, one a second; or a single one, behind one that it is compared with.
pub(super) async fn stream(mut call: Call) -> Result<Response<Body>, Failure> {
    // Docker streams unless told otherwise.
    let stream = call.query.flag_or("stream", true);
    let one_shot = call.query.flag("one-shot");
    if stream && one_shot {
        return Err(Failure::invalid("cannot have stream=true and one-shot=true"));
    }
    let (engine, name) = call.only_name()?;
    let mut reader = engine.container_stats(&name).await?;
    if stream {
        let lines = stream::unfold(reader, |mut reader| async {
            let stats = reader.next().await?;
            Some((Ok(Bytes::from(format!("{}\n", stats::to_json(&stats)))), reader))
        });
        return Ok(answer::stream("application/json", lines));
    }
    let gone = || Failure::not_found(format!("No such container: {name}"));
    let mut look = reader.next().await.ok_or_else(gone)?;
    if look.usage.is_some() && !one_shot {
        look = reader.next().await.ok_or_else(gone)?;
    }
    let mut value = stats::to_json(&look);
    if one_shot
        && look.usage.is_some()
        && let Some(fields) = value.as_object_mut()
    {
        // As dockerd, which does not say here whose figures they are.
        fields.retain(|field, _| !matches!(field.as_str(), "name" | "id"));
    }
    Ok(answer::ok(&value))
}
