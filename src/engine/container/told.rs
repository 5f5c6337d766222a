//! What is told of a container in events, with Docker's attributes.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::resource::event::EventKind;

impl Engine {
    /// Says that something happened to a container; `more` comes beside its labels, its image and its name.
    pub(in crate::engine) fn tell(&self, container: &Container, action: impl Into<String>, more: &[(&str, String)]) {
        let record = container.record();
        let mut attributes = record.effective.labels.clone();
        attributes.insert("image".to_owned(), record.spec.image.clone());
        attributes.insert("name".to_owned(), record.name.to_string());
        attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.shared.ring.emit(EventKind::Container, action, &container.id().to_string(), attributes);
    }

    /// Says that a container came to a network or left it.
    pub(in crate::engine) fn tell_network(&self, container: &Container, action: &str, network: &str, name: &str) {
        let kind = match name {
            "host" => "host",
            "none" => "null",
            _ => "bridge",
        };
        let attributes = [("container", container.id().to_string()), ("name", name.to_owned()), ("type", kind.to_owned())];
        let attributes: BTreeMap<String, String> = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.shared.ring.emit(EventKind::Network, action, network, attributes);
    }

    /// Says that a container has a volume mounted, or no longer.
    pub(in crate::engine) fn tell_volume(&self, container: &Container, action: &str, volume: &str, more: &[(&str, String)]) {
        let mut attributes =
            BTreeMap::from([("container".to_owned(), container.id().to_string()), ("driver".to_owned(), "local".to_owned())]);
        attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.shared.ring.emit(EventKind::Volume, action, volume, attributes);
    }
}
