//! A build's connection, the same at both ends: messages in and out, and the connections to agents that it carries along.
//!
//! What is read never waits for an agent or for whoever asks one: one who does not take what he asked for is cut off.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::wire::build::frame::Decoder;
use crate::api::wire::build::message::{MessageError, ToClient, ToEngine};

/// Messages that may wait on their way out.
const WAITING: usize = 32;

/// Pieces that an agent, or who asks it, may leave waiting. An answer of an agent has at most 256 KiB.
const PIECES: usize = 64;

/// The longest piece that is read at once.
const PIECE: usize = 32 << 10;

/// Connections to agents at the same time, of one build.
const CHANNELS: usize = 64;

/// What goes over a connection in one direction.
pub trait Message: Sized + Send + Sync + 'static {
    /// Writes it as a frame.
    fn to_frame(&self) -> Vec<u8>;

    /// Reads a frame.
    fn from_frame(kind: u8, message: &[u8]) -> Result<Self, MessageError>;

    /// What goes over a connection to an agent.
    fn agent(channel: u32, bytes: Vec<u8>) -> Self;
}

macro_rules! message {
    ($($name:ident)*) => { $(
        impl Message for $name {
            fn to_frame(&self) -> Vec<u8> {
                self.encode()
            }

            fn from_frame(kind: u8, message: &[u8]) -> Result<Self, MessageError> {
                Self::decode(kind, message)
            }

            fn agent(channel: u32, bytes: Vec<u8>) -> Self {
                Self::Agent { channel, bytes }
            }
        }
    )* };
}

message! { ToEngine ToClient }

/// Why nothing more comes.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// What came means nothing.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// What comes in.
#[derive(Debug)]
pub struct Incoming<R> {
    read: R,
    decoder: Decoder,
    piece: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// Reads messages, the first bytes of which are there already.
    pub fn new(read: R, early: &[u8]) -> Self {
        let mut decoder = Decoder::default();
        decoder.push(early);
        Self { read, decoder, piece: Vec::with_capacity(2 * PIECE) }
    }

    /// The next message; `None` at the end. Nothing is lost when the wait is given up.
    pub async fn next<M: Message>(&mut self) -> Result<Option<M>, ConnectionError> {
        loop {
            if let Some((kind, message)) = self.decoder.take().map_err(MessageError::from)? {
                return Ok(Some(M::from_frame(kind, message)?));
            }
            self.piece.clear();
            if self.read.read_buf(&mut self.piece).await? == 0 {
                self.decoder.finish().map_err(MessageError::from)?;
                return Ok(None);
            }
            self.decoder.push(&self.piece);
        }
    }

    /// What it reads from.
    pub fn into_inner(self) -> R {
        self.read
    }
}

/// Nobody takes messages any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the build's connection has gone")]
pub struct Gone;

/// What goes out: cheap to clone. Who sends waits as long as the other end does not read.
#[derive(Clone, Debug)]
pub struct Outgoing(mpsc::Sender<Vec<u8>>);

impl Outgoing {
    /// Makes a way out, and what comes out of it for [`write()`].
    pub fn new() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Sends a message.
    pub async fn send(&self, message: &impl Message) -> Result<(), Gone> {
        self.0.send(message.to_frame()).await.map_err(|_| Gone)
    }

    /// Sends a message from a thread that may block.
    pub fn send_blocking(&self, message: &impl Message) -> Result<(), Gone> {
        self.0.blocking_send(message.to_frame()).map_err(|_| Gone)
    }
}

/// Writes what is sent, until nobody is left to send anything.
pub async fn write(mut frames: mpsc::Receiver<Vec<u8>>, into: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        into.write_all(&frame).await?;
        if frames.is_empty() {
            into.flush().await?;
        }
    }
    Ok(())
}

/// The connections to agents that go over one connection.
#[derive(Debug, Default)]
pub struct Channels {
    open: BTreeMap<u32, mpsc::Sender<Vec<u8>>>,
    tasks: JoinSet<u32>,
}

impl Channels {
    /// Whether there may be no more of them.
    pub fn is_full(&self) -> bool {
        self.open.len() >= CHANNELS
    }

