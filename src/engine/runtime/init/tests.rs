//! Real containers, as root: the programs are the host's, bound into an empty image.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::*;
use crate::engine::runtime::launch::{
    CapabilitySet, CgroupSpec, LaunchMount, LaunchSource, MemoryFile, Namespaces, NetworkSetup, RootfsSpec,
};
use crate::resource::container::{InjectedFile, LogSpec, Resources};
use crate::resource::id::ContainerId;

/// A container without a network that runs a line of shell.
pub(in crate::engine::runtime) fn spec(folder: &Path, name: &str, line: &str) -> LaunchSpec {
    for part in ["image", "image/etc", "upper", "work"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    let bind = |path: &str| LaunchMount {
        target: path.to_owned(),
        read_only: true,
        source: LaunchSource::Bind {
            path: PathBuf::from(path),
            subpath: None,
            propagation: None,
            recursion: Default::default(),
            fill: false,
        },
    };
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    LaunchSpec {
        id: ContainerId::from_bytes(bytes),
        rootfs: RootfsSpec {
            lower: vec![folder.join("image")],
            upper: folder.join("upper"),
            work: folder.join("work"),
            read_only: false,
            volatile: false,
        },
        process: ProcessSpec {
            command: ["sh", "-c", line].map(str::to_owned).to_vec(),
            environment: vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
            working_dir: String::new(),
            user: String::new(),
            groups: Vec::new(),
            tty: false,
            size: None,
            capabilities: CapabilitySet::docker_default(),
            no_new_privileges: false,
            seccomp: None,
            apparmor: None,
            ulimits: BTreeMap::new(),
            oom_score_adj: None,
        },
        mounts: ["/usr", "/bin", "/lib", "/lib64"].into_iter().filter(|path| Path::new(path).exists()).map(bind).collect(),
        files: Vec::new(),
        devices: Vec::new(),
        device_rules: Vec::new(),
        privileged: false,
        masked: true,
        masked_paths: None,
        readonly_paths: None,
        hostname: Some("box".to_owned()),
        domainname: None,
        sysctls: BTreeMap::new(),
        shm_size: 64 << 20,
        namespaces: Namespaces::default(),
        wants_dns: false,
        init: false,
        cgroup: CgroupSpec { path: format!("gantry-test-{}-{name}/leaf", std::process::id()), resources: Resources::default() },
        stdin_open: false,
        stdin_once: false,
        log: LogSpec::None,
        log_details: std::collections::BTreeMap::new(),
        log_path: PathBuf::new(),
        exit_record: PathBuf::new(),
        trace: None,
    }
}

/// Plays the shim in a process with one thread. Returns the exit code and what the container wrote.
fn run(spec: &LaunchSpec) -> (i32, String) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // SAFETY: glibc's fork leaves its allocator usable in the child, which does not return from here.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let mut said = writer.try_clone().unwrap();
        let code = shim(spec, writer.into()).unwrap_or_else(|error| {
            // What went wrong stands in the output that the test compares.
            let _ = writeln!(said, "{}", error.chain());
            error.exit_code()
        });
        kernel::exit_now(code);
    }
    drop(writer);
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    let code = wait(pid);
    remove_group(&spec.cgroup);
    (code, output)
}

/// Removes the folder above a test's leaf in every hierarchy; the leaf itself was the shim's to remove.
pub(in crate::engine::runtime) fn remove_group(group: &CgroupSpec) {
    let parent = group.path.split('/').next().unwrap();
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path());
    for hierarchy in hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]) {
        // It is in few of them.
        let _ = std::fs::remove_dir(hierarchy.join(parent));
    }
}

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a child of this process, reaped here and nowhere else.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

fn shim(spec: &LaunchSpec, output: OwnedFd) -> Result<i32, LaunchError> {
    let leaf = Leaf::create(spec)?;
    let errors = output.try_clone().unwrap();
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let stdio = (!spec.process.tty).then(|| InitStdio { stdin: null, stdout: output.try_clone().unwrap(), stderr: errors });
    let mut spawned = spawn(spec, stdio, &leaf)?;
    let (mut terminal, mut sockets) = (None, None);
    let result = loop {
        match spawned.sync.receive()? {
            Report::Waiting { dns } => {
                assert_eq!(dns.is_some(), spec.wants_dns);
                sockets = dns;
                spawned.sync.proceed(&NetworkSetup::default())?;
            }
            Report::Terminal(master) => terminal = Some(master),
            Report::Started => break Ok(()),
            Report::Failed(error) => break Err(error),
        }
    };
    if let Some(master) = terminal {
        let mut output = std::fs::File::from(output);
        // EIO: the last holder of the other end is gone.
        let _ = std::io::copy(&mut std::fs::File::from(master), &mut output);
    }
    let code = wait(spawned.pid);
    drop(sockets);
    leaf.remove()?;
    result.map(|()| code)
}

#[track_caller]
fn check(name: &str, line: &str, change: impl FnOnce(&mut LaunchSpec), expect: (i32, &str)) {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut spec = spec(folder.path(), name, line);
    change(&mut spec);
    let (code, output) = run(&spec);
    assert_eq!((code, output.as_str()), expect, "{name}: {line}");
}

