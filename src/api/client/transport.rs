//! Connections to one engine: made, kept for the next request, and told apart from an engine that is gone.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;

use crate::api::client::answer::Answer;
use crate::api::client::call::{Call, Payload};
use crate::api::client::custom_header::CustomHeaders;
use crate::api::client::raw::{self, Head};
use crate::api::client::socket::{Dialer, Socket};
use crate::api::client::ssh::SshFailure;
use crate::api::client::target::Target;
use crate::api::client::{claim, older, start, tls};
use crate::api::wire::system::API_VERSION;
use crate::engine::root::Root;
use crate::resource::failure::Failure;
use crate::trace::{self, Trace};

/// So many requests go on at once where an engine's list does not tell all.
const BREADTH: usize = 32;
/// The same where each of them is a process.
const BREADTH_OF_SSH: usize = 4;

type Idle = Arc<Mutex<Vec<SendRequest<Payload>>>>;

/// The way to one engine.
pub(super) struct Transport {
    dialer: Dialer,
    /// The target as people write it.
    name: Arc<str>,
    host: String,
    headers: CustomHeaders,
    /// What every request has, as lines.
    lines: String,
    idle: Idle,
    /// Held by whoever starts our engine; the others wait for it.
    starting: tokio::sync::Mutex<()>,
    /// The newest minor version of the API, of those both ends speak, as far as that is known.
    minor: AtomicU32,
    /// The engine has answered, so that the version is known.
    settled: AtomicBool,
    /// Whether the engine is one of ours, once that is known.
    ours: OnceLock<bool>,
}

impl Transport {
    /// Makes the first connection, and with our own engine the engine.
    pub(super) async fn connect(target: &Target, headers: &CustomHeaders) -> Result<Self, Failure> {
        let transport = Self::new(target, headers)?;
        if let Target::Ssh(_) = target {
            // Whether that is one, only an answer tells.
            transport.settle().await?;
            return Ok(transport);
        }
        let sender = transport.open().await?;
        keep(&transport.idle, sender);
        Ok(transport)
    }

    /// The way to an engine, and a connection to it; none where nobody listens and none could.
    pub(super) async fn found(target: &Target, headers: &CustomHeaders) -> Result<Option<(Self, Socket)>, Failure> {
        let transport = Self::new(&target.unstarted(), headers)?;
        match transport.look().await? {
            Some(socket) => Ok(Some((transport, socket))),
            None => claim::check(target).map(|()| None),
        }
    }

    /// The way to an engine that runs; none where nobody listens. None is started for it, then or later.
    pub(super) async fn running(target: &Target, headers: &CustomHeaders) -> Result<Option<Self>, Failure> {
        let Some((transport, mut socket)) = Self::found(target, headers).await? else { return Ok(None) };
        if let Target::Ssh(_) = target {
            // Whether somebody listens there, only an answer tells.
            match raw::answered(&mut socket, &transport.lines).await {
                Ok(()) => {}
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(transport.unreachable(&error)),
            }
        }
        keep(&transport.idle, transport.speak_over(socket).await?);
        Ok(Some(transport))
    }

    /// The way to an engine, not yet gone.
    pub(super) fn new(target: &Target, headers: &CustomHeaders) -> Result<Self, Failure> {
        let host = match target {
            Target::Tcp(address) | Target::Tls(address, _) => address.clone(),
            Target::Own(_) | Target::Unix(_) | Target::Ssh(_) => "docker".to_owned(),
        };
        Ok(Self {
            dialer: Dialer::new(target)?,
            name: target.to_string().into(),
            lines: format!("Host: {host}\r\n{}", headers.lines()),
            host,
            headers: headers.clone(),
            idle: Idle::default(),
            starting: tokio::sync::Mutex::default(),
            minor: AtomicU32::new(newest()),
            settled: AtomicBool::new(false),
            ours: OnceLock::new(),
        })
    }

    /// The engine at the other end.
    pub(super) const fn target(&self) -> &Target {
        self.dialer.target()
    }

    /// The engine as people write it.
    pub(super) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Sends a request; returns once its answer has begun, and a failure if that is what it tells of.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Failure> {
        loop {
            let (mut sender, kept) = self.connection().await?;
            let minor = self.minor.load(Ordering::Relaxed);
            match sender.try_send_request(self.dressed(call.request(minor, &self.host)?)).await {
                Ok(response) => {
                    let is_older = self.learn(response.headers()) < minor;
                    older::check_version(&self.name, self.minor())?;
                    let is_refused = response.status() == StatusCode::BAD_REQUEST;
                    let answer = Answer::new(response, self.lease(sender));
                    if !(is_older && is_refused) {
                        return answer.check().await;
                    }
                    answer.done().await?;
                }
                // The engine closed a connection that lay idle. What it has not got it gets on another.
                Err(error) if kept && (error.message().is_some() || call.is_repeatable()) => {}
                Err(error) => return Err(Box::pin(self.explain(&error.into_error(), kept)).await),
            }
        }
    }

