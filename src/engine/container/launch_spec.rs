//! A container as its init is to make it: the spec, the image's configuration and the engine's decisions in one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engine::container::entry::Container;
use crate::engine::container::record::SpecRecord;
use crate::engine::container::security;
use crate::engine::runtime::launch::{CgroupSpec, LaunchMount, LaunchSource, LaunchSpec, Namespace, Namespaces, ProcessSpec, RootfsSpec};
use crate::resource::container::{BindRecursion, ContainerSpec, IpcMode, LogSpec, MountSource, NamespaceMode, fill_tag};
use crate::resource::exec::TerminalSize;
use crate::resource::failure::Failure;
use crate::trace::Trace;

/// Where programs are looked for, unless the image says otherwise (Docker's).
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Docker's `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

/// The files by which a container knows itself.
pub(super) const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// The files that a container sees.
pub(super) struct Filesystem {
    /// The directories of its image's layers.
    pub(super) lower: Vec<PathBuf>,
    /// Its mounts, without the three files.
    pub(super) mounts: Vec<LaunchMount>,
    /// What it writes becomes something else, or goes, once it has ended.
    pub(super) volatile: bool,
}

/// What is only known when a container starts.
pub(super) struct Surroundings {
    /// Its files.
    pub(super) filesystem: Filesystem,
    /// Whose `hosts`, `hostname` and `resolv.conf` it has: its own folder, or that of the container whose network it shares.
    pub(super) files: PathBuf,
    /// Its namespaces.
    pub(super) namespaces: Namespaces,
    /// It has a network to ask names on.
    pub(super) wants_dns: bool,
    /// Its control group.
    pub(super) group: String,
}

/// Puts it together.
pub(super) fn build(container: &Container, record: &SpecRecord, around: Surroundings) -> Result<LaunchSpec, Failure> {
    let spec = &record.spec;
    let id = record.id;
    let folder = container.folder();
    let security = security::of(spec)?;
    let Filesystem { lower, mut mounts, volatile } = around.filesystem;
    for name in FILES {
        add_file(&mut mounts, &around.files, name, spec.read_only);
    }
    let own_uts = spec.uts == NamespaceMode::Private;
    Ok(LaunchSpec {
        id,
        rootfs: RootfsSpec { lower, upper: folder.join("upper"), work: folder.join("work"), read_only: spec.read_only, volatile },
        process: process(record)?,
        mounts,
        files: spec.files.clone(),
        devices: spec.devices.clone(),
        device_rules: spec.device_rules.clone(),
        privileged: spec.privileged,
        masked: security.masked,
        masked_paths: spec.masked_paths.clone(),
        readonly_paths: spec.readonly_paths.clone(),
        hostname: own_uts.then(|| record.effective.hostname.clone()),
        domainname: spec.domainname.clone().filter(|domain| own_uts && !domain.is_empty()),
        sysctls: sysctls(&spec.sysctls, &around.namespaces.net),
        shm_size: if spec.ipc == IpcMode::None { 0 } else { spec.shm_size.filter(|size| *size > 0).unwrap_or(SHM_SIZE) },
        namespaces: around.namespaces,
        wants_dns: around.wants_dns,
        init: spec.init,
        cgroup: CgroupSpec { path: around.group, resources: spec.resources.clone() },
        stdin_open: spec.stdin_open,
        stdin_once: spec.stdin_once,
        log: spec.log.clone(),
        log_details: log_details(record),
        log_path: container.log_path(),
        exit_record: container.exit_path(),
        trace: Trace::current().path().map(Path::to_owned),
    })
}