#[test]
fn a_container_has_namespaces_of_its_own() {
    check("pid", "echo $$; hostname; exit 7", |_| {}, (7, "1\nbox\n"));
    check("lo", "cat /sys/class/net/lo/flags; ls /sys/class/net", |_| {}, (0, "0x9\nlo\n"));
    check("dns", "cat /proc/net/udp | wc -l", |spec| spec.wants_dns = true, (0, "2\n"));
}

#[test]
fn a_command_that_cannot_be_executed_says_so() {
    let command = |command: &'static str| move |spec: &mut LaunchSpec| spec.process.command = vec![command.to_owned()];
    check("missing", "", command("no-such-program"), (127, "exec: `no-such-program`: executable file not found in $PATH\n"));
    check("folder", "", command("/usr"), (126, "exec: `/usr`: is a directory\n"));
}

#[test]
fn capabilities_are_dockers() {
    let show = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2";
    check("root", show, |_| {}, (0, "0000000000000000\n00000000a80425fb\n00000000a80425fb\n00000000a80425fb\n0000000000000000\n"));
    let user = |spec: &mut LaunchSpec| spec.process.user = "1000:1000".to_owned();
    check("user", show, user, (0, "0000000000000000\n0000000000000000\n0000000000000000\n00000000a80425fb\n0000000000000000\n"));
    check("id", "id -u; id -G; echo $HOME; umask", user, (0, "1000\n1000\n/\n0022\n"));
    let none = |spec: &mut LaunchSpec| {
        spec.process.capabilities = CapabilitySet::resolve(&BTreeSet::new(), &["all".to_owned()].into(), false).unwrap();
    };
    check("none", "grep CapEff /proc/self/status | cut -f2", none, (0, "0000000000000000\n"));
}

#[test]
fn the_kernel_is_masked() {
    check(
        "masked",
        "wc -c < /proc/interrupts; ls /sys/firmware | wc -l; touch /proc/sys/kernel/hostname",
        |_| {},
        (1, "0\n0\ntouch: cannot touch '/proc/sys/kernel/hostname': Read-only file system\n"),
    );
    check(
        "sys",
        "echo x > /proc/sys/kernel/hostname || touch /sys/x || mkdir /sys/fs/cgroup/x",
        |_| {},
        (
            1,
            "sh: 1: cannot create /proc/sys/kernel/hostname: Read-only file system\ntouch: cannot touch '/sys/x': Read-only file system\nmkdir: cannot create directory '/sys/fs/cgroup/x': Read-only file system\n",
        ),
    );
}

#[test]
fn devices_are_the_default_ones() {
    check(
        "dev",
        "ls /dev | grep -v core; echo x > /dev/null; head -c3 /dev/zero | wc -c",
        |_| {},
        (0, "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n3\n"),
    );
    check("filter", "mknod /d b 254 0 && cat /d", |_| {}, (1, "cat: /d: Operation not permitted\n"));
}

#[test]
fn a_privileged_container_has_the_devices_of_the_host_and_links_of_its_own() {
    check(
        "priv",
        "readlink /dev/ptmx /dev/stdin; test -c /dev/null && test -c /dev/tty && mkdir /sys/fs/cgroup/x && rmdir /sys/fs/cgroup/x",
        |spec| (spec.privileged, spec.masked) = (true, false),
        (0, "pts/ptmx\n/proc/self/fd/0\n"),
    );
}

#[test]
fn shared_memory_comes_with_the_ipc_namespace_it_belongs_to() {
    let marker = format!("/dev/shm/gantry-test-{}", std::process::id());
    std::fs::write(&marker, "shared\n").unwrap();
    let join = |spec: &mut LaunchSpec| spec.namespaces.ipc = Namespace::Join(format!("/proc/{}/ns/ipc", std::process::id()).into());
    check("ipc", &format!("cat {marker}"), join, (0, "shared\n"));
    check("no-ipc", "ls /dev/shm", |_| {}, (0, ""));
    std::fs::remove_file(&marker).unwrap();
}

#[test]
fn mounts_and_files_are_there() {
    let change = |spec: &mut LaunchSpec| {
        spec.rootfs.read_only = true;
        spec.mounts.push(LaunchMount {
            target: "/a/tmp".to_owned(),
            read_only: false,
            source: LaunchSource::Tmpfs { size: Some(1 << 20), mode: Some(0o700), options: vec!["uid=5".to_owned()] },
        });
        spec.files.push(InjectedFile { target: "/run/secrets/s".to_owned(), content: b"hush\n".to_vec(), uid: 3, gid: 4, mode: 0o440 });
        spec.sysctls.insert("net.core.somaxconn".to_owned(), "77".to_owned());
    };
    let line = "stat -c '%u %a' /a/tmp; cat /run/secrets/s; stat -c '%u %g %a' /run/secrets/s; cat /proc/sys/net/core/somaxconn; touch /a/tmp/x; touch /x; touch /usr/x";
    check(
        "mounts",
        line,
        change,
        (
            1,
            "5 700\nhush\n3 4 440\n77\ntouch: cannot touch '/x': Read-only file system\ntouch: cannot touch '/usr/x': Read-only file system\n",
        ),
    );
}

