//! Profiles and service arguments: which part of a project is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compose::project::model::{FileKind, Project, Service};
use crate::compose::project::node::{Entry, Node};
use crate::resource::failure::Failure;
use crate::resource::name::ServiceName;

/// Why a project cannot be cut down to the services that were named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The project has no such service.
    #[error("no such service: {name}{}", suggestion.as_ref().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default())]
    Unknown {
        /// What was named.
        name: String,
        /// A service with a similar name.
        suggestion: Option<String>,
    },
    /// The service exists but no active profile enables it.
    #[error("no such service: {name}: it is disabled; enable it with `--profile {profile}`")]
    Disabled {
        /// The service.
        name: ServiceName,
        /// A profile that enables it.
        profile: String,
    },
    /// A service that is needed is not enabled.
    #[error("service \"{dependency}\" is required by \"{service}\" but is disabled. Can be enabled by profiles [{profiles}]")]
    DependencyDisabled {
        /// What needs it.
        service: ServiceName,
        /// What is needed.
        dependency: ServiceName,
        /// The profiles that enable it.
        profiles: String,
    },
}

impl From<SelectError> for Failure {
    fn from(error: SelectError) -> Self {
        Self::not_found(error.to_string())
    }
}

impl Project {
    /// Returns the project with only the named services (patterns as of a shell are allowed), what they depend on if asked for, and the
    /// networks, volumes, secrets and configs those use. Every service when none is named; what nothing uses goes even then.
    pub fn select(&self, services: &[String], with_dependencies: bool) -> Result<Self, SelectError> {
        if services.is_empty() {
            let mut all = self.clone();
            all.drop_unused();
            return Ok(all);
        }
        let mut wanted: BTreeSet<ServiceName> = BTreeSet::new();
        for pattern in services {
            let before = wanted.len();
            wanted.extend(self.services.keys().filter(|name| matches(pattern, name.as_str())).cloned());
            if wanted.len() == before && !wanted.contains(pattern.as_str()) {
                return Err(self.unknown(pattern));
            }
        }
        if with_dependencies {
            let mut open: Vec<ServiceName> = wanted.iter().cloned().collect();
            while let Some(name) = open.pop() {
                let Some(service) = self.services.get(&name) else { continue };
                for (dependency, terms) in &service.depends_on {
                    if self.services.contains_key(dependency) {
                        if wanted.insert(dependency.clone()) {
                            open.push(dependency.clone());
                        }
                    } else if terms.required {
                        return Err(self.dependency_disabled(&name, dependency));
                    }
                }
            }
        }
        let mut selected = self.clone();
        selected.services.retain(|name, _| wanted.contains(name));
        let unselected = self.services.iter().filter(|(name, _)| !wanted.contains(*name));
        selected.disabled.extend(unselected.map(|(name, service)| (name.clone(), Arc::clone(service))));
        selected.drop_unused();
        Ok(selected)
    }

    /// Drops what no enabled service uses.
    fn drop_unused(&mut self) {
        if self.all_resources {
            return;
        }
        let networks: BTreeSet<&String> = self.services.values().flat_map(|service| service.networks.keys()).collect();
        let networks: BTreeSet<String> = networks.into_iter().cloned().collect();
        let volumes: BTreeSet<String> = self.services.values().flat_map(|service| service.volume_keys()).map(str::to_owned).collect();
        let used = |kind: FileKind| -> BTreeSet<String> {
            self.services.values().flat_map(|service| service.file_keys(kind)).map(str::to_owned).collect()
        };
        let models: BTreeSet<String> =
            self.services.keys().flat_map(|name| self.written(name, "models")).map(|(key, _)| key.clone()).collect();
        self.models.retain(|key| models.contains(key));
        let (secrets, configs) = (used(FileKind::Secret), used(FileKind::Config));
        let built: BTreeSet<&str> = self.services.keys().flat_map(|name| self.build_secrets(name)).collect();
        let secrets: BTreeSet<String> = built.into_iter().map(str::to_owned).chain(secrets).collect();
        self.secrets.retain(|key, _| secrets.contains(key));
        self.configs.retain(|key, _| configs.contains(key));
        self.networks.retain(|key, _| networks.contains(key));
        self.volumes.retain(|key, _| volumes.contains(key));
    }

