//! Queries that others answer: passed on as they are, but for their number.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::engine::network::dns::answer::Transport;

/// How long one server is waited for; a client gives up after five seconds.
const PATIENCE: Duration = Duration::from_secs(2);
const PORT: u16 = 53;
/// The largest message of DNS.
const LARGEST: usize = 65535;

/// Asks one server after the other; the first answer counts. Nothing when none answers.
pub(super) async fn forward(query: &[u8], servers: &[IpAddr], transport: Transport) -> Option<Vec<u8>> {
    let host;
    let servers = if servers.is_empty() {
        host = host_servers();
        host.as_slice()
    } else {
        servers
    };
    for server in servers {
        let address = SocketAddr::new(*server, PORT);
        let asked = async {
            match transport {
                Transport::Datagram => by_datagram(query, address).await,
                Transport::Stream => by_stream(query, address).await,
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, %server, "a name server does not answer"),
            Err(_) => tracing::debug!(%server, "a name server does not answer in time"),
        }
    }
    None
}

/// The host's name servers, as they are now: a VPN may have changed them. The engine lives on the host, so a local one
/// (systemd-resolved's 127.0.0.53) is as good as any.
fn host_servers() -> Vec<IpAddr> {
    fs::read_to_string("/etc/resolv.conf").map(|text| parse_servers(&text)).unwrap_or_default()
}

fn parse_servers(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next()? == "nameserver").then(|| words.next()?.parse().ok()).flatten()
        })
        .collect()
}

/// The query under a number that cannot be guessed, and that number.
fn renumbered(query: &[u8]) -> io::Result<(Vec<u8>, [u8; 2])> {
    let mut number = [0; 2];
    rustix::rand::getrandom(&mut number, rustix::rand::GetRandomFlags::empty())?;
    let mut renumbered = query.to_vec();
    renumbered.get_mut(..2).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(&number);
    Ok((renumbered, number))
}

/// The answer under the query's own number.
fn restored(mut answer: Vec<u8>, query: &[u8]) -> Vec<u8> {
    answer[..2].copy_from_slice(&query[..2]);
    answer
}

/// From a port of its own, chosen by the kernel. A truncated answer goes back as it is: the client comes again by TCP.
async fn by_datagram(query: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let (renumbered, number) = renumbered(query)?;
    socket.send(&renumbered).await?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else is somebody's guess.
        if length >= 12 && buffer[..2] == number {
            return Ok(restored(buffer[..length].to_vec(), query));
        }
    }
}

async fn by_stream(query: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let (renumbered, number) = renumbered(query)?;
    stream.write_all(&framed(&renumbered)?).await?;
    let length = usize::from(stream.read_u16().await?);
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    if length >= 12 && answer[..2] == number { Ok(restored(answer, query)) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A message of a stream: its length, then itself.
pub(super) fn framed(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_resolvers_read_them() {
        let text = "# nameserver 1.1.1.1\nsearch lan\nnameserver 127.0.0.53\n  nameserver\t2606:4700::1111 \nnameserver fe80::1%eth0\nnameserver\n";
        let expect: Vec<IpAddr> = vec![[127, 0, 0, 53].into(), "2606:4700::1111".parse().expect("an address")];
        assert_eq!(parse_servers(text), expect);
    }
}
