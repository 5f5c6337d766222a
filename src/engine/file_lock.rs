//! Who has a file locked, as the kernel tells it (proc_locks(5)): to try the lock would be in the way of whoever wants it.

use std::fs;
use std::io;

/// The locks that processes have at one moment.
#[derive(Debug)]
pub struct FileLocks(String);

impl FileLocks {
    /// Reads them.
    pub fn read() -> io::Result<Self> {
        fs::read_to_string("/proc/locks").map(Self)
    }

    /// The process that has a file to itself by flock(2): the one that `told` names or, where that is empty, the only one.
    ///
    /// Files are told apart by their inode alone: of some file systems another device stands here than in stat(2).
    pub fn holder(&self, inode: u64, told: &str) -> Option<&str> {
        let mut found = self.0.lines().filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, "FLOCK", _, "WRITE", process, file, ..] if file.rsplit(':').next()?.parse() == Ok(inode) => Some(process),
            _ => None,
        });
        if told.is_empty() {
            let first = found.next();
            first.filter(|_| found.next().is_none())
        } else {
            found.find(|process| *process == told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FlockOperation, flock};
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn who_waits_for_a_lock_has_none() {
        let locks = FileLocks(
            "1: FLOCK  ADVISORY  WRITE 12 08:01:34 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 56 08:01:34 0 EOF\n2: POSIX  ADVISORY  WRITE 78 08:01:34 0 EOF\n\
             3: FLOCK  ADVISORY  WRITE 90 00:2a:17 0 EOF\n4: FLOCK  ADVISORY  WRITE 91 08:01:17 0 EOF\n"
                .to_owned(),
        );
        let check = |inode, told, expect| assert_eq!(locks.holder(inode, told), expect, "{inode} {told}");
        check(34, "12", Some("12"));
        check(34, "", Some("12"));
        check(34, "56", None);
        check(35, "", None);
        check(17, "", None);
        check(17, "91", Some("91"));
    }

    #[test]
    fn the_kernel_tells_of_our_own_lock() {
        let file = tempfile::tempfile().expect("a file");
        let inode = file.metadata().expect("its number").ino();
        flock(&file, FlockOperation::LockExclusive).expect("a lock");
        let own = std::process::id().to_string();
        assert_eq!(FileLocks::read().expect("locks").holder(inode, &own), Some(own.as_str()));
    }
}
