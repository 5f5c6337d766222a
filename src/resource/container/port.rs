//! Ports of containers, and those of the host that lead to them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port inside a container, written `80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerPort {
    /// The number.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl std::fmt::Display for ContainerPort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.port, self.protocol.as_str())
    }
}

/// A wish that a port of the host leads to a port of the container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    /// The port inside.
    pub container: ContainerPort,
    /// The address on the host; every one, v4 and v6, when absent.
    pub host_ip: Option<IpAddr>,
    /// The first port on the host; 0 lets the engine choose.
    pub host_port: u16,
    /// The last port of a range from which the engine takes a free one; equal to the first otherwise.
    pub host_port_end: u16,
}

/// A port of the host that does lead to a port of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The port inside.
    pub container: ContainerPort,
    /// The address on the host; `0.0.0.0` and `::` are every one of theirs.
    pub host_ip: IpAddr,
    /// The port on the host.
    pub host_port: u16,
}
