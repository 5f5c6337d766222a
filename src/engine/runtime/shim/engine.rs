//! The engine as its shim sees it: a socket at which nobody may be for a while.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::runtime::shim::report;
use crate::engine::runtime::talk::{self, Notice, Order};

/// The talk with the engine.
#[derive(Debug)]
pub(super) struct Engine {
    socket: OwnedFd,
    outbox: VecDeque<(Notice, Vec<OwnedFd>)>,
    gone: bool,
}

/// What came from it.
#[derive(Debug)]
pub(super) enum Heard {
    /// An order and what was beside it.
    Order(Order, Vec<OwnedFd>),
    /// Nothing more for the moment.
    Nothing,
    /// The engine's end is closed: engine and keeper are dead, or the container is not wanted any more.
    Gone,
}

impl Engine {
    /// The engine at the other end of a socket.
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, outbox: VecDeque::new(), gone: false }
    }

    /// Waits for the first order.
    pub(super) fn first(&self) -> io::Result<Option<(Order, Vec<OwnedFd>)>> {
        talk::receive(&self.socket, true)
    }

    /// The next order, if there is one.
    pub(super) fn hear(&mut self) -> io::Result<Heard> {
        match talk::receive(&self.socket, false) {
            Ok(Some((order, beside))) => Ok(Heard::Order(order, beside)),
            Ok(None) => {
                self.gone = true;
                Ok(Heard::Gone)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Heard::Nothing),
            Err(error) if error.raw_os_error().is_some_and(|code| code != libc::EMFILE) => {
                self.gone = true;
                Ok(Heard::Gone)
            }
            // This packet could not be understood, or its descriptors not be taken; the next one may.
            Err(error) => Err(error),
        }
    }

    /// Tells it something as soon as it reads. Never waits.
    pub(super) fn tell(&mut self, notice: Notice, beside: &[BorrowedFd<'_>]) {
        let beside = beside.iter().map(|descriptor| descriptor.try_clone_to_owned()).collect::<io::Result<_>>();
        match beside {
            Ok(beside) => self.outbox.push_back((notice, beside)),
            Err(error) => report(&format!("the engine could not be told {notice:?}: {error}")),
        }
        self.flush();
    }

    /// Sends what fits.
    pub(super) fn flush(&mut self) {
        while let Some((notice, descriptors)) = self.outbox.front() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match talk::send(&self.socket, notice, &borrowed, false) {
                Ok(()) => _ = self.outbox.pop_front(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Its end is closed, which whoever hears next is told.
                Err(_) => self.outbox.clear(),
            }
        }
    }

    /// Something waits for room.
    pub(super) fn is_behind(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Nobody will ever be there again.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }
}

impl AsFd for Engine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
