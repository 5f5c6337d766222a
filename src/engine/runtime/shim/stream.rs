//! The streams of one process: what it writes goes to its log and to its clients, what they send to its standard input.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::Winsize;

use crate::engine::runtime::init::InitStdio;
use crate::engine::runtime::shim::client::Client;
use crate::engine::runtime::shim::input::Input;
use crate::engine::runtime::shim::log::Log;
use crate::engine::runtime::task::AttachRequest;
use crate::resource::exec::TerminalSize;
use crate::resource::log::Stream;

/// So much is read at once.
pub(super) const PIECE: usize = 64 << 10;

/// So much fits into a pipe: a container that writes fast and its shim need not take turns at every 64 KiB.
const PIPE: usize = 256 << 10;

/// More than any pipe or terminal holds: what a process that has ended left behind is no longer than this.
const MOST_LEFT: usize = 1 << 20;

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// What is decided otherwise for a container than for an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Clients come and go, and the container waits for none of them for ever.
    Container {
        /// The end of the first client's input is the end of the container's.
        stdin_once: bool,
    },
    /// It has one client, and its streams are that client's.
    Exec,
}

/// One of the descriptors to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The process wrote something.
    Output(usize),
    /// Standard input has room.
    Input,
    /// A client sent something, has room, or left.
    Client(usize),
}

/// The streams of one process.
#[derive(Debug)]
pub(super) struct Streams {
    manner: Manner,
    /// Clients may send.
    stdin: bool,
    tty: bool,
    input: Input,
    outputs: [Option<OwnedFd>; 2],
    terminal: Option<OwnedFd>,
    size: Option<TerminalSize>,
    clients: Vec<Client>,
    log: Option<Log>,
}

impl Streams {
    /// For a process with a terminal, which is still to come.
    pub(super) const fn terminal(manner: Manner, stdin: bool, log: Option<Log>) -> Self {
        let outputs = [None, None];
        Self { manner, stdin, tty: true, input: Input::none(), outputs, terminal: None, size: None, clients: Vec::new(), log }
    }

