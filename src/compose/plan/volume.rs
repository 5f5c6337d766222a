//! What is wanted of a project's volumes, and whether one that exists is that.

use crate::compose::plan::network::Standing;
use crate::compose::plan::{fingerprint, label};
use crate::compose::project::model::{Project, Volume};
use crate::resource::volume::{VolumeInfo, VolumeSpec};

/// The specification of a volume with the labels that make it the project's.
pub(super) fn wanted(project: &Project, key: &str, volume: &Volume) -> VolumeSpec {
    let canonical = fingerprint::canonical(&volume.spec);
    let mut spec = volume.spec.clone();
    for (label, value) in [
        (label::PROJECT, project.name.to_string()),
        (label::VOLUME, key.to_owned()),
        (label::VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        (label::CONFIG_HASH, fingerprint::hash(&canonical)),
        (label::SPEC, canonical.to_string()),
    ] {
        spec.labels.insert(label.to_owned(), value);
    }
    spec
}

/// Compares a volume that exists with the one that is wanted.
pub(super) fn standing(project: &Project, wanted: &VolumeSpec, info: &VolumeInfo) -> Standing {
    let labels = &info.spec.labels;
    if labels.get(label::PROJECT).map(String::as_str) != Some(project.name.as_str()) {
        return Standing::Foreign;
    }
    let same = match labels.get(label::SPEC).and_then(|text| fingerprint::read::<VolumeSpec>(text)) {
        Some(kept) => kept == fingerprint::canonical(wanted),
        None => {
            let driver = |spec: &VolumeSpec| if spec.driver.is_empty() { "local".to_owned() } else { spec.driver.clone() };
            driver(wanted) == driver(&info.spec) && wanted.options.iter().all(|(key, value)| info.spec.options.get(key) == Some(value))
        }
    };
    if same { Standing::Same } else { Standing::Differs }
}
