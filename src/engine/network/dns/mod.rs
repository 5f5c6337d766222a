//! Names: every container asks 127.0.0.11, and the engine answers from one table or asks the host's resolvers.

mod answer;
mod forward;
mod server;
pub(super) mod table;

use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// What a container asks, and what it is called beside its name and its aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// The name servers for names that are nobody's here; the host's when empty.
    pub upstreams: Vec<IpAddr>,
    /// Its host name, if it was given one: others find it by that, too.
    pub hostname: Option<String>,
}

/// A container's sockets at 127.0.0.11, made by its init inside its namespace.
#[derive(Debug)]
pub struct DnsSockets {
    /// Bound, datagram.
    pub udp: OwnedFd,
    /// Listening, stream.
    pub tcp: OwnedFd,
}
