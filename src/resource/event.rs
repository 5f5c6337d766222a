//! What happened, to what, and when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::resource::time::Timestamp;

/// The kind of thing an event is about, spelled as Docker's `Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// What builds keep.
    Builder,
    /// The engine itself.
    Daemon,
}

impl EventKind {
    /// Docker's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Builder => "builder",
            Self::Daemon => "daemon",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in this engine's ring; one greater than the number of the event before it.
    pub number: u64,
    /// When it happened.
    pub time: Timestamp,
    /// What kind of thing it happened to.
    pub kind: EventKind,
    /// Docker's action: `create`, `start`, `die`, `health_status: healthy`, `connect`…
    pub action: String,
    /// The full id (containers, networks, images) or name (volumes) of the thing.
    pub actor: String,
    /// Docker's attributes: the name, the image, the labels, `exitCode`…
    pub attributes: BTreeMap<String, String>,
}

/// Which events a caller wants, in Docker's terms: within a key any value matches, and every key must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Events at or after this instant, from the ring.
    pub since: Option<Timestamp>,
    /// Events up to this instant, at which the stream ends; alone it asks for all that is remembered.
    pub until: Option<Timestamp>,
    /// `type`, `event`, `container`, `image`, `network`, `volume`, `label` and their values.
    pub filters: BTreeMap<String, Vec<String>>,
}
