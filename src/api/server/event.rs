//! Events as they happen.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hyper::Response;

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::wire::event;
use crate::resource::event::EventFilter;
use crate::resource::failure::Failure;

/// So many events that happened already go out in one piece.
const BATCH: usize = 64;

/// A line of JSON for each event; the head is sent at once, and says that the subscription holds.
pub(super) async fn stream(mut call: Call) -> Result<Response<Body>, Failure> {
    let since = call.query.instant("since")?;
    let until = call.query.instant("until")?;
    let filters = call.query.filters()?;
    call.query.finish()?;
    let reader = call.engine.events(&EventFilter { since, until, filters })?;
    let events = stream::unfold(reader, |mut reader| async { reader.next().await.map(|event| (event, reader)) });
    let lines = events.ready_chunks(BATCH).map(|events| {
        let text: String = events.iter().map(|it| format!("{}\n", event::to_json(it))).collect();
        Ok(Bytes::from(text))
    });
    Ok(answer::stream("application/json", lines))
}
