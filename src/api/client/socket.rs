//! A connection to an engine: by a unix socket, by TCP, by TLS, or by `ssh`.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api::client::ssh::SshStream;
use crate::api::client::target::{Target, host_and_port};
use crate::api::client::tls::Connector;
use crate::registry::resolve::resolve;
use crate::resource::failure::Failure;

/// As long as Docker waits for another machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// An sshd turns callers away at random when more than ten wait to be let in (`MaxStartups`), and others may call, too.
const AT_THE_DOOR: usize = 4;

/// Both directions of a connection.
pub(super) type Socket = Box<dyn Duplex>;

/// What can be read and written.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Makes connections to one engine.
pub(super) struct Dialer {
    target: Target,
    tls: Option<Connector>,
    door: Arc<Semaphore>,
}

impl Dialer {
    /// A dialer of an engine, whose files of TLS are read.
    pub(super) fn new(target: &Target) -> Result<Self, Failure> {
        let tls = match target {
            Target::Tls(_, files) => Some(Connector::new(files)?),
            _ => None,
        };
        Ok(Self { target: target.clone(), tls, door: Arc::new(Semaphore::new(AT_THE_DOOR)) })
    }

    /// The engine.
    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// Connects to an engine that listens.
    pub(super) async fn open(&self) -> io::Result<Socket> {
        match &self.target {
            Target::Own(root) => unix(&root.socket()).await,
            Target::Unix(path) => unix(path).await,
            Target::Tcp(address) => in_time(async { Ok(Box::new(tcp(address).await?.0) as Socket) }).await,
            Target::Tls(address, _) => in_time(self.tls(address)).await,
            Target::Ssh(target) => {
                let turn = Arc::clone(&self.door).acquire_owned().await.map_err(io::Error::other)?;
                Ok(Box::new(SshStream::open(target, turn)?))
            }
        }
    }

    async fn tls(&self, address: &str) -> io::Result<Socket> {
        let (stream, host) = tcp(address).await?;
        let connector = self.tls.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Box::new(connector.connect(host, stream).await?))
    }
}

async fn in_time(open: impl Future<Output = io::Result<Socket>>) -> io::Result<Socket> {
    timeout(PATIENCE, open).await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")))
}

async fn tcp(address: &str) -> io::Result<(TcpStream, &str)> {
    let (host, port) = host_and_port(address).ok_or(io::ErrorKind::InvalidInput)?;
    // A host that does not exist is no engine that does not listen.
    let found = resolve(host).await.map_err(io::Error::other)?;
    let mut last = io::Error::from(io::ErrorKind::NotConnected);
    for address in found {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok((stream, host));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
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
