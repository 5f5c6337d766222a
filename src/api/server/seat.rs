//! How many clients are connected at once: not so many that nothing is left for what they ask for.

use std::io;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::server::listener::{Arrival, Listener};

/// However low the limit is, so many clients are let in.
const FEWEST: u64 = 64;

/// The places for clients; cheap to clone, every clone the same places.
#[derive(Clone, Debug)]
pub struct Seats {
    free: Arc<Semaphore>,
}

/// A client's place, which is free again when this is dropped.
pub(super) type Seat = OwnedSemaphorePermit;

impl Seats {
    /// As many as half of the descriptors allow that this process may open.
    pub fn by_limit() -> Self {
        Self::of(getrlimit(Resource::Nofile).current)
    }

    fn of(descriptors: Option<u64>) -> Self {
        let seats = descriptors.map_or(u64::MAX, |descriptors| (descriptors / 2).max(FEWEST));
        let seats = usize::try_from(seats).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(seats)) }
    }

    /// Waits for the next client, and first for a place: those who find none wait in the socket's own queue.
    pub(super) async fn admit(&self, listener: &Listener) -> io::Result<(Arrival, Seat)> {
        let seat = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(seat) => seat,
            Err(_) => {
                tracing::warn!("half of the descriptors this engine may open are its clients': further ones wait until others go");
                Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?
            }
        };
        Ok((listener.accept().await?, seat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::os::unix::net::UnixListener;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn clients_leave_descriptors_for_others() {
        let free = |descriptors| Seats::of(descriptors).free.available_permits();
        assert_eq!([free(Some(1 << 20)), free(Some(1024)), free(Some(16))], [1 << 19, 512, 64]);
        assert_eq!(free(None), Semaphore::MAX_PERMITS);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let listener = Listener::of(listener.into(), None).expect("a listener");
        let seats = Seats::of(Some(16));
        let mut clients = Vec::new();
        let mut admitted = Vec::new();
        for _ in 0..FEWEST {
            clients.push(UnixStream::connect(&path).await.expect("a connection"));
            admitted.push(seats.admit(&listener).await.expect("a client"));
        }
        clients.push(UnixStream::connect(&path).await.expect("a connection"));
        let mut next = std::pin::pin!(seats.admit(&listener));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        admitted.pop();
        drop(next.await.expect("a client"));
    }
}
