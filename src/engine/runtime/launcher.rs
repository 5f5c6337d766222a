//! Starts containers and finds those that run.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::root::Root;
use crate::engine::runtime::cgroup::Leaf;
use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::exit::ExitRecord;
use crate::engine::runtime::launch::{LaunchSpec, NetworkSetup};
use crate::engine::runtime::link::KeeperLink;
use crate::engine::runtime::program::Program;
use crate::engine::runtime::shim_process::ShimProcess;
use crate::engine::runtime::talk::{self, Notice, Order};
use crate::engine::runtime::task::{AttachRequest, Attached, Claim, Task, TaskError};
use crate::resource::id::ContainerId;

/// Starts containers and finds those that run; cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    program: Program,
    keeper: KeeperLink,
    /// The control group of this root's containers.
    group: String,
    containers: PathBuf,
}

impl Runtime {
    /// A runtime for the containers of this root, whose shims the keeper is told of.
    pub fn new(root: &Root, keeper: KeeperLink) -> Result<Self, LaunchError> {
        let group = format!("gantry-{}", root.tag());
        let containers = root.data().join("containers");
        Ok(Self { shared: Arc::new(Shared { program: Program::open()?, keeper, group, containers }) })
    }

    /// The control group that a container has below the root of every hierarchy (`CgroupSpec::path`).
    pub fn group(&self, id: ContainerId) -> String {
        format!("{}/{id}", self.shared.group)
    }

    /// Where the shim of a container writes its end (`LaunchSpec::exit_record`).
    pub fn exit_record(&self, id: ContainerId) -> PathBuf {
        self.shared.containers.join(id.to_string()).join("exit.json")
    }

    fn claim(&self, id: ContainerId) -> Claim {
        Claim { id, group: self.group(id), exit_record: self.exit_record(id), keeper: self.shared.keeper.clone() }
    }

    /// Starts a shim and, in it, a container up to the point where its network is needed.
    pub async fn launch(&self, spec: LaunchSpec) -> Result<Launching, LaunchError> {
        let failed = |error| LaunchError::step("speak to a shim", error);
        let claim = self.claim(spec.id);
        let enclosure = talk::enclose(&spec).map_err(failed)?;
        drop(spec);
        let runtime = self.clone();
        let started = tokio::task::spawn_blocking(move || ShimProcess::start(&runtime.shared.program)).await;
        let shim = started.map_err(|error| LaunchError::Invalid(format!("a shim could not be started: {error}")))??;
        let path = Leaf::unified_path(&claim.group).unwrap_or_default();
        claim.keeper.shim_started(shim.pid(), shim.pidfd(), path).map_err(failed)?;
        let mut launching = Launching { pid: 0, netns: None, dns: None, pidfd: None, shim, claim };
        match launching.begin(enclosure).await {
            Ok(()) => Ok(launching),
            Err(error) => {
                launching.abort().await;
                Err(error)
            }
        }
    }

    /// The container's task, if its shim still runs: after another engine took over.
    ///
    /// `None` when nobody is left to speak to; what there may be of the container is removed by [`Self::sweep`], and its end is in
    /// its exit record if its shim saw it.
    pub async fn adopt(&self, id: ContainerId) -> Result<Option<Task>, LaunchError> {
        let claim = self.claim(id);
        let failed = |error| LaunchError::step("take over a shim", error);
        let held = claim.keeper.held_under(&claim.key()).map_err(failed)?;
        let (Some(socket), Some((pid, pidfd))) = (held.and_then(|mut held| held.pop()), claim.keeper.shim_of(&id.to_string())) else {
            return Ok(None);
        };
        let shim = ShimProcess::found(pid, pidfd, socket).map_err(failed)?;
        if shim.order(&Order::Describe, &[]).await.is_ok() {
            while let Ok(Some((notice, mut beside))) = shim.hear().await {
                match notice {
                    Notice::Running { pid, started_at } => {
                        let Some(pidfd) = beside.pop() else { break };
                        return Ok(Some(Task::new(claim, shim, (pid, pidfd), started_at)));
                    }
                    Notice::Ended(_) | Notice::Failed(_) => break,
                    // Of execs that the engine before this one started: nobody waits for them any more.
                    _ => {}
                }
            }
        }
        claim.end(&shim);
        Ok(None)
    }

