//! One engine at a time chooses a block of addresses in a network namespace: two roots that look at the host's routes in the same moment
//! would choose the same.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};

use crate::engine::network::error::NetworkError;

/// The right to choose, until it is dropped or its process ends. It is a lock on the namespace itself, which every engine there sees.
#[derive(Debug)]
pub(super) struct Choosing {
    _namespace: File,
}

impl Choosing {
    /// Waits for it.
    pub(super) async fn begin() -> Result<Self, NetworkError> {
        let failed = || NetworkError::kernel("take turns with other engines at choosing addresses");
        let namespace = File::open("/proc/thread-self/ns/net").map_err(failed())?;
        match flock(&namespace, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Self { _namespace: namespace }),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(failed()(error.into())),
        }
        let waited = tokio::task::spawn_blocking(move || flock(&namespace, FlockOperation::LockExclusive).map(|()| namespace)).await;
        let locked = waited.map_err(io::Error::other).and_then(|locked| locked.map_err(io::Error::from));
        locked.map(|namespace| Self { _namespace: namespace }).map_err(failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::network::test_namespace::in_namespace;

    #[test]
    fn one_waits_for_the_other() {
        in_namespace(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
            runtime.block_on(async {
                let first = Choosing::begin().await.expect("free");
                let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
                let second = tokio::spawn(async move {
                    let _second = Choosing::begin().await.expect("free in the end");
                    told.send(()).expect("somebody hears");
                });
                assert!(tells.try_recv().is_err());
                drop(first);
                second.await.expect("no panic");
                assert!(tells.try_recv().is_ok());
            });
        });
    }
}
