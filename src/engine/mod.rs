//! What runs: containers and all they need. The handle is the only door.

pub mod build;
pub mod clock;
pub mod configuration;
pub mod container;
mod engine_archive;
mod engine_change;
mod engine_container;
mod engine_disk;
mod engine_exec;
mod engine_image;
mod engine_network;
mod engine_stats;
mod engine_stream;
mod engine_system;
mod engine_volume;
pub mod event;
mod event_filter;
pub mod file_lock;
mod filter;
pub mod image;
pub mod network;
pub mod root;
pub mod runtime;
pub mod settings;
pub mod store;
#[cfg(test)]
mod tests;
pub mod volume;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{Semaphore, watch};

use crate::engine::build::agent::AgentSockets;
use crate::engine::build::cache::Caches;
use crate::engine::build::context::Contexts;
use crate::engine::configuration::{Configuration, Defaults};
use crate::engine::container::exec::Execs;
use crate::engine::container::log::LogWatcher;
use crate::engine::container::table::Containers;
use crate::engine::container::unlisted::UnlistedTasks;
use crate::engine::event::Ring;
use crate::engine::image::handle::Images;
use crate::engine::network::handle::Networks;
use crate::engine::root::Root;
use crate::engine::runtime::link::KeeperLink;
use crate::engine::runtime::task::Runtime;
use crate::engine::volume::Volumes;
use crate::resource::failure::Failure;

/// How an engine is to run.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where it keeps things.
    pub root: Root,
    /// Who keeps what must outlive it.
    pub keeper: KeeperLink,
    /// What its configuration file says.
    pub configuration: Configuration,
}

/// An engine: cheap to clone, every clone the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What all clones of an engine share.
struct Shared {
    root: Root,
    keeper: KeeperLink,
    images: Images,
    networks: Networks,
    volumes: Volumes,
    contexts: Contexts,
    agent_sockets: AgentSockets,
    ring: Ring,
    runtime: Runtime,
    containers: Containers,
    /// Commands of builds.
    unlisted: UnlistedTasks,
    caches: Arc<Caches>,
    logs: LogWatcher,
    execs: Execs,
    defaults: Defaults,
    /// Early health probes run at once.
    probes: Semaphore,
    /// Set once the engine is to leave: nothing starts any more.
    leaving: AtomicBool,
    /// Everything has been stopped and closed.
    closed: watch::Sender<bool>,
}

impl Engine {
    /// Opens the engine of a root: reads its records, adopts what runs, records what ended meanwhile and sweeps what nobody owns.
    pub async fn open(config: EngineConfig) -> Result<Self, Failure> {
        let EngineConfig { root, keeper, configuration } = config;
        std::fs::create_dir_all(root.run())
            .map_err(|error| Failure::internal(format!("cannot make `{}`: {error}", root.run().display())))?;
        let ring = Ring::open(&root.run().join("events"))?;
        let images = Images::open(&root, configuration.registry)?;
        let networks = Networks::open(&root, configuration.network, Arc::new(keeper.clone())).await?;
        let volumes = Volumes::open(&root)?;
        let runtime = Runtime::new(&root, keeper.clone())?;
        let containers = Containers::open(&root)?;
        let (contexts, caches) = (Contexts::open(&root)?, Caches::open(root.data())?);
        let agent_sockets = AgentSockets::open(&root)?;
        let probes = Semaphore::new(std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
        let (leaving, closed) = (AtomicBool::new(false), watch::Sender::new(false));
        let (unlisted, logs, execs) = (UnlistedTasks::default(), LogWatcher::default(), Execs::default());
        let defaults = configuration.defaults;
        let shared = Shared {
            root,
            keeper,
            images,
            networks,
            volumes,
            ring,
            runtime,
            containers,
            unlisted,
            contexts,
            agent_sockets,
            caches,
            logs,
            execs,
            defaults,
            probes,
            leaving,
            closed,
        };
        let engine = Self { shared: Arc::new(shared) };
        engine.adopt_containers().await?;
        Ok(engine)
    }

    /// Where the engine keeps things.
    pub fn root(&self) -> &Root {
        &self.shared.root
    }

    /// Returns once nothing runs and nothing waits to start again.
    pub async fn until_idle(&self) {
        while let Some(active) = self.shared.containers.all().into_iter().find(|container| container.is_active()) {
            let mut life = active.watch();
            // The sender lives in `active`.
            let _ = life.wait_for(|life| !life.is_active()).await;
            // And whoever is at work with it has finished.
            drop(active.turn().await);
        }
    }

    /// Nothing runs, and nothing waits to start again.
    pub fn is_idle(&self) -> bool {
        self.shared.containers.all().iter().all(|container| !container.is_active())
    }
}
