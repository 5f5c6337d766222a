//! The end of a keeper, under the lock under which the next one starts: a caller finds either of them, and never neither.

use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::engine::file_lock::FileLocks;
use crate::engine::root::Root;
use crate::engine::runtime::estate::Estate;
use crate::engine::runtime::keeper::engine::is_readable;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::{group, report, socket};
use crate::resource::reason;

/// Takes the lock under which keepers come and go; it ends with the file.
pub(super) fn lock(run: &Path) -> Result<File, KeeperError> {
    let path = Root::lock(run);
    let failed = |step| {
        let path = path.clone();
        move |source| KeeperError::Path { step, path, source }
    };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed("open"))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock")(error.into()))?;
    Ok(file)
}

/// A killed keeper has so long to be gone: the kernel closes its socket before its claim.
const MOMENT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// What is thought of the keeper before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Predecessor {
    /// If there is one, it stays.
    Lives,
    /// If there is one, it was killed.
    Dies,
    /// It hands over, and leaves then.
    Leaves,
}

/// A root and its data, for as long as this is open.
#[derive(Debug)]
pub(super) struct Claim {
    _run: File,
    _data: File,
}

/// Claims a root: one whose socket somebody removed, or the whole run folder, is still another keeper's, and so is a data folder that two
/// roots have.
pub(super) fn claim(root: &Root, before: Predecessor) -> Result<Claim, KeeperError> {
    let pid = std::process::id().to_string();
    let run = take(root, &root.claim(), before, &pid)?;
    // It stays when the keeper leaves: nobody else opens a file that is about to go.
    let data = take(root, &root.data_claim(), before, &format!("{pid} {}", root.run().display()))?;
    Ok(Claim { _run: run, _data: data })
}

/// Locks a file, and writes into it who did.
fn take(root: &Root, path: &Path, before: Predecessor, own: &str) -> Result<File, KeeperError> {
    let failed = |step| move |source: io::Error| KeeperError::Path { step, path: path.to_owned(), source };
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed("open"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let text = io::read_to_string(&file).map_err(failed("read"))?;
            let (keeper, run) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            let keeper = if keeper.is_empty() { holder(&file).map_err(failed("look at"))? } else { keeper.to_owned() };
            // The keeper of another root is no predecessor.
            if !run.is_empty() && Path::new(run) != root.run() {
                return Err(KeeperError::Taken { data: root.data().to_owned(), run: run.into(), keeper });
            }
            if before == Predecessor::Lives || before == Predecessor::Dies && !ends(&keeper).map_err(failed("wait for the end of"))? {
                return Err(KeeperError::Unreachable { socket: root.socket(), keeper });
            }
            flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock")(error.into()))?;
        }
        Err(error) => return Err(failed("lock")(error.into())),
    }
    match sign(&mut file, own) {
        // The lock is what counts, and whoever wants to free some space needs an engine.
        Err(error) if reason::is_full(&error) => report(&format!("{} is empty: {error}", path.display())),
        written => written.map_err(failed("write"))?,
    }
    Ok(file)
}

/// Writes who has a claim into its file, which may have been read.
fn sign(file: &mut File, own: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(own.as_bytes())
}

/// The process that has locked a file which does not tell it; empty where none can be told.
fn holder(file: &File) -> io::Result<String> {
    Ok(FileLocks::read()?.holder(file.metadata()?.ino(), "").unwrap_or_default().to_owned())
}

/// Whether a keeper has ended, or does so in a moment.
fn ends(keeper: &str) -> io::Result<bool> {
    let Some(pid) = keeper.trim().parse().ok().and_then(Pid::from_raw) else { return Ok(false) };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(true),
        pidfd => pidfd?,
    };
    let mut waited = [PollFd::new(&pidfd, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut waited, Some(&MOMENT)))? > 0)
}

/// Takes the lock. Where somebody has removed the folder there is none, and nobody who could call: what is left in the kernel goes all the same.
fn hold(root: &Root) -> Result<fs::File, KeeperError> {
    let lock = lock(root.run());
    if lock.is_err() && !root.run().exists() {
        group::remove(root.tag());
    }
    lock
}

/// Leaves, whoever waits.
pub(super) fn now(root: &Root, estate: &mut Estate) -> Result<(), KeeperError> {
    let _lock = hold(root)?;
    group::remove(root.tag());
    let _ = fs::remove_file(root.claim());
    let own = root.socket();
    for other in estate.listeners.iter().filter_map(|(name, _)| name.strip_prefix("unix://")).filter(|path| Path::new(path) != own) {
        let _ = fs::remove_file(other);
    }
    // Whoever waits for the end of this keeper sees it in the socket: last, when nothing else is left. A service manager's stays: who
    // calls next is heard there.
    if !socket::is_passed(estate, root) {
        let _ = fs::remove_file(own);
    }
    estate.listeners.clear();
    Ok(())
}

/// Leaves unless somebody has called meanwhile; says whether it left.
///
/// The socket file is moved away first, so that no call can come in after the look at the queue. Moved back, it is the same socket.
pub(super) fn unless_called(root: &Root, estate: &mut Estate) -> Result<bool, KeeperError> {
    let _lock = hold(root)?;
    let aside = root.run().join("engine.sock.leaving");
    let _ = fs::rename(root.socket(), &aside);
    if estate.listeners.iter().any(|(_, listener)| is_readable(listener)) {
        let _ = fs::rename(&aside, root.socket());
        return Ok(false);
    }
    let _ = fs::remove_file(&aside);
    let _ = fs::remove_file(root.claim());
    group::remove(root.tag());
    estate.listeners.clear();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_was_read_is_signed_from_its_beginning() {
        let mut file = tempfile::tempfile().expect("a file");
        sign(&mut file, "4711 /run/one").expect("written");
        file.rewind().expect("its beginning");
        assert_eq!(io::read_to_string(&file).expect("readable"), "4711 /run/one");
        sign(&mut file, "12").expect("written");
        file.rewind().expect("its beginning");
        assert_eq!(io::read_to_string(&file).expect("readable"), "12");
    }

    #[test]
    fn a_claim_outlives_its_run_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::new(Some(folder.path()));
        let other = Root::new(Some(&folder.path().join("other"))).with_data(root.data().to_owned());
        let make = || [root.run(), root.data(), other.run()].map(|path| fs::create_dir_all(path).expect("a folder"));
        make();
        let claimed = claim(&root, Predecessor::Lives).expect("it is free");
        let own = std::process::id().to_string();
        let refused = |root| claim(root, Predecessor::Lives).expect_err("somebody has it").to_string();
        for break_it in [|_: &Root| {}, |root: &Root| fs::remove_dir_all(root.run()).expect("it is there")] {
            break_it(&root);
            make();
            assert!(refused(&root).contains(&format!("kill {own}")), "{}", refused(&root));
        }
        assert!(refused(&other).contains(&format!("{}", root.run().display())), "{}", refused(&other));
        // Nor is the keeper of another root waited for.
        let told = claim(&other, Predecessor::Leaves).expect_err("somebody has it").to_string();
        assert!(told.contains(&format!("{}", root.run().display())), "{told}");
        drop(claimed);
        claim(&other, Predecessor::Lives).expect("it is free");
    }
}
