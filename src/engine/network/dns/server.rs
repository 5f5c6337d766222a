//! The server at 127.0.0.11 of each container: its sockets lie in the container's namespace, its tasks in the engine.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::engine::network::MOMENT;
use crate::engine::network::dns::DnsSockets;
use crate::engine::network::dns::answer::{Decision, Transport, decide, failure};
use crate::engine::network::dns::forward::{forward, framed};
use crate::engine::network::dns::table::Names;
use crate::engine::network::error::NetworkError;
use crate::engine::network::handle::Networks;
use crate::engine::network::membership::dns_key;
use crate::engine::network::state::Task;
use crate::resource::id::ContainerId;

/// Foreign names looked up for one container at a time; what comes beyond is dropped, and asked again.
const LOOKUPS: usize = 256;
/// Connections of one container at a time.
const CONNECTIONS: usize = 64;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// A query is far smaller; what is cut off is not understood.
const QUERY: usize = 4096;

impl Networks {
    /// Answers the container's lookups on these sockets, and gives them to the keeper under `dns/ID`.
    pub fn serve_dns(&self, container: ContainerId, sockets: DnsSockets) -> Result<(), NetworkError> {
        let step = || format!("keep the name server of container {}", container.short());
        let copy = |socket: &OwnedFd| socket.try_clone().map_err(NetworkError::kernel(step()));
        let copies = vec![copy(&sockets.udp)?, copy(&sockets.tcp)?];
        self.inner.holder.hold(&dns_key(container), copies).map_err(NetworkError::kernel(step()))?;
        self.answer(container, sockets)
    }

    /// Answers on sockets that the keeper has already.
    pub(in crate::engine::network) fn answer(&self, container: ContainerId, sockets: DnsSockets) -> Result<(), NetworkError> {
        let names = self.state().names.clone();
        let tasks = start(container, sockets, names)
            .map_err(NetworkError::kernel(format!("answer the lookups of container {}", container.short())))?;
        match self.state().members.get_mut(&container) {
            Some(member) => {
                member.resolver = tasks;
                Ok(())
            }
            None => Err(NetworkError::NotPrepared(container.short())),
        }
    }
}

/// What the tasks of one container share.
struct Server {
    container: ContainerId,
    names: Names,
    lookups: Arc<Semaphore>,
    turn: AtomicUsize,
}

fn start(container: ContainerId, sockets: DnsSockets, names: Names) -> io::Result<Vec<Task>> {
    let udp: std::net::UdpSocket = sockets.udp.into();
    let tcp: std::net::TcpListener = sockets.tcp.into();
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    let (udp, tcp) = (UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?);
    let server = Arc::new(Server { container, names, lookups: Arc::new(Semaphore::new(LOOKUPS)), turn: AtomicUsize::new(0) });
    let datagrams = tokio::spawn(Arc::clone(&server).serve_datagrams(Arc::new(udp)));
    let streams = tokio::spawn(server.serve_streams(tcp));
    Ok(vec![Task::new(datagrams), Task::new(streams)])
}

impl Server {
    fn decide(&self, query: &[u8], transport: Transport) -> Decision {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        decide(&self.names.load(), self.container, query, transport, turn)
    }

    async fn serve_datagrams(self: Arc<Self>, socket: Arc<UdpSocket>) {
        let mut lookups = JoinSet::new();
        let mut buffer = vec![0; QUERY];
        loop {
            tokio::select! {
                received = socket.recv_from(&mut buffer) => {
                    // An error is the answer to an answer that went out before: a client that is gone.
                    let Ok((length, client)) = received else { continue };
                    let query = &buffer[..length];
                    match self.decide(query, Transport::Datagram) {
                        Decision::Reply(reply) => {
                            if let Err(error) = socket.send_to(&reply, client).await {
                                tracing::debug!(%error, "an answer to a lookup was lost");
                            }
                        }
                        Decision::Forward(servers) => {
                            let Ok(permit) = Arc::clone(&self.lookups).try_acquire_owned() else { continue };
                            let (query, socket) = (query.to_vec(), Arc::clone(&socket));
                            lookups.spawn(async move {
                                let answer = forward(&query, &servers, Transport::Datagram).await;
                                let answer = answer.unwrap_or_else(|| failure(&query));
                                if let Err(error) = socket.send_to(&answer, client).await {
                                    tracing::debug!(%error, "an answer to a lookup was lost");
                                }
                                drop(permit);
                            });
                        }
                        Decision::Ignore => {}
                    }
                }
                Some(_) = lookups.join_next() => {}
            }
        }
    }

    async fn serve_streams(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(Arc::clone(&self).serve_stream(stream));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the name server was not accepted");
                        // Out of descriptors or memory, and the next one is waiting already: until one of these ends, or after a moment,
                        // since somebody else's end is told to nobody.
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

    async fn serve_stream(self: Arc<Self>, mut stream: TcpStream) {
        while let Ok(Ok(())) = timeout(SILENCE, self.serve_query(&mut stream)).await {}
    }

    async fn serve_query(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut query = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut query).await?;
        let reply = match self.decide(&query, Transport::Stream) {
            Decision::Reply(reply) => reply,
            Decision::Forward(servers) => {
                let answer = forward(&query, &servers, Transport::Stream).await;
                answer.unwrap_or_else(|| failure(&query))
            }
            Decision::Ignore => return Err(io::ErrorKind::InvalidData.into()),
        };
        stream.write_all(&framed(&reply)?).await
    }
}
