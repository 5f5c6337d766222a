//! The way to the kernel: one socket for interfaces, one for nf_tables, each used by one request at a time.
//!
//! The kernel has one lock for all interfaces and one for all tables; a second socket would only wait inside it. Requests run on
//! threads for blocking work: most take microseconds, but one behind a dying device waits for tens of milliseconds.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::network::netlink::socket::Socket;
use crate::engine::network::nft::batch::Batch;

const NETLINK_ROUTE: isize = 0;
const NETLINK_NETFILTER: isize = 12;

/// The two sockets.
pub(super) struct Kernel {
    route: Mutex<Socket>,
    filter: Mutex<Socket>,
}

impl Kernel {
    /// Opens both.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { route: Mutex::new(Socket::open(NETLINK_ROUTE)?), filter: Mutex::new(Socket::open(NETLINK_NETFILTER)?) })
    }

    /// The socket for interfaces, on this thread.
    pub(super) fn route(&self) -> MutexGuard<'_, Socket> {
        // A socket is as good after a panic as before: answers to an abandoned request are thrown away before the next.
        self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket for nf_tables, on this thread.
    pub(super) fn filter(&self) -> MutexGuard<'_, Socket> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a batch, on this thread.
    pub(super) fn commit(&self, batch: Batch) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (bytes, last) = batch.finish();
        self.filter().request(&bytes, last)
    }
}

/// Runs what blocks on a thread for such work.
pub(super) async fn blocking<T: Send + 'static>(kernel: &Arc<Kernel>, work: impl FnOnce(&Kernel) -> T + Send + 'static) -> T {
    let kernel = Arc::clone(kernel);
    match tokio::task::spawn_blocking(move || work(&kernel)).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // A runtime that is shutting down polls no task that could see this.
            Err(error) => unreachable!("a blocking task was cancelled while somebody waited for it: {error}"),
        },
    }
}

/// Sets a kernel parameter of this network namespace, `net/ipv4/ip_forward`.
pub(super) fn set_parameter(name: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/{name}"), value)
}

/// Reads a kernel parameter.
pub(super) fn parameter(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok().map(|text| text.trim().to_owned())
}
