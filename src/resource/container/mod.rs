//! Containers: what decides one (its spec), what it is doing (its state), and what a list returns of it (its info).

mod device;
mod log;
mod mount;
mod port;
mod request;
mod state;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::resource::container::device::{Device, DeviceKind, DeviceRule, are_permissions};
pub use crate::resource::container::log::{LOG_OPTIONS, LogDetails, LogOptionError, LogSpec, fill_tag};
pub use crate::resource::container::mount::{BindRecursion, Mount, MountInfo, MountSource};
pub use crate::resource::container::port::{ContainerPort, PortBinding, Protocol, PublishedPort};
pub use crate::resource::container::request::{
    AttachOptions, CommitOptions, ContainerChange, ContainerFilter, StopOptions, Stopped, WaitCondition,
};
pub use crate::resource::container::state::{ContainerState, ExitStatus, HealthResult, HealthState, HealthStatus};
pub use crate::resource::container::told::Told;
use crate::resource::id::{ContainerId, Digest, ImageId, NetworkId};
use crate::resource::name::ContainerName;
use crate::resource::time::Timestamp;

/// Everything that decides what a container is; equal specs make equal containers.
///
/// A field that is `None` (or an empty list where the image has one) takes the image's value. The engine implements every field or
/// refuses the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContainerSpec {
    /// The image, as it was written: a reference or an id.
    pub image: String,
    /// The platform asked for, `os/arch[/variant]`.
    pub platform: Option<String>,
    /// Replaces the image's entry point; `Some([])` clears it. Setting it drops the image's command.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Added to the image's environment; `None` removes a variable the image sets.
    pub environment: BTreeMap<String, Option<String>>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// `user[:group]`, names or numbers, looked up in the image's files.
    pub user: Option<String>,
    /// Supplementary groups, names or numbers.
    pub group_add: Vec<String>,
    /// The host name; the first twelve digits of the id when absent.
    pub hostname: Option<String>,
    /// The NIS domain name.
    pub domainname: Option<String>,
    /// Labels, beside the image's.
    pub labels: BTreeMap<String, String>,
    /// Notes for whoever runs it, which this engine only keeps and tells.
    pub annotations: BTreeMap<String, String>,
    /// A pseudo-terminal instead of pipes.
    pub tty: bool,
    /// Standard input stays open without a client.
    pub stdin_open: bool,
    /// Standard input is closed after the first client left (Docker's `StdinOnce`).
    pub stdin_once: bool,
    /// A reaper as process 1.
    pub init: bool,
    /// Sent to stop it: a name with or without `SIG`, or a number.
    pub stop_signal: Option<String>,
    /// From the stop signal to SIGKILL.
    pub stop_grace: Option<Duration>,
    /// Whether it starts again by itself.
    pub restart: RestartPolicy,
    /// Removed with its anonymous volumes when it ends (Docker's `AutoRemove`).
    pub auto_remove: bool,
    /// Replaces the image's health check.
    pub health: Option<HealthCheck>,
    /// Runs the lines of a health check instead of the image's shell.
    pub shell: Vec<String>,
    /// Ports it listens on, published or not.
    pub exposed: BTreeSet<ContainerPort>,
    /// Ports of the host that lead to it.
    pub ports: Vec<PortBinding>,
    /// Every other port it exposes is led to from a port that the engine chooses (Docker's `PublishAllPorts`).
    pub publish_all: bool,
    /// Volumes, binds and in-memory file systems.
    pub mounts: Vec<Mount>,
    /// Containers whose volumes and binds it has where it mounts nothing itself: `NAME`, `NAME:ro` or `NAME:rw`.
    pub volumes_from: Vec<String>,
    /// The networks it joins, or whose namespace it lives in.
    pub network: NetworkMode,
    /// What it is called and which addresses it wants on each network, by network name or id.
    pub endpoints: BTreeMap<String, EndpointSpec>,
    /// Lines of `/etc/hosts`: host name to address or `host-gateway`.
    pub extra_hosts: Vec<(String, String)>,
    /// Name servers instead of the host's.
    pub dns: Vec<IpAddr>,
    /// Search domains instead of the host's.
    pub dns_search: Vec<String>,
    /// Options of `resolv.conf`.
    pub dns_options: Vec<String>,
    /// The root file system cannot be written.
    pub read_only: bool,
    /// Every capability, every device, no seccomp, nothing masked.
    pub privileged: bool,
    /// Capabilities beside the default ones, in any case, with `CAP_` or without it, or `ALL`.
    pub cap_add: BTreeSet<String>,
    /// Capabilities taken away, spelled so, too.
    pub cap_drop: BTreeSet<String>,
    /// `no-new-privileges`, `seccomp=unconfined`, `systempaths=unconfined`, `apparmor=…`, `label=…`.
    pub security_options: Vec<String>,
    /// What is hidden below `/proc` and `/sys`; Docker's own list when absent.
    pub masked_paths: Option<Vec<String>>,
    /// What can only be read there; Docker's own list when absent.
    pub readonly_paths: Option<Vec<String>>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Devices it may use beside: `c 1:3 mr`, as version 1 of control groups spells them.
    pub device_rules: Vec<String>,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Process limits.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Control-group limits.
    pub resources: Resources,
    /// Size of `/dev/shm` in bytes; 64 MiB when absent.
    pub shm_size: Option<u64>,
    /// Adjustment of the out-of-memory score, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Where its output goes.
    pub log: LogSpec,
    /// The process-id namespace.
    pub pid: NamespaceMode,
    /// The System V IPC namespace.
    pub ipc: IpcMode,
    /// The host-name namespace: private or the host's.
    pub uts: NamespaceMode,
    /// The control-group namespace: private or the host's.
    pub cgroup: NamespaceMode,
    /// Files written into the container before it starts, with owner and mode.
    pub files: Vec<InjectedFile>,
    /// What a client said beside.
    pub remarks: Remarks,
}

