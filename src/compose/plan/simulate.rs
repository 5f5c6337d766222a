//! An engine of records, for tests: it applies a plan's operations and refuses what a real engine would refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::compose::plan::{ObservedState, Plan, label};
use crate::compose::project::model::Project;
use crate::compose::project::source::Reader;
use crate::compose::project::{Sources, load};
use crate::resource::container::{
    ContainerInfo, ContainerSpec, ContainerState, EndpointSpec, EndpointState, ExitStatus, IpcMode, MountInfo, MountSource, NamespaceMode,
    NetworkMode,
};
use crate::resource::id::{ContainerId, Digest, ImageId, NetworkId};
use crate::resource::name::ContainerName;
use crate::resource::network::{NetworkInfo, NetworkSpec};
use crate::resource::observation::Observation;
use crate::resource::operation::Operation;
use crate::resource::time::Timestamp;
use crate::resource::volume::{VolumeInfo, VolumeSpec};

/// A disk with nothing on it.
struct NoFiles;

impl Reader for NoFiles {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn is_dir(&self, _: &Path) -> bool {
        false
    }

    fn real(&self, _: &std::path::Path) -> Option<std::path::PathBuf> {
        None
    }
}

/// The project `p` of a text.
#[track_caller]
pub(crate) fn project(text: &str) -> Project {
    let sources = Sources {
        files: vec![PathBuf::from("-")],
        project_name: Some("p".to_owned()),
        working_dir: PathBuf::from("/p"),
        stdin: Some(text.to_owned()),
        ..Sources::default()
    };
    let loaded = load(&sources, &NoFiles);
    loaded.project.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(false)))
}

/// What an engine has.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    containers: BTreeMap<String, ContainerInfo>,
    networks: BTreeMap<String, NetworkInfo>,
    volumes: BTreeMap<String, VolumeInfo>,
    images: BTreeMap<String, ImageId>,
    born: u8,
    /// Counts starts.
    moment: i64,
}

impl World {
    /// A world in which the plan was carried out, in the order it is written.
    #[track_caller]
    pub(super) fn after(plan: &Plan) -> Self {
        let mut world = Self::default();
        world.run(plan);
        world
    }

    /// Carries out every step.
    #[track_caller]
    pub(super) fn run(&mut self, plan: &Plan) {
        plan.steps().iter().for_each(|step| self.apply(&step.operation));
    }

    /// Carries out steps in an order that `choose` picks among those that may begin, until `most` are done.
    #[track_caller]
    pub(super) fn run_some(&mut self, plan: &Plan, most: usize, mut choose: impl FnMut(usize) -> usize) {
        let steps = plan.steps();
        let mut done: BTreeSet<usize> = BTreeSet::new();
        while done.len() < most.min(steps.len()) {
            let may = |index: &usize| !done.contains(index) && steps[*index].after.iter().all(|before| done.contains(&before.index()));
            let ready: Vec<usize> = (0..steps.len()).filter(may).collect();
            let next = ready[choose(ready.len()) % ready.len()];
            self.apply(&steps[next].operation);
            done.insert(next);
        }
    }

    /// What a planner is told of it.
    pub(super) fn observed(&self, project: &Project) -> ObservedState {
        let seen = Observation {
            containers: self.containers.values().cloned().collect(),
            networks: self.networks.values().cloned().collect(),
            volumes: self.volumes.values().cloned().collect(),
            images: self.images.clone(),
        };
        ObservedState::new(&project.name, seen)
    }

    /// Leaves the container of a hook behind, as one that failed.
    pub(super) fn leave_hook(&mut self, plan: &Plan) {
        for step in plan.steps() {
            if let Operation::RunPreStart { name, spec, .. } = &step.operation {
                self.create_container(name, spec);
                self.exit(name.as_str(), 3);
            }
        }
    }

    /// Lets a container end.
    pub(super) fn exit(&mut self, name: &str, code: i32) {
        let status = ExitStatus { code, ..ExitStatus::default() };
        self.containers.get_mut(name).expect("the container").state =
            ContainerState::Exited { status, started_at: None, finished_at: Timestamp::from_nanos(0) };
    }

