//! A command that runs in a container nobody is told of: a step of a build. It has no record, so that whatever is left of it when the
//! engine is killed is swept by the next one like a container that was never finished.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::watch;

use crate::engine::container::entry::{Container, Life};
use crate::engine::container::launch_spec::Filesystem;
use crate::engine::container::membership;
use crate::engine::container::record::SpecRecord;
use crate::engine::container::remove::remove_tree;
use crate::engine::runtime::launch::LaunchMount;
use crate::engine::runtime::task::{AttachRequest, Attached, Task};
use crate::engine::{Engine, clock};
use crate::resource::container::{ContainerSpec, EffectiveConfig, ExitStatus, LogSpec};
use crate::resource::exec::TerminalSize;
use crate::resource::failure::Failure;
use crate::resource::id::{ContainerId, ImageId};

/// The tasks of such containers, so that an engine that leaves can end them.
#[derive(Debug)]
pub(in crate::engine) struct UnlistedTasks {
    running: Mutex<Vec<Task>>,
    /// How many of them are not yet removed.
    left: watch::Sender<usize>,
}

impl Default for UnlistedTasks {
    fn default() -> Self {
        Self { running: Mutex::default(), left: watch::Sender::new(0) }
    }
}

/// So long an engine that leaves waits for the last of them; then the next one sweeps what is left.
const PATIENCE: Duration = Duration::from_secs(10);

impl UnlistedTasks {
    /// Ends all of them; returns once nothing of them is left. A build whose client does not read what it is told could hold one of them up
    /// for ever, so there is an end to that.
    pub(in crate::engine) async fn end(&self) {
        for task in self.lock().iter() {
            // One that has ended meanwhile is as good.
            let _ = task.kill();
        }
        let mut left = self.left.subscribe();
        if tokio::time::timeout(PATIENCE, left.wait_for(|left| *left == 0)).await.is_err() {
            tracing::warn!("a step of a build did not end in time; the next engine removes what it wrote");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Task>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, task: &Task) {
        self.lock().push(task.clone());
    }

    fn remove(&self, task: &Task) {
        let id = task.id();
        self.lock().retain(|other| other.id() != id);
    }
}

/// A container that runs a command and is not listed. Let go of, it is ended and removed with all it wrote.
pub(in crate::engine) struct Unlisted {
    engine: Engine,
    id: ContainerId,
    folder: PathBuf,
    container: Option<Arc<Container>>,
    task: Option<Task>,
    /// What its command uses: it goes only once nothing of the command is left.
    held: Option<Box<dyn Send + Sync>>,
}

impl Unlisted {
    /// Keeps something as long as the command may use it.
    pub(in crate::engine) fn hold(&mut self, held: impl Send + Sync + 'static) {
        self.held = Some(Box::new(held));
    }

    /// What it writes.
    pub(in crate::engine) fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// Its folder, which goes with it: a place for what goes along with its command.
    pub(in crate::engine) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a command over these layers, topmost first; what it writes to its outputs comes in Docker's frames. The other part of the
    /// error is the exit code Docker gives a command that did not start.
    pub(in crate::engine) async fn start(
        &mut self,
        spec: ContainerSpec,
        effective: EffectiveConfig,
        lower: Vec<PathBuf>,
        mounts: Vec<LaunchMount>,
    ) -> Result<Attached, (i32, Failure)> {
        let refused = |failure| (128, failure);
        let engine = &self.engine;
        if engine.shared.leaving.load(Ordering::Acquire) {
            return Err(refused(Failure::unavailable("the engine is leaving: nothing is started any more")));
        }
        let stdin_open = spec.stdin_open;
        let spec = ContainerSpec { log: LogSpec::None, ..spec };
        let name = self.id.short().parse().map_err(|error| refused(Failure::internal(format!("{error}"))))?;
        let networks = membership::wanted(&spec, &engine.shared.networks).map_err(refused)?;
        let (created, image, mounted) = (clock::now(), ImageId::from_bytes([0; 32]), Vec::new());
        let record = SpecRecord { id: self.id, name, created, spec, image, effective, networks, mounts: mounted };
        let container = Arc::new(Container::new(self.folder.clone(), record, Life::new()));
        self.container = Some(Arc::clone(&container));
        let attached = container.attach_at_start(AttachRequest { stdin: stdin_open, stdout: true, stderr: true });
        let begun = engine.begin(&container, &container.record(), Filesystem { lower, mounts, volatile: true }).await;
        let (task, ..) = begun.map_err(|error| (error.code, error.failure))?;
        engine.shared.unlisted.add(&task);
        if engine.shared.leaving.load(Ordering::Acquire) {
            // It came too late to be ended with the others.
            let _ = task.kill();
        }
        self.task = Some(task);
        let lost = |_| refused(Failure::internal("the streams of a command were lost"));
        attached.await.map_err(lost)?.map_err(refused)
    }

    /// Changes the size of its terminal.
    pub(in crate::engine) async fn resize(&self, size: TerminalSize) {
        if let Some(task) = &self.task {
            // It may have ended meanwhile.
            let _ = task.resize(None, size).await;
        }
    }

    /// Returns how its command ended, once nothing of it is left; what was held for it goes.
    pub(in crate::engine) async fn wait(&mut self) -> ExitStatus {
        let status = match &self.task {
            Some(task) => task.wait().await.status,
            None => ExitStatus::default(),
        };
        self.held = None;
        status
    }
}

impl Drop for Unlisted {
    fn drop(&mut self) {
        let (engine, folder) = (self.engine.clone(), std::mem::take(&mut self.folder));
        let (container, task, held) = (self.container.take(), self.task.take(), self.held.take());
        tokio::spawn(async move {
            if let Some(task) = task {
                if !task.has_ended() {
                    // One that ended just now is as good.
                    let _ = task.kill();
                }
                task.wait().await;
                engine.shared.unlisted.remove(&task);
            }
            drop(held);
            if let Some(container) = container {
                engine.take_down(&container).await;
            }
            remove_tree(&folder).await;
            engine.shared.unlisted.left.send_modify(|left| *left -= 1);
        });
    }
}

impl Engine {
    /// Makes such a container; nothing runs yet.
    pub(in crate::engine) fn unlisted(&self) -> Result<Unlisted, Failure> {
        let mut bytes = [0; 32];
        getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|error| Failure::internal(format!("cannot draw random bytes: {error}")))?;
        let id = ContainerId::from_bytes(bytes);
        let folder = self.shared.containers.folder().join(id.to_string());
        for part in ["upper", "work"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(|error| Failure::internal(format!("cannot make {}: {error}", path.display())))?;
        }
        self.shared.unlisted.left.send_modify(|left| *left += 1);
        Ok(Unlisted { engine: self.clone(), id, folder, container: None, task: None, held: None })
    }
}