    /// For one with pipes, and its ends of them. What is not wanted is `/dev/null`.
    pub(super) fn pipes(manner: Manner, wants: AttachRequest, log: Option<Log>) -> io::Result<(Self, InitStdio)> {
        let mut streams = Self { tty: false, ..Self::terminal(manner, wants.stdin, log) };
        let stdin = if wants.stdin {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&writer, true)?;
            streams.input = Input::new(writer);
            reader
        } else {
            null()?
        };
        let mut output = |index: usize, wanted: bool| -> io::Result<OwnedFd> {
            if !wanted {
                return null();
            }
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&reader, true)?;
            // A user with many pipes may be refused a large one.
            let _ = rustix::pipe::fcntl_setpipe_size(&reader, PIPE);
            streams.outputs[index] = Some(reader);
            Ok(writer)
        };
        let (stdout, stderr) = (output(0, wants.stdout)?, output(1, wants.stderr)?);
        Ok((streams, InitStdio { stdin, stdout, stderr }))
    }

    /// The terminal has come.
    pub(super) fn set_terminal(&mut self, master: OwnedFd) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&master, true)?;
        self.outputs[0] = Some(master.try_clone()?);
        if self.stdin {
            self.input = Input::new(master.try_clone()?);
        }
        self.terminal = Some(master);
        self.apply_size();
        Ok(())
    }

    /// Gives the terminal another size.
    pub(super) fn resize(&mut self, size: TerminalSize) {
        self.size = Some(size);
        self.apply_size();
    }

    /// The process has executed its command, after giving its terminal the size it was to begin with.
    pub(super) fn apply_size(&self) {
        if let (Some(terminal), Some(size)) = (&self.terminal, self.size) {
            let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
            // Nobody is left to see the size of a terminal that was hung up.
            let _ = rustix::termios::tcsetwinsize(terminal, size);
        }
    }

    /// A client joins.
    pub(super) fn attach(&mut self, socket: OwnedFd, wants: AttachRequest) {
        self.clients.push(Client::new(socket, wants, wants.stdin && self.stdin));
    }

    /// What to wait for.
    pub(super) fn wanted(&self) -> Vec<(BorrowedFd<'_>, PollFlags, Part)> {
        let mut wanted = Vec::new();
        if !self.clients.iter().any(Client::is_full) {
            let outputs = self.outputs.iter().enumerate();
            wanted.extend(outputs.filter_map(|(index, output)| Some((output.as_ref()?.as_fd(), PollFlags::IN, Part::Output(index)))));
        }
        wanted.extend(self.input.blocked().map(|sink| (sink, PollFlags::OUT, Part::Input)));
        for (index, client) in self.clients.iter().enumerate() {
            wanted.extend(client.wanted(self.input.takes()).map(|flags| (client.as_fd(), flags, Part::Client(index))));
        }
        wanted
    }

    /// When a client is to be given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter(|client| client.is_full() && self.manner != Manner::Exec);
        clients.filter_map(Client::deadline).min()
    }

    /// Does what a descriptor is ready for; `scratch` is memory to read into.
    pub(super) fn react(&mut self, part: Part, flags: PollFlags, scratch: &mut Vec<u8>) {
        match part {
            Part::Output(index) => _ = self.read(index, scratch),
            Part::Input => self.input.flush(),
            Part::Client(index) => {
                let client = &mut self.clients[index];
                if flags.contains(PollFlags::OUT) {
                    client.flush();
                }
                if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
                    client.hang_up();
                }
                if flags.contains(PollFlags::IN) && self.input.takes() {
                    self.input.feed(client);
                }
            }
        }
    }

    /// Lets go of the clients that left or have taken nothing for too long, and ends the input with theirs.
    pub(super) fn sweep(&mut self) {
        if self.deadline().is_some() {
            let now = Instant::now();
            let full = self.clients.iter_mut().filter(|client| client.is_full());
            full.filter(|client| client.deadline().is_some_and(|deadline| deadline <= now)).for_each(Client::leave);
        }
        for client in &mut self.clients {
            if !client.has_ended(self.input.is_open()) {
                continue;
            }
            match self.manner {
                Manner::Exec | Manner::Container { stdin_once: true } if !self.tty => self.input.end(),
                Manner::Exec => {}
                // As with Docker: who attached with input, and ended it where it is not the container's to end, has detached.
                Manner::Container { .. } => client.leave(),
            }
        }
        self.clients.retain(|client| !client.is_gone());
    }

    /// Reads a piece of an output; `false` when there is nothing to be read for the moment, or ever again.
    fn read(&mut self, index: usize, scratch: &mut Vec<u8>) -> bool {
        let Some(output) = &self.outputs[index] else { return false };
        scratch.clear();
        match rustix::io::retry_on_intr(|| rustix::io::read(output, rustix::buffer::spare_capacity(scratch))) {
            Ok(0) => self.close(index),
            Ok(_) => {
                if let Some(log) = &mut self.log {
                    log.write(STREAMS[index], scratch);
                }
                self.clients.iter_mut().for_each(|client| client.push(STREAMS[index], scratch, self.tty));
                return true;
            }
            Err(Errno::AGAIN) => {}
            // EIO from a terminal: nobody has it open any more.
            Err(_) => self.close(index),
        }
        false
    }

    fn close(&mut self, index: usize) {
        self.outputs[index] = None;
        if self.tty {
            self.terminal = None;
            self.input = Input::none();
        }
    }

    /// Waits for who works for the log.
    pub(super) fn settle(&mut self) {
        if let Some(log) = &mut self.log {
            log.settle();
        }
    }

    /// The process has ended: takes what it left behind, without waiting for clients. What is still open afterwards is returned: a
    /// process that outlived it may go on writing there, for nobody.
    pub(super) fn finish(&mut self, scratch: &mut Vec<u8>) -> Vec<OwnedFd> {
        for index in 0..self.outputs.len() {
            let mut left = MOST_LEFT;
            while self.read(index, scratch) && left > 0 {
                left = left.saturating_sub(scratch.len());
            }
        }
        if let Some(log) = &mut self.log {
            log.finish();
        }
        (self.log, self.terminal, self.input) = (None, None, Input::none());
        self.outputs.iter_mut().filter_map(Option::take).collect()
    }

    /// All its clients have what it wrote.
    pub(super) fn is_delivered(&self) -> bool {
        !self.clients.iter().any(Client::is_behind)
    }

    /// Its clients, who are still to be given the rest and the end.
    pub(super) fn take_clients(&mut self) -> Vec<Client> {
        std::mem::take(&mut self.clients)
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}
