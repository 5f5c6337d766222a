//! A connection to an engine: by a unix socket, or by TCP.

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::api::client::target::Target;

/// Both directions of a connection.
pub(super) type Socket = Box<dyn Duplex>;

/// What can be read and written.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to an engine that listens.
pub(super) async fn open(target: &Target) -> io::Result<Socket> {
    match target {
        Target::Own(root) => unix(&root.socket()).await,
        Target::Unix(path) => unix(path).await,
        Target::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
    }
}

async fn unix(path: &Path) -> io::Result<Socket> {
    match UnixStream::connect(path).await {
        // The queue is full, and the kernel only lets those wait for a place who block.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let path = path.to_owned();
            let connect = tokio::task::spawn_blocking(move || std::os::unix::net::UnixStream::connect(path));
            let stream = connect.await.map_err(io::Error::other)??;
            stream.set_nonblocking(true)?;
            Ok(Box::new(UnixStream::from_std(stream)?))
        }
        stream => Ok(Box::new(stream?)),
    }
}
