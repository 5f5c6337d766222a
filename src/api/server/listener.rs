//! What clients connect to.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, getsockname};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// At a path.
    Unix(UnixListener),
    /// At an address and a port, without TLS: the keeper opens it on loopback only, and only when told to in so many words.
    Tcp(TcpListener),
}

/// A client's connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listener {
    /// Takes over a listening socket of either kind.
    pub fn of(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        if getsockname(&socket)?.address_family() == AddressFamily::UNIX {
            Ok(Self::Unix(UnixListener::from_std(socket.into())?))
        } else {
            Ok(Self::Tcp(TcpListener::from_std(socket.into())?))
        }
    }

    /// Waits for the next client.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are whole when they are written. A client that has gone already is found out when it is answered.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
        }
    }
}
