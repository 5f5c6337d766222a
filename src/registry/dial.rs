//! Connections: straight to a host, or through a proxy.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::registry::proxy::{Proxies, Proxy};
use crate::registry::resolve::resolve;

/// How long one address is tried.
const PATIENCE: Duration = Duration::from_secs(15);
/// A proxy that answers CONNECT with more than this is none.
const HEAD_LIMIT: usize = 16 << 10;

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    proxies: Arc<Proxies>,
}

impl Dial {
    pub(super) fn new(proxies: Arc<Proxies>) -> Self {
        Self { proxies }
    }
}

impl tower_service::Service<Uri> for Dial {
    type Response = Dialed;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Dialed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxies = Arc::clone(&self.proxies);
        Box::pin(async move {
            let host = uri.host().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the URL has no host"))?;
            let secure = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let Some(proxy) = proxies.of(&uri) else {
                return Ok(Dialed { stream: TokioIo::new(connect(host, port).await?), through_proxy: false });
            };
            let through = |error: io::Error| io::Error::new(error.kind(), format!("by the proxy {}:{}: {error}", proxy.host, proxy.port));
            let mut stream = connect(&proxy.host, proxy.port).await.map_err(through)?;
            if secure {
                tunnel(&mut stream, &format!("{host}:{port}"), proxy).await.map_err(through)?;
            }
            Ok(Dialed { stream: TokioIo::new(stream), through_proxy: !secure })
        })
    }
}

/// Tries one address after the other; the last one's failure counts.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in resolve(host).await? {
        match timeout(PATIENCE, TcpStream::connect((address, port))).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            // A machine without IPv6 says so of the last address, which would hide what counts.
            Ok(Err(error)) if matches!(failed.kind(), io::ErrorKind::NotFound) || address.is_ipv4() => failed = error,
            Ok(Err(_)) => {}
            Err(_) => failed = io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer")),
        }
    }
    Err(failed)
}

/// Asks a proxy to pass everything on (RFC 9110, 9.3.6).
async fn tunnel(stream: &mut TcpStream, target: &str, proxy: &Proxy) -> io::Result<()> {
    let authorization = proxy.authorization.iter().map(|value| format!("Proxy-Authorization: {value}\r\n")).collect::<String>();
    stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n").as_bytes()).await?;
    let answered = timeout(PATIENCE, async {
        let mut head = Vec::new();
        // The other end speaks only after us, so nothing of it is read here.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > HEAD_LIMIT || stream.read_buf(&mut head).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not answer CONNECT as HTTP proxies do"));
            }
        }
        Ok(head)
    });
    let head = answered.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it does not answer CONNECT"))??;
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    match line.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some("407") => Err(io::Error::other("it wants a user and a password: HTTPS_PROXY=http://user:password@host:port")),
        _ => Err(io::Error::other(format!("it refuses the connection to {target}: {line}"))),
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Dialed {
    stream: TokioIo<TcpStream>,
    through_proxy: bool,
}

impl Connection for Dialed {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.through_proxy)
    }
}

impl Read for Dialed {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Dialed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
