//! The streams of a container or of a command in it, as Docker carries them over one connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the process writes: raw bytes of a terminal, else Docker's frames (stream, length, bytes).
pub struct AttachReader {
    inner: Pin<Box<dyn AsyncRead + Send>>,
    multiplexed: bool,
}

impl AttachReader {
    /// Whether the bytes are Docker's frames; a terminal's are raw.
    pub fn multiplexed(&self) -> bool {
        self.multiplexed
    }
}

impl AsyncRead for AttachReader {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_read(context, buffer)
    }
}

/// What the process reads; a shutdown closes its standard input.
pub struct AttachWriter {
    inner: Pin<Box<dyn AsyncWrite + Send>>,
}

impl AsyncWrite for AttachWriter {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_shutdown(context)
    }
}
