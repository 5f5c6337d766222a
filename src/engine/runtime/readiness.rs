//! Descriptors that a task waits for.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime of the caller, to wait until it can be read.
pub(in crate::engine) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the registration owns the descriptor, which is closed with it and not before: nothing takes it out or closes its number.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    registered.map_err(io::Error::from)
}

/// Registers a descriptor with the runtime of the caller, to wait until it can be read or written.
pub(super) fn ready(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: as above.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE | Interest::WRITABLE) };
    registered.map_err(io::Error::from)
}
