//! A resolved application: nothing left to interpolate, merge, default or look up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::compose::project::node::Node;
use crate::compose::project::source::SourceMap;
use crate::resource::container::{ContainerPort, HealthCheck, Mount, MountSource, PortBinding, RestartPolicy};
use crate::resource::name::{ProjectName, ServiceName};
use crate::resource::network::NetworkSpec;
use crate::resource::operation::Condition;
use crate::resource::volume::VolumeSpec;

/// A resolved application. References inside it exist; services are shared, never copied.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// The folder that relative paths start from.
    pub working_dir: PathBuf,
    /// The files it was read from, in order; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Files named by `--env-file`.
    pub env_files: Vec<PathBuf>,
    /// What interpolation saw.
    pub environment: BTreeMap<String, String>,
    /// Services that are enabled.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// Services that no active profile enables; known, so never orphans.
    pub disabled: BTreeMap<ServiceName, Arc<Service>>,
    /// Networks by key.
    pub networks: BTreeMap<String, Network>,
    /// Volumes by key.
    pub volumes: BTreeMap<String, Volume>,
    /// The merged and normalised files, which `config` prints.
    pub(crate) document: Arc<Node>,
    /// What the places of the document point into.
    pub(crate) sources: Arc<SourceMap>,
}

/// One service, every short form expanded, every default filled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// The image reference as written.
    pub image: String,
    /// Replaces the image's command; `Some([])` clears it.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point; `Some([])` clears it.
    pub entrypoint: Option<Vec<String>>,
    /// `env_file` and `environment` together; `None` removes a variable the image sets.
    pub environment: BTreeMap<String, Option<String>>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// The container's name instead of `PROJECT-SERVICE-N`.
    pub container_name: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// A reaper as process 1.
    pub init: bool,
    /// A pseudo-terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin_open: bool,
    /// Stop signal.
    pub stop_signal: Option<String>,
    /// From the stop signal to SIGKILL.
    pub stop_grace_period: Option<Duration>,
    /// Restart policy.
    pub restart: RestartPolicy,
    /// Health check.
    pub healthcheck: Option<HealthCheck>,
    /// Published ports.
    pub ports: Vec<PortBinding>,
    /// Ports it listens on.
    pub expose: BTreeSet<ContainerPort>,
    /// Mounts; the source of a named volume is its key in the project, `tmpfs` entries are here, too.
    pub mounts: Vec<Mount>,
    /// Networks by key in the project.
    pub networks: BTreeMap<String, ServiceNetwork>,
    /// What it waits for.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// The root file system cannot be written.
    pub read_only: bool,
    /// Privileged.
    pub privileged: bool,
    /// Capabilities added.
    pub cap_add: BTreeSet<String>,
    /// Capabilities dropped.
    pub cap_drop: BTreeSet<String>,
    /// How many containers.
    pub replicas: u32,
    /// The profiles that enable it; always enabled when empty.
    pub profiles: BTreeSet<String>,
}

impl Service {
    /// The keys of the project's volumes that it mounts.
    pub fn volume_keys(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name: Some(name), .. } => Some(name.as_str()),
            _ => None,
        })
    }
}

/// A service's place on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceNetwork {
    /// Names beside the service's and the container's own.
    pub aliases: Vec<String>,
}

/// What a service waits for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// The condition.
    #[serde(serialize_with = "condition_word")]
    pub condition: Condition,
    /// Restarts the dependant when the dependency restarts.
    pub restart: bool,
    /// Whether the dependant may go without it.
    pub required: bool,
}

fn condition_word<S: serde::Serializer>(condition: &Condition, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match condition {
        Condition::Started => "service_started",
        Condition::Healthy => "service_healthy",
        Condition::Completed => "service_completed_successfully",
    })
}

/// A network of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Its name in the engine.
    pub name: String,
    /// It exists already and is not ours to make or remove.
    pub external: bool,
    /// What is wanted, without Compose's own labels.
    pub spec: NetworkSpec,
}

/// A volume of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its name in the engine.
    pub name: String,
    /// It exists already and is not ours to make or remove.
    pub external: bool,
    /// What is wanted, without Compose's own labels.
    pub spec: VolumeSpec,
}
