//! Where an engine keeps things: one root, its data, its run directory and its socket.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The folders of one engine. `GANTRY_ROOT` moves all of them together; two roots never see each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    data: PathBuf,
    run: PathBuf,
    configuration: PathBuf,
    tag: String,
}

impl Root {
    /// The longest path a UNIX socket may have (`sun_path` of unix(7), without its final zero).
    pub const LONGEST_SOCKET: usize = 107;

    /// The root of the machine's engine, or the one below `moved` (the value of `GANTRY_ROOT`).
    pub fn new(moved: Option<&Path>) -> Self {
        let (data, run, etc) = match moved {
            Some(root) => (root.join("data"), root.join("run"), root.join("etc")),
            None => (PathBuf::from("/var/lib/gantry"), PathBuf::from("/run/gantry"), PathBuf::from("/etc/gantry")),
        };
        let digest = Sha256::digest(run.as_os_str().as_encoded_bytes());
        let tag = digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
        Self { data, run, configuration: etc.join("engine.json"), tag }
    }

    /// The same root with its data elsewhere (`data-root`).
    #[must_use]
    pub fn with_data(self, data: PathBuf) -> Self {
        Self { data, ..self }
    }

    /// What survives a reboot.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What lives only as long as the machine is up.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Its configuration, unless another is named.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// The API socket.
    pub fn socket(&self) -> PathBuf {
        self.run.join("engine.sock")
    }

    /// Locked while a keeper comes or goes, in a run directory.
    pub fn lock(run: &Path) -> PathBuf {
        run.join("keeper.lock")
    }

    /// Has the number of the keeper that has claimed this root, and is locked by it.
    pub fn claim(&self) -> PathBuf {
        self.run.join("keeper.pid")
    }

    /// The same in the data folder: it is there when somebody removed the run folder, and says which that was.
    pub fn data_claim(&self) -> PathBuf {
        self.data.join("keeper.pid")
    }

    /// What its engine writes down of itself.
    pub fn log(&self) -> PathBuf {
        self.run.join("engine.log")
    }

    /// What is said where a keeper has this root, and nobody can reach it.
    pub fn unreachable(socket: &Path, keeper: &str) -> String {
        format!("an engine has this root, but its socket {} was removed: end it with `kill {keeper}`, and call again", socket.display())
    }

    /// Six hexadecimal digits that tell this root's interfaces, tables and control groups from another's.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}
