//! A blocking netlink socket: requests out, acknowledgements and dumps in.

use std::io;

use netlink_sys::{Socket as Raw, SocketAddr};

use crate::engine::network::netlink::wire::{self, Message};

/// Large enough for any datagram of a dump: the kernel fills at most 32 KiB (`NLMSG_GOODSIZE`, netlink_dump).
const DATAGRAM: usize = 64 << 10;

/// A socket connected to the kernel.
pub(in crate::engine::network) struct Socket {
    raw: Raw,
    port: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of a protocol: `NETLINK_ROUTE` is 0, `NETLINK_NETFILTER` 12.
    pub(in crate::engine::network) fn open(protocol: isize) -> io::Result<Self> {
        let mut raw = Raw::new(protocol)?;
        let port = raw.bind_auto()?.port_number();
        raw.connect(&SocketAddr::new(0, 0))?;
        // The refused request need not come back with the error (`NETLINK_CAP_ACK`).
        raw.set_cap_ack(true)?;
        Ok(Self { raw, port, buffer: Vec::with_capacity(DATAGRAM) })
    }

    /// The number by which the kernel tells this socket's requests from others'.
    pub(in crate::engine::network) const fn port(&self) -> u32 {
        self.port
    }

    /// Sends requests and waits for the acknowledgement of the one numbered `last`; the first error ends it.
    pub(in crate::engine::network) fn request(&mut self, bytes: &[u8], last: u32) -> io::Result<()> {
        self.send(bytes)?;
        let mut refused = None;
        loop {
            let done = self.receive(|message| {
                if message.kind != wire::ERROR {
                    return false;
                }
                if message.error() != 0 && refused.is_none() {
                    refused = Some(io::Error::from_raw_os_error(message.error()));
                }
                message.sequence == last
            })?;
            if done {
                break;
            }
            if refused.is_some() {
                // A batch whose commit was refused acknowledges nothing but that; what else comes is cleared before the next request.
                break;
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends one request for a dump and hands every message of the answer to `each`.
    pub(in crate::engine::network) fn dump(&mut self, bytes: &[u8], mut each: impl FnMut(Message<'_>)) -> io::Result<()> {
        self.send(bytes)?;
        let mut refused = 0;
        while !self.receive(|message| {
            if matches!(message.kind, wire::DONE | wire::ERROR) {
                refused = message.error();
                return true;
            }
            each(message);
            false
        })? {}
        if refused == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(refused)) }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Acknowledgements of a request that failed half-way may still be here.
        self.buffer.clear();
        while self.raw.recv(&mut self.buffer, libc::MSG_DONTWAIT).is_ok() {
            self.buffer.clear();
        }
        let sent = self.raw.send(bytes, 0)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Waits for one datagram; says whether `each` was true for any of its messages.
    fn receive(&mut self, mut each: impl FnMut(Message<'_>) -> bool) -> io::Result<bool> {
        self.buffer.clear();
        loop {
            match self.raw.recv(&mut self.buffer, 0) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut stop = false;
        for message in wire::messages(&self.buffer) {
            stop |= each(message);
        }
        Ok(stop)
    }
}
