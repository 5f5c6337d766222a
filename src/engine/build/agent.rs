//! Sockets at which the steps of a build find the agents of its client.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{UnixListener, UnixStream};

use crate::engine::root::Root;
use crate::resource::failure::Failure;

/// Where the sockets are made.
#[derive(Debug)]
pub struct AgentSockets {
    folder: PathBuf,
    count: AtomicU64,
}

impl AgentSockets {
    /// Opens the place below a root's run folder, without what an engine before this one left.
    pub fn open(root: &Root) -> Result<Self, Failure> {
        let folder = root.run().join("agents");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::internal(format!("cannot remove `{}`: {error}", folder.display())))
            }
            _ => Ok(Self { folder, count: AtomicU64::new(0) }),
        }
    }

    /// Makes a socket, its owner's alone: who mounts it says who else may use it.
    pub fn bind(&self) -> Result<AgentSocket, Failure> {
        let path = self.folder.join(self.count.fetch_add(1, Ordering::Relaxed).to_string());
        let bind = || -> io::Result<UnixListener> {
            // A step reaches a socket by its mount, and nobody by its path.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let bound = bind();
        let listener = bound.map_err(|error| Failure::internal(format!("cannot listen at `{}`: {error}", path.display())))?;
        Ok(AgentSocket { listener, path })
    }
}

/// A socket; it is gone when this is.
#[derive(Debug)]
pub struct AgentSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AgentSocket {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a step that connects.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for AgentSocket {
    fn drop(&mut self) {
        // The next start removes what cannot be removed now; the folder goes with the last socket.
        let _ = fs::remove_file(&self.path);
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_there_as_long_as_it_is_held() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::new(Some(folder.path()));
        fs::create_dir_all(root.run().join("agents")).expect("a folder");
        fs::write(root.run().join("agents/0"), "left over").expect("a file");
        let sockets = AgentSockets::open(&root).expect("the place");
        let (one, two) = (sockets.bind().expect("a socket"), sockets.bind().expect("another"));
        assert_eq!(fs::metadata(one.path()).expect("there").permissions().mode() & 0o777, 0o600);
        let path = one.path().to_owned();
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), one.accept());
        assert!(connected.is_ok() && accepted.is_ok() && path != two.path());
        drop(one);
        assert!(!path.exists() && two.path().exists());
        drop(two);
        assert!(!root.run().join("agents").exists());
    }
}