#[test]
fn a_file_in_memory_is_on_no_disk() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let line = "cat /run/s/a /run/s/b; stat -c '%u %g %a' /run/s/a; grep ' /run/s/a ' /proc/mounts; echo x >/run/s/a";
    let mut spec = spec(folder.path(), "memory", line);
    for (name, content) in [("a", "hush\n"), ("b", "hush, too\n")] {
        let file = MemoryFile { content: content.into(), uid: 3, gid: 4, mode: 0o440 };
        spec.mounts.push(LaunchMount { target: format!("/run/s/{name}"), read_only: true, source: LaunchSource::Memory(file) });
    }
    let (code, told) = run(&spec);
    assert!(code != 0 && told.starts_with("hush\nhush, too\n3 4 440\n"), "{code}: {told}");
    // A tmpfs would be swapped out.
    let line = told.lines().find(|line| line.contains(" /run/s/a ")).unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(words.get(2), Some(&"ramfs"), "{told}");
    let options: BTreeSet<_> = words.get(3).unwrap_or(&"").split(',').collect();
    assert!(options.is_superset(&BTreeSet::from(["ro", "nosuid", "nodev", "noexec"])), "{told}");
    assert!(told.contains("Read-only file system"), "{told}");
    // What stays of it is an empty place to mount at.
    assert_eq!(std::fs::read(folder.path().join("upper/run/s/a")).unwrap(), b"");
}

#[test]
fn a_terminal_is_the_controlling_one() {
    check(
        "tty",
        "tty; stty size </dev/tty; ls -l /dev/console | cut -c1",
        |spec| {
            spec.process.tty = true;
            spec.process.size = Some(crate::resource::exec::TerminalSize { rows: 7, columns: 9 });
        },
        (0, "/dev/pts/0\r\n7 9\r\nc\r\n"),
    );
}

#[test]
fn a_reaper_is_process_1() {
    check("init", "echo $$; cat /proc/1/comm; exit 9", |spec| spec.init = true, (9, "2\ngantry-init\n"));
}

#[test]
fn limits_are_set() {
    let change =
        |spec: &mut LaunchSpec| spec.cgroup.resources = Resources { memory: Some(64 << 20), pids: Some(50), ..Resources::default() };
    check(
        "limit",
        "ls /sys/fs/cgroup >/dev/null && cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max",
        change,
        (0, "67108864\n"),
    );
}

#[test]
fn the_default_filter_is_in_force() {
    let filter = |spec: &mut LaunchSpec| {
        spec.process.seccomp = Some(crate::engine::runtime::seccomp::default_program(spec.process.capabilities));
    };
    check(
        "seccomp",
        "grep Seccomp: /proc/self/status | cut -f2; unshare -U true",
        filter,
        (1, "2\nunshare: unshare failed: Operation not permitted\n"),
    );
    let user = |spec: &mut LaunchSpec| {
        filter(spec);
        spec.process.user = "7:8".to_owned();
    };
    check("filtered", "id -u; grep -E 'Cap(Prm|Eff)' /proc/self/status | cut -f2", user, (0, "7\n0000000000000000\n0000000000000000\n"));
    let reaped = |spec: &mut LaunchSpec| {
        filter(spec);
        spec.init = true;
    };
    check("reaped", "kill -TERM $$", reaped, (143, ""));
}

#[test]
fn a_new_volume_is_filled_from_the_image() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let (volume, image) = (folder.path().join("volume"), folder.path().join("image/data"));
    std::fs::create_dir_all(image.join("below")).unwrap();
    std::fs::create_dir(&volume).unwrap();
    std::fs::write(image.join("below/file"), "text\n").unwrap();
    std::os::unix::fs::chown(image.join("below/file"), Some(11), Some(12)).unwrap();
    std::os::unix::fs::symlink("below/file", image.join("link")).unwrap();
    let mut spec = spec(folder.path(), "fill", "cat /data/link; stat -c '%u %g' /data/below/file; touch /data/new");
    spec.mounts.push(LaunchMount {
        target: "/data".to_owned(),
        read_only: false,
        source: LaunchSource::Bind { path: volume.clone(), subpath: None, propagation: None, recursion: Default::default(), fill: true },
    });
    assert_eq!(run(&spec), (0, "text\n11 12\n".to_owned()));
    assert!(volume.join("new").exists() && volume.join("below/file").exists());
}

#[test]
fn a_link_in_an_image_does_not_lead_a_mount_out() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut spec = spec(folder.path(), "escape", "cat /outside/deep/file");
    std::os::unix::fs::symlink(format!("../../../../../../..{}/host", folder.path().display()), folder.path().join("image/outside"))
        .unwrap();
    spec.files.push(InjectedFile { target: "/outside/deep/file".to_owned(), content: b"in\n".to_vec(), uid: 0, gid: 0, mode: 0o644 });
    assert_eq!(run(&spec), (0, "in\n".to_owned()));
    assert!(!folder.path().join("host").exists());
}
