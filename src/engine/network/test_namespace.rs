//! For tests: a network namespace of their own.

use nix::sched::{CloneFlags, unshare};

use crate::engine::network::netlink::socket::Socket;
use crate::engine::network::netlink::wire::{ACK, REQUEST, Writer};

/// Runs `body` on a thread of its own in a new network namespace whose `lo` is up.
pub(crate) fn in_namespace<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace can be made");
        let mut up = Writer::default();
        // struct ifinfomsg of interface 1, flags and change mask IFF_UP; RTM_SETLINK.
        up.message(19, REQUEST | ACK, 1, &[0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], |_| {});
        Socket::open(0).and_then(|mut socket| socket.request(&up.into_bytes(), 1)).expect("lo comes up");
        body()
    });
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