    /// Changes a container.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut ContainerInfo)) {
        change(self.containers.get_mut(name).expect("the container"));
    }

    /// Lets an image's name mean another image.
    pub(super) fn retag(&mut self, image: &str) {
        let id = self.image_id();
        self.images.insert(image.to_owned(), id);
    }

    /// Adds a network or a volume that no project made.
    pub(super) fn add_foreign(&mut self, network: Option<&str>, volume: Option<&str>) {
        network.into_iter().for_each(|name| self.create_network(name, NetworkSpec::default()));
        volume.into_iter().for_each(|name| self.create_volume(name, VolumeSpec::default(), false));
    }

    /// The id of a network.
    pub(super) fn network_id(&self, name: &str) -> String {
        self.networks[name].id.to_string()
    }

    /// One line a thing: what is there, without what differs from run to run.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, info) in &self.containers {
            let networks: Vec<&str> = info.endpoints.iter().map(|it| it.network_name.as_str()).collect();
            let mounts: Vec<String> = info.mounts.iter().map(|it| it.target.clone()).collect();
            let hash = info.spec.labels.get(label::CONFIG_HASH).map_or("", |it| &it[..8]);
            text.push_str(&format!("{name} {} {hash} [{}] [{}]\n", info.state.word(), networks.join(" "), mounts.join(" ")));
        }
        self.networks.keys().for_each(|name| text.push_str(&format!("network {name}\n")));
        self.volumes.iter().filter(|(_, info)| !info.anonymous).for_each(|(name, _)| text.push_str(&format!("volume {name}\n")));
        text
    }

    fn id(&mut self) -> [u8; 32] {
        self.born += 1;
        [self.born; 32]
    }

    fn image_id(&mut self) -> ImageId {
        let text = ContainerId::from_bytes(self.id()).to_string();
        format!("sha256:{text}").parse().expect("a digest")
    }

    /// Carries out one operation.
    #[track_caller]
    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::PullImage { image, .. } | Operation::BuildImage { image, .. } => self.retag(image),
            Operation::PushImage { .. } => {}
            Operation::CreateNetwork { name, spec } => {
                assert!(!self.networks.contains_key(name.as_str()), "network {name} exists");
                self.create_network(name.as_str(), (**spec).clone());
            }
            Operation::RemoveNetwork { name } => {
                let user = self.containers.values().find(|it| it.endpoints.iter().any(|endpoint| endpoint.network_name == *name));
                assert!(user.is_none(), "network {name} is in use");
                self.networks.remove(name).expect("the network");
            }
            Operation::CreateVolume { name, spec } => {
                assert!(!self.volumes.contains_key(name.as_str()), "volume {name} exists");
                self.create_volume(name.as_str(), (**spec).clone(), false);
            }
            Operation::RemoveVolume { name } => {
                let user = self.containers.values().find(|it| it.mounts.iter().any(|mount| mount.name.as_deref() == Some(name)));
                assert!(user.is_none(), "volume {name} is in use");
                self.volumes.remove(name).expect("the volume");
            }
            Operation::RemoveImage { name } => drop(self.images.remove(name)),
            Operation::CreateContainer { name, spec, .. } => self.create_container(name, spec),
            Operation::RenameContainer { from, to } => {
                assert!(!self.containers.contains_key(to.as_str()), "container {to} exists");
                let mut info = self.containers.remove(from).expect("the container");
                info.name = to.clone();
                self.containers.insert(to.to_string(), info);
            }
            Operation::ConnectNetwork { network, container, .. } => {
                let id = self.networks.get(network.as_str()).expect("the network").id;
                self.change(container.as_str(), |info| {
                    assert!(!info.endpoints.iter().any(|it| *network == *it.network_name), "{container} is on {network} already");
                    info.endpoints.push(EndpointState::at_rest(id, network.as_str(), EndpointSpec::default()));
                });
            }
            Operation::DisconnectNetwork { network, container } => {
                self.change(container.as_str(), |info| info.endpoints.retain(|it| it.network_name != *network));
            }
            Operation::UnpauseContainer { name } | Operation::StartContainer { name } => {
                let networks: BTreeSet<String> = self.networks.keys().cloned().collect();
                let owners = self.owners(name.as_str());
                assert!(owners.iter().all(|owner| owner.state.is_running()), "{name} shares something of what does not run");
                self.moment += 1;
                let started_at = Timestamp::from_nanos(self.moment);
                self.change(name.as_str(), |info| {
                    assert!(info.endpoints.iter().all(|it| networks.contains(&it.network_name)), "{name} is on a network that is gone");
                    info.state = ContainerState::Running { pid: 1, started_at, paused: false };
                });
            }
            Operation::AwaitContainer { name, .. } => {
                let info = self.containers.get(name.as_str()).expect("the container that is waited for");
                assert!(!matches!(info.state, ContainerState::Created), "{name} is waited for and was never started");
            }
            Operation::RunHook { container, .. } => {
                let info = self.containers.get(container).expect("the container that a hook runs in");
                assert!(info.state.is_running(), "{container} does not run");
            }
            Operation::RunPreStart { name, spec, .. } => {
                assert!(!self.containers.contains_key(name.as_str()), "container {name} exists");
                assert!(self.images.contains_key(&spec.image), "image {} is not here", spec.image);
                let first = self.containers.get(&spec.volumes_from[0]).expect("the container whose volumes it sees");
                assert!(!first.state.is_running(), "{} runs already", first.name);
            }
            Operation::StopContainer { name, .. } => self.exit(name, 0),
            Operation::RemoveContainer { name, volumes } => {
                let info = self.containers.remove(name).expect("the container");
                assert!(!matches!(info.state, ContainerState::Running { .. }), "container {name} runs");
                for volume in info.mounts.iter().filter(|_| *volumes).filter_map(|it| it.name.as_ref()) {
                    let used = self.containers.values().any(|it| it.mounts.iter().any(|mount| mount.name.as_ref() == Some(volume)));
                    if !used && self.volumes.get(volume).is_some_and(|it| it.anonymous) {
                        self.volumes.remove(volume);
                    }
                }
            }
        }
    }

    fn create_network(&mut self, name: &str, spec: NetworkSpec) {
        let info = NetworkInfo {
            id: NetworkId::from_bytes(self.id()),
            name: name.parse().expect("a good name"),
            created: Timestamp::from_nanos(0),
            pools: spec.ipam.clone(),
            spec,
            bridge: String::new(),
            containers: Vec::new(),
        };
        self.networks.insert(name.to_owned(), info);
    }

    fn create_volume(&mut self, name: &str, spec: VolumeSpec, anonymous: bool) {
        let (created, mountpoint) = (Timestamp::from_nanos(0), PathBuf::from("/volumes").join(name));
        self.volumes.insert(name.to_owned(), VolumeInfo { name: name.parse().expect("a good name"), created, spec, mountpoint, anonymous });
    }

    /// The containers whose namespaces a container lives in.
    fn owners(&self, name: &str) -> Vec<&ContainerInfo> {
        let spec = &self.containers.get(name).expect("the container").spec;
        let network = if let NetworkMode::Container(id) = &spec.network { Some(id) } else { None };
        let pid = if let NamespaceMode::Container(id) = &spec.pid { Some(id) } else { None };
        let ipc = if let IpcMode::Container(id) = &spec.ipc { Some(id) } else { None };
        let by_id = |id: &String| self.containers.values().find(|it| it.id.to_string() == *id).expect("whose namespace it lives in");
        [network, pid, ipc].into_iter().flatten().map(by_id).collect()
    }

    /// Fails where a container runs in a namespace that ended, or without a network it wants.
    #[track_caller]
    pub(super) fn check_whole(&self) {
        let since = |info: &ContainerInfo| match info.state {
            ContainerState::Running { started_at, .. } => started_at,
            _ => panic!("{} does not run\n{}", info.name, self.text()),
        };
        for (name, info) in self.containers.iter().filter(|(_, info)| info.state.is_running()) {
            for owner in self.owners(name) {
                assert!(since(owner) < since(info), "{name} outlived the namespace of {}\n{}", owner.name, self.text());
            }
            let missing = info.spec.endpoints.keys().find(|it| !info.endpoints.iter().any(|endpoint| endpoint.network_name == **it));
            assert!(missing.is_none(), "{name} is not on {missing:?}\n{}", self.text());
        }
    }

    /// The id of a container.
    #[track_caller]
    fn pin(&self, name: &mut String) {
        *name = self.containers.get(name.as_str()).expect("the container whose namespace it is to share").id.to_string();
    }

    #[track_caller]
    fn create_container(&mut self, name: &ContainerName, spec: &ContainerSpec) {
        assert!(!self.containers.contains_key(name.as_str()), "container {name} exists");
        let image = *self.images.get(&spec.image).expect("the image");
        let mut spec = spec.clone();
        if let NetworkMode::Container(name) = &mut spec.network {
            self.pin(name);
        }
        if let NamespaceMode::Container(name) = &mut spec.pid {
            self.pin(name);
        }
        if let IpcMode::Container(name) = &mut spec.ipc {
            self.pin(name);
        }
        let mut mounts = Vec::new();
        for mount in &spec.mounts {
            let MountSource::Volume { name, .. } = &mount.source else { continue };
            let volume = name.clone().unwrap_or_else(|| ContainerId::from_bytes(self.id()).short());
            if !self.volumes.contains_key(&volume) {
                assert!(name.is_none(), "volume {volume} does not exist");
                self.create_volume(&volume, VolumeSpec::default(), true);
            }
            mounts.push(MountInfo {
                kind: "volume".to_owned(),
                source: PathBuf::new(),
                target: mount.target.clone(),
                writable: true,
                anonymous: name.is_none(),
                propagation: String::new(),
                name: Some(volume),
            });
        }
        for lender in &spec.volumes_from {
            let lender = lender.split(':').next().unwrap_or(lender);
            for mount in &self.containers.get(lender).expect("the container whose volumes it is to have").mounts {
                if !mounts.iter().any(|own| own.target == mount.target) {
                    mounts.push(mount.clone());
                }
            }
        }
        let endpoints = spec
            .endpoints
            .keys()
            .map(|name| EndpointState::at_rest(self.networks.get(name).expect("the network").id, name, EndpointSpec::default()))
            .collect();
        let info = ContainerInfo {
            id: ContainerId::from_bytes(self.id()),
            name: name.clone(),
            created: Timestamp::from_nanos(0),
            spec: spec.clone(),
            image,
            state: ContainerState::Created,
            health: None,
            effective: Default::default(),
            endpoints,
            published: Vec::new(),
            mounts,
            restart_count: 0,
            log_path: None,
            file_digests: spec.files.iter().map(|file| (file.target.clone(), Digest::of(&file.content))).collect(),
            execs: Vec::new(),
        };
        self.containers.insert(name.to_string(), info);
    }
}
