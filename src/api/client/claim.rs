//! Whether a keeper has our root though nobody listens at its socket: somebody removed the file, and containers may run.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::api::client::target::Target;
use crate::engine::file_lock::FileLocks;
use crate::engine::root::Root;
use crate::resource::failure::Failure;

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
    let inode = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.ino());
    let locks = FileLocks::read().ok()?;
    if inode(&Root::lock(root.run())).is_some_and(|lock| locks.holder(lock, "").is_some()) {
        return None;
    }
    [root.claim(), root.data_claim()].iter().find_map(|path| {
        let told = fs::read_to_string(path).ok()?;
        let (keeper, run) = told.trim().split_once(' ').unwrap_or((told.trim(), ""));
        let is_of_another = !run.is_empty() && Path::new(run) != root.run();
        locks.holder(inode(path)?, keeper).filter(|_| !is_of_another).map(str::to_owned)
    })
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
        fs::remove_dir_all(root.run()).expect("it is there");
        assert_eq!(keeper_of(&root), None, "its run folder was removed, and it has not claimed its data");
        fs::create_dir_all(root.data()).expect("a folder");
        let data = fs::File::create(root.data_claim()).expect("a file");
        flock(&data, FlockOperation::LockExclusive).expect("a lock");
        assert_eq!(keeper_of(&root), Some(std::process::id().to_string()), "the disk was full when it claimed its data");
        write!(&data, "{} /elsewhere", std::process::id()).expect("written");
        assert_eq!(keeper_of(&root), None, "the keeper of another root");
        data.set_len(0).expect("shorter");
        let told = check(&Target::Own(root)).expect_err("it cannot be reached").message;
        assert!(told.contains(&format!("kill {}", std::process::id())), "{told}");
    }
}
