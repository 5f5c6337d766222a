//! The keeper's loop: one thread that waits for the engine, its words, a signal, a shim's end or a first caller.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitOptions, wait};

use crate::engine::runtime::estate::Estate;
use crate::engine::runtime::keeper::engine::{BackOff, EngineProcess, Program, is_readable, refuse};
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::leave::Claim;
use crate::engine::runtime::keeper::option::Options;
use crate::engine::runtime::keeper::{leave, report};
use crate::engine::runtime::link::Leaving;
use crate::engine::runtime::note::Note;
use crate::engine::runtime::packet;

/// When the next engine is to start.
#[derive(Clone, Copy, Debug)]
enum Next {
    At(Instant),
    OnConnection,
}

/// How a keeper's life ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Cleanly.
    Left,
    /// No engine could be started.
    Failed,
}

/// A keeper at work.
#[derive(Debug)]
pub(super) struct Keeper {
    options: Options,
    estate: Estate,
    engine: Option<EngineProcess>,
    next: Next,
    back_off: BackOff,
    program: Program,
    signals: SignalFd,
    permanent: bool,
    stopping: bool,
    /// The root is its own for as long as this is open.
    _claim: Claim,
}

impl Keeper {
    /// A keeper of an estate, whose engine may run already.
    pub(super) fn new(
        options: Options,
        estate: Estate,
        engine: Option<EngineProcess>,
        permanent: bool,
        claim: Claim,
    ) -> Result<Self, KeeperError> {
        let mut mask = SigSet::empty();
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD].into_iter().for_each(|signal| mask.add(signal));
        let failed = |error: nix::errno::Errno| KeeperError::Call { step: "take signals from a descriptor", source: error.into() };
        mask.thread_block().map_err(failed)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(failed)?;
        Ok(Self {
            options,
            estate,
            engine,
            next: Next::At(Instant::now()),
            back_off: BackOff::default(),
            program: Program::find(),
            signals,
            permanent,
            stopping: false,
            _claim: claim,
        })
    }

    /// Starts the engine, unless one runs.
    pub(super) fn start_engine(&mut self) -> Result<(), KeeperError> {
        let mut parcels = self.estate.parcels().map_err(|source| KeeperError::Call { step: "copy descriptors for the engine", source })?;
        parcels.push((Note::Begin(self.permanent), Vec::new()));
        let mut engine = EngineProcess::start(self.program.path(), &self.options, parcels)?;
        engine.flush();
        self.engine = Some(engine);
        Ok(())
    }

    /// Works until there is nothing left to keep.
    pub(super) fn run(&mut self) -> Result<End, KeeperError> {
        loop {
            self.wait()?;
            if self.take_signals() {
                self.stopping = true;
                match &mut self.engine {
                    Some(engine) => engine.tell(Note::Stop),
                    None => return leave::now(&self.options.root, &mut self.estate).map(|()| End::Left),
                }
            }
            let ended = match &mut self.engine {
                Some(engine) => {
                    engine.flush();
                    // First whether it has ended, then what it said: whatever it said came before its end.
                    let ended = is_readable(&engine.pidfd);
                    listen(engine, &mut self.estate);
                    ended
                }
                None => false,
            };
            if ended && let Some(engine) = self.engine.take() {
                if let Some(end) = self.after(engine)? {
                    return Ok(end);
                }
            } else if self.engine.is_none() {
                self.end_orphans();
                if self.is_due()
                    && let Err(error) = self.start_engine()
                {
                    report(&error.chain());
                    self.next = Next::At(Instant::now() + self.back_off.after(Duration::ZERO));
                }
            }
        }
    }

    /// Decides what follows an engine's end.
    fn after(&mut self, engine: EngineProcess) -> Result<Option<End>, KeeperError> {
        if let Some(reason) = &engine.failed {
            report(&format!("the engine cannot start: {reason}"));
            let sentence = format!("the engine cannot start: {reason}");
            for (_, listener) in &self.estate.listeners {
                refuse(listener, self.options.guard.lets_in(listener).then_some(sentence.as_str()));
            }
            if self.estate.is_idle() {
                leave::now(&self.options.root, &mut self.estate)?;
                return Ok(Some(End::Failed));
            }
        }
        match engine.leaving {
            Some(Leaving::Stopped) => {
                leave::now(&self.options.root, &mut self.estate)?;
                return Ok(Some(End::Left));
            }
            Some(Leaving::Idle) if !self.permanent && self.estate.is_idle() => {
                if leave::unless_called(&self.options.root, &mut self.estate)? {
                    return Ok(Some(End::Left));
                }
                self.next = Next::At(Instant::now());
            }
            Some(Leaving::Idle) => self.next = Next::OnConnection,
            None if self.stopping => {
                leave::now(&self.options.root, &mut self.estate)?;
                return Ok(Some(End::Left));
            }
            None => {
                let delay = self.back_off.after(engine.started.elapsed());
                report(&format!("the engine ended without leave; another is started in {delay:?}"));
                self.next = Next::At(Instant::now() + delay);
            }
        }
        Ok(None)
    }

    fn is_due(&self) -> bool {
        match self.next {
            Next::At(instant) => Instant::now() >= instant,
            Next::OnConnection => self.estate.listeners.iter().any(|(_, listener)| is_readable(listener)),
        }
    }

    /// Ends the containers whose shims died while no engine was there to do it.
    fn end_orphans(&mut self) {
        self.estate.shims.retain(|pid, shim| {
            if !is_readable(&shim.pidfd) {
                return true;
            }
            // A shim that ended in order has removed the group; then there is nothing to write to.
            if fs::write(shim.group.join("cgroup.kill"), "1").is_ok() {
                report(&format!("shim {pid} ended while no engine was there; its container was killed"));
            }
            false
        });
    }

    /// Waits for whatever comes first.
    fn wait(&self) -> Result<(), KeeperError> {
        let mut timeout = None;
        let mut wanted = vec![PollFd::new(&self.signals, PollFlags::IN)];
        match &self.engine {
            Some(engine) => {
                let flags = if engine.is_behind() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
                wanted.push(PollFd::new(&engine.pidfd, PollFlags::IN));
                if !is_deaf(&engine.socket) {
                    wanted.push(PollFd::new(&engine.socket, flags));
                }
            }
            None => {
                wanted.extend(self.estate.shims.values().map(|shim| PollFd::new(&shim.pidfd, PollFlags::IN)));
                match self.next {
                    Next::At(instant) => {
                        let left = instant.saturating_duration_since(Instant::now());
                        timeout = Timespec::try_from(left).ok();
                    }
                    Next::OnConnection => {
                        wanted.extend(self.estate.listeners.iter().map(|(_, listener)| PollFd::new(listener, PollFlags::IN)));
                    }
                }
            }
        }
        match poll(&mut wanted, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(KeeperError::Call { step: "wait", source: error.into() }),
        }
    }

    /// Reaps children; returns whether somebody asked for the end.
    fn take_signals(&self) -> bool {
        let mut asked = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGCHLD) => while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {},
                // In the background a hang-up is somebody else's terminal.
                Some(Signal::SIGHUP) if !self.options.foreground => {}
                Some(_) => asked = true,
                None => {}
            }
        }
        asked
    }
}

/// Whether the other end of the engine's socket is closed, so that poll would return for ever.
fn is_deaf(socket: &OwnedFd) -> bool {
    let mut wanted = [PollFd::new(socket, PollFlags::empty())];
    let _ = poll(&mut wanted, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    wanted[0].revents().contains(PollFlags::HUP)
}

/// Reads all the engine has said.
fn listen(engine: &mut EngineProcess, estate: &mut Estate) {
    loop {
        match packet::receive(engine.socket.as_fd(), false) {
            Ok(Some(packet)) => {
                let Some(note) = Note::decode(&packet.bytes) else { continue };
                match estate.apply(note, packet.descriptors) {
                    Some((Note::Leaving(why), _)) => engine.leaving = Some(why),
                    Some((Note::Failed(reason), _)) => engine.failed = Some(reason),
                    _ => {}
                }
            }
            Ok(None) => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                report(&format!("a message of the engine was lost: {error}"));
                return;
            }
        }
    }
}
