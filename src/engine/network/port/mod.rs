//! Published ports: a bound socket with the keeper, an element in a map of the kernel, and a proxy for what that does not reach.

use std::io;
use std::os::fd::OwnedFd;

use crate::engine::runtime::link::KeeperLink;

mod choice;
mod holder;
pub(super) mod proxy;
mod publish;
mod socket;

/// Keeps sockets open while no engine runs; the keeper does.
pub trait PortHolder: Send + Sync {
    /// Keeps these sockets under a key, instead of what was kept under it.
    fn hold(&self, key: &str, sockets: Vec<OwnedFd>) -> io::Result<()>;

    /// Closes what is kept under a key.
    fn release(&self, key: &str);
}

impl PortHolder for KeeperLink {
    fn hold(&self, key: &str, sockets: Vec<OwnedFd>) -> io::Result<()> {
        Self::hold(self, key, sockets).map_err(io::Error::other)
    }

    fn release(&self, key: &str) {
        Self::release(self, key);
    }
}
