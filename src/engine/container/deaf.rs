//! Whether a container can notice a signal at all: one whose first process is deaf need not be given time to obey.
//!
//! The kernel drops a signal to process 1 of a namespace that has no handler for it. So a shell or an interpreter as process 1 sits out
//! the whole grace period, for nothing. Whatever cannot be read, or is not understood, counts as hearing.

use std::fs;
use std::path::Path;

/// What waits for signals without handling them: rt_sigtimedwait on x86-64, and both of its kinds on i386.
const WAITS: [&str; 3] = ["128", "177", "421"];

/// Who would notice a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// Process 1, or nobody can tell.
    Hears,
    /// Not process 1; these others have a handler for it.
    Deaf(Vec<i32>),
}

/// Looks at a container's processes; `init` is its process 1 and `proc` is `/proc`.
pub(super) fn hearing(proc: &Path, init: i32, processes: &[i32], signal: i32) -> Hearing {
    let bit = match u32::try_from(signal) {
        Ok(signal @ 1..=64) => 1_u64 << (signal - 1),
        _ => return Hearing::Hears,
    };
    // SIGKILL and SIGSTOP ask nobody.
    if [9, 19].contains(&signal) || !is_first_of_its_own(proc, init) || minds(proc, init, bit) {
        return Hearing::Hears;
    }
    Hearing::Deaf(processes.iter().copied().filter(|pid| *pid != init && !is_gone(proc, *pid) && minds(proc, *pid, bit)).collect())
}

/// Whether a process is number 1 of a namespace below the host's, and nobody traces it.
fn is_first_of_its_own(proc: &Path, pid: i32) -> bool {
    let Ok(status) = fs::read_to_string(proc.join(format!("{pid}/status"))) else { return false };
    let numbers: Vec<&str> = field(&status, "NSpid:").unwrap_or_default().split_whitespace().collect();
    numbers.len() > 1 && numbers.last() == Some(&"1") && field(&status, "TracerPid:") == Some("0")
}

/// Whether one of its threads handles a signal, blocks it (to fetch it later), or waits for signals.
///
/// Who waits for signals has them unblocked meanwhile, and is no longer seen to wait from when one has woken him until he runs. It is
/// pending then; to others no signal ever is that they have no handler for: the kernel drops it.
fn minds(proc: &Path, pid: i32, bit: u64) -> bool {
    let threads = match fs::read_dir(proc.join(format!("{pid}/task"))) {
        Ok(threads) => threads,
        Err(_) => return !is_gone(proc, pid),
    };
    threads.into_iter().any(|thread| {
        let Ok(thread) = thread.map(|entry| entry.path()) else { return true };
        let (Ok(status), Ok(call)) = (fs::read_to_string(thread.join("status")), fs::read_to_string(thread.join("syscall"))) else {
            // A thread that ended meanwhile minds nothing.
            return thread.exists();
        };
        let set = |name: &str| field(&status, name).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(u64::MAX);
        let (caught, pending) = (set("SigCgt:"), set("SigPnd:") | set("ShdPnd:"));
        let waits = call.split_whitespace().next().is_none_or(|number| WAITS.contains(&number));
        (caught | set("SigBlk:")) & bit != 0 || pending & !caught != 0 || waits
    })
}

/// Whether it has ended, reaped or not.
fn is_gone(proc: &Path, pid: i32) -> bool {
    fs::read_to_string(proc.join(format!("{pid}/status")))
        .map_or(true, |status| field(&status, "State:").is_some_and(|state| state.starts_with('Z')))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thread {
        caught: u64,
        blocked: u64,
        pending: u64,
        call: &'static str,
    }

    const QUIET: Thread = Thread { caught: 0, blocked: 0, pending: 0, call: "61 0x1" };
    const TERM: u64 = 1 << 14;
    const CHLD: u64 = 1 << 16;

    struct Proc(tempfile::TempDir);

    impl Proc {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn add(self, pid: i32, numbers: &str, tracer: i32, threads: &[Thread]) -> Self {
            for (index, thread) in threads.iter().enumerate() {
                let folder = self.0.path().join(format!("{pid}/task/{}", pid + i32::try_from(index).expect("few")));
                fs::create_dir_all(&folder).expect("a folder");
                let status = format!(
                    "Name:\tx\nState:\tS (sleeping)\nTracerPid:\t{tracer}\nNSpid:\t{numbers}\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
                    0, thread.pending, thread.blocked, 0, thread.caught
                );
                fs::write(folder.join("status"), &status).expect("written");
                fs::write(folder.join("syscall"), thread.call).expect("written");
                fs::write(self.0.path().join(format!("{pid}/status")), status).expect("written");
            }
            self
        }

        fn hearing(&self, processes: &[i32]) -> Hearing {
            hearing(self.0.path(), 10, processes, 15)
        }
    }

    #[test]
    fn only_a_first_process_without_any_way_to_hear_is_deaf() {
        let deaf = Hearing::Deaf(Vec::new());
        let check = |numbers: &str, tracer: i32, thread: Thread, expected: &Hearing| {
            let proc = Proc::new().add(10, numbers, tracer, &[QUIET, thread]);
            assert_eq!(&proc.hearing(&[10]), expected, "{numbers} {tracer}");
        };
        check("10\t1", 0, QUIET, &deaf);
        check("10\t1", 0, Thread { call: "running", ..QUIET }, &deaf);
        check("10", 0, QUIET, &Hearing::Hears);
        check("10\t7", 0, QUIET, &Hearing::Hears);
        check("10\t1", 5, QUIET, &Hearing::Hears);
        check("10\t1", 0, Thread { caught: TERM, ..QUIET }, &Hearing::Hears);
        check("10\t1", 0, Thread { blocked: TERM, ..QUIET }, &Hearing::Hears);
        check("10\t1", 0, Thread { call: "128 0x7f", ..QUIET }, &Hearing::Hears);
        check("10\t1", 0, Thread { pending: TERM, call: "running", ..QUIET }, &Hearing::Hears);
        check("10\t1", 0, Thread { pending: CHLD, call: "running", ..QUIET }, &Hearing::Hears);
        check("10\t1", 0, Thread { pending: CHLD, caught: CHLD, call: "running", ..QUIET }, &deaf);
        check("10\t1", 0, Thread { call: "", ..QUIET }, &Hearing::Hears);
        check("10\t1", 0, Thread { caught: 1 << 1, ..QUIET }, &deaf);
        assert_eq!(Proc::new().hearing(&[10]), Hearing::Hears);
        let proc = Proc::new().add(10, "10\t1", 0, &[QUIET]);
        assert_eq!(hearing(proc.0.path(), 10, &[10], 9), Hearing::Hears);
    }

    #[test]
    fn others_that_handle_the_signal_are_named() {
        let proc = Proc::new().add(10, "10\t1", 0, &[QUIET]).add(20, "20\t2", 0, &[QUIET]).add(
            30,
            "30\t3",
            0,
            &[Thread { caught: TERM, ..QUIET }],
        );
        // One that ended meanwhile is nobody.
        assert_eq!(proc.hearing(&[10, 20, 30, 40]), Hearing::Deaf(vec![30]));
    }
}
