//! A resolved application: nothing left to interpolate, merge, default or look up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::compose::project::build::Build;
use crate::compose::project::diagnostic::{Diagnostic, Diagnostics};
use crate::compose::project::node::Node;
use crate::compose::project::other::{Link, ServiceIpc, ServiceNetworkMode, ServicePid, VolumesFrom};
use crate::compose::project::source::SourceMap;
use crate::resource::container::{
    ContainerPort, Device, HealthCheck, LogSpec, Mount, MountSource, NamespaceMode, PortBinding, Resources, RestartPolicy, Ulimit,
};
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
    /// Secrets by key.
    pub secrets: BTreeMap<String, FileObject>,
    /// Configs by key.
    pub configs: BTreeMap<String, FileObject>,
    /// Keys of its models.
    pub models: BTreeSet<String>,
    /// What stands between the parts of a name.
    pub(crate) separator: char,
    /// What no service uses is a part of it, too.
    pub(crate) all_resources: bool,
    /// What this engine cannot do.
    pub(crate) refusals: Vec<Refusal>,
    /// The merged and normalised files, which `config` prints.
    pub(crate) document: Arc<Node>,
    /// What the places of the document point into.
    pub(crate) sources: Arc<SourceMap>,
}

/// Something of a project that this engine cannot do.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// What it is said of.
    pub(crate) subject: Subject,
    /// What, where, and the way out.
    pub(crate) diagnostic: Diagnostic,
}

/// A part of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A service.
    Service(ServiceName),
    /// The building of a service's image, by the service.
    Build(ServiceName),
    /// A network, by key.
    Network(String),
    /// A volume, by key.
    Volume(String),
    /// A secret or config, by key.
    File(FileKind, String),
}

impl Project {
    /// The name of something that belongs to it.
    pub(crate) fn part_name(&self, parts: &[&str]) -> String {
        let all = std::iter::once(self.name.as_str()).chain(parts.iter().copied());
        all.collect::<Vec<_>>().join(self.separator.encode_utf8(&mut [0; 4]))
    }

    /// What the image of a service is called that names none.
    pub(crate) fn own_image(&self, service: &ServiceName) -> String {
        self.part_name(&[service.as_str()])
    }

    /// Whether a service's image has the name that the project gives to one that has none: nobody else has such an image.
    pub(crate) fn is_own_image(&self, service: &Service) -> bool {
        service.image == self.own_image(&service.name)
    }

    /// What stands against building its images and running it on this engine, of all that is in it.
    pub fn refusals(&self) -> Diagnostics {
        self.refusals_of(|subject| match subject {
            Subject::Build(name) => self.services.contains_key(name),
            subject => self.is_here(subject),
        })
    }

    /// What stands against running it with images that are here.
    pub fn run_refusals(&self) -> Diagnostics {
        self.refusals_of(|subject| self.is_here(subject))
    }

    /// Whether a part is needed to run it. What builds an image is not where there is one.
    fn is_here(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Service(name) => self.services.contains_key(name),
            Subject::Build(_) => false,
            Subject::Network(key) => self.networks.contains_key(key),
            Subject::Volume(key) => self.volumes.contains_key(key),
            Subject::File(FileKind::Secret, key) => self.secrets.contains_key(key),
            Subject::File(FileKind::Config, key) => self.configs.contains_key(key),
        }
    }

    /// What is refused of such parts.
    pub(crate) fn refusals_of(&self, is_meant: impl Fn(&Subject) -> bool) -> Diagnostics {
        let found = self.refusals.iter().filter(|refusal| is_meant(&refusal.subject)).map(|refusal| refusal.diagnostic.clone());
        Diagnostics::new(found.collect(), Arc::clone(&self.sources))
    }
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
    /// What `up` shows: whether its output is among it.
    pub attach: bool,
    /// Notes, which only inspect tells.
    pub annotations: BTreeMap<String, String>,
    /// The NIS domain name.
    pub domainname: Option<String>,
    /// Supplementary groups.
    pub group_add: Vec<String>,
    /// How its image is built, if it can be.
    pub build: Option<Box<Build>>,
    /// When its image is pulled.
    pub pull_policy: PullPolicy,
    /// The platform of its image, `os/arch[/variant]`.
    pub platform: Option<String>,
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
    /// Secrets and configs, in the order of their kinds and of the file; those that a bind shows are among the mounts, too.
    pub files: Vec<ServiceFile>,
    /// Whose volumes and binds it has, too.
    pub volumes_from: Vec<VolumesFrom>,
    /// Where its network lives.
    pub network_mode: ServiceNetworkMode,
    /// Networks by key in the project.
    pub networks: BTreeMap<String, ServiceNetwork>,
    /// A hardware address on the first of its networks.
    pub mac_address: Option<String>,
    /// Names of its own for others.
    pub links: Vec<Link>,
    /// The process-id namespace.
    pub pid: ServicePid,
    /// The IPC namespace.
    pub ipc: ServiceIpc,
    /// What it waits for.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// Host names and their addresses, or `host-gateway`.
    pub extra_hosts: Vec<(String, String)>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Options of `resolv.conf`.
    pub dns_opt: Vec<String>,
    /// The root file system cannot be written.
    pub read_only: bool,
    /// Privileged.
    pub privileged: bool,
    /// Capabilities added.
    pub cap_add: BTreeSet<String>,
    /// Capabilities dropped.
    pub cap_drop: BTreeSet<String>,
    /// Security options; a seccomp profile is named by its file until [`load`](super::load()) has read it.
    pub security_opt: Vec<String>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Devices it may use beside.
    pub device_cgroup_rules: Vec<String>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Process limits.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Limits of memory, processors and processes.
    pub resources: Resources,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Adjustment of the out-of-memory score.
    pub oom_score_adj: Option<i32>,
    /// The host-name namespace.
    pub uts: NamespaceMode,
    /// The control-group namespace.
    pub cgroup: NamespaceMode,
    /// Where its output goes.
    pub logging: LogSpec,
    /// What runs, each in a container of its own, before any of the service's starts.
    pub pre_start: Vec<Hook>,
    /// What runs in each container after it started.
    pub post_start: Vec<Hook>,
    /// What runs in each container before it is stopped.
    pub pre_stop: Vec<Hook>,
    /// How many containers.
    pub replicas: u32,
    /// The profiles that enable it; always enabled when empty.
    pub profiles: BTreeSet<String>,
}

