//! Networks.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::resource::id::{ContainerId, NetworkId};
use crate::resource::name::NetworkName;
use crate::resource::time::Timestamp;

/// An address block, `10.1.0.0/16`; the address is the block's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subnet {
    /// The first address.
    pub address: IpAddr,
    /// Leading bits that all addresses share.
    pub prefix: u8,
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

/// What is wanted of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// `bridge` (the default when empty); any other is refused.
    pub driver: String,
    /// Driver options: `com.docker.network.bridge.name`, `com.docker.network.driver.mtu`…
    pub options: BTreeMap<String, String>,
    /// Forwards nothing to or from outside, names included.
    pub internal: bool,
    /// Containers may be attached by hand.
    pub attachable: bool,
    /// Has v4 addresses; yes when absent.
    pub enable_ipv4: Option<bool>,
    /// Has v6 addresses; no when absent.
    pub enable_ipv6: Option<bool>,
    /// Address pools; one is chosen for each family when there is none.
    pub ipam: Vec<IpamPool>,
    /// Options for whoever hands out addresses, which the default one has no use for, and which are told again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ipam_options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// One address pool of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamPool {
    /// The block.
    pub subnet: Subnet,
    /// The part of it from which addresses are handed out.
    pub range: Option<Subnet>,
    /// The bridge's address; the first when absent.
    pub gateway: Option<IpAddr>,
    /// Addresses not to be handed out, by a name for people.
    pub reserved: BTreeMap<String, IpAddr>,
}

/// What an engine tells of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: NetworkName,
    /// When it was created.
    pub created: Timestamp,
    /// What was wanted.
    pub spec: NetworkSpec,
    /// The pools in force.
    pub pools: Vec<IpamPool>,
    /// The bridge's interface name.
    pub bridge: String,
    /// Running containers on it.
    pub containers: Vec<NetworkMember>,
}

/// A running container on a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkMember {
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Hardware address.
    pub mac: String,
    /// v4 address and prefix, `10.1.0.2/16`.
    pub ipv4: Option<String>,
    /// v6 address and prefix.
    pub ipv6: Option<String>,
}
