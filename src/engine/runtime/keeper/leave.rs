//! The end of a keeper, under the lock under which the next one starts: a caller finds either of them, and never neither.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

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

/// Claims a root for as long as the file is open: a root whose socket somebody removed is still another keeper's.
/// Who comes after a keeper that was killed `waits` until the kernel has closed all it had; its socket may go before its claim.
pub(super) fn claim(root: &Root, waits: bool) -> Result<File, KeeperError> {
    let path = claim_path(root);
    let failed = |step| {
        let path = path.clone();
        move |source: io::Error| KeeperError::Path { step, path, source }
    };
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed("open"))?;
    let operation = if waits { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
    match flock(&file, operation) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let keeper = io::read_to_string(&file).map_err(failed("read"))?;
            return Err(KeeperError::Unreachable { socket: root.socket(), keeper });
        }
        Err(error) => return Err(failed("lock")(error.into())),
    }
    file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes())).map_err(failed("write"))?;
    Ok(file)
}

fn claim_path(root: &Root) -> PathBuf {
    root.run().join("keeper.pid")
}

/// Leaves, whoever waits.
pub(super) fn now(root: &Root, estate: &mut Estate) -> Result<(), KeeperError> {
    let _lock = lock(root.run())?;
    group::remove(root.tag());
    let _ = fs::remove_file(claim_path(root));
    // Whoever waits for the end of this keeper sees it in the socket: last, when nothing else is left. A service manager's stays: who
    // calls next is heard there.
    if !socket::is_passed(estate, root) {
        let _ = fs::remove_file(root.socket());
    }
    estate.listeners.clear();
    Ok(())
}

/// Leaves unless somebody has called meanwhile; says whether it left.
///
/// The socket file is moved away first, so that no call can come in after the look at the queue. Moved back, it is the same socket.
pub(super) fn unless_called(root: &Root, estate: &mut Estate) -> Result<bool, KeeperError> {
    let _lock = lock(root.run())?;
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
