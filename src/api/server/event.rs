//! Events as they happen.

use bytes::Bytes;
use futures_util::stream;
use hyper::Response;

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::wire::event;
use crate::engine::clock;
use crate::resource::event::EventFilter;
use crate::resource::failure::Failure;

/// A line of JSON for each event; the head is sent at once, and says that the subscription holds. Every listener is sent the same bytes, so
/// that one who does not read costs next to nothing. One who misses events reads so as the last of them.
pub(super) async fn stream(mut call: Call) -> Result<Response<Body>, Failure> {
    let since = call.query.instant("since")?;
    let until = call.query.instant("until")?;
    let filters = call.query.filters()?;
    call.query.finish()?;
    let reader = call.engine.events(&EventFilter { since, until, filters })?;
    let lines = stream::unfold(reader, |mut reader| async move {
        let line = match reader.next().await? {
            Ok(told) => told.text(|it| Bytes::from(format!("{}\n", event::to_json(it)))),
            Err(lagged) => format!("{}\n", event::lagged_to_json(&lagged.to_string(), clock::now())).into(),
        };
        Some((Ok(line), reader))
    });
    Ok(answer::stream("application/json", lines))
}
