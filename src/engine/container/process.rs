//! The processes of a container, as `top` shows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A table of processes in the form of `ps -ef`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessList {
    /// The names of the columns.
    pub titles: Vec<String>,
    /// A row for each process.
    pub rows: Vec<Vec<String>>,
}

/// Ticks of processor time a second: what the kernel tells user space, whatever its own clock is.
const TICKS: u64 = 100;

/// Reads what `ps -ef` would show of these processes; those that ended meanwhile are left out. `proc` is `/proc`.
pub(in crate::engine) fn list(proc: &Path, processes: &[i32]) -> ProcessList {
    let uptime = read(proc, "uptime").and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or(0);
    let boot = read(proc, "stat").and_then(|text| text.lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok())).unwrap_or(0);
    let users = users();
    ProcessList {
        titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"].map(str::to_owned).into(),
        rows: processes.iter().filter_map(|pid| row(proc, *pid, boot, uptime, &users)).collect(),
    }
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

/// The host's own users, as Docker's `ps` names them; read from its file, for no NSS is loaded.
fn users() -> BTreeMap<u32, String> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().rev().filter_map(user).collect()
}

fn row(proc: &Path, pid: i32, boot: u64, uptime: u64, users: &BTreeMap<u32, String>) -> Option<Vec<String>> {
    let stat = read(proc, &format!("{pid}/stat"))?;
    // The name may hold anything, parentheses too.
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    // Counted from the third of the fields in proc_pid_stat(5).
    let (parent, terminal) = (fields.get(1)?, number(4)?);
    let used = (number(11)? + number(12)?) / TICKS;
    let began = number(19)? / TICKS;
    let age = uptime.saturating_sub(began);
    let share = (used * 100).checked_div(age).unwrap_or(0).min(99);
    let status = read(proc, &format!("{pid}/status"))?;
    let uid: u32 = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok())?;
    let command = read(proc, &format!("{pid}/cmdline")).unwrap_or_default();
    let command = command.trim_end_matches('\0').replace('\0', " ");
    Some(vec![
        users.get(&uid).cloned().unwrap_or_else(|| uid.to_string()),
        pid.to_string(),
        (*parent).to_owned(),
        share.to_string(),
        start(boot + began, age),
        tty(terminal),
        format!("{:02}:{:02}:{:02}", used / 3600, used / 60 % 60, used % 60),
        if command.is_empty() { format!("[{name}]") } else { command },
    ])
}

/// The time of day of a start, or its day when it is longer ago than one; in UTC, as all times of this engine.
fn start(at: u64, age: u64) -> String {
    let instant = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    let format = if age < 24 * 3600 { "%H:%M" } else { "%b%d" };
    instant.map_or_else(|| "?".to_owned(), |instant| instant.strftime(format).to_string())
}

/// The name of a terminal by its device number.
fn tty(device: u64) -> String {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        _ => "?".to_owned(),
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
        write("7/stat", "7 (a) b) S 1 7 7 34816 7 0 0 0 0 0 300 200 0 0 20 0 1 0 400000 0 0\n");
        write("7/status", "Name:\ta) b\nUid:\t0\t4000000\t0\t0\n");
        write("7/cmdline", "server\0--port\x0080\0");
        let list = list(proc.path(), &[7, 8]);
        assert!(!is_busy(proc.path(), &[7]));
        assert!(is_busy(proc.path(), &[7, 8]) && is_busy(proc.path(), &[]), "one has just gone, all have");
        assert_eq!(list.rows, [["4000000", "7", "1", "0", "23:20", "pts/0", "00:00:05", "server --port 80"].map(str::to_owned)]);
        write("7/stat", "7 (a) S) R 1 7 7 34816\n");
        assert!(is_busy(proc.path(), &[7]));
    }
}
