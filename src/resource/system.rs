//! What an engine tells of itself and its machine.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::resource::build::BuildCache;
use crate::resource::container::Told;
use crate::resource::image::{ImageInfo, ImageUsage};
use crate::resource::time::Timestamp;
use crate::resource::volume::VolumeInfo;

/// The newest version of the Docker Engine API that our engine speaks.
pub const API_VERSION: &str = "1.51";

/// The oldest.
pub const MIN_API_VERSION: &str = "1.24";

/// Which engine it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineVersion {
    /// The product: `Gantry`, or `Docker Engine - Community` and others.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The newest version of the Docker Engine API it speaks.
    pub api_version: String,
    /// The oldest.
    pub min_api_version: String,
    /// The commit it was built from, if that is known.
    pub commit: String,
    /// Operating system: `linux`.
    pub os: String,
    /// Architecture in Go's spelling: `amd64`.
    pub architecture: String,
    /// The kernel's release.
    pub kernel: String,
}

/// What an engine tells of itself and its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemInfo {
    /// A number drawn once for each data directory.
    pub id: String,
    /// The machine's host name.
    pub name: String,
    /// Running containers, paused ones not counted.
    pub running: u64,
    /// Paused containers.
    pub paused: u64,
    /// All others.
    pub stopped: u64,
    /// Images.
    pub images: u64,
    /// Where its data lies.
    pub data_root: String,
    /// Where its run-time files lie.
    pub run_root: String,
    /// Processors.
    pub cpus: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The system by its own name: `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// The system's version.
    pub os_version: String,
    /// Architecture in the kernel's spelling: `x86_64`.
    pub architecture: String,
    /// The machine's clock.
    pub time: Option<Timestamp>,
    /// The engine's version.
    pub version: String,
    /// Packets are forwarded between IPv4 networks.
    pub ipv4_forwarding: bool,
    /// Limits of memory can be set.
    pub memory_limit: bool,
    /// Limits of processor time can be set.
    pub cpu_limit: bool,
    /// Limits of the number of processes can be set.
    pub pids_limit: bool,
    /// What kind of file system the data lies on: `extfs`, `xfs`…
    pub file_system: String,
    /// Descriptors the engine has open.
    pub descriptors: u64,
    /// Listeners to its events.
    pub listeners: u64,
    /// Mirrors of Docker Hub.
    pub mirrors: Vec<String>,
    /// Registries that need not prove who they are.
    pub insecure_registries: Vec<String>,
    /// The proxies for HTTP and HTTPS, and what is reached without them.
    pub proxies: [String; 3],
    /// Which security features are in force: `name=seccomp,profile=builtin`…
    pub security_options: Vec<String>,
    /// What the engine wants people to know.
    pub warnings: Vec<String>,
}

/// Of which things the disk's use is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskQuestion {
    /// Images.
    pub images: bool,
    /// Containers.
    pub containers: bool,
    /// Volumes.
    pub volumes: bool,
    /// What builds keep.
    pub build_cache: bool,
}

/// A container, and what it takes of the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerUse {
    /// The container.
    pub container: Arc<Told>,
    /// What its image is called now.
    pub image: String,
    /// The bytes it wrote itself, and all it sees.
    pub sizes: (u64, u64),
}

/// What takes how much of the disk; absent where nobody asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiskUse {
    /// Bytes of all layers of images, each counted once.
    pub layers: u64,
    /// Every image, and who shares it.
    pub images: Option<Vec<(ImageInfo, ImageUsage)>>,
    /// Every container.
    pub containers: Option<Vec<ContainerUse>>,
    /// Every volume whose content lies with the engine, how many containers use it, and its bytes.
    pub volumes: Option<Vec<(VolumeInfo, u64, u64)>>,
    /// What builds keep.
    pub build_cache: Option<Vec<BuildCache>>,
}
