//! The socket of a published port: while it is bound, nobody else takes the port, and `ss` shows it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt};

use crate::resource::container::Protocol;

/// Go's and so Docker's; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A bound socket.
#[derive(Debug)]
pub(super) struct Bound {
    /// The socket, not blocking; a TCP one listens.
    pub(super) socket: OwnedFd,
    /// Its protocol.
    pub(super) protocol: Protocol,
    /// Where it is bound.
    pub(super) address: SocketAddr,
}

/// Binds a port; 0 lets the kernel choose one. For SCTP there is none: the kernel may not even have it, and only forwards it.
pub(super) fn bind_port(protocol: Protocol, address: SocketAddr) -> io::Result<Bound> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if protocol == Protocol::Tcp { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if address.is_ipv6() {
        // The v4 half is a socket of its own.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of a container before this one may still wait out their time.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    if protocol == Protocol::Tcp {
        listen(&socket, BACKLOG)?;
    }
    let address = local_address(&socket)?;
    Ok(Bound { socket, protocol, address })
}

/// Recognises a socket that was handed back.
pub(super) fn recognise(socket: OwnedFd) -> io::Result<Bound> {
    let protocol = if sockopt::socket_type(&socket)? == SocketType::STREAM { Protocol::Tcp } else { Protocol::Udp };
    let address = local_address(&socket)?;
    Ok(Bound { socket, protocol, address })
}

fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(getsockname(socket)?)?)
}
