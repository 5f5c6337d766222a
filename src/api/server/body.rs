//! Bodies for code that blocks: a request's as something to read, an answer's as something to write.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;

/// Pieces that may wait between the two sides.
const PIECES: usize = 8;

/// Bytes that are written before they become a piece.
const PIECE: usize = 64 << 10;

/// A request's body, for a thread that may block.
pub(super) struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl BodyReader {
    /// Reads a body. It is drained even when nobody reads it to its end, so that the client can send it all and then see the answer.
    pub(super) fn new(mut body: Incoming) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            let mut wanted = true;
            while let Some(frame) = body.frame().await {
                let piece = match frame.map(hyper::body::Frame::into_data) {
                    Ok(Ok(data)) => Ok(data),
                    Ok(Err(_trailers)) => continue,
                    Err(error) => Err(io::Error::other(error)),
                };
                let broken = piece.is_err();
                if wanted {
                    wanted = sender.send(piece).await.is_ok();
                }
                if broken {
                    break;
                }
            }
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

/// An answer's body, for a thread that may block. It fails once the client has gone.
pub(super) struct BodyWriter {
    pieces: mpsc::Sender<Bytes>,
    current: Vec<u8>,
}

impl BodyWriter {
    /// Makes a writer, and what comes out of it.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (pieces, receiver) = mpsc::channel(PIECES);
        (Self { pieces, current: Vec::with_capacity(PIECE) }, receiver)
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
        self.pieces.blocking_send(piece.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        // A client that has gone misses nothing.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

        let (mut writer, pieces) = BodyWriter::new();
        drop(pieces);
        let written = tokio::task::spawn_blocking(move || writer.write_all(&[0; PIECE])).await.expect("no panic");
        assert_eq!(written.expect_err("broken").kind(), io::ErrorKind::BrokenPipe);
    }
}