    /// Sends a request with a body that can be read only once.
    pub(super) async fn send_body(&self, call: &Call, content: &str, body: Payload) -> Result<Answer, Failure> {
        self.settle().await?;
        let mut sender = self.open().await?;
        let request: Request<Payload> = call.request_with(self.minor(), &self.host, content, body)?;
        match sender.send_request(self.dressed(request)).await {
            Ok(response) => Answer::new(response, self.lease(sender)).check().await,
            Err(error) => Err(self.explain(&error, false).await),
        }
    }

    /// Adds the headers that the user wants, and tells an engine on this machine of the trace, if there is one.
    fn dressed(&self, mut request: Request<Payload>) -> Request<Payload> {
        self.headers.add_to(request.headers_mut());
        let trace = Trace::current();
        let path = trace.path().filter(|_| self.target().is_here());
        if let Some(value) = path.and_then(|path| HeaderValue::from_bytes(path.as_os_str().as_encoded_bytes()).ok()) {
            request.headers_mut().insert(trace::HEADER, value);
        }
        request
    }

    /// Makes a connection into a process's streams; returns what the engine answered and what it sent behind its answer.
    pub(super) async fn upgrade(&self, call: &Call) -> Result<(Head, Socket, Vec<u8>), Failure> {
        self.settle().await?;
        let mut socket = self.open_socket().await?;
        let answered = raw::upgrade(&mut socket, &call.upgrade(self.minor(), &self.lines)).await;
        let (head, rest) = answered.map_err(|error| lost(&self.name, &error))??;
        Ok((head, socket, rest))
    }

    /// A connection that nothing more is asked over: it ends with the engine.
    pub(super) async fn lifeline(&self) -> Result<Socket, Failure> {
        let mut socket = self.open_socket().await?;
        // Why none comes, whoever asks for more is told.
        let _ = raw::answered(&mut socket, &self.lines).await;
        Ok(socket)
    }

    /// Waits for the end of an engine that was told to stop, and of whoever keeps its socket: as long as that is there, a connection
    /// waits in the socket's queue. Returns whether it is gone: somebody may have started another one since.
    pub(super) async fn until_gone(&self, mut lifeline: Socket) -> bool {
        // However it ends, it has ended.
        let _ = lifeline.read_to_end(&mut Vec::new()).await;
        // On another machine, who looks is two processes each time.
        if let Target::Ssh(_) = self.target() {
            return true;
        }
        while let Ok(mut socket) = self.dialer.open().await {
            if raw::answered(&mut socket, &self.lines).await.is_ok() {
                return false;
            }
        }
        true
    }

    /// Whether the engine is one of ours, if that is known.
    pub(super) fn is_ours(&self) -> Option<bool> {
        if let Target::Own(_) = self.target() { Some(true) } else { self.ours.get().copied() }
    }

    /// Remembers whether the engine is one of ours.
    pub(super) fn tell_ours(&self, ours: bool) {
        // Who asked at the same time was told the same.
        let _ = self.ours.set(ours);
    }

    /// How many requests of a kind may go on at once.
    pub(super) const fn breadth(&self) -> usize {
        if let Target::Ssh(_) = self.target() { BREADTH_OF_SSH } else { BREADTH }
    }

    /// Speaks a version of the API, whatever the engine's newest is.
    pub(super) fn speak(&self, minor: u32) {
        self.minor.store(minor, Ordering::Relaxed);
        self.settled.store(true, Ordering::Relaxed);
    }

    /// The minor version of the API that is spoken.
    pub(super) fn minor(&self) -> u32 {
        self.minor.load(Ordering::Relaxed)
    }

