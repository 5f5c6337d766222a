//! The moment in which a client has taken what was written to it.

use std::io;
use std::os::fd::AsFd as _;

use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::api::server::listener::{self, Stream};
use crate::engine::runtime::unread::is_all_read;

/// Sees that a client has taken what was written to it.
///
/// Docker's SDK for Python reads the head of a hijacked connection through a buffer (`http.client`) and then goes on without it, so what lies in
/// the socket together with the head is lost to it. dockerd's processes need long enough to start; ours do not. Only a unix socket can tell.
pub(super) struct Reception(Option<UnixStream>);

impl Reception {
    /// Will watch a connection.
    pub(super) fn of(stream: &impl Stream) -> Self {
        Self(stream.descriptor().filter(|_| stream.is_unix()).and_then(listener::copy))
    }

    /// Returns when nothing that was written is left to read, or nobody to read it.
    pub(super) async fn complete(self) {
        let Some(stream) = self.0 else { return };
        // Each piece that is taken tells its writer of room.
        let taken = || if is_all_read(stream.as_fd()) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
        let _ = stream.async_io(Interest::WRITABLE, taken).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_client_that_reads_is_seen_to() {
        let (mut server, mut client) = UnixStream::pair().expect("a pair");
        Reception::of(&server).complete().await;
        server.write_all(b"head").await.expect("written");
        let mut complete = std::pin::pin!(Reception::of(&server).complete());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(complete.as_mut().poll(&mut context).is_pending());
        let mut head = [0; 4];
        let (read, ()) = tokio::join!(client.read_exact(&mut head), complete);
        read.expect("read");
        server.write_all(b"more").await.expect("written");
        let complete = Reception::of(&server).complete();
        drop(client);
        complete.await;
    }
}
