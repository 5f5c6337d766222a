//! What is wanted of a project's networks, and whether one that exists is that.

use crate::compose::plan::{fingerprint, label};
use crate::compose::project::model::{Network, Project};
use crate::resource::network::{NetworkInfo, NetworkSpec};

/// The specification of a network with the labels that make it the project's.
pub(super) fn wanted(project: &Project, key: &str, network: &Network) -> NetworkSpec {
    let canonical = fingerprint::canonical(&network.spec);
    let mut spec = network.spec.clone();
    for (label, value) in [
        (label::PROJECT, project.name.to_string()),
        (label::NETWORK, key.to_owned()),
        (label::VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        (label::CONFIG_HASH, fingerprint::hash(&canonical)),
        (label::SPEC, canonical.to_string()),
    ] {
        spec.labels.insert(label.to_owned(), value);
    }
    spec
}

/// How a network that exists stands to the one that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is what is wanted.
    Same,
    /// It is the project's, and something else.
    Differs,
    /// Another project made it, or none.
    Foreign,
}

/// Compares a network that exists with the one that is wanted.
///
/// What another tool made is compared by what the engine tells of it, not by that tool's digest: its way of hashing is its own.
pub(super) fn standing(project: &Project, wanted: &NetworkSpec, info: &NetworkInfo) -> Standing {
    let labels = &info.spec.labels;
    if labels.get(label::PROJECT).map(String::as_str) != Some(project.name.as_str()) {
        return Standing::Foreign;
    }
    let same = match labels.get(label::SPEC).and_then(|text| fingerprint::read::<NetworkSpec>(text)) {
        Some(kept) => kept == fingerprint::canonical(wanted),
        None => is_as_wanted(wanted, &info.spec),
    };
    if same { Standing::Same } else { Standing::Differs }
}

fn is_as_wanted(wanted: &NetworkSpec, actual: &NetworkSpec) -> bool {
    let driver = |spec: &NetworkSpec| if spec.driver.is_empty() { "bridge".to_owned() } else { spec.driver.clone() };
    let has_labels = wanted.labels.iter().all(|(key, value)| actual.labels.get(key) == Some(value));
    let has_options = wanted.options.iter().all(|(key, value)| actual.options.get(key) == Some(value));
    driver(wanted) == driver(actual)
        && wanted.internal == actual.internal
        && wanted.attachable == actual.attachable
        && wanted.enable_ipv4.unwrap_or(true) == actual.enable_ipv4.unwrap_or(true)
        && wanted.enable_ipv6.unwrap_or(false) == actual.enable_ipv6.unwrap_or(false)
        && wanted.ipam.iter().all(|pool| actual.ipam.contains(pool))
        && has_labels
        && has_options
}
