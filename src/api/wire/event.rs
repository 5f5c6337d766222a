//! Events.

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::event::{Event, EventKind};
use crate::resource::time::Timestamp;

/// Writes an event; the number is ours.
pub fn to_json(event: &Event) -> Value {
    let mut value = json!({
        "Type": event.kind.word(),
        "Action": event.action,
        "Actor": { "ID": event.actor, "Attributes": event.attributes },
        "scope": "local",
        "time": event.time.as_seconds(),
        "timeNano": event.time.as_nanos(),
        "Gantry": { "Number": event.number },
    });
    // What events were before API 1.22; dockerd still repeats it for containers and images.
    if matches!(event.kind, EventKind::Container | EventKind::Image) {
        let mut set = |name: &str, text: Option<&String>| {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                value[name] = json!(text);
            }
        };
        set("status", Some(&event.action));
        set("id", Some(&event.actor));
        set("from", event.attributes.get("image").filter(|_| event.kind == EventKind::Container));
    }
    value
}

/// The action of an event about its listener.
const LAG: &str = "lag";

/// What a listener reads that missed events, as its last one: an event of the engine itself, which every client can show.
pub fn lagged_to_json(reason: &str, now: Timestamp) -> Value {
    json!({
        "Type": EventKind::Daemon.word(),
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
        Some("builder") => EventKind::Builder,
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
        for kind in [EventKind::Container, EventKind::Image, EventKind::Network, EventKind::Volume, EventKind::Builder, EventKind::Daemon] {
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
