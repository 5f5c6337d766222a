//! A connection to an engine: by a unix socket, or by TCP.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::api::client::target::Target;
use crate::registry::resolve::resolve;

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
        Target::Tcp(address) => tcp(address).await,
    }
}

async fn tcp(address: &str) -> io::Result<Socket> {
    let (host, port) = host_and_port(address)?;
    // A host that does not exist is no engine that does not listen.
    let found = resolve(host).await.map_err(io::Error::other)?;
    let mut last = io::Error::from(io::ErrorKind::NotConnected);
    for address in found {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Host and port; Docker's own where none is written.
fn host_and_port(text: &str) -> io::Result<(&str, u16)> {
    const DOCKERS: u16 = 2375;
    let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) else { return Ok((text, DOCKERS)) };
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("`{port}` is not a port"));
    Ok((host, port.parse().map_err(wrong)?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_left_out() {
        let check = |text: &str, expect| assert_eq!(host_and_port(text).ok(), expect);
        check("docker", Some(("docker", 2375)));
        check("127.0.0.1:80", Some(("127.0.0.1", 80)));
        check("[::1]", Some(("[::1]", 2375)));
        check("docker:x", None);
        check("[::1]:80", Some(("[::1]", 80)));
    }
}
