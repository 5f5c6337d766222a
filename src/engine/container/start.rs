//! Starting a container: from its record to its executed command, or back to where it was.

use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::net::getsockname;

use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::engine::container::launch_spec::{self, Filesystem, Surroundings};
use crate::engine::container::record::SpecRecord;
use crate::engine::container::state::Change;
use crate::engine::container::{files, health, membership, mount_plan};
use crate::engine::image::work::RootGuard;
use crate::engine::network::dns::{DnsSettings, DnsSockets};
use crate::engine::network::nft::dns_redirect::dns_redirect;
use crate::engine::runtime::launch::{LaunchError, LaunchMount, Namespace, Namespaces, NetworkSetup};
use crate::engine::runtime::task::{Launching, Task};
use crate::engine::volume::Filling;
use crate::engine::{clock, container::restart::Restarts};
use crate::resource::container::{
    ContainerState, EndpointState, ExitStatus, IpcMode, MountSource, NamespaceMode, NetworkMode, PublishedPort,
};
use crate::resource::failure::Failure;
use crate::trace;

/// Who starts a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Starter {
    /// Somebody: its restarts are counted anew.
    Hand,
    /// Its restart policy.
    Policy,
}

/// What a start that succeeded has come to.
struct Up {
    task: Task,
    endpoints: Vec<EndpointState>,
    published: Vec<PublishedPort>,
    layers: RootGuard,
}

/// A start that failed: the exit code Docker gives such a container, and what the caller is told.
pub(super) struct StartFailure {
    pub(super) code: i32,
    pub(super) failure: Failure,
}

impl<E: Into<Failure>> From<E> for StartFailure {
    fn from(error: E) -> Self {
        Self { code: 128, failure: error.into() }
    }
}

fn launch_failure(error: LaunchError) -> StartFailure {
    StartFailure { code: error.exit_code(), failure: error.into() }
}

impl Engine {
    /// Starts a container whose turn the caller holds.
    pub(in crate::engine) async fn start_held(&self, container: &Arc<Container>, starter: Starter) -> Result<(), Failure> {
        if self.shared.leaving.load(Ordering::Acquire) {
            return Err(Failure::unavailable("the engine is leaving: nothing is started any more"));
        }
        match container.life().state {
            ContainerState::Running { paused: true, .. } => {
                return Err(Failure::conflict("cannot start a paused container, try unpause instead"));
            }
            // A container between two lives counts as running, as with Docker.
            ContainerState::Restarting { .. } if starter == Starter::Hand => {
                return Err(Failure::not_modified(format!("container {} is already running", container.id())));
            }
            ContainerState::Running { .. } => {
                return Err(Failure::not_modified(format!("container {} is already running", container.id())));
            }
            ContainerState::Removing | ContainerState::Dead => {
                return Err(Failure::conflict("container is marked for removal and cannot be started"));
            }
            ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Restarting { .. } => {}
        }
        let record = container.record();
        match self.bring_up(container, &record).await {
            Ok(up) => {
                let change = Change::Started { pid: up.task.pid(), at: up.task.started_at() };
                let task = up.task.clone();
                container
                    .update(|life| {
                        life.change(change)?;
                        life.task = Some(up.task);
                        life.endpoints = up.endpoints;
                        life.published = up.published;
                        life.layers = Some(Arc::new(up.layers));
                        life.health = health::at_start(record.effective.health.as_ref(), life.health.take());
                        life.stopped_by_hand = false;
                        life.stopped_to_leave = false;
                        if starter == Starter::Hand {
                            life.restarts = Restarts::default();
                        }
                        Ok(())
                    })
                    .map_err(|error: crate::engine::container::state::IllegalChange| Failure::internal(error.to_string()))?;
                self.keep_state(container);
                self.tell_of_start(container);
                self.supervise(Arc::clone(container), task);
                Ok(())
            }
            Err(StartFailure { code, failure }) => {
                self.take_down(container).await;
                for waiting in container.take_waiting() {
                    // Who went away in the meantime needs no answer.
                    let _ = waiting.reply.send(Err(failure.clone()));
                }
                let status = ExitStatus { code, out_of_memory: false, error: failure.message.clone() };
                container.update(|life| {
                    // Who started it is told why; who waits gets the code alone, as from Docker.
                    life.last = ExitStatus { error: String::new(), ..status.clone() };
                    life.ends += 1;
                    if let Err(error) = life.change(Change::StartFailed { status, at: clock::now() }) {
                        tracing::error!(container = %container.id(), %error, "the state of a container is not what it should be");
                    }
                });
                if record.spec.auto_remove {
                    self.remove_soon(Arc::clone(container));
                }
                Err(failure)
            }
        }
    }

