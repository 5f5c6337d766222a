//! Mounts: what a container is to have, and what it has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A mount in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where in the container; an absolute, clean path.
    pub target: String,
    /// Nothing below it can be written.
    pub read_only: bool,
    /// What is mounted.
    pub source: MountSource,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A path of the host.
    Bind {
        /// The path.
        path: PathBuf,
        /// Makes the directory when it is missing.
        create: bool,
        /// `rprivate`, `shared`…; `rprivate` when absent.
        propagation: Option<String>,
        /// What becomes of mounts below the path.
        #[serde(default, skip_serializing_if = "BindRecursion::is_default")]
        recursion: BindRecursion,
    },
    /// A volume of the engine.
    Volume {
        /// Its name; an anonymous one when absent.
        name: Option<String>,
        /// An empty volume is not filled from the image.
        no_copy: bool,
        /// A directory inside the volume.
        subpath: Option<String>,
        /// Labels of the volume if it is made now.
        labels: BTreeMap<String, String>,
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
}

/// What becomes of the mounts that lie below the source of a bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BindRecursion {
    /// They are shown, too; below a read-only bind none can be written.
    #[default]
    Enabled,
    /// They are not shown.
    Disabled,
    /// They are shown, and can be written even where the bind itself cannot.
    Writable,
    /// They are shown and cannot be written; refused where the kernel cannot see to that.
    Readonly,
}

impl BindRecursion {
    /// Whether it is what nobody needs to ask for.
    pub fn is_default(&self) -> bool {
        *self == Self::Enabled
    }
}

/// A mount as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountInfo {
    /// `bind`, `volume` or `tmpfs`.
    pub kind: String,
    /// The volume's name.
    pub name: Option<String>,
    /// The path on the host.
    pub source: PathBuf,
    /// The path in the container.
    pub target: String,
    /// Whether it can be written.
    pub writable: bool,
    /// The volume was made for this container and goes with it.
    pub anonymous: bool,
    /// Propagation of a bind.
    pub propagation: String,
}