    /// The models of the project as a registry has them.
    pub fn model_references(&self) -> Vec<&str> {
        let all = self.document.get("models");
        self.models.iter().filter_map(|key| all?.get(key)?.get("model")?.as_text()).collect()
    }

    /// The entries of a mapping of a service, as they are written.
    fn written(&self, service: &ServiceName, key: &str) -> impl Iterator<Item = (&String, &Entry)> {
        let node = self.document.get("services").and_then(|services| services.get(service.as_str()));
        node.and_then(|node| node.get(key)).and_then(Node::as_map).into_iter().flatten()
    }

    /// The secrets that the building of a service reads.
    fn build_secrets(&self, service: &ServiceName) -> impl Iterator<Item = &str> {
        let node = self.document.get("services").and_then(|services| services.get(service.as_str()));
        let secrets = node.and_then(|node| node.get("build")?.get("secrets")?.as_list()).unwrap_or_default();
        secrets.iter().filter_map(|secret| secret.get("source")?.as_text())
    }

    fn unknown(&self, name: &str) -> SelectError {
        match self.disabled.get(name) {
            Some(service) if !service.profiles.is_empty() => {
                SelectError::Disabled { name: service.name.clone(), profile: service.profiles.first().cloned().unwrap_or_default() }
            }
            _ => SelectError::Unknown {
                name: name.to_owned(),
                suggestion: crate::compose::project::suggest::nearest(name, self.services.keys().map(ServiceName::as_str)),
            },
        }
    }

    fn dependency_disabled(&self, service: &ServiceName, dependency: &ServiceName) -> SelectError {
        let profiles = self.disabled.get(dependency).map(|disabled| disabled.profiles.iter().cloned().collect::<Vec<_>>().join(" "));
        SelectError::DependencyDisabled { service: service.clone(), dependency: dependency.clone(), profiles: profiles.unwrap_or_default() }
    }
}

impl Service {
    /// Whether it is enabled: it has no profiles, or one of them is active; `*` activates all.
    pub(crate) fn is_enabled(&self, profiles: &BTreeSet<String>) -> bool {
        self.profiles.is_empty() || profiles.contains("*") || self.profiles.iter().any(|profile| profiles.contains(profile))
    }
}

/// Splits services into those that are enabled and those that are not.
pub(crate) fn split(
    services: BTreeMap<ServiceName, Arc<Service>>,
    profiles: &BTreeSet<String>,
) -> (BTreeMap<ServiceName, Arc<Service>>, BTreeMap<ServiceName, Arc<Service>>) {
    services.into_iter().partition(|(_, service)| service.is_enabled(profiles))
}

/// Whether a name matches a shell pattern: `*`, `?`, `[a-z]`, `[^a-z]`, `\` before a literal (Go's `filepath.Match`).
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    match_from(&pattern, &name)
}

/// Walks both once; where they part, the last `*` takes one character more.
fn match_from(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut taken, mut star) = (0, 0, None);
    while taken < name.len() {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, taken));
        } else if let Some(length) = element(&pattern[at..], name[taken]) {
            at += length;
            taken += 1;
        } else if let Some((after, from)) = star {
            (at, taken) = (after, from + 1);
            star = Some((after, taken));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

/// Returns how long the first element of a pattern is if it stands for a character.
fn element(pattern: &[char], character: char) -> Option<usize> {
    match pattern.split_first()? {
        ('?', _) => Some(1),
        ('[', rest) => {
            let close = rest.iter().skip(1).position(|&character| character == ']')? + 1;
            let (set, negated) = match rest[..close].split_first() {
                Some(('^', set)) => (set, true),
                _ => (&rest[..close], false),
            };
            (in_set(set, character) != negated).then_some(close + 2)
        }
        ('\\', [literal, ..]) => (*literal == character).then_some(2),
        (literal, _) => (*literal == character).then_some(1),
    }
}

fn in_set(set: &[char], character: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            if (set[at]..=set[at + 2]).contains(&character) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == character {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expect) in [
            ("web", "web", true),
            ("web*", "web-1", true),
            ("w?b", "web", true),
            ("w[a-f]b", "web", true),
            ("w[^a-f]b", "web", false),
            ("w[", "w[", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a*bc", "abbc", true),
            ("*a*a*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("\\*", "*", true),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }
}
