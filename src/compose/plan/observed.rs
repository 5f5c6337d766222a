//! One snapshot of what an engine has of a project, sorted by its labels.

use std::collections::BTreeMap;

use crate::compose::plan::label;
use crate::resource::container::{ContainerInfo, ContainerState};
use crate::resource::id::ImageId;
use crate::resource::name::{ProjectName, ServiceName};
use crate::resource::network::NetworkInfo;
use crate::resource::observation::Observation;
use crate::resource::volume::VolumeInfo;

/// A container of a service.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The service.
    pub service: ServiceName,
    /// Its number, from 1; 0 for a one-off.
    pub number: u32,
    /// It was made by `run`.
    pub one_off: bool,
    /// The engine's word.
    pub info: ContainerInfo,
}

impl Replica {
    /// The container's name.
    pub fn name(&self) -> &str {
        self.info.name.as_str()
    }

    /// One of its labels.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.info.spec.labels.get(key).map(String::as_str)
    }

    /// Whether a process of it exists, or is about to again.
    pub const fn is_up(&self) -> bool {
        matches!(self.info.state, ContainerState::Running { .. } | ContainerState::Restarting { .. })
    }

    /// Whether it is on the network of that name.
    pub fn is_on(&self, network: &str) -> bool {
        self.info.endpoints.iter().any(|endpoint| endpoint.network_name == network)
    }

    /// Whether it mounts the volume of that name.
    pub fn mounts(&self, volume: &str) -> bool {
        self.info.mounts.iter().any(|mount| mount.name.as_deref() == Some(volume))
    }
}

/// What an engine has of a project: taken once per plan.
#[derive(Clone, Debug)]
pub struct ObservedState {
    /// Containers by service, by number.
    pub(super) services: BTreeMap<ServiceName, Vec<Replica>>,
    /// Containers made by `run`.
    pub(super) one_offs: Vec<Replica>,
    /// Containers of hooks: failed ones, and those of a run that was interrupted.
    pub(super) hooks: Vec<Replica>,
    /// Networks: the project's, and those that it names.
    pub(super) networks: Vec<NetworkInfo>,
    /// Volumes: the project's, and those that it names.
    pub(super) volumes: Vec<VolumeInfo>,
    /// What image references mean now; those that mean nothing are absent.
    pub(super) images: BTreeMap<String, ImageId>,
}

impl ObservedState {
    /// Sorts what was seen. Containers of other projects, or without a service, are left out; its networks and volumes are to be the
    /// project's own and those whose names the project uses, and nothing else.
    pub fn new(project: &ProjectName, seen: Observation) -> Self {
        let Observation { containers, networks, volumes, images } = seen;
        let mut services: BTreeMap<ServiceName, Vec<Replica>> = BTreeMap::new();
        let (mut one_offs, mut hooks) = (Vec::new(), Vec::new());
        for info in containers {
            let label = |key: &str| info.spec.labels.get(key).map(String::as_str);
            if label(label::PROJECT) != Some(project.as_str()) || matches!(info.state, ContainerState::Removing) {
                continue;
            }
            let Some(Ok(service)) = label(label::SERVICE).map(str::parse::<ServiceName>) else { continue };
            let one_off = label(label::ONE_OFF) == Some("True");
            let number = label(label::NUMBER).and_then(|number| number.parse().ok()).unwrap_or(0);
            let is_hook = label(label::HOOK).is_some();
            let replica = Replica { service: service.clone(), number, one_off, info };
            if is_hook {
                hooks.push(replica);
            } else if one_off {
                one_offs.push(replica);
            } else {
                services.entry(service).or_default().push(replica);
            }
        }
        for replicas in services.values_mut() {
            replicas.sort_by(|left, right| (left.number, &left.info.name).cmp(&(right.number, &right.info.name)));
        }
        one_offs.sort_by(|left, right| left.info.name.cmp(&right.info.name));
        hooks.sort_by(|left, right| left.info.name.cmp(&right.info.name));
        Self { services, one_offs, hooks, networks, volumes, images }
    }

    /// The containers of a service, by number; one-offs are not among them.
    pub fn replicas(&self, service: &ServiceName) -> &[Replica] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }

    /// Every container but one-offs, by service and number.
    pub fn all(&self) -> impl Iterator<Item = &Replica> {
        self.services.values().flatten()
    }

    /// Containers made by `run`.
    pub fn one_offs(&self) -> &[Replica] {
        &self.one_offs
    }

    /// Containers of hooks.
    pub fn hooks(&self) -> &[Replica] {
        &self.hooks
    }

    /// Whether a reference means an image that is here.
    pub fn has_image(&self, reference: &str) -> bool {
        self.images.contains_key(reference)
    }

    /// Whether a container has that name.
    pub(super) fn has_container(&self, name: &str) -> bool {
        self.all().chain(&self.one_offs).chain(&self.hooks).any(|replica| replica.name() == name)
    }

    /// The network of that name, else the one of that id.
    pub(super) fn network(&self, name: &str) -> Option<&NetworkInfo> {
        let by_name = self.networks.iter().find(|network| network.name == *name);
        by_name.or_else(|| self.networks.iter().find(|network| network.id.to_string() == name))
    }

    /// The volume of that name.
    pub(super) fn volume(&self, name: &str) -> Option<&VolumeInfo> {
        self.volumes.iter().find(|volume| volume.name == *name)
    }
}
