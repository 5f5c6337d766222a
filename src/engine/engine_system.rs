//! What the engine tells of itself, its events, and its end.

use std::path::Path;
use std::sync::atomic::Ordering;

use crate::engine::event::EventReader;
use crate::engine::runtime::cgroup;
use crate::engine::{Engine, clock, store};
use crate::resource::container::ContainerState;
use crate::resource::event::EventFilter;
use crate::resource::failure::Failure;
use crate::resource::id::ContainerId;
use crate::resource::image::Platform;
use crate::resource::system::{API_VERSION, EngineVersion, MIN_API_VERSION, SystemInfo};

impl Engine {
    /// Returns which engine this is.
    pub fn version(&self) -> EngineVersion {
        let Platform { os, architecture, .. } = Platform::host();
        EngineVersion {
            name: "Gantry".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_version: API_VERSION.to_owned(),
            min_api_version: MIN_API_VERSION.to_owned(),
            commit: option_env!("GANTRY_COMMIT").unwrap_or_default().to_owned(),
            os,
            architecture,
            kernel: kernel(),
        }
    }

    /// Returns what is known of the engine and its machine.
    pub async fn info(&self) -> Result<SystemInfo, Failure> {
        let machine = rustix::system::uname();
        let memory = rustix::system::sysinfo();
        let release = std::fs::read_to_string("/etc/os-release").or_else(|_| std::fs::read_to_string("/usr/lib/os-release"));
        let release = release.unwrap_or_default();
        let controllers = cgroup::controllers();
        let can = |controller: &str| controllers.contains(controller);
        let mut info = SystemInfo {
            id: engine_id(self.root().data())?,
            name: machine.nodename().to_string_lossy().into_owned(),
            images: self.shared.images.list().len() as u64,
            data_root: self.root().data().display().to_string(),
            run_root: self.root().run().display().to_string(),
            cpus: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory: u64::from(memory.mem_unit) * memory.totalram,
            kernel: kernel(),
            operating_system: field(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
            os_version: field(&release, "VERSION_ID").unwrap_or_default(),
            architecture: machine.machine().to_string_lossy().into_owned(),
            time: Some(clock::now()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ipv4_forwarding: std::fs::read("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.starts_with(b"1")),
            memory_limit: can("memory"),
            cpu_limit: can("cpu"),
            pids_limit: can("pids"),
            file_system: file_system(self.root().data()),
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
            listeners: self.shared.ring.listeners() as u64,
            security_options: vec!["name=seccomp,profile=builtin".to_owned(), "name=cgroupns".to_owned()],
            ..SystemInfo::default()
        };
        let registry = self.shared.images.registry();
        info.mirrors.clone_from(&registry.mirrors);
        info.insecure_registries.clone_from(&registry.insecure);
        info.proxies = registry.shown_proxies();
        for container in self.shared.containers.all() {
            match container.life().state {
                ContainerState::Running { paused: false, .. } | ContainerState::Restarting { .. } => info.running += 1,
                ContainerState::Running { .. } => info.paused += 1,
                _ => info.stopped += 1,
            }
        }
        let missing = [(info.memory_limit, "memory limit"), (info.cpu_limit, "cpu cfs quota"), (info.pids_limit, "pids limit")];
        info.warnings = missing.iter().filter(|(there, _)| !there).map(|(_, what)| format!("WARNING: No {what} support")).collect();
        if self.shared.images.is_nameless() {
            info.warnings.push("WARNING: images have lost their names: their record was damaged (images.json.damaged)".to_owned());
        }
        Ok(info)
    }

    /// Returns events: those since an instant from the ring, then those to come. It sees all that happens after this call returned.
    pub fn events(&self, filter: &EventFilter) -> Result<EventReader, Failure> {
        self.shared.ring.subscribe(filter)
    }

    /// Stops every container with its grace, and releases what is left in the kernel (`engine stop`). Their restart policies start them with the next engine.
    pub async fn stop_and_leave(&self) -> Result<(), Failure> {
        self.shared.leaving.store(true, Ordering::Release);
        self.stop_all().await;
        self.close().await;
        self.shared.ring.clear();
        self.shared.closed.send_replace(true);
        Ok(())
    }

    /// Returns what engines of this root wrote down of themselves: the end of it, some megabytes.
    pub async fn log(&self) -> Result<Vec<u8>, Failure> {
        let path = self.root().log();
        let mut text = Vec::new();
        for path in [path.with_extension("log.1"), path] {
            match tokio::fs::read(&path).await {
                Ok(part) => text.extend(part),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::internal(format!("cannot read {}: {error}", path.display()))),
            }
        }
        Ok(text)
    }

    /// Gives back what an engine without containers still has of the kernel.
    pub async fn close(&self) {
        self.shared.networks.close().await;
        self.shared.runtime.close();
    }

    /// Returns once somebody has had it [stop and leave](Self::stop_and_leave).
    pub async fn closed(&self) {
        // The sender lives in `self`.
        let _ = self.shared.closed.subscribe().wait_for(|closed| *closed).await;
    }
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The kind of file system a folder lies on, in dockerd's words (moby, daemon/graphdriver/fsmagic).
fn file_system(folder: &Path) -> String {
    let kind = match rustix::fs::statfs(folder).map(|found| found.f_type) {
        Ok(0xef53) => "extfs",
        Ok(0x5846_5342) => "xfs",
        Ok(0x9123_683e) => "btrfs",
        Ok(0x0102_1994) => "tmpfs",
        Ok(0xf2f5_2010) => "f2fs",
        Ok(0x2fc1_2fc1) => "zfs",
        _ => "<unknown>",
    };
    kind.to_owned()
}

/// The number of a data directory, drawn when somebody first asks for it.
fn engine_id(data: &Path) -> Result<String, Failure> {
    let path = data.join("engine-id.json");
    if let Some(id) = store::read::<String>(&path)? {
        return Ok(id);
    }
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Failure::internal(format!("cannot draw the engine's id: {error}")))?;
    let id = ContainerId::from_bytes(bytes).to_string();
    store::replace(&path, &id)?;
    Ok(id)
}

/// A value of os-release(5).
fn field(release: &str, name: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}
