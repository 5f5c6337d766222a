//! Why a container did not start: data that crosses the sockets between init, shim and engine.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::resource::failure::Failure;
use crate::resource::reason;

/// An error number of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errno(pub i32);

impl Errno {
    /// The one of the last call of this thread.
    pub fn last() -> Self {
        io::Error::last_os_error().into()
    }
}

impl fmt::Display for Errno {
    /// As C programs print it, without Rust's `(os error 2)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = reason::plain(&io::Error::from_raw_os_error(self.0));
        write!(formatter, "{}{}", words[..1].to_lowercase(), &words[1..])
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Errno({}: {self})", self.0)
    }
}

impl std::error::Error for Errno {}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Self {
        Self(error.raw_os_error())
    }
}

/// Why a command did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LaunchError {
    /// The program does not exist in the container (exit code 127).
    #[error("exec: `{command}`: {reason}")]
    CommandNotFound {
        /// The program as it was written.
        command: String,
        /// `executable file not found in $PATH`, or the kernel's words.
        reason: String,
    },
    /// The program exists and cannot be executed (exit code 126).
    #[error("exec: `{command}`")]
    NotExecutable {
        /// The program as it was written.
        command: String,
        /// The cause.
        #[source]
        source: Errno,
    },
    /// What was asked for makes no sense, or not on this machine.
    #[error("{0}")]
    Invalid(String),
    /// The kernel, or our rights, cannot give what was asked for.
    #[error("{what} cannot be had here: {reason}")]
    Unavailable {
        /// The thing asked for.
        what: String,
        /// What is missing.
        reason: String,
    },
    /// A call of the kernel failed.
    #[error("cannot {step}")]
    Step {
        /// What was tried, on what: `mount the tmpfs at /run`.
        step: String,
        /// The cause.
        #[source]
        source: Errno,
    },
    /// The init ended without a word, killed from outside or out of memory.
    #[error("the container's init ended before it executed its command")]
    Vanished,
}

impl LaunchError {
    /// A failed call of the kernel.
    pub fn step(step: impl Into<String>, source: impl Into<Errno>) -> Self {
        Self::Step { step: step.into(), source: source.into() }
    }

    /// The exit code that Docker gives a container, or an exec, that failed to start this way.
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::CommandNotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            _ => 128,
        }
    }

    /// The exit code that Docker gives an exec that failed this way: a folder that is missing counts like a program that is.
    pub fn exec_code(&self) -> i32 {
        match self {
            // A user that is not there fails the call itself in Docker, not the command.
            Self::Invalid(_) => 1,
            Self::Step { source, .. } if *source == Errno(libc::ENOENT) => 127,
            Self::Step { source, .. } if *source == Errno(libc::EACCES) => 126,
            _ => self.exit_code(),
        }
    }

    /// The message and its causes in one line.
    pub fn chain(&self) -> String {
        match self {
            Self::NotExecutable { source, .. } | Self::Step { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        // Docker answers 400 when the command itself is at fault, and 500 else.
        match error {
            LaunchError::CommandNotFound { .. } | LaunchError::NotExecutable { .. } | LaunchError::Invalid(_) => {
                Self::invalid(error.chain())
            }
            LaunchError::Unavailable { .. } => Self::unsupported(error.chain()),
            LaunchError::Step { .. } | LaunchError::Vanished => Self::internal(error.chain()),
        }
    }
}
