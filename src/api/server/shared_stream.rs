//! A connection over a unix socket that whoever watches over it shares: a second descriptor for each client that waits would halve how many
//! can.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::api::server::listener::Stream;

/// The connection; read and written by one, watched by others.
#[derive(Debug)]
pub(super) struct SharedStream(Arc<UnixStream>);

impl From<UnixStream> for SharedStream {
    fn from(stream: UnixStream) -> Self {
        Self(Arc::new(stream))
    }
}

impl Stream for SharedStream {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn share(&self) -> Option<Arc<UnixStream>> {
        Some(Arc::clone(&self.0))
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl SharedStream {
    fn poll_written(&self, context: &mut Context<'_>, write: impl Fn(&UnixStream) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_written(context, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(rustix::net::shutdown(self.0.as_fd(), Shutdown::Write)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::server::listener::HangUp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn it_carries_more_than_the_socket_holds() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (mut one, mut other) = (SharedStream::from(one), SharedStream::from(other));
        let sent = vec![7; 4 << 20];
        let write = async {
            one.write_all(&sent).await.expect("written");
            one.shutdown().await.expect("a half is closed");
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(other.read_to_end(&mut received), write);
        assert_eq!(read.expect("read"), sent.len());
        assert!(received == sent);
        other.write_all(b"back").await.expect("written");
        let mut back = [0; 4];
        one.read_exact(&mut back).await.expect("read");
        assert_eq!(&back, b"back");
    }

    #[tokio::test]
    async fn a_client_that_is_watched_costs_one_descriptor() {
        let (client, server) = UnixStream::pair().expect("a pair");
        let server = SharedStream::from(server);
        let inode = rustix::fs::fstat(server.0.as_fd()).expect("a socket").st_ino;
        let open = || {
            let name = format!("socket:[{inode}]");
            let entries = std::fs::read_dir("/proc/self/fd").expect("a list").flatten();
            entries.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == name.as_str())).count()
        };
        let mut waiting = Box::pin(HangUp::of(&server).wait());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(std::future::Future::poll(waiting.as_mut(), &mut context).is_pending());
        assert_eq!(open(), 1);
        drop(client);
        waiting.await;
    }
}
