//! The proxy behind a published port: for `::1`, for IPv6 clients of containers without it, and for hosts whose rules were flushed.
//!
//! The container sees the host's address on its bridge instead of the client's, as with Docker's own proxy.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::Shutdown;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::engine::network::MOMENT;
use crate::engine::network::port::socket::Bound;
use crate::engine::network::state::Task;
use crate::resource::container::Protocol;

const BUFFER: usize = 128 << 10;
/// The largest datagram of IP.
const DATAGRAM: usize = 64 << 10;
/// A client that was silent for so long is forgotten, as in Docker's proxy.
const SILENCE: Duration = Duration::from_secs(90);
/// Clients of one UDP port at a time; the one that came first gives way.
const CLIENTS: usize = 1024;

/// What forwards at one socket.
#[derive(Debug)]
pub(in crate::engine::network) struct Proxy {
    task: Task,
    listening: Option<OwnedFd>,
}

impl Proxy {
    /// Ends it. Others have copies of its socket for another moment: the keeper, which is told to let go of it, and what is being spawned.
    /// Where it listens no more, the port is free all the same (`SO_REUSEADDR`).
    pub(in crate::engine::network) async fn end(self) {
        self.task.end().await;
        if let Some(socket) = self.listening {
            // Fails only where it listens no more.
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
    }
}

/// Begins to forward what arrives at a socket to `target`.
pub(super) fn start(bound: Bound, target: SocketAddr) -> io::Result<Proxy> {
    let mut listening = None;
    let handle = match bound.protocol {
        Protocol::Tcp => {
            listening = Some(bound.socket.try_clone()?);
            let listener = TcpListener::from_std(bound.socket.into())?;
            tokio::spawn(forward_streams(listener, target))
        }
        Protocol::Udp | Protocol::Sctp => {
            let socket = Arc::new(UdpSocket::from_std(bound.socket.into())?);
            tokio::spawn(forward_datagrams(socket, target))
        }
    };
    Ok(Proxy { task: Task::new(handle), listening })
}

async fn forward_streams(listener: TcpListener, target: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(forward_stream(client, target));
                }
                Err(error) => {
                    tracing::warn!(%error, %target, "a connection to a published port was not accepted");
                    // Out of descriptors or memory, and the next connection is waiting already: until one of these ends, or after a
                    // moment, since somebody else's end is told to nobody.
                    tokio::select! {
                        Some(_) = connections.join_next() => {}
                        () = tokio::time::sleep(MOMENT) => {}
                    }
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward_stream(mut client: TcpStream, target: SocketAddr) {
    let result = async {
        let mut server = TcpStream::connect(target).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await
    };
    if let Err(error) = result.await {
        tracing::debug!(%error, %target, "a proxied connection ended early");
    }
}

async fn forward_datagrams(socket: Arc<UdpSocket>, target: SocketAddr) {
    let mut clients: BTreeMap<SocketAddr, (u64, Arc<UdpSocket>)> = BTreeMap::new();
    let mut answers = JoinSet::new();
    let mut count = 0_u64;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                // An error is the answer to a datagram that went out before: a client that is gone.
                let Ok((length, client)) = received else { continue };
                let server = match clients.get(&client) {
                    Some((_, server)) => Arc::clone(server),
                    None => match connect(target).await {
                        Ok(server) => {
                            count += 1;
                            if clients.len() >= CLIENTS {
                                let oldest = clients.iter().min_by_key(|(_, (number, _))| *number).map(|(client, _)| *client);
                                oldest.and_then(|oldest| clients.remove(&oldest));
                            }
                            clients.insert(client, (count, Arc::clone(&server)));
                            let (number, back, from) = (count, Arc::clone(&socket), Arc::clone(&server));
                            answers.spawn(async move {
                                forward_answers(&from, &back, client).await;
                                (client, number)
                            });
                            server
                        }
                        Err(error) => {
                            tracing::debug!(%error, %target, "a datagram to a published port was dropped");
                            continue;
                        }
                    },
                };
                if let Err(error) = server.send(&buffer[..length]).await {
                    tracing::debug!(%error, %target, "a datagram to a published port was dropped");
                }
            }
            Some(ended) = answers.join_next() => {
                if let Ok((client, number)) = ended
                    && clients.get(&client).is_some_and(|(current, _)| *current == number)
                {
                    clients.remove(&client);
                }
            }
        }
    }
}

async fn connect(target: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(Arc::new(socket))
}

async fn forward_answers(server: &UdpSocket, back: &UdpSocket, client: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(received) = tokio::time::timeout(SILENCE, server.recv(&mut buffer)).await {
        // Refused: the server does not listen yet, or not any more.
        let Ok(length) = received else { continue };
        if back.send_to(&buffer[..length], client).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::network::port::socket::bind_port;

    #[tokio::test]
    async fn a_port_is_free_though_others_hold_its_socket() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = bind_port(Protocol::Tcp, address).expect("a port");
        let (address, copy) = (bound.address, bound.socket.try_clone().expect("a copy"));
        let proxy = start(bound, address).expect("it starts");
        assert!(bind_port(Protocol::Tcp, address).is_err());
        proxy.end().await;
        bind_port(Protocol::Tcp, address).expect("it is free");
        drop(copy);
    }
}