impl Service {
    /// The images its containers and its hooks need.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        // A provider needs none.
        let own = Some(self.image.as_str()).filter(|image| !image.is_empty());
        own.into_iter().chain(self.pre_start.iter().filter_map(|hook| hook.image.as_deref()))
    }

    /// The keys of the project's secrets, or of its configs, that it uses.
    pub fn file_keys(&self, kind: FileKind) -> impl Iterator<Item = &str> {
        self.files.iter().filter(move |file| file.kind == kind).map(|file| file.key.as_str())
    }

    /// The keys of its networks, the first of them first: by priority, then by key.
    pub fn networks_in_order(&self) -> Vec<&str> {
        let mut keys: Vec<(&String, &ServiceNetwork)> = self.networks.iter().collect();
        keys.sort_by_key(|(key, network)| (std::cmp::Reverse(network.priority), *key));
        keys.into_iter().map(|(key, _)| key.as_str()).collect()
    }

    /// The services whose namespaces it lives in, and what it shares with each.
    pub fn shares(&self) -> impl Iterator<Item = (&ServiceName, &'static str)> {
        let network = if let ServiceNetworkMode::With(other) = &self.network_mode { Some(other) } else { None };
        let pid = if let ServicePid::With(other) = &self.pid { Some(other) } else { None };
        let ipc = if let ServiceIpc::With(other) = &self.ipc { Some(other) } else { None };
        let all = [(network, "network"), (pid, "pid"), (ipc, "ipc")];
        all.into_iter().filter_map(|(other, what)| Some((other?.service()?, what)))
    }

    /// The keys of the project's volumes that it mounts.
    pub fn volume_keys(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name: Some(name), .. } => Some(name.as_str()),
            _ => None,
        })
    }
}

/// Whether a file is a secret or a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum FileKind {
    /// What nobody else should see.
    Secret,
    /// What anybody may see.
    Config,
}

impl FileKind {
    /// The key of the project's section.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Config => "configs",
        }
    }

    /// The word for one.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }
}

/// A secret or config of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileObject {
    /// Its name, which no engine without a swarm knows.
    pub name: String,
    /// Where its content comes from.
    pub source: FileSource,
}

/// Where the content of a secret or config comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// A file of the host.
    File(PathBuf),
    /// A variable of the project's environment.
    Environment(String),
    /// It stands in the project's file.
    Content(String),
    /// A swarm has it.
    External,
}

/// A secret or config in a service's containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceFile {
    /// What it is.
    pub kind: FileKind,
    /// Its key in the project.
    pub key: String,
    /// Where in the container; absolute.
    pub target: String,
    /// How it gets there.
    pub way: FileWay,
}

/// How a secret or config gets into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum FileWay {
    /// The host's file is mounted, read-only, with the owner and mode it has there. A change on the host is seen inside.
    Mounted,
    /// It is written, with an owner and a mode of its own.
    Written {
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its permission bits.
        mode: u32,
        /// What is in it, or why that is not known: it is needed only where a container is made.
        content: Result<Content, String>,
    },
}

/// Bytes that are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(pub Vec<u8>);

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

/// When a service's image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum PullPolicy {
    /// Nothing is said: when it is missing, and by `pull`.
    #[default]
    Unset,
    /// When it is missing.
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
    /// Never, for it is built; the images of its hooks when they are missing.
    Build,
    /// When it is missing, or was pulled longer ago than this.
    Every(Duration),
}

/// A command of the user's in the life of a service's containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// The image of a `pre_start` hook where it is not the service's.
    pub image: Option<String>,
    /// The program and its arguments; only a `pre_start` hook may do without.
    pub command: Option<Vec<String>>,
    /// User; the container's when absent.
    pub user: Option<String>,
    /// Privileged.
    pub privileged: bool,
    /// Working directory; the container's when absent.
    pub working_dir: Option<String>,
    /// Beside the container's own; `None` removes a variable.
    pub environment: BTreeMap<String, Option<String>>,
}

/// A service's place on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceNetwork {
    /// Names beside the service's and the container's own.
    pub aliases: Vec<String>,
    /// A static v4 address.
    pub ipv4_address: Option<Ipv4Addr>,
    /// A static v6 address.
    pub ipv6_address: Option<Ipv6Addr>,
    /// Further addresses, of use on the link alone.
    pub link_local_ips: Vec<IpAddr>,
    /// A hardware address.
    pub mac_address: Option<String>,
    /// What the interface is called inside.
    pub interface_name: Option<String>,
    /// The network with the greatest one is the first of the service.
    pub priority: i64,
    /// The network with the greatest one has the default route.
    pub gw_priority: i64,
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
