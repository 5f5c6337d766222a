//! What clients connect to.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
use rustix::net::{AddressFamily, Shutdown, getsockname};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::api::server::shared_stream::SharedStream;
use crate::api::server::tls::Tls;

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// At a path.
    Unix(UnixListener),
    /// At an address and a port. Without TLS the keeper opens it on loopback only, and only when told to in so many words.
    Tcp(TcpListener, Option<Tls>),
}

/// A client that has connected, and has not been heard yet.
pub(super) enum Arrival {
    /// One that says at once what it wants.
    Known(Box<dyn Stream>),
    /// One that is to show who it is.
    Stranger(TcpStream, SocketAddr, Tls),
}

/// A client's connection.
pub(in crate::api) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket, if it is one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// The socket for whoever watches over it, if it can be shared.
    fn share(&self) -> Option<Arc<UnixStream>> {
        None
    }

    /// It tells a client that has closed its half from one that is gone, and what was not read yet.
    fn is_unix(&self) -> bool {
        self.descriptor().is_some_and(is_unix)
    }
}

impl Stream for UnixStream {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

impl Stream for TcpStream {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

impl Stream for TlsStream<TcpStream> {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.get_ref().0.as_fd())
    }
}

impl Stream for Box<dyn Stream> {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.as_ref().descriptor()
    }

    fn share(&self) -> Option<Arc<UnixStream>> {
        self.as_ref().share()
    }
}

#[cfg(test)]
impl Stream for tokio::io::DuplexStream {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// The end of a connection in both directions, which a reader cannot tell from a client that has closed its half only.
pub(super) enum HangUp {
    /// Of a connection that is shared.
    Shared(Arc<UnixStream>),
    /// Of another, of which there is a copy.
    Copied(Option<UnixStream>),
}

/// A socket registered a second time, so that the readiness this one forgets stays with the other.
pub(super) fn copy(descriptor: BorrowedFd<'_>) -> Option<UnixStream> {
    let copy = descriptor.try_clone_to_owned().ok()?;
    UnixStream::from_std(copy.into()).ok()
}

impl HangUp {
    /// Will watch a connection.
    pub(super) fn of(stream: &impl Stream) -> Self {
        match stream.share() {
            Some(stream) => Self::Shared(stream),
            None => Self::Copied(stream.descriptor().and_then(copy)),
        }
    }

    /// Returns when the client has gone.
    pub(super) async fn wait(self) {
        let copied = match self {
            Self::Copied(copied) => copied,
            // A unix socket has nothing of priority: what is told here is that the client has closed its half, or all.
            Self::Shared(stream) => match stream.ready(Interest::PRIORITY).await {
                Ok(_) => copy(stream.as_fd()),
                Err(_) => None,
            },
        };
        let Some(stream) = copied else { return std::future::pending().await };
        loop {
            match stream.ready(Interest::WRITABLE).await {
                Ok(ready) if ready.is_write_closed() => return,
                Ok(_) => {}
                Err(_) => return std::future::pending().await,
            }
            // Readiness is told once for each change: it is forgotten, and the next change is waited for.
            let _ = stream.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }
}

/// Ends a connection so that the client reads what was written and then its end: a socket closed over bytes nobody has read resets its
/// peer instead (`unix_release_sock`; RFC 2525 §2.17 for TCP).
pub(super) async fn close(mut stream: impl Stream) {
    let Some(Ok(())) = stream.descriptor().map(|socket| rustix::net::shutdown(socket, Shutdown::Both)) else { return };
    // Nothing more can come, so this ends with what is there.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// So long a connection lives on after the last word of an answer, for a client that has not stopped talking.
const LINGER: Duration = Duration::from_secs(2);

/// Whether a socket is a unix one.
fn is_unix(socket: BorrowedFd<'_>) -> bool {
    getsockname(socket).is_ok_and(|address| address.address_family() == AddressFamily::UNIX)
}

/// Ends a connection whose answers are written. Who still sends a body that nobody wants reads the answer first and is not reset meanwhile,
/// as he would be by a close over what has not been read (RFC 9112 §9.6).
pub(super) async fn linger(mut stream: impl Stream) {
    let _ = stream.descriptor().map(|socket| rustix::net::shutdown(socket, Shutdown::Write));
    let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
}

impl Listener {
    /// Takes over a listening socket of either kind; `tls` is for the one that strangers reach.
    pub fn of(socket: OwnedFd, tls: Option<Tls>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        if is_unix(socket.as_fd()) {
            Ok(Self::Unix(UnixListener::from_std(socket.into())?))
        } else {
            Ok(Self::Tcp(TcpListener::from_std(socket.into())?, tls))
        }
    }

    /// Waits for the next client.
    pub(super) async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Unix(listener) => Ok(Arrival::Known(Box::new(SharedStream::from(listener.accept().await?.0)))),
            Self::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                // Answers are whole when they are written. A client that has gone already is found out when it is answered.
                let _ = stream.set_nodelay(true);
                let _ = keep_alive(&stream);
                match tls {
                    Some(tls) => Ok(Arrival::Stranger(stream, address, tls.clone())),
                    None => Ok(Arrival::Known(Box::new(stream))),
                }
            }
        }
    }
}

/// Has the kernel ask, at the pace of dockerd's, whether the client is still there: one whose machine was switched off says nothing.
fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    const PACE: Duration = Duration::from_secs(15);
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, PACE)?;
    set_tcp_keepintvl(stream, PACE)?;
    set_tcp_keepcnt(stream, 9)
}

impl Arrival {
    /// Has a stranger show who it is. `None` for one that does not.
    pub(super) async fn greet(self) -> Option<Box<dyn Stream>> {
        match self {
            Self::Known(stream) => Some(stream),
            Self::Stranger(stream, address, tls) => match tls.greet(stream).await {
                Ok(stream) => Some(Box::new(stream)),
                Err(error) => {
                    tracing::info!(%address, %error, "a client was turned away");
                    None
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_client_that_still_talks_reads_to_the_end() {
        let (mut client, mut server) = UnixStream::pair().expect("sockets");
        client.write_all(b"typed ahead").await.expect("written");
        server.write_all(b"the last word").await.expect("written");
        close(server).await;
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.expect("an end, not a reset");
        assert_eq!(heard, "the last word");
    }

    #[tokio::test]
    async fn a_closed_half_is_no_hang_up() {
        for shared in [false, true] {
            let (mut client, server) = UnixStream::pair().expect("sockets");
            let server: Box<dyn Stream> = if shared { Box::new(SharedStream::from(server)) } else { Box::new(server) };
            let mut waiting = tokio::spawn(HangUp::of(&server).wait());
            client.shutdown().await.expect("a half is closed");
            assert!(tokio::time::timeout(std::time::Duration::from_millis(20), &mut waiting).await.is_err());
            drop(client);
            waiting.await.expect("the hang-up is seen");
        }
    }
}
