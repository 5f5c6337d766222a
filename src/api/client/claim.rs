//! Whether a keeper has our root though nobody listens at its socket: somebody removed the file, and containers may run.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::api::client::target::Target;
use crate::engine::root::Root;
use crate::resource::failure::Failure;

/// The locks that processes have (proc_locks(5)). A lock of our own, taken to try, would be in the way of a keeper that starts.
const LOCKS: &str = "/proc/locks";

/// Fails where an engine of ours runs that cannot be reached.
pub(super) fn check(target: &Target) -> Result<(), Failure> {
    let Target::Own(root) = target else { return Ok(()) };
    match keeper_of(root) {
        Some(keeper) => Err(Failure::unavailable(Root::unreachable(&root.socket(), &keeper))),
        None => Ok(()),
    }
}

/// The number of the keeper that has a root, unless one comes or goes just now.
fn keeper_of(root: &Root) -> Option<String> {
    let inode = |path: PathBuf| fs::metadata(path).ok().map(|metadata| metadata.ino());
    let claim = inode(root.claim())?;
    let keeper = fs::read_to_string(root.claim()).ok()?.trim().to_owned();
    let locks = fs::read_to_string(LOCKS).ok()?;
    let changes = inode(Root::lock(root.run())).is_some_and(|lock| !holders(&locks, lock).is_empty());
    (!changes && holders(&locks, claim).contains(&keeper.as_str())).then_some(keeper)
}

/// The processes that have the lock of a file. The device is left out: some file systems tell another one here than in stat(2).
fn holders(locks: &str, inode: u64) -> Vec<&str> {
    let holder = |line| {
        let words: Vec<&str> = str::split_whitespace(line).collect();
        let [_, "FLOCK", _, "WRITE", owner, file, ..] = words[..] else { return None };
        (file.rsplit(':').next()?.parse() == Ok(inode)).then_some(owner)
    };
    locks.lines().filter_map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FlockOperation, flock};
    use std::io::Write as _;

    #[test]
    fn a_root_that_is_claimed_has_a_keeper() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::new(Some(folder.path()));
        assert_eq!(keeper_of(&root), None);
        fs::create_dir_all(root.run()).expect("a folder");
        let mut file = fs::File::create(root.claim()).expect("a file");
        write!(file, "{}", std::process::id()).expect("written");
        assert_eq!(keeper_of(&root), None, "a claim that a killed keeper left");
        flock(&file, FlockOperation::LockExclusive).expect("a lock");
        assert_eq!(keeper_of(&root), Some(std::process::id().to_string()));
        let lock = fs::File::create(Root::lock(root.run())).expect("a file");
        flock(&lock, FlockOperation::LockExclusive).expect("a lock");
        assert_eq!(keeper_of(&root), None, "a keeper comes or goes");
        drop(lock);
        let told = check(&Target::Own(root)).expect_err("it cannot be reached").message;
        assert!(told.contains(&format!("kill {}", std::process::id())), "{told}");
    }

    #[test]
    fn who_waits_for_a_lock_has_none() {
        let locks = "1: FLOCK  ADVISORY  WRITE 12 08:01:34 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 56 08:01:34 0 EOF\n2: POSIX  ADVISORY  WRITE 78 08:01:34 0 EOF\n";
        assert_eq!(holders(locks, 34), ["12"]);
        assert!(holders(locks, 35).is_empty());
    }
}
