//! Bodies for code that blocks: a request's as something to read, an answer's as something to write.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Pieces that may wait between the two sides.
const PIECES: usize = 4;

/// Bytes that are written before they become a piece.
const PIECE: usize = 64 << 10;

/// So long nothing may come of a body that is waited for, and nothing be taken of one that is written: a container at rest is held meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);

/// So long what is left of a body is taken that nobody reads any more.
const DRAIN: Duration = Duration::from_secs(10);

/// A request's body, for a thread that may block.
pub(super) struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl BodyReader {
    /// Reads a body. It is drained for a while even when nobody reads it to its end, so that the client can send it all and then see the
    /// answer.
    pub(super) fn new(body: Incoming) -> Self {
        Self::patient(body, PATIENCE)
    }

    fn patient<B>(mut body: B, patience: Duration) -> Self
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
    {
        let (sender, pieces) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            let late = || {
                let text = format!("the client has sent nothing more of the request's body for {} seconds", patience.as_secs());
                io::Error::new(io::ErrorKind::TimedOut, text)
            };
            loop {
                let piece = match tokio::time::timeout(patience, body.frame()).await {
                    Ok(None) => return,
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => Ok(data),
                        Err(_trailers) => continue,
                    },
                    Ok(Some(Err(error))) => Err(io::Error::other(error)),
                    Err(_elapsed) => Err(late()),
                };
                let broken = piece.is_err();
                let is_wanted = sender.send(piece).await.is_ok();
                if broken {
                    return;
                }
                if !is_wanted {
                    break;
                }
            }
            let drain = async { while let Some(Ok(_)) = body.frame().await {} };
            let _ = tokio::time::timeout(DRAIN, drain).await;
        });
        Self { pieces, current: Bytes::new() }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// An answer's body, for a thread that may block. It fails once the client has gone, or takes nothing any more.
pub(super) struct BodyWriter {
    pieces: mpsc::Sender<Bytes>,
    current: Vec<u8>,
    /// What waits on a thread that is none of its own.
    runtime: Handle,
    patience: Duration,
}

impl BodyWriter {
    /// Makes a writer, and what comes out of it.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        Self::patient(PATIENCE)
    }

    fn patient(patience: Duration) -> (Self, mpsc::Receiver<Bytes>) {
        let (pieces, receiver) = mpsc::channel(PIECES);
        (Self { pieces, current: Vec::with_capacity(PIECE), runtime: Handle::current(), patience }, receiver)
    }

    fn send(&self, piece: Bytes) -> io::Result<()> {
        let piece = match self.pieces.try_send(piece) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(TrySendError::Full(piece)) => piece,
        };
        let room = self.runtime.block_on(async { tokio::time::timeout(self.patience, self.pieces.reserve()).await });
        match room {
            Ok(Ok(room)) => {
                room.send(piece);
                Ok(())
            }
            Ok(Err(_closed)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_elapsed) => {
                let text = format!("the client has taken nothing more of the answer for {} seconds", self.patience.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.current.extend_from_slice(bytes);
        if self.current.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.current.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.current, Vec::with_capacity(PIECE));
        self.send(piece.into())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        // A client that has gone misses nothing, and one that takes nothing has been waited for.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    #[tokio::test]
    async fn a_body_that_stops_is_not_waited_for_without_end() {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"half")));
        let body = StreamBody::new(stream::iter([piece()]).chain(stream::pending()));
        let mut reader = BodyReader::patient(body, Duration::from_millis(20));
        let mut read = Vec::new();
        let ended = tokio::task::spawn_blocking(move || (reader.read_to_end(&mut read), read)).await.expect("no panic");
        assert_eq!(ended.1, b"half");
        assert_eq!(ended.0.expect_err("an end").to_string(), "the client has sent nothing more of the request's body for 0 seconds");
    }

    #[tokio::test]
    async fn what_is_written_comes_out_in_order_and_a_gone_client_breaks_the_pipe() {
        let (mut writer, mut pieces) = BodyWriter::new();
        let writing = tokio::task::spawn_blocking(move || {
            for byte in 0..=255 {
                writer.write_all(&[byte; 1000])?;
            }
            Ok::<_, io::Error>(())
        });
        let mut whole = Vec::new();
        while let Some(piece) = pieces.recv().await {
            whole.extend_from_slice(&piece);
        }
        writing.await.expect("no panic").expect("written");
        assert!(whole.chunks(1000).enumerate().all(|(index, chunk)| chunk.iter().all(|&byte| usize::from(byte) == index)));
        assert_eq!(whole.len(), 256_000);

        let (mut writer, mut pieces) = BodyWriter::patient(Duration::from_millis(20));
        let writing = tokio::task::spawn_blocking(move || {
            (0..=PIECES).try_for_each(|_| writer.write_all(&[0; PIECE])).map_err(|error| error.to_string())
        });
        let text = "the client has taken nothing more of the answer for 0 seconds".to_owned();
        assert_eq!(writing.await.expect("no panic"), Err(text));
        assert_eq!(pieces.recv().await.map(|piece| piece.len()), Some(PIECE));

        let (mut writer, pieces) = BodyWriter::new();
        drop(pieces);
        let written = tokio::task::spawn_blocking(move || writer.write_all(&[0; PIECE])).await.expect("no panic");
        assert_eq!(written.expect_err("broken").kind(), io::ErrorKind::BrokenPipe);
    }
}