    /// Asks for the version, unless an answer told it already.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        if self.settled.load(Ordering::Relaxed) { Ok(()) } else { self.send(&Call::ping()).await?.done().await }
    }

    /// Takes the engine's version from an answer, of whatever kind: every one tells it. A newer one goes on to understand ours.
    fn learn(&self, headers: &HeaderMap) -> u32 {
        let told = headers.get("api-version").and_then(|value| minor_of(value.to_str().ok()?));
        self.settled.store(true, Ordering::Relaxed);
        match told {
            Some(told) => self.minor.fetch_min(told, Ordering::Relaxed).min(told),
            None => self.minor(),
        }
    }

    fn lease(&self, sender: SendRequest<Payload>) -> Lease {
        Lease { sender, idle: self.idle.clone(), name: self.name.clone() }
    }

    /// A connection that nobody uses, and whether it was there before.
    async fn connection(&self) -> Result<(SendRequest<Payload>, bool), Failure> {
        loop {
            let sender = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = sender else { return Ok((self.open().await?, false)) };
            if sender.ready().await.is_ok() {
                return Ok((sender, true));
            }
        }
    }

    async fn open(&self) -> Result<SendRequest<Payload>, Failure> {
        self.speak_over(self.open_socket().await?).await
    }

    async fn speak_over(&self, socket: Socket) -> Result<SendRequest<Payload>, Failure> {
        let (sender, connection) = handshake(TokioIo::new(socket)).await.map_err(|error| lost(&self.name, &error))?;
        // Its errors come back to whoever sent the request.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    /// Connects, if somebody listens.
    pub(super) async fn look(&self) -> Result<Option<Socket>, Failure> {
        match self.dialer.open().await {
            Ok(socket) => Ok(Some(socket)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    /// Connects; our own engine is started when nothing listens.
    pub(super) async fn open_socket(&self) -> Result<Socket, Failure> {
        if let Some(socket) = self.look().await? {
            return Ok(socket);
        }
        let Target::Own(root) = self.target() else { return Err(self.absent()) };
        // Rare and large: every request on its way would have room for it.
        Box::pin(self.start(root)).await
    }

    /// Starts our own engine, or waits for whoever does.
    async fn start(&self, root: &Root) -> Result<Socket, Failure> {
        let _one = self.starting.lock().await;
        if let Ok(socket) = self.dialer.open().await {
            return Ok(socket);
        }
        start::start(root).await?;
        self.dialer.open().await.map_err(|error| self.unreachable(&error))
    }

    fn absent(&self) -> Failure {
        Failure::unavailable(format!("no engine listens at {}", self.name))
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let name = &self.name;
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Failure::denied(format!("this user may not use the engine at {name}: its socket is open to root and its group"))
            }
            _ if is_absent(error) => self.absent(),
            _ => unreached(name, error).unwrap_or_else(|| Failure::unavailable(format!("the engine at {name} cannot be reached: {error}"))),
        }
    }

    /// Why a request got no answer. An engine that cannot start has its keeper say so to everybody who calls, before they have spoken.
    async fn explain(&self, error: &hyper::Error, kept: bool) -> Failure {
        if let Some(failure) = unreached(&self.name, error) {
            return failure;
        }
        if !kept
            && let Ok(mut socket) = self.dialer.open().await
            && let Some(failure) = raw::refusal(&mut socket, &self.lines).await
        {
            return failure;
        }
        lost(&self.name, error)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Transport({})", self.name)
    }
}

/// A connection while an answer comes over it.
#[derive(Debug)]
pub(super) struct Lease {
    sender: SendRequest<Payload>,
    idle: Idle,
    name: Arc<str>,
}

impl Lease {
    /// Keeps the connection for the next request.
    pub(super) fn give_back(self) {
        keep(&self.idle, self.sender);
    }

    /// The engine as people write it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it means that the answer broke off.
    pub(super) fn lost(&self, error: &hyper::Error) -> Failure {
        lost(&self.name, error)
    }
}

fn keep(idle: &Idle, sender: SendRequest<Payload>) {
    if !sender.is_closed() {
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }
}

/// What TLS or `ssh` say, if it was them that led nowhere: before the first answer, or in its place.
fn unreached(name: &str, error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let why = inside.and_then(|inside| {
        let of_ssh = inside.downcast_ref::<SshFailure>().map(ToString::to_string);
        of_ssh.or_else(|| inside.downcast_ref::<rustls::Error>().map(tls::reason))
    });
    match why {
        Some(why) => Some(Failure::unavailable(format!("the engine at {name} cannot be reached: {why}"))),
        None => unreached(name, error.source()?),
    }
}

fn lost(name: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    if let Some(failure) = unreached(name, error) {
        return failure;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    Failure::unavailable(format!("the connection to the engine at {name} was lost: {text}"))
}

/// Whether nobody listens.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The newest minor version that we speak.
pub(super) fn newest() -> u32 {
    minor_of(API_VERSION).unwrap_or_default()
}

/// The minor version of `1.51`.
pub(super) fn minor_of(version: &str) -> Option<u32> {
    version.trim().strip_prefix("1.")?.parse().ok()
}
