//! A client that has joined the streams of a process: a socket whose other end is a connection of the engine.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use crate::engine::runtime::task::AttachRequest;
use crate::resource::log::Stream;

/// What is kept for a client that reads slower than the process writes; beyond it the process waits for the client.
const MOST: usize = 1 << 20;

/// A client for whom a container waits and who takes nothing for so long is given up: somebody stopped it, and the container must go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    socket: OwnedFd,
    wants: AttachRequest,
    outbox: Vec<u8>,
    sent: usize,
    /// It has taken nothing since.
    stalled: Option<Instant>,
    sending: Sending,
    /// Both directions are closed; what it sent before is still to be read.
    hung_up: bool,
}

/// Whether a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Yes,
    /// Not any more, which has not been asked for yet.
    Ended,
    No,
}

impl Client {
    /// A client who wants these streams; whether it may send is `sending`.
    pub(super) const fn new(socket: OwnedFd, wants: AttachRequest, sending: bool) -> Self {
        let sending = if sending { Sending::Yes } else { Sending::No };
        Self { socket, wants, outbox: Vec::new(), sent: 0, stalled: None, sending, hung_up: false }
    }

    /// Gives it what the process wrote, framed unless that came from a terminal.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8], tty: bool) {
        let (wanted, number) = match stream {
            Stream::Stdout => (self.wants.stdout, 1),
            Stream::Stderr => (self.wants.stderr, 2),
        };
        if !wanted || self.hung_up || bytes.is_empty() {
            return;
        }
        let mut header = [number, 0, 0, 0, 0, 0, 0, 0];
        header[4..].copy_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        let header: &[u8] = if tty { &[] } else { &header };
        let taken = if self.outbox.is_empty() { self.send(&[IoSlice::new(header), IoSlice::new(bytes)]) } else { 0 };
        if !self.hung_up {
            self.outbox.extend_from_slice(header.get(taken..).unwrap_or_default());
            self.outbox.extend_from_slice(&bytes[taken.saturating_sub(header.len())..]);
        }
    }

    /// Sends what fits.
    pub(super) fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        let outbox = std::mem::take(&mut self.outbox);
        self.sent += self.send(&[IoSlice::new(&outbox[self.sent..])]);
        if self.sent < outbox.len() && !self.hung_up {
            self.outbox = outbox;
            // Half of it is enough to be worth moving the rest.
            if self.sent > MOST / 2 {
                self.outbox.drain(..self.sent);
                self.sent = 0;
            }
        } else {
            self.sent = 0;
        }
    }

    fn send(&mut self, parts: &[IoSlice<'_>]) -> usize {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let all: usize = parts.iter().map(|part| part.len()).sum();
        match rustix::io::retry_on_intr(|| rustix::net::sendmsg(&self.socket, parts, &mut SendAncillaryBuffer::default(), flags)) {
            Ok(taken) => {
                self.stalled = (taken < all).then(Instant::now);
                taken
            }
            Err(Errno::AGAIN) => {
                self.stalled.get_or_insert_with(Instant::now);
                0
            }
            Err(_) => {
                self.hang_up();
                0
            }
        }
    }

    /// Reads what it sent to the end of `into`.
    pub(super) fn receive(&mut self, into: &mut Vec<u8>) {
        match rustix::net::recv(&self.socket, rustix::buffer::spare_capacity(into), RecvFlags::DONTWAIT) {
            Ok((_, 1..)) => {}
            Err(Errno::AGAIN | Errno::INTR) if !self.hung_up => {}
            _ => self.sending = Sending::Ended,
        }
    }

    /// The other end is closed. What it has sent is still read, if it may send.
    pub(super) fn hang_up(&mut self) {
        self.hung_up = true;
        self.outbox = Vec::new();
    }

    /// Nothing more comes for it: it sees the end once it has read the rest.
    pub(super) fn finish(&self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }

    /// It counts no more.
    pub(super) fn leave(&mut self) {
        self.hang_up();
        if self.sending == Sending::Yes {
            self.sending = Sending::Ended;
        }
    }

    /// It left, or was given up, and nothing that it sent is still to be read.
    pub(super) fn is_gone(&self) -> bool {
        self.hung_up && self.sending == Sending::No
    }

    /// Whether what it sends has ended since this was last asked; `open` says whether anybody takes it.
    pub(super) fn has_ended(&mut self, open: bool) -> bool {
        if self.hung_up && !open && self.sending == Sending::Yes {
            self.sending = Sending::Ended;
        }
        let ended = self.sending == Sending::Ended;
        if ended {
            self.sending = Sending::No;
        }
        ended
    }

    /// It may still send.
    pub(super) fn is_sending(&self) -> bool {
        self.sending == Sending::Yes
    }

    /// Something waits for it to read.
    pub(super) const fn is_behind(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// So much waits for it that the process must wait, too.
    pub(super) const fn is_full(&self) -> bool {
        self.outbox.len() - self.sent >= MOST
    }

    /// When it will be given up unless it reads.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stalled.filter(|_| self.is_behind()).map(|since| since + PATIENCE)
    }

    /// What to wait for: `None` when there is nothing, not even its end, to be told of.
    pub(super) fn wanted(&self, takes_input: bool) -> Option<PollFlags> {
        let mut flags = PollFlags::empty();
        if self.is_sending() && takes_input {
            flags |= PollFlags::IN;
        }
        if self.is_behind() {
            flags |= PollFlags::OUT;
        }
        // Its end was seen already, and would be seen for ever.
        if self.hung_up && flags.is_empty() { None } else { Some(flags) }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    const OUTPUT: AttachRequest = AttachRequest { stdin: false, stdout: true, stderr: false };

    fn client(wants: AttachRequest) -> (UnixStream, Client) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (ours, Client::new(theirs.into(), wants, wants.stdin))
    }

    #[test]
    fn a_client_that_takes_nothing_has_a_deadline_until_it_reads() {
        let (mut reader, mut client) = client(OUTPUT);
        let bytes = vec![7; 64 << 10];
        let mut pushed = 0;
        while !client.is_full() {
            assert!(pushed < 100, "the socket takes everything");
            client.push(Stream::Stdout, &bytes, true);
            client.push(Stream::Stderr, b"not asked for", true);
            pushed += 1;
        }
        let first = client.deadline().expect("it is behind");
        let mut left = pushed * bytes.len();
        let mut piece = vec![0; 32 << 10];
        // Room is made when whole pieces were read.
        while client.deadline() == Some(first) {
            left -= reader.read(&mut piece).expect("bytes");
            client.flush();
        }
        assert!(client.deadline().is_none_or(|later| later > first));
        while client.is_behind() {
            left -= reader.read(&mut piece).expect("bytes");
            client.flush();
        }
        assert_eq!(client.deadline(), None);
        client.finish();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).expect("the end");
        assert_eq!(rest.len(), left);
    }

    #[test]
    fn one_who_left_is_gone_once_what_it_sent_was_read() {
        let (writer, mut sender) = client(AttachRequest { stdin: true, ..OUTPUT });
        std::io::Write::write_all(&mut &writer, b"last words").expect("room");
        drop(writer);
        sender.push(Stream::Stdout, b"for nobody", false);
        assert_eq!((sender.is_gone(), sender.is_behind(), sender.has_ended(true)), (false, false, false));
        let mut words = Vec::with_capacity(100);
        sender.receive(&mut words);
        assert_eq!((words.as_slice(), sender.has_ended(true)), (&b"last words"[..], false));
        sender.receive(&mut words);
        assert!(sender.has_ended(true) && sender.is_gone());

        let (reader, mut listener) = client(OUTPUT);
        drop(reader);
        listener.hang_up();
        assert!(listener.is_gone() && listener.wanted(true).is_none());
    }
}
