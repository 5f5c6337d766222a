//! Names: every container asks 127.0.0.11, and the engine answers from one table or asks the host's resolvers.

pub(super) mod table;

use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// How a container's foreign names are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// The name servers for names that are nobody's here; the host's when empty.
    pub upstreams: Vec<IpAddr>,
}

/// A container's sockets at 127.0.0.11, made by its init inside its namespace.
#[derive(Debug)]
pub struct DnsSockets {
    /// Bound, datagram.
    pub udp: OwnedFd,
    /// Listening, stream.
    pub tcp: OwnedFd,
}

impl crate::engine::network::handle::Networks {
    /// Answers the container's lookups on these sockets, and gives them to the keeper under `dns/ID`.
    pub fn serve_dns(
        &self,
        container: crate::resource::id::ContainerId,
        sockets: DnsSockets,
    ) -> Result<(), crate::engine::network::error::NetworkError> {
        let _ = (container, sockets);
        Ok(())
    }
    pub(super) fn answer(
        &self,
        container: crate::resource::id::ContainerId,
        sockets: DnsSockets,
    ) -> Result<(), crate::engine::network::error::NetworkError> {
        let _ = (container, sockets);
        Ok(())
    }
}