/// Kernel parameters: those asked for, and Docker's two (since 20.10), by which a process needs no privilege to listen on a low port of a
/// network that is its own, and to send a ping.
fn sysctls(asked: &BTreeMap<String, String>, net: &Namespace) -> BTreeMap<String, String> {
    let mut sysctls = asked.clone();
    if *net == Namespace::New {
        for (name, value) in [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")] {
            sysctls.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    sysctls
}

/// What stands beside every line of its log, as json-file's options ask for it.
pub(super) fn log_details(record: &SpecRecord) -> BTreeMap<String, String> {
    let LogSpec::JsonFile { details, .. } = &record.spec.log else { return BTreeMap::new() };
    let (tells_label, tells_variable) = (details.tells_label(), details.tells_variable());
    let labels = record.effective.labels.iter().filter(|(name, _)| tells_label(name));
    let mut found: BTreeMap<String, String> = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
    let variables = record.effective.environment.iter().filter_map(|line| line.split_once('='));
    found.extend(variables.filter(|(name, _)| tells_variable(name)).map(|(name, value)| (name.to_owned(), value.to_owned())));
    let word = |word: &str| {
        Some(match word {
            "ID" => record.id.short(),
            "FullID" => record.id.to_string(),
            "Name" => record.name.to_string(),
            "ImageName" => record.spec.image.clone(),
            "ImageID" => record.image.short(),
            "ImageFullID" => record.image.to_string(),
            "DaemonName" => "docker".to_owned(),
            _ => return None,
        })
    };
    found.extend(details.tag.as_deref().and_then(|tag| fill_tag(tag, word)).map(|tag| ("tag".to_owned(), tag)));
    found
}

/// The size of the terminal from the first moment, if whoever made the container has told it; a client may tell another one later.
fn console(spec: &ContainerSpec) -> Option<TerminalSize> {
    let [rows, columns] = spec.remarks.console.map(|number| u16::try_from(number).unwrap_or(0));
    (spec.tty && rows > 0 && columns > 0).then_some(TerminalSize { rows, columns })
}

/// The container's own command; an exec begins with it and changes what it was asked to.
pub(super) fn process(record: &SpecRecord) -> Result<ProcessSpec, Failure> {
    let (spec, effective) = (&record.spec, &record.effective);
    let security = security::of(spec)?;
    Ok(ProcessSpec {
        command: [effective.entrypoint.as_slice(), &effective.command].concat(),
        environment: environment(&effective.environment, &effective.hostname, spec.tty),
        working_dir: effective.working_dir.clone(),
        user: effective.user.clone(),
        groups: spec.group_add.clone(),
        tty: spec.tty,
        size: console(spec),
        capabilities: security.capabilities,
        no_new_privileges: security.no_new_privileges,
        seccomp: security.seccomp,
        apparmor: security.apparmor,
        ulimits: spec.ulimits.clone(),
        oom_score_adj: spec.oom_score_adj,
    })
}

/// The engine's variables, then the container's, which replace them in place.
pub(super) fn environment(own: &[String], hostname: &str, tty: bool) -> Vec<String> {
    let mut lines = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if tty {
        lines.push("TERM=xterm".to_owned());
    }
    let key = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    let mut places: BTreeMap<String, usize> = lines.iter().enumerate().map(|(at, line)| (key(line), at)).collect();
    for line in own {
        match places.get(&key(line)) {
            Some(&at) => line.clone_into(&mut lines[at]),
            None => {
                places.insert(key(line), lines.len());
                lines.push(line.clone());
            }
        }
    }
    // A name without a value takes the variable away.
    lines.retain(|line| line.contains('='));
    lines
}

/// Adds one of the files by which a container knows itself, unless something of its own is mounted there.
pub(super) fn add_file(mounts: &mut Vec<LaunchMount>, folder: &Path, name: &str, read_only: bool) {
    let target = format!("/etc/{name}");
    if !mounts.iter().any(|mount| mount.target == target) {
        let path = folder.join(name);
        let source = LaunchSource::Bind { path, subpath: None, propagation: None, recursion: BindRecursion::Enabled, fill: false };
        mounts.push(LaunchMount { target, read_only, source });
    }
}

/// A mount of the spec; `source` is where it lies on the host now, `fill` whether it is to take over what the image has.
pub(super) fn mount(target: &str, read_only: bool, source: &MountSource, path: &Path, fill: bool) -> LaunchMount {
    let source = match source {
        MountSource::Bind { propagation, recursion, .. } => LaunchSource::Bind {
            path: path.to_owned(),
            subpath: None,
            propagation: propagation.clone(),
            recursion: *recursion,
            fill: false,
        },
        MountSource::Volume { subpath, .. } => LaunchSource::Bind {
            path: path.to_owned(),
            subpath: subpath.clone().filter(|path| !path.is_empty()),
            propagation: None,
            recursion: BindRecursion::Enabled,
            fill,
        },
        MountSource::Tmpfs { size, mode, options } => LaunchSource::Tmpfs { size: *size, mode: *mode, options: options.clone() },
    };
    LaunchMount { target: target.to_owned(), read_only, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_the_size_that_was_told() {
        let check = |tty, size, expect: Option<(u16, u16)>| {
            let mut spec = ContainerSpec { tty, ..ContainerSpec::default() };
            spec.remarks.console = size;
            assert_eq!(console(&spec).map(|size| (size.rows, size.columns)), expect, "{size:?}");
        };
        check(true, [31, 97], Some((31, 97)));
        check(false, [31, 97], None);
        check(true, [0, 0], None);
        check(true, [31, 70_000], None);
    }

    #[test]
    fn the_containers_variables_replace_ours_where_they_stand() {
        let own = ["A=1", "PATH=/bin", "A=2", "TERM=dumb"].map(str::to_owned);
        assert_eq!(environment(&own, "web", false), ["PATH=/bin", "HOSTNAME=web", "A=2", "TERM=dumb"]);
        assert_eq!(environment(&[], "web", true), [PATH, "HOSTNAME=web", "TERM=xterm"]);
    }
}
