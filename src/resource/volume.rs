//! Volumes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::resource::name::VolumeName;
use crate::resource::time::Timestamp;

/// What is wanted of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeSpec {
    /// `local` (the default when empty); any other is refused.
    pub driver: String,
    /// The `local` driver's `type`, `o` and `device`.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// What an engine tells of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeInfo {
    /// Its name.
    pub name: VolumeName,
    /// When it was created.
    pub created: Timestamp,
    /// What was wanted.
    pub spec: VolumeSpec,
    /// Where it lies on the host.
    pub mountpoint: PathBuf,
    /// It was made for one container and goes with it.
    pub anonymous: bool,
}
