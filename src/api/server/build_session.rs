//! One build over a connection of its own: what comes for it is taken in, then it is built, and what happens is told until its end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadHalf;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::server::listener::{self, Stream};
use crate::api::server::router::panicked;
use crate::api::wire::build::connection::{Channels, ConnectionError, Gone, Incoming, Outgoing, write};
use crate::api::wire::build::frame::PIECE;
use crate::api::wire::build::message::{ContextOffer, Opening, ToClient, ToEngine};
use crate::engine::Engine;
use crate::engine::build::Supply;
use crate::engine::build::agent::{AgentSocket, AgentSockets};
use crate::engine::build::context::{ArchiveEnd, Begun, ContextError, ContextTree, Contexts};
use crate::resource::build::{BuildEvent, BuildSpec, NamedContext, ShellInput};
use crate::resource::context::ContextEntry;
use crate::resource::failure::Failure;
use crate::resource::id::{Digest, ImageId};

/// Pieces of a context that may wait for the disk.
const PIECES: usize = 8;

/// Events that may wait for a slow client; then the build waits.
const EVENTS: usize = 64;

/// Pieces that may wait for a shell, none of them longer than a terminal's client sends.
const TYPED: usize = 64;

/// Entries of one context, and the bytes of their paths, at most.
const ENTRIES: usize = 2_000_000;
const PATHS: usize = 256 << 20;

/// So long a client may send nothing while its build waits for a context of it: who wants the same folder, or its place, waits behind it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The head of the answer, after which messages come.
const HEAD: &str = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: gantry-build\r\n\r\n";

/// A build that takes its connection over.
pub(super) struct BuildSession {
    engine: Engine,
}

impl BuildSession {
    /// A build on an engine.
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Takes a build in, builds it and tells how it ended. It ends with the connection.
    pub(super) async fn carry(self, stream: impl Stream, early: Bytes) -> io::Result<()> {
        let engine = &self.engine;
        let build = |spec, supply, tell| engine.build(spec, supply, tell);
        let place = Place { contexts: engine.contexts(), sockets: engine.agent_sockets(), patience: PATIENCE };
        serve(stream, &early, place, build).await
    }
}

/// Why a build ends without an image.
#[derive(Debug)]
enum End {
    /// Its client has gone, and needs no answer.
    Gone,
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<ContextError> for End {
    fn from(error: ContextError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Broken(_) => Self::Gone,
            ConnectionError::Message(error) => Self::Failed(Failure::invalid(format!("the build's connection: {error}"))),
        }
    }
}

/// Where a build gets what its client has.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Place<'a> {
    pub(in crate::api) contexts: &'a Contexts,
    pub(in crate::api) sockets: &'a AgentSockets,
    /// So long a client may send nothing of what is waited for.
    pub(in crate::api) patience: Duration,
}

/// Serves one build over a connection, by whatever builds.
pub(in crate::api) async fn serve<S, F>(
    stream: S,
    early: &[u8],
    place: Place<'_>,
    build: impl FnOnce(BuildSpec, Supply, mpsc::Sender<BuildEvent>) -> F,
) -> io::Result<()>
where
    S: Stream,
    F: Future<Output = Result<ImageId, Failure>>,
{
    let (read, mut to_client) = tokio::io::split(stream);
    let (outgoing, frames) = Outgoing::new();
    let mut session = Session { incoming: Incoming::new(read, early), outgoing, patience: place.patience };
    let writing = async {
        tokio::io::AsyncWriteExt::write_all(&mut to_client, HEAD.as_bytes()).await?;
        write(frames, &mut to_client).await
    };
    let working = async move {
        let last = match session.run(place, build).await {
            Ok(image) => ToClient::Built(image),
            Err(End::Failed(failure)) => ToClient::Failed(failure),
            Err(End::Gone) => return session.incoming,
        };
        // Who has gone meanwhile does not hear it.
        let _ = session.outgoing.send(&last).await;
        session.incoming
    };
    let (incoming, written) = {
        tokio::pin!(writing, working);
        tokio::select! {
            incoming = &mut working => (incoming, writing.await),
            // It only ends first when nothing can be written any more.
            written = &mut writing => return written,
        }
    };
    listener::close(incoming.into_inner().unsplit(to_client)).await;
    written
}

struct Session<R> {
    incoming: Incoming<R>,
    outgoing: Outgoing,
    patience: Duration,
}

