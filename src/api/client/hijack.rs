//! A connection that has become the streams of a process.

use std::fmt;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use crate::api::client::socket::Socket;
use crate::api::wire::frame::{Channel, Decoder};
use crate::resource::failure::Failure;
use crate::resource::log::Stream;

/// How a process's outputs come over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Both, apart.
    Frames,
    /// A terminal's, as it is.
    Terminal,
}

impl Framing {
    /// The media type of frames.
    pub(super) const MEDIA_TYPE: &str = "application/vnd.docker.multiplexed-stream";
}

/// The streams of a process; split it to read and write at the same time.
#[derive(Debug)]
pub struct Hijacked {
    reader: HijackedReader,
    writer: HijackedWriter,
}

impl Hijacked {
    /// The streams over a connection, of whose bytes the engine sent some with its answer.
    pub(super) fn new(socket: Socket, rest: Vec<u8>, framing: Framing, name: Arc<str>) -> Self {
        let (read, write) = tokio::io::split(socket);
        let frames = (framing == Framing::Frames).then(Decoder::default);
        let mut reader = HijackedReader { read, rest: Vec::new(), frames, name: name.clone() };
        match &mut reader.frames {
            Some(frames) => frames.push(&rest),
            None => reader.rest = rest,
        }
        Self { reader, writer: HijackedWriter { write, name } }
    }

    /// Both directions, apart.
    pub fn split(self) -> (HijackedReader, HijackedWriter) {
        (self.reader, self.writer)
    }
}

/// What the process writes.
pub struct HijackedReader {
    read: ReadHalf<Socket>,
    /// A terminal's bytes that came with the answer.
    rest: Vec<u8>,
    frames: Option<Decoder>,
    name: Arc<str>,
}

impl HijackedReader {
    /// Returns the next bytes and where they were written (a terminal has standard output only); `None` at the end. Nothing is lost when
    /// the wait is given up.
    pub async fn next(&mut self) -> Option<Result<(Stream, Vec<u8>), Failure>> {
        let broken =
            |name: &str, error: &dyn fmt::Display| Failure::unavailable(format!("the streams of the engine at {name} broke off: {error}"));
        loop {
            if !self.rest.is_empty() {
                return Some(Ok((Stream::Stdout, std::mem::take(&mut self.rest))));
            }
            if let Some(frames) = &mut self.frames {
                match frames.take() {
                    Ok(Some((_, bytes))) if bytes.is_empty() => continue,
                    Ok(Some((Channel::Output(stream), bytes))) => return Some(Ok((stream, bytes))),
                    Ok(Some((Channel::Engine, bytes))) => return Some(Err(Failure::internal(String::from_utf8_lossy(&bytes).trim()))),
                    Ok(None) => {}
                    Err(error) => return Some(Err(broken(&self.name, &error))),
                }
            }
            let mut bytes = Vec::with_capacity(32 << 10);
            match self.read.read_buf(&mut bytes).await {
                Ok(0) => return self.frames.take().and_then(|frames| frames.finish().err()).map(|error| Err(broken(&self.name, &error))),
                Ok(_) => match &mut self.frames {
                    Some(frames) => frames.push(&bytes),
                    None => self.rest = bytes,
                },
                Err(error) => return Some(Err(broken(&self.name, &error))),
            }
        }
    }
}

impl fmt::Debug for HijackedReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HijackedReader").field("engine", &self.name).field("frames", &self.frames).finish_non_exhaustive()
    }
}

/// What the process reads.
pub struct HijackedWriter {
    write: WriteHalf<Socket>,
    name: Arc<str>,
}

impl HijackedWriter {
    /// Sends bytes to the process's standard input.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write.write_all(bytes).await.map_err(|error| self.failed(&error))
    }

    /// Closes the process's standard input; what it writes still comes.
    pub async fn close(&mut self) -> Result<(), Failure> {
        self.write.shutdown().await.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::unavailable(format!("standard input cannot be sent to the engine at {}: {error}", self.name))
    }
}

impl fmt::Debug for HijackedWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HijackedWriter").field("engine", &self.name).finish_non_exhaustive()
    }
}
