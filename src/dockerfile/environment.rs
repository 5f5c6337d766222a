//! Variables with their values, in the order in which they were set.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Names and values; a name is there once. Copies share both: stages that build on one another have most of them in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    entries: Vec<(Arc<str>, Arc<str>)>,
    positions: BTreeMap<Arc<str>, usize>,
}

impl Environment {
    /// Reads `NAME=value` entries as an image's configuration has them.
    pub(super) fn of(entries: &[String]) -> Self {
        let mut environment = Self::default();
        for entry in entries {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            environment.set(name, value);
        }
        environment
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.positions.get(name).map(|it| &*self.entries[*it].1)
    }

    /// Sets a name; one that is there keeps its position.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        match self.positions.get(name) {
            Some(position) => self.entries[*position].1 = value.into(),
            None => {
                let name: Arc<str> = name.into();
                self.positions.insert(Arc::clone(&name), self.entries.len());
                self.entries.push((name, value.into()));
            }
        }
    }

    /// All of them in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The same, as copies.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        self.entries().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The names in order.
    pub(super) fn names(&self) -> Vec<&str> {
        self.entries().map(|it| it.0).collect()
    }
}