    /// Ends and removes what is left of containers that `alive` does not name: control groups, and with them whatever runs there.
    pub fn sweep(&self, alive: impl Fn(ContainerId) -> bool) {
        // A name that is no container's is the keeper's, which may live in a group beside them.
        Leaf::sweep(&self.shared.group, &|name| name.parse().map_or(true, &alive));
    }

    /// Removes the group above those of the containers, if none is left.
    pub fn close(&self) {
        Leaf::remove_above(&self.shared.group);
    }

    /// How a container ended that ran when the engine before this one ended, if its shim lived to see it.
    pub fn end_of(&self, id: ContainerId) -> Option<ExitRecord> {
        ExitRecord::read(&self.exit_record(id))
    }
}

/// The sockets at 127.0.0.11 that a container's init made in its own namespace.
#[derive(Debug)]
pub struct DnsSockets {
    /// Bound.
    pub udp: OwnedFd,
    /// Bound and listening.
    pub tcp: OwnedFd,
}

/// A container whose namespaces exist and whose init waits for its network. Let go of, it ends.
#[derive(Debug)]
pub struct Launching {
    /// Its process 1, in the host's process-id namespace.
    pub pid: i32,
    /// Its network namespace, if it has one of its own.
    pub netns: Option<OwnedFd>,
    /// Where it asks for names, if it wants to.
    pub dns: Option<DnsSockets>,
    pidfd: Option<OwnedFd>,
    shim: ShimProcess,
    claim: Claim,
}

impl Launching {
    async fn begin(&mut self, enclosure: OwnedFd) -> Result<(), LaunchError> {
        let _ = self.shim.order(&Order::Launch, &[enclosure.as_fd()]).await;
        let (notice, beside) = self.hear().await?;
        let mut beside = beside.into_iter();
        let Notice::Waiting { pid, network, names } = notice else { return Err(LaunchError::Vanished) };
        self.pid = pid;
        self.pidfd = beside.next();
        self.netns = if network { beside.next() } else { None };
        self.dns = if names { beside.next().zip(beside.next()).map(|(udp, tcp)| DnsSockets { udp, tcp }) } else { None };
        Ok(())
    }

    /// What the shim says next; its reason when it gave up.
    async fn hear(&self) -> Result<(Notice, Vec<OwnedFd>), LaunchError> {
        match self.shim.hear().await {
            Ok(Some((Notice::Failed(error), _))) => Err(error),
            Ok(Some(heard)) => Ok(heard),
            Ok(None) => Err(LaunchError::Vanished),
            Err(error) => Err(LaunchError::step("hear a shim", error)),
        }
    }

    /// Sends what its init is to send in its namespace, and returns when its command was executed.
    pub async fn proceed(mut self, network: NetworkSetup) -> Result<Task, LaunchError> {
        match self.execute(network).await {
            Ok(task) => Ok(task),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    async fn execute(&mut self, network: NetworkSetup) -> Result<Task, LaunchError> {
        let failed = |error| LaunchError::step("hand a container its network", error);
        let enclosure = talk::enclose(&network).map_err(failed)?;
        // One that has ended is heard below, with its reason.
        let _ = self.shim.order(&Order::Proceed, &[enclosure.as_fd()]).await;
        let (notice, _) = self.hear().await?;
        let (Notice::Started { at }, Some(pidfd)) = (notice, self.pidfd.take()) else { return Err(LaunchError::Vanished) };
        let socket = self.shim.socket().try_clone_to_owned().map_err(failed)?;
        self.claim.keeper.hold(&self.claim.key(), vec![socket]).map_err(|error| LaunchError::Invalid(error.to_string()))?;
        Ok(Task::new(self.claim.clone(), self.shim.clone(), (self.pid, pidfd), at))
    }

    /// Joins the container's streams before its command is executed: not a byte of its output is missed. `docker run` attaches first
    /// and starts second.
    pub async fn attach(&self, request: AttachRequest) -> Result<Attached, TaskError> {
        Attached::to(&self.shim, self.claim.id, request).await
    }

    /// Ends it; returns when nothing of it is left.
    pub async fn abort(self) {
        let Self { shim, claim, .. } = self;
        // The shim takes the end of the socket for an order to end.
        let _ = rustix::net::shutdown(shim.socket(), rustix::net::Shutdown::Both);
        shim.ended().await;
        claim.end(&shim);
        claim.sweep().await;
    }
}
