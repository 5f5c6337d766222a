//! What a container uses: its control group's figures, and what `/proc` tells of its processes where no controller counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::engine::clock;
use crate::engine::runtime::cgroup::GroupUsage;
use crate::resource::stats::{BlockUsage, Memory, NetworkUsage, Usage};

/// Nanoseconds of a tick: what the kernel tells user space, whatever its own clock is.
const TICK: u64 = 10_000_000;

/// Puts a look together; `first` is the container's first process, absent where its network is the host's. `proc` is `/proc`.
pub(in crate::engine) fn look(proc: &Path, group: GroupUsage, processes: &[i32], first: Option<i32>) -> Usage {
    let mut processor = group.processor;
    (processor.machine, processor.count) = machine(&read(proc, "stat"));
    let total = word(&read(proc, "meminfo"), "MemTotal:").unwrap_or(0) * 1_024;
    let memory = match group.memory {
        Some((used, limit, account)) => Memory { used, limit: limit.unwrap_or(total).min(total), account },
        None => Memory { used: processes.iter().map(|pid| resident(proc, *pid)).sum(), limit: total, account: BTreeMap::new() },
    };
    let threads = |pid: &i32| word(&read(proc, &format!("{pid}/status")), "Threads:").unwrap_or(0);
    let (tasks, task_limit) = group.tasks.unwrap_or_else(|| (processes.iter().map(threads).sum(), None));
    let block = group.block.unwrap_or_else(|| {
        let of = |pid: &i32, key: &str| word(&read(proc, &format!("{pid}/io")), key).unwrap_or(0);
        let sum = |key: &str| processes.iter().map(|pid| of(pid, key)).sum::<u64>();
        vec![BlockUsage { device: (0, 0), read: sum("read_bytes:"), written: sum("write_bytes:") }]
    });
    let networks = first.map(|pid| networks(&read(proc, &format!("{pid}/net/dev")))).unwrap_or_default();
    Usage { read: clock::now(), processor, memory, tasks, task_limit, block, networks }
}

fn read(proc: &Path, name: &str) -> String {
    fs::read_to_string(proc.join(name)).unwrap_or_default()
}

/// The number behind a word at the beginning of a line.
fn word(text: &str, word: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok())
}

/// A process's share of the memory that is in use, in bytes; what several share is shared out.
fn resident(proc: &Path, pid: i32) -> u64 {
    let share = word(&read(proc, &format!("{pid}/smaps_rollup")), "Pss:");
    share.or_else(|| word(&read(proc, &format!("{pid}/status")), "VmRSS:")).unwrap_or(0) * 1_024
}

/// What all processors counted, in nanoseconds, and how many there are.
fn machine(stat: &str) -> (u64, u32) {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    // The guests' time, behind the eighth figure, is part of the first two.
    let ticks: u64 = all.split_whitespace().take(8).filter_map(|figure| figure.parse::<u64>().ok()).sum();
    let count = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    (ticks * TICK, u32::try_from(count).unwrap_or(u32::MAX))
}

/// The interfaces in `net/dev`, without the one that leads nowhere.
fn networks(text: &str) -> BTreeMap<String, NetworkUsage> {
    let line = |line: &str| {
        let (name, figures) = line.split_once(':')?;
        let figures: Vec<u64> = figures.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
        let at = |index: usize| figures.get(index).copied();
        let usage = NetworkUsage {
            received: at(0)?,
            received_packets: at(1)?,
            received_errors: at(2)?,
            received_dropped: at(3)?,
            sent: at(8)?,
            sent_packets: at(9)?,
            sent_errors: at(10)?,
            sent_dropped: at(11)?,
        };
        Some((name.trim().to_owned(), usage)).filter(|(name, _)| name != "lo")
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_controller_counts_is_read_of_the_processes() {
        let proc = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = proc.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("written");
        };
        write("stat", "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 1\ncpu1 1 1\nintr 5\n");
        write("meminfo", "MemTotal:        1000 kB\nMemFree: 1 kB\n");
        write("7/smaps_rollup", "5500-7fff ---p 00000000 00:00 0 [rollup]\nRss:  90 kB\nPss:  40 kB\n");
        write("7/status", "Threads:\t3\nVmRSS:\t90 kB\n");
        write("7/io", "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n");
        write("8/status", "VmRSS:\t10 kB\nThreads:\t1\n");
        let dev = "Inter-|   Receive\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: 10 1 0 2 0 0 0 0 20 3 0 4 0 0 0 0\n";
        write("7/net/dev", dev);
        let usage = look(proc.path(), GroupUsage::default(), &[7, 8, 9], Some(7));
        assert_eq!((usage.processor.machine, usage.processor.count), (36 * TICK, 2));
        assert_eq!((usage.memory.used, usage.memory.limit), (50 * 1_024, 1_000 * 1_024));
        assert_eq!((usage.tasks, usage.task_limit), (4, None));
        assert_eq!(usage.block, [BlockUsage { device: (0, 0), read: 4096, written: 8192 }]);
        let eth0 = NetworkUsage {
            received: 10,
            received_packets: 1,
            received_dropped: 2,
            sent: 20,
            sent_packets: 3,
            sent_dropped: 4,
            ..NetworkUsage::default()
        };
        assert_eq!(usage.networks, BTreeMap::from([("eth0".to_owned(), eth0)]));

        let counted = GroupUsage {
            memory: Some((7, Some(9), BTreeMap::new())),
            tasks: Some((2, Some(5))),
            block: Some(Vec::new()),
            ..GroupUsage::default()
        };
        let usage = look(proc.path(), counted, &[7], None);
        assert_eq!((usage.memory.used, usage.memory.limit, usage.tasks, usage.task_limit), (7, 9, 2, Some(5)));
        assert!(usage.block.is_empty() && usage.networks.is_empty());
    }
}
