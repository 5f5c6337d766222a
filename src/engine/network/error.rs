//! What can go wrong with a network, one variant a step.

use std::io;
use std::net::IpAddr;

use crate::resource::failure::{Failure, FailureKind};
use crate::resource::network::Subnet;

/// A failed step of this room.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No network has this name or id.
    #[error("network {0} not found")]
    NotFound(String),
    /// The beginning of an id that several networks share.
    #[error("network id {0} is ambiguous")]
    Ambiguous(String),
    /// Another network has this name.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// Running containers are on it.
    #[error("network {name} has active endpoints: {members}")]
    InUse {
        /// The network.
        name: String,
        /// The containers' names.
        members: String,
    },
    /// `bridge`, `host` or `none`.
    #[error("{0} is a pre-defined network and cannot be {1}")]
    Predefined(String, &'static str),
    /// Something asked for that no network of ours can be.
    #[error("network {name}: {reason}")]
    Invalid {
        /// The network.
        name: String,
        /// What is wrong with the request.
        reason: String,
    },
    /// Something that this engine does not do.
    #[error("network {name}: {reason}")]
    Unsupported {
        /// The network.
        name: String,
        /// What was asked for.
        reason: String,
    },
    /// A wanted block of addresses collides.
    #[error("network {name}: subnet {subnet} overlaps with {other}")]
    Overlap {
        /// The network.
        name: String,
        /// The block asked for.
        subnet: Subnet,
        /// What has it already: another network, or a route of the host.
        other: String,
    },
    /// No block left in the pools.
    #[error("network {name}: all predefined address pools have been fully subnetted, or are in use by routes of this host")]
    PoolsExhausted {
        /// The network.
        name: String,
    },
    /// No address left in a network.
    #[error("network {name}: no free address left in {subnet}")]
    AddressesExhausted {
        /// The network.
        name: String,
        /// The block.
        subnet: Subnet,
    },
    /// A static address that is somebody else's.
    #[error("network {name}: address {address} is already in use")]
    AddressInUse {
        /// The network.
        name: String,
        /// The address.
        address: IpAddr,
    },
    /// A container that was never prepared.
    #[error("container {0} is on no network")]
    NotPrepared(String),
    /// A container that is on the network already.
    #[error("container {container} is already connected to network {network}")]
    AlreadyConnected {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// A container that is not on the network.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// A port of the host that is taken.
    #[error("cannot publish {port}: {address} is already in use{holder}")]
    PortInUse {
        /// The port inside, `80/tcp`.
        port: String,
        /// Address and port on the host.
        address: String,
        /// ` by nginx (pid 4711)`, or nothing where the holder cannot be seen.
        holder: String,
    },
    /// A port of the host that cannot be taken for another reason.
    #[error("cannot publish {port}: cannot listen on {address}")]
    PortBind {
        /// The port inside.
        port: String,
        /// Address and port on the host.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A request to the kernel that was refused.
    #[error("cannot {step}")]
    Kernel {
        /// What was tried, on what.
        step: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A record on disk.
    #[error("cannot {step}")]
    Record {
        /// What was tried, with the path.
        step: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl NetworkError {
    /// Makes the error of a refused request to the kernel: for `map_err`.
    pub(super) fn kernel(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self::Kernel { step, source }
    }

    /// What a caller may do about it.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound(_) | Self::NotConnected { .. } => FailureKind::NotFound,
            Self::Exists(_) | Self::AddressInUse { .. } | Self::PortInUse { .. } => FailureKind::Conflict,
            // Docker answers 403 to the removal of a network in use, of a predefined one, and to a second connection.
            Self::InUse { .. } | Self::Predefined(..) | Self::AlreadyConnected { .. } | Self::Overlap { .. } => FailureKind::Denied,
            Self::Invalid { .. } | Self::Ambiguous(_) => FailureKind::Invalid,
            Self::Unsupported { .. } => FailureKind::Unsupported,
            Self::PoolsExhausted { .. }
            | Self::AddressesExhausted { .. }
            | Self::NotPrepared(_)
            | Self::PortBind { .. }
            | Self::Kernel { .. }
            | Self::Record { .. } => FailureKind::Internal,
        }
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { kind: error.kind(), message }
    }
}