/// What a client says of a container beside what it is to run: told again to whoever asks, as it was written. Links also are names in the
/// container, and what is for successors goes into an image that is made of it; the others decide nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remarks {
    /// Whoever made it meant to send standard input.
    pub attach_stdin: bool,
    /// And to see standard output.
    pub attach_stdout: bool,
    /// And standard error.
    pub attach_stderr: bool,
    /// The file that the client wrote its id into.
    pub id_file: String,
    /// Rows and columns of the client's terminal.
    pub console: [u32; 2],
    /// The driver of volumes without a name, of which there is one.
    pub volume_driver: String,
    /// What an image made of it does to its successors (Docker's `OnBuild`).
    pub on_build: Vec<String>,
    /// The runtime by the name it was asked for.
    pub runtime: String,
    /// `host`, where that was asked for of the users' namespace, which is the host's in any case.
    pub user_namespace: String,
    /// Binds and named volumes, as they were written: `source:target[:options]`.
    pub binds: Vec<String>,
    /// In-memory file systems, as they were written: options by place.
    pub tmpfs: BTreeMap<String, String>,
    /// Places of volumes without a name, which the configuration names.
    pub volumes: Vec<String>,
    /// Links on the engine's own network, as they were written: `container[:alias]`.
    pub links: Vec<String>,
}

/// Whether a container starts again by itself (Docker's restart policies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// After every exit, and when the engine starts.
    Always,
    /// After an exit with another code than 0, at most so many times in a row; 0 is without limit.
    OnFailure {
        /// The number of attempts.
        maximum: u32,
    },
    /// After every exit, and when the engine starts unless it was stopped by hand.
    UnlessStopped,
}

/// How a container's health is probed (Docker's `HEALTHCHECK`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The probe.
    pub test: HealthTest,
    /// From the end of one probe to the start of the next; zero stands for 30 s.
    pub interval: Duration,
    /// How long one probe may take; zero stands for 30 s.
    pub timeout: Duration,
    /// So many failures in a row make it unhealthy; zero stands for 3.
    pub retries: u32,
    /// Failures in this time after the start do not count; 0 s.
    pub start_period: Duration,
    /// The interval within the start period; zero stands for 5 s.
    pub start_interval: Duration,
}

/// The command of a health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthTest {
    /// No check, not even the image's (`NONE`).
    Disabled,
    /// The image's check, with the durations written here.
    Inherit,
    /// A program and its arguments (`CMD`).
    Exec(Vec<String>),
    /// A line for the container's shell (`CMD-SHELL`).
    Shell(String),
}

impl HealthTest {
    /// Returns Docker's words for it; none for the image's own.
    pub fn words(&self) -> Vec<String> {
        let words = |kind: &str, rest: &[String]| [&[kind.to_owned()], rest].concat();
        match self {
            Self::Disabled => words("NONE", &[]),
            Self::Inherit => Vec::new(),
            Self::Exec(command) => words("CMD", command),
            Self::Shell(line) => words("CMD-SHELL", std::slice::from_ref(line)),
        }
    }
}

/// Where a container's network lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The engine's own network `bridge`, or the networks that the endpoints name.
    #[default]
    Bridge,
    /// A namespace with nothing but the loopback interface.
    None,
    /// The host's namespace.
    Host,
    /// The namespace of another container, by name or id.
    Container(String),
    /// A network, by name or id.
    Named(String),
}

impl NetworkMode {
    /// Whether the container has a network of its own, on which its ports can be reached.
    pub const fn has_ports(&self) -> bool {
        matches!(self, Self::Bridge | Self::Named(_))
    }
}

/// A namespace: one's own, the host's, or another container's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceMode {
    /// One's own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// Another container's, by name or id.
    Container(String),
}

/// The System V IPC namespace of a container, and its `/dev/shm`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpcMode {
    /// Its own; no other container can join it.
    #[default]
    Private,
    /// Its own; others can join it.
    Shareable,
    /// Its own, without `/dev/shm`.
    None,
    /// The host's.
    Host,
    /// Another container's, by name or id.
    Container(String),
}

