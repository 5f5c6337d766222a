//! The processes of a container, as `top` shows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::engine::container::process_format::Format;

/// A table of processes in the form of `ps`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessList {
    /// The names of the columns.
    pub titles: Vec<String>,
    /// A row for each process.
    pub rows: Vec<Vec<String>>,
}

/// Ticks of processor time a second: what the kernel tells user space, whatever its own clock is.
const TICKS: u64 = 100;

/// What is the same for all processes of a machine.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// When it started, in seconds since 1970.
    pub(super) boot: u64,
    /// Seconds since then.
    pub(super) uptime: u64,
    /// Kibibytes of memory.
    pub(super) memory: u64,
    /// The host's own users, as Docker's `ps` names them.
    pub(super) users: BTreeMap<u32, String>,
    /// Its groups.
    pub(super) groups: BTreeMap<u32, String>,
}

/// One process (proc_pid_stat(5), proc_pid_status(5)).
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) name: String,
    /// As it was called; empty where it is the kernel's or has thrown that away.
    pub(super) command: String,
    pub(super) state: char,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) terminal: u64,
    /// The group that has the terminal.
    pub(super) foreground: i32,
    /// Seconds of processor time.
    pub(super) used: u64,
    pub(super) priority: i64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    /// Seconds from the machine's start to its own.
    pub(super) began: u64,
    /// Kibibytes of addresses.
    pub(super) addresses: u64,
    /// Kibibytes of memory.
    pub(super) resident: u64,
    pub(super) processor: u64,
    /// The real one and the one that counts.
    pub(super) user: (u32, u32),
    /// Likewise.
    pub(super) gid: (u32, u32),
}

/// Reads what `ps` would show of these processes; those that ended meanwhile are left out. `proc` is `/proc`.
pub(in crate::engine) fn list(proc: &Path, processes: &[i32], format: &Format) -> ProcessList {
    let machine = Machine::read(proc);
    let rows = processes.iter().filter_map(|pid| Process::read(proc, *pid)).map(|process| format.row(&process, &machine));
    ProcessList { titles: format.titles(), rows: rows.collect() }
}

/// Whether any of these processes runs, or waits for a processor or a disk (proc_pid_stat(5)). So are those that have just ended: there
/// is news of them on its way.
pub(in crate::engine) fn is_busy(proc: &Path, processes: &[i32]) -> bool {
    let state = |pid: &i32| read(proc, &format!("{pid}/stat"))?.rsplit_once(") ")?.1.chars().next();
    processes.is_empty() || processes.iter().any(|pid| state(pid).is_none_or(|state| "RDZX".contains(state)))
}

fn read(proc: &Path, name: &str) -> Option<String> {
    fs::read(proc.join(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Names by number; read from their file, for no NSS is loaded.
fn names(path: &str) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().rev().filter_map(name).collect()
}

impl Machine {
    fn read(proc: &Path) -> Self {
        let number = |file: &str, word: &str| {
            read(proc, file)?.lines().find_map(|line| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok())
        };
        Self {
            boot: number("stat", "btime ").unwrap_or(0),
            uptime: read(proc, "uptime").and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or(0),
            memory: number("meminfo", "MemTotal:").unwrap_or(0),
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
        }
    }
}

impl Process {
    fn read(proc: &Path, pid: i32) -> Option<Self> {
        let stat = read(proc, &format!("{pid}/stat"))?;
        // The name may hold anything, parentheses too.
        let (before, after) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        // Counted from the third of the fields in proc_pid_stat(5).
        let signed = |index: usize| fields.get(index).and_then(|field| field.parse::<i64>().ok());
        let number = |index: usize| signed(index).and_then(|number| u64::try_from(number).ok());
        let id = |index: usize| signed(index).and_then(|number| i32::try_from(number).ok());
        let status = read(proc, &format!("{pid}/status"))?;
        let words = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::split_whitespace);
        let pair = |name: &str| {
            let mut numbers = words(name)?.filter_map(|word| word.parse::<u32>().ok());
            Some((numbers.next()?, numbers.next()?))
        };
        let size = |name: &str| words(name).and_then(|mut words| words.next()?.parse().ok()).unwrap_or(0);
        let command = read(proc, &format!("{pid}/cmdline")).unwrap_or_default();
        Some(Self {
            pid,
            name: before.split_once('(')?.1.to_owned(),
            command: command.trim_end_matches('\0').replace('\0', " "),
            state: fields.first()?.chars().next()?,
            parent: id(1)?,
            group: id(2)?,
            session: id(3)?,
            terminal: number(4)?,
            foreground: id(5)?,
            used: (number(11)? + number(12)?) / TICKS,
            priority: signed(15)?,
            nice: signed(16)?,
            threads: number(17)?,
            began: number(19)? / TICKS,
            addresses: size("VmSize:"),
            resident: size("VmRSS:"),
            processor: number(36).unwrap_or(0),
            user: pair("Uid:")?,
            gid: pair("Gid:").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_in_ps() {
        let proc = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = proc.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("written");
        };
        write("uptime", "5000.25 1.0\n");
        write("stat", "cpu 1\nbtime 1700000000\n");
        write("meminfo", "MemTotal:  1000000 kB\n");
        write("7/stat", "7 (a) b) S 1 7 7 34816 7 0 0 0 0 0 300 200 0 0 20 0 1 0 400000 0 0\n");
        write("7/status", "Name:\ta) b\nUid:\t0\t4000000\t0\t0\nGid:\t0\t0\t0\t0\nVmSize:\t  2048 kB\nVmRSS:\t 25000 kB\n");
        write("7/cmdline", "server\0--port\x0080\0");
        let rows = |arguments: &str| list(proc.path(), &[7, 8], &Format::parse(arguments).expect("a format")).rows;
        assert!(!is_busy(proc.path(), &[7]));
        assert!(is_busy(proc.path(), &[7, 8]) && is_busy(proc.path(), &[]), "one has just gone, all have");
        assert_eq!(rows("-ef"), [["4000000", "7", "1", "0", "23:20", "pts/0", "00:00:05", "server --port 80"].map(str::to_owned)]);
        let expect = ["4000000", "7", "0.5", "2.5", "2048", "25000", "pts/0", "Ss+", "23:20", "0:05", "server --port 80"];
        assert_eq!(rows("aux"), [expect.map(str::to_owned)]);
        assert_eq!(rows("-o pid,comm"), [["7", "a) b"].map(str::to_owned)]);
        write("7/stat", "7 (a) S) R 1 7 7 34816\n");
        assert!(is_busy(proc.path(), &[7]));
    }
}
