//! Which engine is meant.

use std::fmt;
use std::path::PathBuf;

use crate::engine::root::Root;

/// Which engine is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Ours, of this root; it is started when nothing listens.
    Own(Root),
    /// One that listens on a unix socket.
    Unix(PathBuf),
    /// One that listens on `host:port`, without TLS.
    Tcp(String),
}

impl fmt::Display for Target {
    /// Writes it as `DOCKER_HOST` would.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(root) => write!(formatter, "unix://{}", root.socket().display()),
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(address) => write!(formatter, "tcp://{address}"),
        }
    }
}
