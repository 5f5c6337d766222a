//! The end of a keeper, under the lock under which the next one starts: a caller finds either of them, and never neither.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::engine::root::Root;
use crate::engine::runtime::estate::Estate;
use crate::engine::runtime::keeper::engine::is_readable;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::{group, socket};

/// Takes the lock under which keepers come and go; it ends with the file.
pub(super) fn lock(run: &Path) -> Result<File, KeeperError> {
    let path = run.join("keeper.lock");
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

/// Claims a root for as long as the file is open: a root whose socket somebody removed is still another keeper's.
pub(super) fn claim(root: &Root, before: Predecessor) -> Result<File, KeeperError> {
    let path = claim_path(root);
    let failed = |step| {
        let path = path.clone();
        move |source: io::Error| KeeperError::Path { step, path, source }
    };
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed("open"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let keeper = io::read_to_string(&file).map_err(failed("read"))?;
            if before == Predecessor::Lives || before == Predecessor::Dies && !ends(&keeper).map_err(failed("wait for the end of"))? {
                return Err(KeeperError::Unreachable { socket: root.socket(), keeper });
            }
            flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock")(error.into()))?;
        }
        Err(error) => return Err(failed("lock")(error.into())),
    }
    file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes())).map_err(failed("write"))?;
    Ok(file)
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

fn claim_path(root: &Root) -> PathBuf {
    root.run().join("keeper.pid")
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
    let _ = fs::remove_file(claim_path(root));
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
    let _ = fs::remove_file(claim_path(root));
    group::remove(root.tag());
    estate.listeners.clear();
    Ok(true)
}
