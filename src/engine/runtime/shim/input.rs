//! The standard input of a process: what clients send goes there as fast as it reads.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::engine::runtime::shim::client::Client;

/// So much is taken from a client at once.
const PIECE: usize = 32 << 10;

/// A standard input; without a sink, one that nobody can write to.
#[derive(Debug)]
pub(super) struct Input {
    sink: Option<OwnedFd>,
    pending: Vec<u8>,
    written: usize,
    /// It ends when what is pending has been read.
    ending: bool,
}

impl Input {
    /// None, or none yet.
    pub(super) const fn none() -> Self {
        Self { sink: None, pending: Vec::new(), written: 0, ending: false }
    }

    /// A pipe or a terminal, which must not block.
    pub(super) const fn new(sink: OwnedFd) -> Self {
        Self { sink: Some(sink), pending: Vec::new(), written: 0, ending: false }
    }

    /// It takes what clients send.
    pub(super) const fn takes(&self) -> bool {
        self.sink.is_some() && self.pending.is_empty() && !self.ending
    }

    /// Somebody may still read what clients send.
    pub(super) const fn is_open(&self) -> bool {
        self.sink.is_some() && !self.ending
    }

    /// Where to wait for room, if something waits for it.
    pub(super) fn blocked(&self) -> Option<BorrowedFd<'_>> {
        self.sink.as_ref().filter(|_| !self.pending.is_empty()).map(|sink| sink.as_fd())
    }

    /// Passes on what a client has sent.
    pub(super) fn feed(&mut self, client: &mut Client) {
        self.pending.reserve_exact(PIECE);
        client.receive(&mut self.pending);
        self.flush();
    }

    /// Writes what fits.
    pub(super) fn flush(&mut self) {
        while let Some(sink) = &self.sink
            && self.written < self.pending.len()
        {
            match rustix::io::write(sink, &self.pending[self.written..]) {
                Ok(written) => self.written += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody reads it any more.
                Err(_) => self.sink = None,
            }
        }
        (self.pending, self.written) = (Vec::new(), 0);
        if self.ending {
            self.sink = None;
        }
    }

    /// Ends it once everything sent before has been read.
    pub(super) fn end(&mut self) {
        self.ending = true;
        self.flush();
    }
}