/// What a container wants on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSpec {
    /// Names beside the container's own that resolve to it there.
    pub aliases: Vec<String>,
    /// Names of others, valid for this container only: `(container name, alias)`.
    pub links: Vec<(String, String)>,
    /// A static v4 address.
    pub ipv4_address: Option<Ipv4Addr>,
    /// A static v6 address.
    pub ipv6_address: Option<Ipv6Addr>,
    /// A hardware address instead of the one derived from the v4 address.
    pub mac_address: Option<String>,
    /// Further addresses of its interface, of use on the link alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    /// What its interface is called inside, instead of `eth0` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<String>,
    /// The network with the greatest one has the default route.
    pub gateway_priority: i64,
}

/// What a container has on one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointState {
    /// The network.
    pub network: NetworkId,
    /// Its name.
    pub network_name: String,
    /// What was wanted.
    pub spec: EndpointSpec,
    /// The v4 address while running.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// The v6 address while running.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// The v4 gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The v6 gateway.
    pub gateway6: Option<Ipv6Addr>,
    /// The hardware address.
    pub mac: Option<String>,
    /// Every name that resolves to it there.
    pub dns_names: Vec<String>,
}

impl EndpointState {
    /// What there is of an endpoint whose container does not run, or has no address of its own there.
    pub fn at_rest(network: NetworkId, network_name: &str, spec: EndpointSpec) -> Self {
        let network_name = network_name.to_owned();
        Self { network, network_name, spec, ipv4: None, ipv6: None, gateway: None, gateway6: None, mac: None, dns_names: Vec::new() }
    }
}

/// A process limit; -1 is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// The limit in force.
    pub soft: i64,
    /// How far it may be raised.
    pub hard: i64,
}

impl Ulimit {
    /// Every limit by its name, in the order of the kernel's numbers.
    pub const NAMES: [&str; 16] = [
        "cpu",
        "fsize",
        "data",
        "stack",
        "core",
        "rss",
        "nproc",
        "nofile",
        "memlock",
        "as",
        "locks",
        "sigpending",
        "msgqueue",
        "nice",
        "rtprio",
        "rttime",
    ];
}

/// Control-group limits; absent ones are not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes kept for it when memory is short.
    pub memory_reservation: Option<u64>,
    /// Bytes of memory and swap together; -1 is without limit.
    pub memory_swap: Option<i64>,
    /// How readily its memory is swapped out, 0 to 100; only version 1 of control groups has it.
    pub memory_swappiness: Option<u64>,
    /// It waits when its memory is used up instead of being killed; only version 1 of control groups has it.
    pub oom_kill_disable: bool,
    /// Processors in billionths.
    pub nano_cpus: Option<u64>,
    /// Relative weight of its processor time, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// Microseconds of processor time a period.
    pub cpu_quota: Option<i64>,
    /// The period in microseconds.
    pub cpu_period: Option<u64>,
    /// Processors it may run on: `0-3,5`.
    pub cpuset: Option<String>,
    /// Memory nodes it may use: `0-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<String>,
    /// Processes; -1 is without limit.
    pub pids: Option<i64>,
}

/// A file written into a container before it starts. Its content may be secret, and is no part of what is written for debugging.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFile {
    /// Where in the container.
    pub target: String,
    /// The bytes.
    pub content: Vec<u8>,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl std::fmt::Debug for InjectedFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, content, uid, gid, mode } = self;
        write!(formatter, "{target} ({} bytes, {uid}:{gid}, {mode:o})", content.len())
    }
}

/// What an engine tells of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// When it was created.
    pub created: Timestamp,
    /// What was wanted.
    pub spec: ContainerSpec,
    /// The image it was made from.
    pub image: ImageId,
    /// What it is doing.
    pub state: ContainerState,
    /// Its health, if it has a check.
    pub health: Option<HealthState>,
    /// The spec and the image's configuration together: what runs.
    pub effective: EffectiveConfig,
    /// What it has on each network.
    pub endpoints: Vec<EndpointState>,
    /// The ports of the host that lead to it now.
    pub published: Vec<PublishedPort>,
    /// Its mounts, with the names of anonymous volumes.
    pub mounts: Vec<MountInfo>,
    /// Restarts by its policy.
    pub restart_count: u32,
    /// The file its output goes to.
    pub log_path: Option<PathBuf>,
    /// By path, the digests of the files that were written into it, where the engine tells them: ours does in a list of everything.
    pub file_digests: BTreeMap<String, Digest>,
    /// Running exec ids.
    pub execs: Vec<crate::resource::id::ExecId>,
}

/// What a container runs once the image's configuration is merged in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectiveConfig {
    /// Entry point.
    pub entrypoint: Vec<String>,
    /// Command.
    pub command: Vec<String>,
    /// `NAME=value`, in order.
    pub environment: Vec<String>,
    /// Working directory.
    pub working_dir: String,
    /// User as written.
    pub user: String,
    /// Labels of image and spec.
    pub labels: BTreeMap<String, String>,
    /// Exposed ports of image and spec.
    pub exposed: BTreeSet<ContainerPort>,
    /// Where the image has volumes.
    #[serde(default)]
    pub volumes: BTreeSet<String>,
    /// The stop signal as written.
    pub stop_signal: Option<String>,
    /// The health check in force.
    pub health: Option<HealthCheck>,
    /// The host name in force.
    pub hostname: String,
}
