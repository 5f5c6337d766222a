//! What a container is to its init: plain data, written by the engine, forwarded by the shim, obeyed by the init.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::engine::runtime::capability::CapabilitySet;
pub use crate::engine::runtime::error::{Errno, LaunchError};
pub use crate::engine::runtime::seccomp::Program;
use crate::resource::container::{BindRecursion, Device, InjectedFile, LogSpec, Resources, Ulimit};
use crate::resource::exec::TerminalSize;
use crate::resource::id::ContainerId;

/// Everything a shim and an init need to know of a container. Nothing in it is left to be looked up but users and programs, which only
/// the container's own files can tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// The container.
    pub id: ContainerId,
    /// Its root file system.
    pub rootfs: RootfsSpec,
    /// Its command.
    pub process: ProcessSpec,
    /// What is mounted beside the kernel's own file systems. A mount at `/dev/shm`, say, takes the place of the default one. The
    /// engine's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` come this way, too.
    pub mounts: Vec<LaunchMount>,
    /// Files written before the command starts, after every mount.
    pub files: Vec<InjectedFile>,
    /// Devices of the host beside the default ones.
    pub devices: Vec<Device>,
    /// Devices it may use if it makes or has a node of them: `c 1:3 rwm`.
    pub device_rules: Vec<String>,
    /// Every device of the host, and none refused; `/sys` and the control groups can be written. (Capabilities, seccomp and masked
    /// paths of a privileged container are said by their own fields.)
    pub privileged: bool,
    /// Docker's masked and read-only paths below `/proc` and `/sys`.
    pub masked: bool,
    /// What is hidden instead of Docker's list.
    #[serde(default)]
    pub masked_paths: Option<Vec<String>>,
    /// What can only be read instead of Docker's list.
    #[serde(default)]
    pub readonly_paths: Option<Vec<String>>,
    /// The host name; needs a UTS namespace of its own.
    pub hostname: Option<String>,
    /// The NIS domain name; likewise.
    pub domainname: Option<String>,
    /// Kernel parameters, in dotted form.
    pub sysctls: BTreeMap<String, String>,
    /// Size of `/dev/shm` in bytes; without one there is no `/dev/shm`.
    pub shm_size: u64,
    /// Which namespaces are its own.
    pub namespaces: Namespaces,
    /// It asks 127.0.0.11 for names: its init makes the sockets there and hands them out.
    pub wants_dns: bool,
    /// A reaper as process 1, which forwards signals to the command.
    pub init: bool,
    /// Its control group and limits.
    pub cgroup: CgroupSpec,
    /// Standard input stays open without a client.
    pub stdin_open: bool,
    /// Standard input ends after the first client left.
    pub stdin_once: bool,
    /// Where its output goes.
    pub log: LogSpec,
    /// What stands beside every line of it.
    pub log_details: BTreeMap<String, String>,
    /// The file its output goes to, if it goes to one.
    pub log_path: PathBuf,
    /// The file its shim writes its end into.
    pub exit_record: PathBuf,
    /// The file that shim and init append spans of their work to, if somebody wants to see them.
    pub trace: Option<PathBuf>,
}

/// A root file system: an overlay that only the container sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootfsSpec {
    /// Unpacked layers, topmost first; at least one.
    pub lower: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// Overlay's work folder, on the file system of `upper`. The container's root is attached over it, in its namespace.
    pub work: PathBuf,
    /// It cannot be written.
    pub read_only: bool,
    /// What is written is not worth waiting for: no unmount and no `fsync` brings it to the disk (overlay's `volatile`), and after a crash
    /// it is not used. For one mount, and no second one.
    #[serde(default)]
    pub volatile: bool,
}