    /// Takes back what a start, or a life, had of networks and volumes. Nothing happens where there is nothing.
    pub(super) async fn take_down(&self, container: &Container) {
        self.shared.networks.leave(container.id()).await;
        self.shared.volumes.unmount(container.id());
        self.drop_state(container.id());
    }

    async fn bring_up(&self, container: &Container, record: &SpecRecord) -> Result<Up, StartFailure> {
        let step = trace::span("layers and mounts");
        let rootfs = self.shared.images.rootfs(&record.image).await?;
        let (mounts, fillings) = self.mounts_of(record).await?;
        drop(step);
        let (task, endpoints, published) =
            self.begin(container, record, Filesystem { lower: rootfs.dirs, mounts, volatile: false }).await?;
        // Volumes are filled by the time the command runs.
        drop(fillings);
        Ok(Up { task, endpoints, published, layers: rootfs.guard })
    }

    /// Starts the command of a record over these layers and mounts. What it had of networks when it fails is the caller's to take down.
    pub(super) async fn begin(
        &self,
        container: &Container,
        record: &SpecRecord,
        filesystem: Filesystem,
    ) -> Result<(Task, Vec<EndpointState>, Vec<PublishedPort>), StartFailure> {
        let id = record.id;
        let networks = &self.shared.networks;
        let (namespaces, shared_files) = self.namespaces_of(record)?;
        let own_network = namespaces.net == Namespace::New;
        let joins = own_network && record.spec.network != NetworkMode::None;
        let step = trace::span("networks");
        let endpoints = if joins {
            let wants: Vec<_> = record.networks.iter().map(|(name, spec)| (name.to_string(), spec.clone())).collect();
            let dns =
                DnsSettings { upstreams: self.shared.defaults.servers(&record.spec.dns).to_vec(), hostname: record.spec.hostname.clone() };
            networks.prepare(id, record.name.as_str(), &wants, dns).await?
        } else {
            Vec::new()
        };
        drop(step);
        let wants_dns = !endpoints.is_empty();
        let files = match shared_files {
            Some(files) => files,
            None => self.write_files(container, record, &endpoints, wants_dns)?,
        };
        let around = Surroundings { filesystem, files, namespaces, wants_dns, group: self.shared.runtime.group(id) };
        let links = self.link_variables(record)?;
        let mut launch = launch_spec::build(container, record, around)?;
        if !links.is_empty() {
            let own = [links.as_slice(), &record.effective.environment].concat();
            launch.process.environment = launch_spec::environment(&own, &record.effective.hostname, record.spec.tty);
        }
        let ports = if endpoints.is_empty() { Vec::new() } else { record.bindings() };
        let step = trace::span("launch, and ports");
        let (launching, published) = tokio::join!(self.shared.runtime.launch(launch), networks.publish(id, &ports));
        let launching = launching.map_err(launch_failure)?;
        drop(step);
        let step = trace::span("interfaces and names");
        let prepared = match published {
            Ok(published) => self.connect(container, &launching, joins).await.map(|setup| (setup, published)),
            Err(error) => Err(error.into()),
        };
        let (setup, published) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => {
                launching.abort().await;
                return Err(failure);
            }
        };
        drop(step);
        for waiting in container.take_waiting() {
            let attached = launching.attach(waiting.request).await.map_err(|error| Failure::internal(error.to_string()));
            let _ = waiting.reply.send(attached);
        }
        let _step = trace::span("proceed to the command");
        let task = launching.proceed(setup).await.map_err(launch_failure)?;
        Ok((task, endpoints, published))
    }

    /// Gives a launching container its interfaces and its names.
    async fn connect(&self, container: &Container, launching: &Launching, joins: bool) -> Result<NetworkSetup, StartFailure> {
        let mut setup = NetworkSetup::default();
        if !joins {
            return Ok(setup);
        }
        if let Some(netns) = &launching.netns {
            setup.route = self.shared.networks.join(container.id(), netns.as_fd()).await?;
        }
        if let Some(sockets) = &launching.dns {
            let failed = |error: std::io::Error| {
                Failure::internal(format!("cannot answer the lookups of container {}: {error}", container.id().short()))
            };
            setup.netfilter = dns_redirect(port_of(&sockets.udp).map_err(failed)?, port_of(&sockets.tcp).map_err(failed)?);
            let copies = DnsSockets { udp: sockets.udp.try_clone().map_err(failed)?, tcp: sockets.tcp.try_clone().map_err(failed)? };
            self.shared.networks.serve_dns(container.id(), copies)?;
        }
        Ok(setup)
    }

    /// Makes every source of a mount available, and keeps others from filling the volumes this container is to fill.
    pub(super) async fn mounts_of(&self, record: &SpecRecord) -> Result<(Vec<LaunchMount>, Vec<Filling>), Failure> {
        let mut to_fill: Vec<&str> = record
            .mounts
            .iter()
            .filter_map(|resolved| match &resolved.mount.source {
                MountSource::Volume { name: Some(name), no_copy: false, subpath: None, .. } => Some(name.as_str()),
                _ => None,
            })
            .collect();
        // In one order for all: two containers that wait for each other's volumes would wait for ever.
        to_fill.sort_unstable();
        to_fill.dedup();
        let mut mounts = Vec::with_capacity(record.mounts.len() + 3);
        let mut paths = Vec::with_capacity(record.mounts.len());
        for resolved in &record.mounts {
            paths.push(match &resolved.mount.source {
                MountSource::Bind { path, create, .. } => {
                    mount_plan::make_bind(path, *create)?;
                    path.clone()
                }
                MountSource::Volume { name: Some(name), .. } => self.mount_volume(name, record).await?,
                MountSource::Volume { name: None, .. } | MountSource::Tmpfs { .. } => PathBuf::new(),
            });
        }
        let mut fillings = Vec::new();
        let mut filled = Vec::new();
        for name in to_fill {
            if let Some(filling) = self.shared.volumes.fill(name).await {
                fillings.push(filling);
                filled.push(name);
            }
        }
        for (resolved, path) in record.mounts.iter().zip(&paths) {
            let mount = &resolved.mount;
            let fill = match &mount.source {
                // Of two places it is mounted at, the first one fills it.
                MountSource::Volume { name: Some(name), no_copy: false, subpath: None, .. } => {
                    let at = filled.iter().position(|known| known == name);
                    at.map(|at| filled.remove(at)).is_some()
                }
                _ => false,
            };
            mounts.push(launch_spec::mount(&mount.target, mount.read_only, &mount.source, path, fill));
        }
        Ok((mounts, fillings))
    }

    async fn mount_volume(&self, name: &str, record: &SpecRecord) -> Result<PathBuf, Failure> {
        let volumes = self.shared.volumes.clone();
        let remote = !volumes.get(name)?.spec.options.is_empty();
        if !remote {
            return Ok(volumes.mount(name, record.id)?);
        }
        // A server that does not answer holds up this container only.
        let (name, id) = (name.to_owned(), record.id);
        let mounted = tokio::task::spawn_blocking(move || volumes.mount(&name, id)).await;
        mounted.map_err(|error| Failure::internal(format!("the mount of a volume was given up: {error}")))?.map_err(Failure::from)
    }

    /// The namespaces it lives in, and the folder of the container whose files it shares, if it does.
    fn namespaces_of(&self, record: &SpecRecord) -> Result<(Namespaces, Option<PathBuf>), Failure> {
        let spec = &record.spec;
        let of_other = |name: &str, namespace: &str, what: &str| -> Result<Namespace, Failure> {
            let other = self.shared.containers.find(name)?;
            let task = other.life().task;
            let task = task.ok_or_else(|| {
                Failure::conflict(format!("cannot join {what} of a non running container: {} ({})", other.name(), other.id().short()))
            })?;
            Ok(Namespace::Join(format!("/proc/{}/ns/{namespace}", task.pid()).into()))
        };
        let by_mode = |mode: &NamespaceMode, namespace: &str| -> Result<Namespace, Failure> {
            Ok(match mode {
                NamespaceMode::Private => Namespace::New,
                NamespaceMode::Host => Namespace::Host,
                NamespaceMode::Container(name) => of_other(name, namespace, namespace)?,
            })
        };
        let (net, files) = match &spec.network {
            NetworkMode::Bridge | NetworkMode::Named(_) | NetworkMode::None => (Namespace::New, None),
            NetworkMode::Host => (Namespace::Host, None),
            NetworkMode::Container(name) => {
                let namespace = of_other(name, "net", "network")?;
                (namespace, Some(self.files_of(name)?))
            }
        };
        let namespaces = Namespaces {
            net,
            pid: by_mode(&spec.pid, "pid")?,
            ipc: match &spec.ipc {
                IpcMode::Private | IpcMode::Shareable | IpcMode::None => Namespace::New,
                IpcMode::Host => Namespace::Host,
                IpcMode::Container(name) => of_other(name, "ipc", "IPC")?,
            },
            uts: by_mode(&spec.uts, "uts")?,
            cgroup: by_mode(&spec.cgroup, "cgroup")?,
        };
        Ok((namespaces, files))
    }

    /// Where the files of a container lie whose network is shared: with the one that has a network of its own.
    pub(super) fn files_of(&self, name: &str) -> Result<PathBuf, Failure> {
        let mut owner = self.shared.containers.find(name)?;
        while let NetworkMode::Container(next) = &owner.record().spec.network {
            owner = self.shared.containers.find(next)?;
        }
        Ok(owner.folder().to_owned())
    }

    /// Writes the three files; returns where.
    fn write_files(
        &self,
        container: &Container,
        record: &SpecRecord,
        endpoints: &[EndpointState],
        asks_us: bool,
    ) -> Result<PathBuf, Failure> {
        let spec = &record.spec;
        let of_host = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let in_host = spec.network == NetworkMode::Host;
        let own: Vec<IpAddr> = endpoints
            .iter()
            .flat_map(|state| state.ipv4.map(|(v4, _)| IpAddr::V4(v4)).into_iter().chain(state.ipv6.map(|(v6, _)| IpAddr::V6(v6))))
            .collect();
        let gateway = if in_host { Some(IpAddr::from([127, 0, 0, 1])) } else { membership::host_gateway(endpoints, &self.shared.networks) };
        let base = in_host.then(|| of_host("/etc/hosts"));
        let hostname = &record.effective.hostname;
        let hosts = files::hosts(base.as_deref(), &spec.extra_hosts, gateway, &own, hostname, spec.domainname.as_deref())
            .map_err(Failure::invalid)?;
        let resolv_conf = files::resolv_conf(&of_host("/etc/resolv.conf"), spec, self.shared.defaults.servers(&spec.dns), asks_us);
        let folder = container.folder();
        for (name, text) in [("hosts", hosts), ("hostname", format!("{hostname}\n")), ("resolv.conf", resolv_conf)] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| Failure::internal(format!("cannot write {}: {error}", path.display())))?;
        }
        Ok(folder.to_owned())
    }

    fn tell_of_start(&self, container: &Container) {
        for endpoint in container.life().endpoints {
            self.tell_network(container, "connect", &endpoint.network.to_string(), &endpoint.network_name);
        }
        self.tell_bare_network(container, "connect");
        for resolved in container.mounts() {
            if let MountSource::Volume { name: Some(name), .. } = &resolved.mount.source {
                let writable = (!resolved.mount.read_only).to_string();
                let more = [("destination", resolved.mount.target.clone()), ("propagation", String::new()), ("read/write", writable)];
                self.tell_volume(container, "mount", name, &more);
            }
        }
        self.tell(container, "start", &[]);
    }
}

fn port_of(socket: &OwnedFd) -> std::io::Result<u16> {
    Ok(std::net::SocketAddr::try_from(getsockname(socket)?)?.port())
}