impl<S: Stream> Session<ReadHalf<S>> {
    async fn run<F>(
        &mut self,
        Place { contexts, sockets, .. }: Place<'_>,
        build: impl FnOnce(BuildSpec, Supply, mpsc::Sender<BuildEvent>) -> F,
    ) -> Result<ImageId, End>
    where
        F: Future<Output = Result<ImageId, Failure>>,
    {
        let ToEngine::Open(opening) = self.soon().await? else { return Err(unexpected("a build opens with what it is")) };
        let Opening { spec, contexts: offers, credentials } = *opening;
        check_offers(&spec, &offers)?;
        let mut supply = Supply { credentials, ..Supply::default() };
        self.take_in(&mut supply, spec.secrets.clone(), offers, contexts).await?;
        let mut agents = Agents::default();
        for id in &spec.ssh {
            let socket = sockets.bind()?;
            supply.ssh.insert(id.clone(), socket.path().to_owned());
            agents.listen(id.clone(), socket);
        }
        let (typing, typed) = mpsc::channel(TYPED);
        supply.typed = tokio::sync::Mutex::new(spec.shell.map(|_| typed));
        let (tell, mut told) = mpsc::channel(EVENTS);
        let outgoing = self.outgoing.clone();
        let telling = async {
            while let Some(event) = told.recv().await {
                if outgoing.send(&ToClient::Event(event)).await.is_err() {
                    break;
                }
            }
        };
        let building = build(spec, supply, tell);
        tokio::select! {
            // What was told before the end goes out before it.
            (built, ()) = async { tokio::join!(building, telling) } => Ok(built?),
            end = self.attend(agents, typing) => Err(end),
        }
    }

    async fn next(&mut self) -> Result<ToEngine, End> {
        self.incoming.next().await?.ok_or(End::Gone)
    }

    /// What comes next of that which the build waits for.
    async fn soon(&mut self) -> Result<ToEngine, End> {
        let patience = self.patience;
        let late = |_| {
            let seconds = patience.as_secs();
            Failure::unavailable(format!(
                "the client has sent nothing of the build's context for {seconds} seconds, so the build does not wait any longer: build again"
            ))
        };
        tokio::time::timeout(patience, self.next()).await.map_err(late)?
    }

    /// Takes secrets and contexts in, until all that was announced is there.
    async fn take_in(
        &mut self,
        supply: &mut Supply,
        mut secrets: BTreeSet<String>,
        mut offers: BTreeMap<String, ContextOffer>,
        contexts: &Contexts,
    ) -> Result<(), End> {
        while !(secrets.is_empty() && offers.is_empty()) {
            let (context, tree) = match self.soon().await? {
                ToEngine::Secret { id, value } if secrets.remove(&id) => {
                    supply.secrets.insert(id, value);
                    continue;
                }
                ToEngine::Listing { context, entries, is_last } => match offers.remove(&context) {
                    Some(ContextOffer::Folder(key)) => {
                        let tree = self.folder(contexts, &context, key, entries, is_last).await?;
                        (context, tree)
                    }
                    _ => return Err(unexpected("a listing is of a folder that was announced")),
                },
                ToEngine::Content { context, bytes } => match offers.remove(&context) {
                    Some(ContextOffer::Archive) => {
                        let contexts = contexts.clone();
                        let tree = self.contents(&context, Some(bytes), move |archive| contexts.unpack(archive, ArchiveEnd::Whole)).await?;
                        (context, tree)
                    }
                    _ => return Err(unexpected("an archive is one that was announced")),
                },
                _ => return Err(unexpected("secrets and contexts come before anything else")),
            };
            match context.as_str() {
                "" => supply.context = Some(tree),
                _ => drop(supply.named.insert(context, tree)),
            }
        }
        Ok(())
    }

    /// Takes a folder in: its listing, and then what is wanted of it.
    async fn folder(
        &mut self,
        contexts: &Contexts,
        name: &str,
        key: Digest,
        mut listing: Vec<ContextEntry>,
        mut is_whole: bool,
    ) -> Result<Arc<ContextTree>, End> {
        let paths = |entries: &[ContextEntry]| entries.iter().map(|entry| entry.path.len()).sum::<usize>();
        let mut length = paths(&listing);
        while !is_whole {
            match self.soon().await? {
                ToEngine::Listing { context, entries, is_last } if context == name => {
                    length += paths(&entries);
                    listing.extend(entries);
                    is_whole = is_last;
                }
                _ => return Err(unexpected("a listing goes on until its end")),
            }
            if listing.len() > ENTRIES || length > PATHS {
                return Err(
                    Failure::invalid("the build context holds millions of files and folders: leave some out with .dockerignore").into()
                );
            }
        }
        // The turn may be another client's; ours may go meanwhile, and has nothing to say.
        let begun = tokio::select! {
            begun = contexts.begin(key, listing) => begun?,
            came = self.incoming.next::<ToEngine>() => {
                return Err(if came?.is_some() { unexpected("nothing comes before it is wanted") } else { End::Gone });
            }
        };
        let wanted = match &begun {
            Begun::Same(_) => Vec::new(),
            Begun::Changed(update) => update.wanted().to_vec(),
        };
        let is_complete = wanted.is_empty();
        self.outgoing.send(&ToClient::Want { context: name.to_owned(), numbers: wanted }).await?;
        match begun {
            Begun::Same(tree) => Ok(tree),
            Begun::Changed(update) if is_complete => blocking(move || update.finish(io::empty())).await,
            Begun::Changed(update) => self.contents(name, None, move |contents| update.finish(contents)).await,
        }
    }

