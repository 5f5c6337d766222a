//! What is written down of a container: `spec.json` once, `state.json` at every change.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::container::membership::Wanted;
use crate::engine::container::restart::Restarts;
use crate::engine::store::{self, StoreError};
use crate::resource::container::{
    ContainerSpec, ContainerState, EffectiveConfig, EndpointState, HealthState, Mount, MountInfo, MountSource, PortBinding, PublishedPort,
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

impl SpecRecord {
    /// The ports of the host that are to lead to it: those asked for, and one for each other exposed port where all are to be published.
    pub(super) fn bindings(&self) -> Vec<PortBinding> {
        let mut bindings = self.spec.ports.clone();
        if self.spec.publish_all {
            let others = self.effective.exposed.iter().filter(|port| !self.spec.ports.iter().any(|binding| binding.container == **port));
            bindings.extend(others.map(|port| PortBinding { container: *port, host_ip: None, host_port: 0, host_port_end: 0 }));
        }
        bindings
    }
}

/// A mount with all it left open decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct ResolvedMount {
    /// A volume has its name here.
    pub(in crate::engine) mount: Mount,
    /// Where it lies on the host; empty for memory.
    pub(in crate::engine) source: std::path::PathBuf,
    /// The volume was made for a container, this one or one before it, and goes with it.
    pub(in crate::engine) anonymous: bool,
    /// It was made for this one.
    pub(in crate::engine) own: bool,
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
        store::was_set_aside(&folder.join(SPEC))
    }
}

impl StateRecord {
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        store::replace(&folder.join(STATE), self)
    }

    pub(super) fn read(folder: &Path) -> Result<Option<Self>, StoreError> {
        store::read(&folder.join(STATE))
    }

    /// Whether there was one in the folder that could not be understood.
    pub(super) fn was_damaged(folder: &Path) -> bool {
        store::was_set_aside(&folder.join(STATE))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::engine::store::boot_id;
    use crate::resource::container::ExitStatus;

    pub(in crate::engine::container) fn spec_record(spec: ContainerSpec) -> SpecRecord {
        let source = MountSource::Volume { name: Some("data".to_owned()), no_copy: false, subpath: None, labels: Default::default() };
        SpecRecord {
            id: ContainerId::from_bytes([7; 32]),
            name: "web".parse().expect("a name"),
            created: Timestamp::from_nanos(1),
            spec,
            image: ImageId::from_bytes([8; 32]),
            effective: EffectiveConfig { command: vec!["sh".to_owned()], ..EffectiveConfig::default() },
            networks: vec![("front".parse().expect("a name"), Default::default())],
            mounts: vec![ResolvedMount {
                mount: Mount { target: "/data".to_owned(), read_only: true, source },
                source: "/volumes/data".into(),
                anonymous: true,
                own: true,
            }],
        }
    }

    #[test]
    fn records_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(SpecRecord::read(folder.path()).expect("readable"), None);
        let spec = spec_record(ContainerSpec { tty: true, ..ContainerSpec::default() });
        spec.write(folder.path()).expect("written");
        assert_eq!(SpecRecord::read(folder.path()).expect("readable"), Some(spec.clone()));
        let told = spec.mounts[0].info();
        assert_eq!((told.kind.as_str(), told.name.as_deref(), told.writable, told.anonymous), ("volume", Some("data"), false, true));

        let at = Timestamp::from_nanos(2);
        let status = ExitStatus { code: 3, out_of_memory: true, error: "x".to_owned() };
        let state = StateRecord {
            boot: boot_id().to_owned(),
            state: ContainerState::Exited { status, started_at: Some(at), finished_at: at },
            health: None,
            stopped_by_hand: true,
            stopped_to_leave: false,
            restarts: Restarts::default(),
            endpoints: Vec::new(),
            published: Vec::new(),
        };
        state.write(folder.path()).expect("written");
        assert_eq!(StateRecord::read(folder.path()).expect("readable"), Some(state));
        std::fs::write(folder.path().join(SPEC), "half").expect("written");
        assert_eq!(SpecRecord::read(folder.path()).expect("readable"), None);
        assert!(SpecRecord::was_damaged(folder.path()));
    }
}
