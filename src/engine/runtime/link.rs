//! The engine's end of the keeper: what must outlive the engine is held there, and what was held comes back from there.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{PidfdFlags, getpid, pidfd_open};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::engine::runtime::estate::{Estate, hold};
use crate::engine::runtime::note::Note;
use crate::engine::runtime::readiness::readable;
use crate::engine::runtime::{packet, talk};

/// Why the engine leaves of its own will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Nothing runs and nobody called for a while.
    Idle,
    /// It was told to stop; the keeper leaves, too.
    Stopped,
}

/// A failed exchange with the keeper.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A descriptor could not be copied.
    #[error("cannot copy a descriptor of `{key}`")]
    Copy {
        /// The key it is held under.
        key: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What the keeper hands over did not come.
    #[error("cannot take over from the keeper")]
    Begin {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// This process is no child of a keeper.
    #[error("an engine is started by its keeper: use `gantry engine`")]
    NoKeeper,
}

/// The engine's end of the socket to its keeper; cheap to clone.
#[derive(Clone, Debug)]
pub struct KeeperLink {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stopping: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    estate: Estate,
    /// `None` while there is no keeper.
    socket: Option<Arc<OwnedFd>>,
    /// The keeper that this engine started after the first had died.
    child: Option<Child>,
    permanent: bool,
    leaving: bool,
    /// The engine's command line, for a keeper that it starts.
    arguments: Vec<OsString>,
}

impl State {
    /// Tells the keeper, if there is one. One that has just died misses nothing: the next one is told all.
    fn tell(&self, note: &Note, descriptors: &[BorrowedFd<'_>]) {
        if let Some(socket) = &self.socket {
            let _ = packet::send(socket, &note.encode(), descriptors, true);
        }
    }
}

impl KeeperLink {
    fn new(state: State) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(state), stopping: watch::Sender::new(false) }) }
    }

    /// A link without a keeper: what is held lives as long as the link. For tests and for an engine inside another program.
    pub fn alone() -> Self {
        Self::new(State { permanent: true, ..State::default() })
    }

    /// The link of an engine that was just started: its keeper is at standard input, and hands over all it has.
    pub(super) fn begin(arguments: &[OsString]) -> Result<Self, LinkError> {
        let stdin = rustix::stdio::stdin();
        if !matches!(rustix::net::sockopt::socket_type(stdin), Ok(kind) if kind == rustix::net::SocketType::SEQPACKET) {
            return Err(LinkError::NoKeeper);
        }
        let failed = |source| LinkError::Begin { source };
        let socket = stdin.as_fd().try_clone_to_owned().map_err(failed)?;
        let nowhere = std::fs::File::open("/dev/null").map_err(failed)?;
        rustix::stdio::dup2_stdin(nowhere).map_err(|error| failed(error.into()))?;
        let mut state = State { arguments: arguments.to_vec(), ..State::default() };
        loop {
            let packet = packet::receive(&socket, true).map_err(failed)?.ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
            let Some(note) = Note::decode(&packet.bytes) else { continue };
            if let Some((Note::Begin(permanent), _)) = state.estate.apply(note, packet.descriptors) {
                state.permanent = permanent;
                break;
            }
        }
        state.socket = Some(Arc::new(socket));
        Ok(Self::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole before the lock is released, so a panic elsewhere leaves nothing half done.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears the keeper for as long as the engine lives, and makes another when it dies. To be spawned once.
    pub async fn attend(self) {
        loop {
            let Some(socket) = self.state().socket.clone() else { return };
            if let Err(error) = self.hear(&socket).await {
                tracing::warn!("the keeper's socket failed: {error}");
            }
            drop(socket);
            self.state().socket = None;
            if self.state().leaving {
                return;
            }
            tracing::warn!("the keeper ended; another is started");
            let link = self.clone();
            match tokio::task::spawn_blocking(move || link.make_keeper()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return tracing::error!("no other keeper could be started: {error}"),
                Err(error) => return tracing::error!("no other keeper could be started: {error}"),
            }
        }
    }

    /// Follows what the keeper says until it is gone.
    async fn hear(&self, socket: &OwnedFd) -> io::Result<()> {
        let socket = readable(socket.try_clone()?)?;
        loop {
            let mut ready = socket.readable().await?;
            match ready.try_io(|socket| packet::receive(socket.get_ref(), false)) {
                Err(_) => {}
                Ok(packet) => match packet? {
                    None => return Ok(()),
                    Some(packet) if Note::decode(&packet.bytes) == Some(Note::Stop) => _ = self.shared.stopping.send(true),
                    Some(_) => {}
                },
            }
        }
    }

    /// Starts a keeper and hands it everything.
    #[expect(clippy::disallowed_methods, reason = "re-exec of ourselves, through posix_spawn: no hook runs between fork and exec")]
    fn make_keeper(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(mut former) = state.child.take() {
            former.wait()?;
        }
        let (socket, theirs) = packet::pair()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("gantry-keeper").args(&state.arguments).stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::inherit());
        state.child = Some(command.spawn()?);
        let mine = pidfd_open(getpid(), PidfdFlags::empty())?;
        let mut parcels = vec![(Note::Engine(getpid().as_raw_pid()), vec![mine])];
        parcels.extend(state.estate.parcels()?);
        parcels.push((Note::Begin(state.permanent), Vec::new()));
        for (note, descriptors) in parcels {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            packet::send(&socket, &note.encode(), &borrowed, true)?;
        }
        state.socket = Some(Arc::new(socket));
        Ok(())
    }

    /// Hands copies of the descriptors to the keeper under `key`, replacing what was held under it.
    pub fn hold(&self, key: &str, descriptors: Vec<OwnedFd>) -> Result<(), LinkError> {
        let mut state = self.state();
        let parcels = hold(key, &descriptors).map_err(|source| LinkError::Copy { key: key.to_owned(), source })?;
        for (note, copies) in parcels {
            state.tell(&note, &copies.iter().map(AsFd::as_fd).collect::<Vec<_>>());
        }
        state.estate.held.insert(key.to_owned(), descriptors);
        Ok(())
    }

    /// Hands a value to the keeper under `key`, replacing what was held under it.
    pub(in crate::engine) fn hold_value(&self, key: &str, value: &impl Serialize) -> Result<(), LinkError> {
        let enclosure = talk::enclose(value).map_err(|source| LinkError::Copy { key: key.to_owned(), source })?;
        self.hold(key, vec![enclosure])
    }

    /// The value that is held under `key`, if one is and it can be understood.
    pub(in crate::engine) fn value_under<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        talk::open(self.held_under(key).ok().flatten()?.pop()?).ok()
    }

    /// Lets go of what is held under `key`; nothing happens when nothing is.
    pub fn release(&self, key: &str) {
        let mut state = self.state();
        if state.estate.held.remove(key).is_some() {
            state.tell(&Note::Release(key.to_owned()), &[]);
        }
    }

    /// Copies of everything that is held: after a crash, what the engine before this one had handed over.
    pub fn held(&self) -> Result<Vec<(String, Vec<OwnedFd>)>, LinkError> {
        let copy = |(key, descriptors): (&String, &Vec<OwnedFd>)| {
            let copies: io::Result<Vec<_>> = descriptors.iter().map(OwnedFd::try_clone).collect();
            Ok((key.clone(), copies.map_err(|source| LinkError::Copy { key: key.clone(), source })?))
        };
        self.state().estate.held.iter().map(copy).collect()
    }

    /// Copies of what is held under `key`, if anything is.
    pub(in crate::engine) fn held_under(&self, key: &str) -> io::Result<Option<Vec<OwnedFd>>> {
        let state = self.state();
        state.estate.held.get(key).map(|held| held.iter().map(OwnedFd::try_clone).collect()).transpose()
    }

    /// The shim of the container whose control group has this name, and its pidfd.
    pub(super) fn shim_of(&self, name: &str) -> Option<(i32, OwnedFd)> {
        let state = self.state();
        let (pid, shim) = state.estate.shims.iter().find(|(_, shim)| shim.group.file_name().is_some_and(|last| last == name))?;
        Some((*pid, shim.pidfd.try_clone().ok()?))
    }

    /// The sockets the API is to be served at, by address: the root's own first, then those of `-H`.
    pub fn listeners(&self) -> Result<Vec<(String, OwnedFd)>, LinkError> {
        let copy = |(name, socket): &(String, OwnedFd)| {
            let copy = socket.try_clone().map_err(|source| LinkError::Copy { key: name.clone(), source })?;
            Ok((name.clone(), copy))
        };
        self.state().estate.listeners.iter().map(copy).collect()
    }

    /// The root's own socket.
    pub fn listener(&self) -> Result<UnixListener, LinkError> {
        let first = self.listeners()?.into_iter().next().ok_or(LinkError::NoKeeper)?;
        Ok(UnixListener::from(first.1))
    }

    /// Whether the keeper stays for good (`gantry engine`), and so should the engine.
    pub fn is_permanent(&self) -> bool {
        self.state().permanent
    }

    /// A shim runs: should it end while no engine is there, the keeper ends its container.
    pub(super) fn shim_started(&self, pid: i32, pidfd: &OwnedFd, group: PathBuf) -> io::Result<()> {
        let (copy, second) = (pidfd.try_clone()?, pidfd.try_clone()?);
        let mut state = self.state();
        let note = Note::Shim(pid, group);
        state.tell(&note, &[copy.as_fd()]);
        state.estate.apply(note, vec![second]);
        Ok(())
    }

    /// A shim has ended and its container is dealt with.
    pub(super) fn shim_ended(&self, pid: i32) {
        let mut state = self.state();
        if state.estate.shims.remove(&pid).is_some() {
            state.tell(&Note::ShimGone(pid), &[]);
        }
    }

    /// Says that this engine leaves. Only after it may it exit without being started again.
    pub fn leave(&self, why: Leaving) {
        let mut state = self.state();
        state.leaving = true;
        state.tell(&Note::Leaving(why), &[]);
    }

    /// Says why this engine cannot start; those who wait at the sockets are told.
    pub(super) fn fail(&self, reason: &str) {
        let mut state = self.state();
        state.leaving = true;
        // A packet has an end; the sentence is at its beginning.
        let reason: String = reason.chars().take(4096).collect();
        state.tell(&Note::Failed(reason), &[]);
    }

    /// Returns when the engine is asked to stop cleanly: `gantry engine` was interrupted, or the machine goes down.
    pub async fn stopping(&self) {
        let mut receiver = self.shared.stopping.subscribe();
        // The sender lives in `self`.
        let _ = receiver.wait_for(|stopping| *stopping).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_back() {
        let (socket, keeper) = packet::pair().expect("a pair");
        let link = KeeperLink::new(State { socket: Some(Arc::new(socket)), ..State::default() });
        let (reader, writer) = io::pipe().expect("a pipe");
        link.hold("port", vec![reader.into(), writer.into()]).expect("copies");
        link.hold("gone", Vec::new()).expect("copies");
        link.hold_value("value", &[7, 8]).expect("memory");
        // As often as it is asked for.
        assert_eq!([(); 2].map(|()| link.value_under::<Vec<u32>>("value")), [Some(vec![7, 8]), Some(vec![7, 8])]);
        assert_eq!((link.value_under::<String>("value"), link.value_under::<String>("none")), (None, None));
        link.release("gone");
        link.release("never there");
        link.leave(Leaving::Idle);
        let held = link.held().expect("copies");
        assert_eq!(held.iter().map(|(key, held)| (key.as_str(), held.len())).collect::<Vec<_>>(), [("port", 2), ("value", 1)]);

        let mut estate = Estate::default();
        let mut rest = Vec::new();
        drop(link);
        while let Some(packet) = packet::receive(&keeper, true).expect("packets") {
            rest.extend(estate.apply(Note::decode(&packet.bytes).expect("a note"), packet.descriptors).map(|(note, _)| note));
        }
        assert_eq!(rest, [Note::Leaving(Leaving::Idle)]);
        assert_eq!(estate.held.keys().collect::<Vec<_>>(), ["port", "value"]);
    }
}
