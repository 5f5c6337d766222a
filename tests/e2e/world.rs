//! What a host has: links, addresses, routes, mounts, rules, sysctls, control groups, processes. Taken twice and compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags};

use crate::program::shell;

/// One look at the host this thread lives in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct World(BTreeMap<&'static str, String>);

impl World {
    /// Looks. Processes and control groups are those that name this bottle's folder or the tag of its root.
    pub(crate) fn look(folder: &Path) -> Self {
        let mut seen = BTreeMap::new();
        let commands = [
            ("links", "ip -o link | sed 's/ state .*//; s/^[0-9]*: //' | sort"),
            ("addresses", "ip -o address | awk '{print $2,$3,$4}' | sort"),
            ("routes", "ip route show table all; ip -6 route show table all; ip rule"),
            ("mounts", "awk '{print $5,$9,$10}' /proc/self/mountinfo | sort"),
            ("nftables", "nft list ruleset"),
            ("iptables", "iptables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'; ip6tables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'"),
            // `ip_forward` is the one documented exception.
            (
                "sysctls",
                "sysctl -a 2>/dev/null | grep -E '^net\\.(ipv4|ipv6|bridge)' | grep -v -e ip_forward -e '\\.forwarding' -e mc_forwarding -e neigh | sort",
            ),
            // A namespace lives by a process or by a mount, which are compared; here are those that have a name.
            ("namespaces", "ls /run/netns 2>/dev/null; true"),
            ("files", "find /run /etc /dev /var/lib /usr/local -xdev -name '*gantry*' 2>/dev/null | sort"),
        ];
        for (name, command) in commands {
            let text = shell(command).success();
            assert!(name != "sysctls" || !text.is_empty(), "no parameter of the kernel is seen");
            seen.insert(name, text);
        }
        seen.insert("groups", groups_of(folder));
        let processes: Vec<_> = processes_of(folder).into_iter().map(|(pid, line)| format!("{pid} {line}")).collect();
        seen.insert("processes", processes.join("\n"));
        Self(seen)
    }

    /// Fails the test with the first thing that differs.
    #[track_caller]
    pub(crate) fn assert_same(&self, later: &Self) {
        for (name, before) in &self.0 {
            assert_eq!(before, &later.0[name], "{name} differ");
        }
    }
}

/// Control groups that carry the tag of this bottle's root.
pub(crate) fn groups_of(folder: &Path) -> String {
    let tag = gantry::engine::root::Root::new(Some(&folder.join("root"))).tag().to_owned();
    // Groups of others go away under its feet, of which it complains.
    shell(&format!("find /sys/fs/cgroup -type d -name '*{tag}*' 2>/dev/null; true")).success()
}

/// Waits until every process of a folder has ended, as the kernel tells it.
pub(crate) fn await_ends(folder: &Path) {
    for (pid, line) in processes_of(folder) {
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { continue };
        let minute = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
        let ended = rustix::event::poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&minute)).expect("a look at a process");
        assert_eq!(ended, 1, "{line} is there after a minute");
    }
}

/// Processes whose environment names this folder as their engine's root, or whose command line does.
pub(crate) fn processes_of(folder: &Path) -> Vec<(i32, String)> {
    let marker = folder.display().to_string();
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if u32::try_from(pid) == Ok(own) {
            continue;
        }
        let read = |name: &str| String::from_utf8_lossy(&fs::read(entry.path().join(name)).unwrap_or_default()).replace('\0', " ");
        let line = read("cmdline");
        if line.contains(&marker) || read("environ").contains(&marker) {
            found.push((pid, line));
        }
    }
    found
}

/// Kills what a bottle left running: only processes that name its own folder.
pub(crate) fn end_processes_of(folder: &Path) {
    // Frozen first: a keeper or an engine that saw the other's end would make another one.
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for (pid, _) in processes_of(folder) {
            // It may be gone already.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}
