//! Events.

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::event::{Event, EventKind};
use crate::resource::time::Timestamp;

/// Docker's word for a kind of thing.
const fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Container => "container",
        EventKind::Image => "image",
        EventKind::Network => "network",
        EventKind::Volume => "volume",
        EventKind::Daemon => "daemon",
    }
}

/// Writes an event; the number is ours.
pub fn to_json(event: &Event) -> Value {
    let mut value = json!({
        "Type": word(event.kind),
        "Action": event.action,
        "Actor": { "ID": event.actor, "Attributes": event.attributes },
        "scope": "local",
        "time": event.time.as_seconds(),
        "timeNano": event.time.as_nanos(),
        "Gantry": { "Number": event.number },
    });
    // What events were before API 1.22; dockerd still repeats it for containers and images.
    if matches!(event.kind, EventKind::Container | EventKind::Image) {
        value["status"] = json!(event.action);
        value["id"] = json!(event.actor);
    }
    if event.kind == EventKind::Container {
        value["from"] = json!(event.attributes.get("image").map(String::as_str).unwrap_or_default());
    }
    value
}

/// The action of an event about its listener.
const LAG: &str = "lag";

/// What a listener reads that missed events, as its last one: an event of the engine itself, which every client can show.
pub fn lagged_to_json(reason: &str, now: Timestamp) -> Value {
    json!({
        "Type": word(EventKind::Daemon),
        "Action": LAG,
        "Actor": { "ID": "", "Attributes": { "error": reason } },
        "scope": "local",
        "time": now.as_seconds(),
        "timeNano": now.as_nanos(),
    })
}

/// Why a listener hears nothing more, if that is what an event says.
pub fn lag_of(event: &Event) -> Option<&str> {
    let is_lag = event.kind == EventKind::Daemon && event.action == LAG;
    event.attributes.get("error").filter(|_| is_lag).map(String::as_str)
}

/// Reads an event; `None` for one about a kind of thing we do not know. Another engine's events have the number 0.
pub fn from_json(body: Value) -> Result<Option<Event>, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let kind = match fields.text("Type")?.as_deref() {
        Some("container") => EventKind::Container,
        Some("image") => EventKind::Image,
        Some("network") => EventKind::Network,
        Some("volume") => EventKind::Volume,
        Some("daemon") => EventKind::Daemon,
        _ => return Ok(None),
    };
    let mut actor = fields.object("Actor")?;
    let seconds: i64 = fields.get("time", "seconds")?.unwrap_or_default();
    let nanos = fields.get("timeNano", "nanoseconds")?.unwrap_or(seconds.saturating_mul(1_000_000_000));
    Ok(Some(Event {
        number: fields.object("Gantry")?.unsigned("Number")?.unwrap_or_default(),
        time: Timestamp::from_nanos(nanos),
        kind,
        action: fields.text("Action")?.unwrap_or_default(),
        actor: actor.text("ID")?.unwrap_or_default(),
        attributes: actor.text_map("Attributes")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_for_every_kind() {
        for kind in [EventKind::Container, EventKind::Image, EventKind::Network, EventKind::Volume, EventKind::Daemon] {
            let event = Event {
                number: 7,
                time: Timestamp::from_nanos(1_700_000_000_000_000_001),
                kind,
                action: "health_status: healthy".to_owned(),
                actor: "a".repeat(64),
                attributes: [("image".to_owned(), "redis".to_owned())].into(),
            };
            assert_eq!(from_json(to_json(&event)).expect("good"), Some(event));
        }
        let lagged = from_json(lagged_to_json("too slow", Timestamp::from_nanos(7))).expect("good").expect("an event");
        assert_eq!(lag_of(&lagged), Some("too slow"));
        assert_eq!(from_json(json!({"Type": "plugin"})).expect("good"), None);
    }
}
