//! Which columns `top` shows: the arguments of `ps`, as far as they say that and nothing else.

use crate::engine::container::process::{Machine, Process};
use crate::resource::failure::Failure;

/// Columns, each with its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Format {
    columns: Vec<(String, Column)>,
}

/// What a column tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Args,
    Comm,
    ElapsedSeconds,
    Elapsed,
    Gid,
    Group,
    MemoryShare,
    Nice,
    Parent,
    Pid,
    Priority,
    ProcessGroup,
    Processor,
    ProcessorShare,
    Resident,
    Session,
    Start,
    State,
    StateInFull,
    Terminal,
    Threads,
    Time,
    TimeInShort,
    Uid,
    User,
    UserId,
    UserIdReal,
    UserReal,
    Utilization,
    Addresses,
}

/// The words of `-o` (ps(1), STANDARD FORMAT SPECIFIERS), with their titles.
const WORDS: [(&str, &str, Column); 52] = [
    ("%cpu", "%CPU", Column::ProcessorShare),
    ("%mem", "%MEM", Column::MemoryShare),
    ("args", "COMMAND", Column::Args),
    ("bsdstart", "START", Column::Start),
    ("bsdtime", "TIME", Column::TimeInShort),
    ("c", "C", Column::Utilization),
    ("cmd", "CMD", Column::Args),
    ("comm", "COMMAND", Column::Comm),
    ("command", "COMMAND", Column::Args),
    ("cputime", "TIME", Column::Time),
    ("egid", "EGID", Column::Gid),
    ("egroup", "EGROUP", Column::Group),
    ("etime", "ELAPSED", Column::Elapsed),
    ("etimes", "ELAPSED", Column::ElapsedSeconds),
    ("euid", "EUID", Column::UserId),
    ("euser", "EUSER", Column::User),
    ("gid", "GID", Column::Gid),
    ("group", "GROUP", Column::Group),
    ("ni", "NI", Column::Nice),
    ("nice", "NI", Column::Nice),
    ("nlwp", "NLWP", Column::Threads),
    ("pcpu", "%CPU", Column::ProcessorShare),
    ("pgid", "PGID", Column::ProcessGroup),
    ("pgrp", "PGRP", Column::ProcessGroup),
    ("pid", "PID", Column::Pid),
    ("pmem", "%MEM", Column::MemoryShare),
    ("ppid", "PPID", Column::Parent),
    ("pri", "PRI", Column::Priority),
    ("psr", "PSR", Column::Processor),
    ("rss", "RSS", Column::Resident),
    ("rssize", "RSS", Column::Resident),
    ("rsz", "RSZ", Column::Resident),
    ("ruid", "RUID", Column::UserIdReal),
    ("ruser", "RUSER", Column::UserReal),
    ("s", "S", Column::State),
    ("sess", "SESS", Column::Session),
    ("session", "SESS", Column::Session),
    ("sid", "SID", Column::Session),
    ("start_time", "START", Column::Start),
    ("stat", "STAT", Column::StateInFull),
    ("state", "S", Column::State),
    ("stime", "STIME", Column::Start),
    ("thcount", "THCNT", Column::Threads),
    ("time", "TIME", Column::Time),
    ("tname", "TTY", Column::Terminal),
    ("tt", "TT", Column::Terminal),
    ("tty", "TT", Column::Terminal),
    ("ucmd", "CMD", Column::Comm),
    ("uid", "UID", Column::UserId),
    ("user", "USER", Column::User),
    ("vsize", "VSZ", Column::Addresses),
    ("vsz", "VSZ", Column::Addresses),
];

/// What `ps` shows with `f`.
const FULL: [(&str, Column); 8] = [
    ("UID", Column::Uid),
    ("PID", Column::Pid),
    ("PPID", Column::Parent),
    ("C", Column::Utilization),
    ("STIME", Column::Start),
    ("TTY", Column::Terminal),
    ("TIME", Column::Time),
    ("CMD", Column::Args),
];

/// What it shows with nothing but a choice of processes.
const SHORT: [(&str, Column); 4] = [("PID", Column::Pid), ("TTY", Column::Terminal), ("TIME", Column::Time), ("CMD", Column::Comm)];

