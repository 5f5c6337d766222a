//! Why a keeper does not start: each is one sentence for whoever wanted an engine.

use std::io;
use std::path::PathBuf;

use crate::engine::root::Root;
use crate::engine::settings::{SettingsError, TlsError};
use crate::resource::reason;

/// A keeper that could not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeeperError {
    /// The kernel is too old.
    #[error("Linux {found} is too old: 5.15 or newer is needed")]
    Kernel { found: String },
    /// Not root.
    #[error(
        "an engine needs root: run this as root, or have root open the socket to the group `gantry` (`\"group\": \"gantry\"` in \
         /etc/gantry/engine.json)"
    )]
    NotRoot,
    /// A capability was taken away from root.
    #[error("this process lacks {missing}, without which no container can be made")]
    Capability { missing: String },
    /// Something on disk.
    #[error("cannot {step} {}", path.display())]
    Path {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A listening socket.
    #[error("cannot listen at {address}")]
    Listen {
        address: String,
        #[source]
        source: io::Error,
    },
    /// An address that names nothing to listen at, or a thing that is refused.
    #[error("cannot listen at {address}: {reason}")]
    Address { address: String, reason: &'static str },
    /// A socket that was passed, and cannot be served at or is refused.
    #[error("cannot listen at the socket that was passed as descriptor {number}: {reason}")]
    Passed { number: u32, reason: &'static str },
    /// A group that is not in /etc/group.
    #[error("{place}: `group`: /etc/group has no group `{group}` (make it with `groupadd {group}`)")]
    Group { place: String, group: String },
    /// The configuration file.
    #[error(transparent)]
    Configuration(#[from] SettingsError),
    /// What is said of TLS, in the configuration file or on the command line.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Something in the configuration file that only its use shows to be wrong.
    #[error("{place}: `hosts`: {source}")]
    Configured { place: String, source: Box<Self> },
    /// Another engine has this root.
    #[error("an engine runs already at {}", socket.display())]
    Running { socket: PathBuf },
    /// Another engine has this root, and nobody can reach it.
    #[error("{}", Root::unreachable(socket, keeper))]
    Unreachable { socket: PathBuf, keeper: String },
    /// An engine of another root has its data.
    #[error("the data folder {} is that of the engine in {} (process {keeper}): end it, or name another `data-root`", data.display(), run.display())]
    Taken { data: PathBuf, run: PathBuf, keeper: String },
    /// A system call of the keeper's own.
    #[error("cannot {step}")]
    Call {
        step: &'static str,
        #[source]
        source: io::Error,
    },
    /// A wrong command line.
    #[error("{0}")]
    Usage(String),
}

impl KeeperError {
    /// The message and its cause in one line.
    pub(super) fn chain(&self) -> String {
        let source = match self {
            Self::Path { source, .. } | Self::Listen { source, .. } | Self::Call { source, .. } => source,
            _ => return self.to_string(),
        };
        format!("{self}: {}", reason::plain(source))
    }
}

/// Adds the step to a failed system call.
pub(super) fn call(step: &'static str) -> impl Fn(rustix::io::Errno) -> KeeperError {
    move |error| KeeperError::Call { step, source: error.into() }
}
