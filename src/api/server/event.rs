//! Events as they happen.

use bytes::Bytes;
use futures_util::stream;
use hyper::Response;

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::wire::event;
use crate::engine::clock;
use crate::resource::event::{Event, EventFilter, EventKind};
use crate::resource::failure::Failure;

/// A line of JSON for each event; the head is sent at once, and says that the subscription holds. Every listener is sent the same bytes, so
/// that one who does not read costs next to nothing. One who misses events reads so as the last of them.
pub(super) async fn stream(mut call: Call) -> Result<Response<Body>, Failure> {
    let since = call.query.instant("since")?;
    let until = call.query.until()?;
    let filters = call.query.filters()?;
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return Err(Failure::invalid(format!("`since` time ({since}) cannot be after `until` time ({until})")));
    }
    // Clients of before know no events of images that were made here.
    let knows_made_images = !call.version.is_before(46);
    call.query.finish()?;
    let reader = call.engine.events(&EventFilter { since, until, filters })?;
    let known = move |event: &Event| knows_made_images || event.kind != EventKind::Image || event.action != "create";
    let lines = stream::unfold(reader, move |mut reader| async move {
        let line = loop {
            match reader.next().await? {
                Ok(told) if known(&told) => break told.text(|it| Bytes::from(format!("{}\n", event::to_json(it)))),
                Ok(_) => {}
                Err(lagged) => break format!("{}\n", event::lagged_to_json(&lagged.to_string(), clock::now())).into(),
            }
        };
        Some((Ok(line), reader))
    });
    Ok(answer::stream("application/json", lines))
}
