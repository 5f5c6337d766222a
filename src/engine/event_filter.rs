//! Which events a subscriber wants, by Docker's rules.

use std::collections::BTreeMap;

use crate::resource::event::{Event, EventKind};
use crate::resource::failure::Failure;

/// Keys Docker knows.
const KEYS: [&str; 14] = [
    "type",
    "event",
    "container",
    "image",
    "network",
    "volume",
    "label",
    "daemon",
    "scope",
    "plugin",
    "service",
    "node",
    "secret",
    "config",
];

/// Actions with a detail after a colon, which match without it, too (moby issue 25798).
const WITH_DETAIL: [&str; 3] = ["health_status", "exec_create", "exec_start"];

/// A parsed filter.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    filters: BTreeMap<String, Vec<String>>,
}

impl Selection {
    pub(super) fn parse(filters: &BTreeMap<String, Vec<String>>) -> Result<Self, Failure> {
        match filters.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(key) => Err(Failure::invalid(format!("invalid filter '{key}'"))),
            None => Ok(Self { filters: filters.clone() }),
        }
    }

    /// Within a key any value matches; every key must match, and every label.
    pub(super) fn selects(&self, event: &Event) -> bool {
        let attribute = |name: &str| event.attributes.get(name).map(String::as_str).unwrap_or_default();
        // Docker compares beginnings of ids and names, of whatever kind the thing is.
        let named = |value: &str| event.actor.starts_with(value) || attribute("name").starts_with(value);
        self.filters.iter().all(|(key, values)| match key.as_str() {
            "label" => values.iter().all(|value| has_label(&event.attributes, value)),
            _ => {
                values.is_empty()
                    || values.iter().any(|value| match key.as_str() {
                        "type" => event.kind.word() == value,
                        "event" => {
                            event.action == *value
                                || (WITH_DETAIL.contains(&value.as_str()) && event.action.starts_with(&format!("{value}:")))
                        }
                        "image" => {
                            let name = attribute(if event.kind == EventKind::Image { "name" } else { "image" });
                            event.actor == *value || name == value || without_tag(name) == value || without_tag(&event.actor) == value
                        }
                        "scope" => value == "local",
                        _ => named(value),
                    })
            }
        })
    }
}

/// `name` or `name=value`.
fn has_label(attributes: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => attributes.get(name).is_some_and(|it| it == value),
        None => attributes.contains_key(wanted),
    }
}

fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::time::Timestamp;

    fn event(kind: EventKind, action: &str) -> Event {
        let attributes = [("name", "web-1"), ("image", "nginx:1"), ("tier", "front")];
        Event {
            number: 1,
            time: Timestamp::from_nanos(0),
            kind,
            action: action.to_owned(),
            actor: "abc123".to_owned(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    #[test]
    fn every_key_must_match() {
        let check = |filters: &[(&str, &[&str])], action: &str, expected: bool| {
            let filters =
                filters.iter().map(|(key, values)| ((*key).to_owned(), values.iter().map(|&value| value.to_owned()).collect())).collect();
            let selection = Selection::parse(&filters).expect("known keys");
            assert_eq!(selection.selects(&event(EventKind::Container, action)), expected, "{filters:?} {action}");
        };
        check(&[], "start", true);
        check(&[("type", &["container"]), ("event", &["start", "die"])], "die", true);
        check(&[("type", &["network"])], "start", false);
        check(&[("event", &["health_status"])], "health_status: healthy", true);
        check(&[("event", &["health_status: healthy"])], "health_status: healthy", true);
        check(&[("event", &["st"])], "start", false);
        check(&[("container", &["web"])], "start", true);
        check(&[("container", &["abc"])], "start", true);
        check(&[("container", &["db"])], "start", false);
        check(&[("image", &["nginx"])], "start", true);
        check(&[("image", &["nginx:1"])], "start", true);
        check(&[("image", &["ngin"])], "start", false);
        check(&[("label", &["tier=front"])], "start", true);
        check(&[("label", &["tier", "other"])], "start", false);
        check(&[("network", &["web-1"])], "start", true);
        check(&[("secret", &["web-1"]), ("scope", &["local"])], "start", true);
        check(&[("config", &["other"])], "start", false);
        check(&[("scope", &["swarm"])], "start", false);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let filters = BTreeMap::from([("colour".to_owned(), vec!["red".to_owned()])]);
        assert_eq!(Selection::parse(&filters).expect_err("refused").message, "invalid filter 'colour'");
    }
}