/// What it shows with BSD's `u`.
const FOR_USERS: [(&str, Column); 11] = [
    ("USER", Column::User),
    ("PID", Column::Pid),
    ("%CPU", Column::ProcessorShare),
    ("%MEM", Column::MemoryShare),
    ("VSZ", Column::Addresses),
    ("RSS", Column::Resident),
    ("TTY", Column::Terminal),
    ("STAT", Column::StateInFull),
    ("START", Column::Start),
    ("TIME", Column::TimeInShort),
    ("COMMAND", Column::Args),
];

impl Format {
    /// Reads the arguments of `ps`; none are `-ef`. Those that choose processes change nothing: the container's are shown.
    pub(in crate::engine) fn parse(arguments: &str) -> Result<Self, Failure> {
        let mut words = arguments.split_whitespace().peekable();
        let mut form: &[(&str, Column)] = if words.peek().is_none() { &FULL } else { &SHORT };
        let mut columns = Vec::new();
        let refused = |word: &str| {
            Failure::unsupported(format!(
                "`ps_args`: `{word}` is not supported by this engine, which runs no `ps`: `-e`, `-f`, `aux` and `-o COLUMN,…` are understood"
            ))
        };
        while let Some(word) = words.next() {
            if let Some(list) = word.strip_prefix("--format=") {
                columns.extend(chosen(list)?);
                continue;
            }
            if word == "--format" {
                columns.extend(chosen(words.next().ok_or_else(|| refused(word))?)?);
                continue;
            }
            let dashed = word.strip_prefix('-');
            let mut letters = dashed.unwrap_or(word);
            // BSD's letters stand without a dash; `-aux` has always been read that way.
            let bsd = dashed.is_none() || letters == "aux";
            while let Some(letter) = letters.chars().next() {
                letters = &letters[letter.len_utf8()..];
                match letter {
                    'a' | 'x' | 'w' if bsd => {}
                    'e' | 'A' | 'w' if !bsd => {}
                    'u' if bsd => form = &FOR_USERS,
                    'f' if !bsd => form = &FULL,
                    'o' => {
                        let list = if letters.is_empty() { words.next().ok_or_else(|| refused(word))? } else { letters };
                        columns.extend(chosen(list)?);
                        letters = "";
                    }
                    _ => return Err(refused(word)),
                }
            }
        }
        if columns.is_empty() {
            columns = form.iter().map(|(title, column)| ((*title).to_owned(), *column)).collect();
        }
        if !columns.iter().any(|(title, _)| title == "PID") {
            return Err(Failure::invalid("Couldn't find PID field in ps output"));
        }
        Ok(Self { columns })
    }

    /// The names of the columns.
    pub(super) fn titles(&self) -> Vec<String> {
        self.columns.iter().map(|(title, _)| title.clone()).collect()
    }

    /// What the columns say of a process.
    pub(super) fn row(&self, process: &Process, machine: &Machine) -> Vec<String> {
        self.columns.iter().map(|(_, column)| column.cell(process, machine)).collect()
    }
}

/// The columns of `-o`: `pid,comm=NAME`.
fn chosen(list: &str) -> Result<Vec<(String, Column)>, Failure> {
    let mut found = Vec::new();
    for word in list.split(',').filter(|word| !word.is_empty()) {
        let (name, title) = word.split_once('=').map_or((word, None), |(name, title)| (name, Some(title)));
        if let Some(title) = title.filter(|title| title.starts_with("PID") && name != "pid") {
            return Err(Failure::invalid(format!("specifying \"{name}={title}\" is not allowed")));
        }
        let known = WORDS.iter().find(|(known, ..)| *known == name).ok_or_else(|| {
            Failure::unsupported(format!("`ps_args`: the column `{name}` is not supported by this engine, which runs no `ps`"))
        })?;
        found.push((title.unwrap_or(known.1).to_owned(), known.2));
    }
    Ok(found)
}