/// A command to execute: the container's own, or an exec's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The program, looked up in the `PATH` of `environment`, and its arguments.
    pub command: Vec<String>,
    /// `NAME=value`, whole: `PATH`, `HOSTNAME` and `TERM` are the engine's to add; `HOME` is added from the container's
    /// `/etc/passwd` when it is missing.
    pub environment: Vec<String>,
    /// The working directory; `/` when empty. Made when it is missing.
    pub working_dir: String,
    /// `user[:group]`, names or numbers, looked up in the container's files; root when empty.
    pub user: String,
    /// Supplementary groups, names or numbers, beside those `/etc/group` names.
    pub groups: Vec<String>,
    /// A pseudo-terminal instead of pipes.
    pub tty: bool,
    /// Its size from the first moment.
    pub size: Option<TerminalSize>,
    /// What it may ever have; a process of root has all of it.
    pub capabilities: CapabilitySet,
    /// Set-user-id programs give nothing.
    pub no_new_privileges: bool,
    /// The seccomp filter; none when absent. `seccomp::default_program` makes the default one.
    pub seccomp: Option<Program>,
    /// An AppArmor profile, which must be loaded.
    pub apparmor: Option<String>,
    /// Process limits by their names without `RLIMIT_`, in lower case: `nofile`.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Adjustment of the out-of-memory score; 0 when absent, whatever the engine's own is.
    pub oom_score_adj: Option<i32>,
}

/// A mount in a container's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchMount {
    /// An absolute path in the container; made when it is missing.
    pub target: String,
    /// Nothing below it can be written, mounts within it included.
    pub read_only: bool,
    /// What is mounted.
    pub source: LaunchSource,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LaunchSource {
    /// A path of the host.
    Bind {
        /// The path; it exists.
        path: PathBuf,
        /// A path below it which no symbolic link may lead out of.
        subpath: Option<String>,
        /// `private`, `rprivate`, `slave`, `rslave`, `shared` or `rshared`; `rprivate` when absent.
        propagation: Option<String>,
        /// What becomes of mounts below it.
        #[serde(default)]
        recursion: BindRecursion,
        /// An empty directory is first filled with what the image has at the target (a new volume).
        fill: bool,
    },
    /// What lies in a root file system of its own, which nobody else sees: a stage of a build, or a folder that can be written without
    /// being changed.
    Layers {
        /// The root.
        root: RootfsSpec,
        /// A path in it which no symbolic link may lead out of; all of it when absent.
        subpath: Option<String>,
    },
    /// Memory.
    Tmpfs {
        /// Bytes; half of the machine's memory when absent.
        size: Option<u64>,
        /// Permission bits; 1777 when absent.
        mode: Option<u32>,
        /// Further options as mount(8) writes them: `uid=1000`, `exec`…
        options: Vec<String>,
    },
    /// A file in memory, which goes with the container.
    Memory(MemoryFile),
}

/// A file that never lies on a disk. Its content may be secret, and is no part of what is written for debugging.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryFile {
    /// The bytes.
    pub content: Vec<u8>,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl std::fmt::Debug for MemoryFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { content, uid, gid, mode } = self;
        write!(formatter, "{} bytes, {uid}:{gid}, {mode:o}", content.len())
    }
}

/// Which namespaces a container lives in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Interfaces, addresses, ports.
    pub net: Namespace,
    /// Processes.
    pub pid: Namespace,
    /// System V objects, message queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// The view of the control groups.
    pub cgroup: Namespace,
}

/// One namespace. Mounts are always a container's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespace {
    /// A new one.
    #[default]
    New,
    /// The engine's.
    Host,
    /// The one this path names, `/proc/PID/ns/…`.
    Join(PathBuf),
}

/// A container's control group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupSpec {
    /// Below the root of every hierarchy: `gantry-TAG/ID`.
    pub path: String,
    /// Limits.
    pub resources: Resources,
}

/// What the engine sends a waiting init: netlink requests, which it sends on sockets of its own inside its network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSetup {
    /// For a `NETLINK_ROUTE` socket (`Networks::join`). Without it, only the loopback interface is brought up.
    pub route: Vec<u8>,
    /// For a `NETLINK_NETFILTER` socket (`dns_redirect`, with the ports of the sockets that came out).
    pub netfilter: Vec<u8>,
}