    /// Carries one, in messages of a kind, until either end hangs up.
    pub fn open<M: Message>(&mut self, channel: u32, socket: UnixStream, outgoing: Outgoing) {
        let (sender, pieces) = mpsc::channel(PIECES);
        self.open.insert(channel, sender);
        self.tasks.spawn(async move {
            // However it ends, it has ended.
            let _ = carry::<M>(channel, socket, pieces, &outgoing).await;
            let _ = outgoing.send(&M::agent(channel, Vec::new())).await;
            channel
        });
    }

    /// Says that one cannot be had. Whoever reads messages does not wait for that.
    pub fn refuse<M: Message>(&mut self, channel: u32, outgoing: Outgoing) {
        self.tasks.spawn(async move {
            let _ = outgoing.send(&M::agent(channel, Vec::new())).await;
            channel
        });
    }

    /// Hands on what came for one; nothing is its end.
    pub fn deliver(&mut self, channel: u32, bytes: Vec<u8>) {
        let is_end = bytes.is_empty();
        if self.open.get(&channel).is_some_and(|sender| is_end || sender.try_send(bytes).is_err()) {
            self.open.remove(&channel);
        }
    }

    /// Forgets one that has ended; waits for that as long as it takes.
    pub async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(channel)) => drop(self.open.remove(&channel)),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}

async fn carry<M: Message>(
    channel: u32,
    socket: UnixStream,
    mut pieces: mpsc::Receiver<Vec<u8>>,
    outgoing: &Outgoing,
) -> Result<(), ConnectionError> {
    let (mut read, mut write) = socket.into_split();
    let asked = async {
        let mut piece = vec![0; PIECE];
        loop {
            let length = read.read(&mut piece).await?;
            if length == 0 || outgoing.send(&M::agent(channel, piece[..length].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let answered = async {
        while let Some(piece) = pieces.recv().await {
            write.write_all(&piece).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = asked => ended,
        ended = answered => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_is_asked_and_answers() {
        let (mut step, ours) = UnixStream::pair().expect("sockets");
        let (outgoing, mut frames) = Outgoing::new();
        let mut channels = Channels::default();
        channels.open::<ToClient>(3, ours, outgoing);
        step.write_all(b"who?").await.expect("written");
        let asked = frames.recv().await.expect("a message");
        assert_eq!(asked, ToClient::Agent { channel: 3, bytes: b"who?".to_vec() }.encode());
        channels.deliver(3, b"me".to_vec());
        let mut answer = [0; 2];
        step.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"me");
        channels.deliver(4, b"nobody".to_vec());
        channels.deliver(3, Vec::new());
        assert_eq!(step.read(&mut answer).await.expect("the end"), 0);
        assert_eq!(frames.recv().await, Some(ToClient::Agent { channel: 3, bytes: Vec::new() }.encode()));
        channels.ended().await;
        assert_eq!(frames.recv().await, None);
    }

    #[tokio::test]
    async fn who_does_not_listen_is_cut_off_and_holds_nobody_up() {
        let (mut step, ours) = UnixStream::pair().expect("sockets");
        let (outgoing, _frames) = Outgoing::new();
        let mut channels = Channels::default();
        channels.open::<ToClient>(1, ours, outgoing);
        // The socket takes some, the queue the next, and then that is that.
        for _ in 0..1000 {
            channels.deliver(1, vec![0; PIECE]);
            tokio::task::yield_now().await;
        }
        assert!(channels.open.is_empty());
        let mut heard = Vec::new();
        step.read_to_end(&mut heard).await.expect("an end");
        assert!(heard.len() < 1000 * PIECE);
    }

    #[tokio::test]
    async fn an_end_in_the_middle_is_an_error() {
        let frame = ToClient::Built(crate::resource::id::Digest::of(b"x")).encode();
        let mut whole = Incoming::new(frame.as_slice(), b"");
        assert!(matches!(whole.next::<ToClient>().await, Ok(Some(ToClient::Built(_)))));
        assert!(matches!(whole.next::<ToClient>().await, Ok(None)));
        let mut torn = Incoming::new(&frame[2..9], &frame[..2]);
        assert!(torn.next::<ToClient>().await.is_err());
    }
}