    /// Has a thread read what comes for a context, to its last piece.
    async fn contents<T: Send + 'static>(
        &mut self,
        name: &str,
        first: Option<Vec<u8>>,
        read: impl FnOnce(Pieces) -> Result<T, ContextError> + Send + 'static,
    ) -> Result<T, End> {
        let (sender, pieces) = mpsc::channel(PIECES);
        let reading = blocking(move || read(Pieces { pieces, current: Vec::new(), start: 0, is_over: false }));
        let feeding = async {
            let mut next = first;
            loop {
                let bytes = match next.take() {
                    Some(bytes) => bytes,
                    None => match self.soon().await? {
                        ToEngine::Content { context, bytes } if context == name => bytes,
                        _ => return Err(unexpected("what is wanted of a context comes without a pause")),
                    },
                };
                let is_last = bytes.is_empty();
                // Who reads no more has found something wrong, and says it.
                if sender.send(bytes).await.is_err() || is_last {
                    return Ok(());
                }
            }
        };
        tokio::pin!(reading, feeding);
        tokio::select! {
            read = &mut reading => read,
            fed = feeding => {
                fed?;
                reading.await
            }
        }
    }

    /// Carries the connections to agents, and what is typed into a shell. It ends only when the client does.
    async fn attend(&mut self, mut agents: Agents, typing: mpsc::Sender<ShellInput>) -> End {
        let mut typing = Some(typing);
        let mut channels = Channels::default();
        let mut count = 0;
        loop {
            tokio::select! {
                came = self.next() => match came {
                    Ok(ToEngine::Agent { channel, bytes }) => channels.deliver(channel, bytes),
                    Ok(ToEngine::Shell(ShellInput::Bytes(bytes))) if bytes.len() > PIECE => {
                        return unexpected("what is typed comes in small pieces");
                    }
                    Ok(ToEngine::Shell(input)) => {
                        // A shell that does not read what it asked for hears nothing more; others are not held up by it.
                        if typing.as_ref().is_some_and(|typing| typing.try_send(input).is_err()) {
                            typing = None;
                        }
                    }
                    Ok(_) => return unexpected("while it is built, only agents and a shell are spoken to"),
                    Err(end) => return end,
                },
                Some((id, socket)) = agents.connected.recv() => {
                    // One too many hears nothing.
                    if !channels.is_full() {
                        count += 1;
                        if self.outgoing.send(&ToClient::AgentOpen { channel: count, id }).await.is_err() {
                            return End::Gone;
                        }
                        channels.open::<ToClient>(count, socket, self.outgoing.clone());
                    }
                }
                () = channels.ended() => {}
            }
        }
    }
}

/// The sockets of a build, each with somebody who listens.
struct Agents {
    listening: JoinSet<()>,
    sender: mpsc::Sender<(String, UnixStream)>,
    connected: mpsc::Receiver<(String, UnixStream)>,
}

impl Default for Agents {
    fn default() -> Self {
        let (sender, connected) = mpsc::channel(1);
        Self { listening: JoinSet::new(), sender, connected }
    }
}

impl Agents {
    fn listen(&mut self, id: String, socket: AgentSocket) {
        let sender = self.sender.clone();
        self.listening.spawn(async move {
            while let Ok(stream) = socket.accept().await {
                if sender.send((id.clone(), stream)).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// What a client sends of a context, for a thread that may block. Its end is an error unless the client said that it is one.
struct Pieces {
    pieces: mpsc::Receiver<Vec<u8>>,
    current: Vec<u8>,
    start: usize,
    is_over: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.current.len() && !self.is_over {
            let piece = self.pieces.blocking_recv();
            self.current = piece.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the client went away"))?;
            self.start = 0;
            self.is_over = self.current.is_empty();
        }
        let left = &self.current[self.start..];
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.start += length;
        Ok(length)
    }
}

/// Every folder that the build speaks of comes, and no other.
fn check_offers(spec: &BuildSpec, offers: &BTreeMap<String, ContextOffer>) -> Result<(), Failure> {
    let folders = spec.contexts.iter().filter(|(_, context)| **context == NamedContext::Folder).map(|(name, _)| name);
    let named: BTreeSet<&String> = folders.collect();
    let offered: BTreeSet<&String> = offers.keys().filter(|name| !name.is_empty()).collect();
    match named.symmetric_difference(&offered).next() {
        Some(name) => Err(Failure::invalid(format!("the named context `{name}` is announced in one place and not in the other"))),
        None => Ok(()),
    }
}

fn unexpected(rule: &str) -> End {
    Failure::invalid(format!("the build's connection: a message came out of turn ({rule})")).into()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, ContextError> + Send + 'static) -> Result<T, End> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(panicked(Some(&error)).into()),
    }
}
