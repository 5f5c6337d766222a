//! The engine's end of the keeper: what must outlive the engine is held there, and what was held comes back from there.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

/// Why the engine leaves of its own will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Nothing runs and nobody called for a while.
    Idle,
    /// It was told to stop; the keeper leaves, too.
    Stopped,
}

/// A failed exchange with the keeper.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A descriptor could not be copied.
    #[error("cannot copy a descriptor of `{key}`")]
    Copy {
        /// The key it is held under.
        key: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The keeper could not be told.
    #[error("cannot speak to the keeper")]
    Send {
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// The engine's end of the socket to its keeper; cheap to clone.
#[derive(Clone, Debug)]
pub struct KeeperLink {
    shared: Arc<Mutex<BTreeMap<String, Vec<OwnedFd>>>>,
}

impl KeeperLink {
    /// A link without a keeper: what is held lives as long as the link. For tests and for an engine inside another program.
    pub fn alone() -> Self {
        Self { shared: Arc::default() }
    }

    /// Hands copies of the descriptors to the keeper under `key`, replacing what was held under it.
    pub fn hold(&self, _key: &str, _descriptors: Vec<OwnedFd>) -> Result<(), LinkError> {
        todo!()
    }

    /// Lets go of what is held under `key`; nothing happens when nothing is.
    pub fn release(&self, _key: &str) {
        todo!()
    }

    /// Copies of everything that is held: after a crash, what the engine before this one had handed over.
    pub fn held(&self) -> Result<Vec<(String, Vec<OwnedFd>)>, LinkError> {
        todo!()
    }

    /// Says that this engine leaves. Only after it may it exit without being started again.
    pub fn leave(&self, _why: Leaving) {
        todo!()
    }

    /// Returns when the engine is asked to stop cleanly: `gantry engine` was interrupted, or the machine goes down.
    pub async fn stopping(&self) {
        todo!()
    }
}
