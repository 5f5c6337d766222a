//! What a container wanted on a network and what it has there: Docker's `EndpointSettings`.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

use crate::api::wire::spec;
use crate::resource::container::{ContainerInfo, EndpointState};
use crate::resource::id::NetworkId;

/// An endpoint, ready to be written.
#[derive(Serialize)]
pub(super) struct Endpoint<'a> {
    #[serde(flatten)]
    wish: spec::Wish<'a>,
    #[serde(rename = "NetworkID")]
    network: NetworkId,
    #[serde(rename = "EndpointID")]
    id: String,
    #[serde(rename = "Gateway", serialize_with = "or_empty")]
    gateway: Option<Ipv4Addr>,
    #[serde(rename = "IPAddress", serialize_with = "or_empty")]
    v4: Option<Ipv4Addr>,
    #[serde(rename = "IPPrefixLen")]
    v4_prefix: u8,
    #[serde(rename = "IPv6Gateway", serialize_with = "or_empty")]
    gateway6: Option<Ipv6Addr>,
    #[serde(rename = "GlobalIPv6Address", serialize_with = "or_empty")]
    v6: Option<Ipv6Addr>,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    v6_prefix: u8,
    #[serde(rename = "DNSNames")]
    names: Option<&'a [String]>,
}

impl<'a> Endpoint<'a> {
    /// What a container has on a network.
    pub(super) fn of(info: &'a ContainerInfo, state: &'a EndpointState) -> Self {
        let mut wish = spec::Wish::of(&state.spec);
        if let Some(mac) = &state.mac {
            wish.mac_address = mac;
        }
        if state.network_name == "bridge" && !info.spec.remarks.links.is_empty() {
            wish.links = None;
        }
        Self {
            wish,
            network: state.network,
            id: if info.state.is_running() { spec::endpoint_id(&info.id, &state.network) } else { String::new() },
            gateway: state.gateway,
            v4: state.ipv4.map(|(address, _)| address),
            v4_prefix: state.ipv4.map_or(0, |(_, prefix)| prefix),
            gateway6: state.gateway6,
            v6: state.ipv6.map(|(address, _)| address),
            v6_prefix: state.ipv6.map_or(0, |(_, prefix)| prefix),
            names: spec::or_null(&state.dns_names),
        }
    }

    /// As who lists containers is told it: not what they are called there.
    pub(super) fn without_names(mut self) -> Self {
        (self.wish.links, self.wish.aliases, self.names) = (None, None, None);
        self
    }
}

/// An address; where there is none, dockerd writes an empty text.
fn or_empty<T: Serialize, S: Serializer>(address: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => address.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}