impl Column {
    fn cell(self, process: &Process, machine: &Machine) -> String {
        let age = machine.uptime.saturating_sub(process.began);
        let named = |names: &std::collections::BTreeMap<u32, String>, id: u32| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
        let tenths = |part: u64, whole: u64| {
            let share = part.saturating_mul(1000).checked_div(whole).unwrap_or(0).min(999);
            format!("{}.{}", share / 10, share % 10)
        };
        let used = process.used;
        match self {
            Self::Args if process.command.is_empty() => format!("[{}]", process.name),
            Self::Args => process.command.clone(),
            Self::Comm => process.name.clone(),
            Self::ElapsedSeconds => age.to_string(),
            Self::Elapsed => elapsed(age),
            Self::Gid => process.gid.1.to_string(),
            Self::Group => named(&machine.groups, process.gid.1),
            Self::MemoryShare => tenths(process.resident, machine.memory),
            Self::Nice => process.nice.to_string(),
            Self::Parent => process.parent.to_string(),
            Self::Pid => process.pid.to_string(),
            // The other way round than the kernel counts.
            Self::Priority => (39 - process.priority).to_string(),
            Self::ProcessGroup => process.group.to_string(),
            Self::Processor => process.processor.to_string(),
            Self::ProcessorShare => tenths(used, age),
            Self::Resident => process.resident.to_string(),
            Self::Session => process.session.to_string(),
            Self::Start => start(machine.boot + process.began, age),
            Self::State => process.state.to_string(),
            Self::StateInFull => state(process),
            Self::Terminal => tty(process.terminal),
            Self::Threads => process.threads.to_string(),
            Self::Time => format!("{:02}:{:02}:{:02}", used / 3600, used / 60 % 60, used % 60),
            Self::TimeInShort => format!("{}:{:02}", used / 60, used % 60),
            Self::Uid | Self::User => named(&machine.users, process.user.1),
            Self::UserId => process.user.1.to_string(),
            Self::UserIdReal => process.user.0.to_string(),
            Self::UserReal => named(&machine.users, process.user.0),
            Self::Utilization => (used * 100).checked_div(age).unwrap_or(0).min(99).to_string(),
            Self::Addresses => process.addresses.to_string(),
        }
    }
}

/// A state with all that `ps` adds to it.
fn state(process: &Process) -> String {
    let mut text = process.state.to_string();
    let marks = [
        (process.nice < 0, '<'),
        (process.nice > 0, 'N'),
        (process.session == process.pid, 's'),
        (process.threads > 1, 'l'),
        (process.foreground == process.group, '+'),
    ];
    text.extend(marks.into_iter().filter_map(|(is, mark)| is.then_some(mark)));
    text
}

/// Seconds as `[[DD-]hh:]mm:ss`.
fn elapsed(seconds: u64) -> String {
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes:02}:{rest:02}"),
        (0, _) => format!("{hours:02}:{minutes:02}:{rest:02}"),
        _ => format!("{days}-{hours:02}:{minutes:02}:{rest:02}"),
    }
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
    fn arguments_choose_columns() {
        let check = |arguments: &str, expect: &str| {
            let format = Format::parse(arguments).map(|format| format.titles().join(" "));
            assert_eq!(format.as_deref(), Ok(expect), "{arguments}");
        };
        let full = "UID PID PPID C STIME TTY TIME CMD";
        check("", full);
        check("-ef", full);
        check("-e -f", full);
        check("-e", "PID TTY TIME CMD");
        let users = "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND";
        check("aux", users);
        check("-aux", users);
        check("-o pid,ppid -o cmd", "PID PPID CMD");
        check("-eo user,pid,comm=NAME", "USER PID NAME");
        check("--format=pid", "PID");
    }

    #[test]
    fn what_no_column_says_is_refused() {
        for (arguments, word) in [
            ("-l", "`-l`"),
            ("f", "`f`"),
            ("-o", "`-o`"),
            ("-o pid,wchan", "`wchan`"),
            ("-o comm", "find PID"),
            ("-o pid,comm=PID", "\"comm=PID\" is not allowed"),
            ("--forest", "`--forest`"),
        ] {
            let refused = Format::parse(arguments).expect_err("a refusal").message;
            assert!(refused.contains(word), "{arguments}: {refused}");
        }
    }

    #[test]
    fn the_words_are_in_order_and_told_once() {
        assert!(WORDS.is_sorted_by(|one, other| one.0 < other.0));
    }

    #[test]
    fn times_grow_in_length() {
        for (seconds, expect) in [(5, "00:05"), (3_725, "01:02:05"), (90_061, "1-01:01:01")] {
            assert_eq!(elapsed(seconds), expect);
        }
    }
}
