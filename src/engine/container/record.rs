//! What is written down of a container: `spec.json` once, `state.json` at every change.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::container::membership::Wanted;
use crate::engine::container::restart::Restarts;
use crate::engine::store::{self, StoreError};
use crate::resource::container::{
    ContainerSpec, ContainerState, EffectiveConfig, EndpointState, HealthState, Mount, MountInfo, MountSource, PublishedPort,
};
use crate::resource::id::{ContainerId, ImageId};
use crate::resource::name::ContainerName;
use crate::resource::time::Timestamp;

const SPEC: &str = "spec.json";
const STATE: &str = "state.json";

/// What a container is; written when it is made, and again when it gets another name or another network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SpecRecord {
    pub(super) id: ContainerId,
    pub(super) name: ContainerName,
    pub(super) created: Timestamp,
    pub(super) spec: ContainerSpec,
    pub(super) image: ImageId,
    pub(super) effective: EffectiveConfig,
    /// The networks it joins when it starts.
    pub(super) networks: Vec<Wanted>,
    pub(super) mounts: Vec<ResolvedMount>,
}

/// A mount with all it left open decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct ResolvedMount {
    /// A volume has its name here.
    pub(in crate::engine) mount: Mount,
    /// Where it lies on the host; empty for memory.
    pub(in crate::engine) source: std::path::PathBuf,
    /// The volume was made for this container and goes with it.
    pub(in crate::engine) anonymous: bool,
}

impl ResolvedMount {
    /// What is told of it.
    pub(in crate::engine) fn info(&self) -> MountInfo {
        let (kind, name, propagation) = match &self.mount.source {
            MountSource::Bind { propagation, .. } => ("bind", None, propagation.clone().unwrap_or_else(|| "rprivate".to_owned())),
            MountSource::Volume { name, .. } => ("volume", name.clone(), String::new()),
            MountSource::Tmpfs { .. } => ("tmpfs", None, String::new()),
        };
        MountInfo {
            kind: kind.to_owned(),
            name,
            source: self.source.clone(),
            target: self.mount.target.clone(),
            writable: !self.mount.read_only,
            anonymous: self.anonymous,
            propagation,
        }
    }
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StateRecord {
    /// The boot it is of.
    pub(super) boot: String,
    pub(super) state: ContainerState,
    pub(super) health: Option<HealthState>,
    /// Somebody stopped it since it was last started.
    pub(super) stopped_by_hand: bool,
    /// It ran when the engine stopped it to leave.
    pub(super) stopped_to_leave: bool,
    pub(super) restarts: Restarts,
    /// While it runs.
    pub(super) endpoints: Vec<EndpointState>,
    /// While it runs.
    pub(super) published: Vec<PublishedPort>,
}

impl SpecRecord {
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        store::replace(&folder.join(SPEC), self)
    }

    pub(super) fn read(folder: &Path) -> Result<Option<Self>, StoreError> {
        store::read(&folder.join(SPEC))
    }

    /// Whether there was one in the folder that could not be understood.
    pub(super) fn was_damaged(folder: &Path) -> bool {
        folder.join(format!("{SPEC}.damaged")).exists()
    }
}

impl StateRecord {
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        store::replace(&folder.join(STATE), self)
    }

    pub(super) fn read(folder: &Path) -> Result<Option<Self>, StoreError> {
        store::read(&folder.join(STATE))
    }
}
