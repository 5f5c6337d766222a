//! What the host has: its interfaces, and the addresses and routes that a new network must not collide with.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::engine::network::netlink::route::dump;
use crate::engine::network::netlink::socket::Socket;
use crate::resource::network::Subnet;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine::network) struct Interface {
    /// Its number.
    pub(in crate::engine::network) index: u32,
    /// Its name.
    pub(in crate::engine::network) name: String,
    /// Its hardware address.
    pub(in crate::engine::network) mac: Vec<u8>,
    /// The bridge it is a port of.
    pub(in crate::engine::network) bridge: Option<u32>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::network) struct HostAddress {
    /// The interface.
    pub(in crate::engine::network) index: u32,
    /// The address.
    pub(in crate::engine::network) address: IpAddr,
    /// The prefix length.
    pub(in crate::engine::network) prefix: u8,
}

/// A block of addresses that leads somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::network) struct HostRoute {
    /// The interface it leads to.
    pub(in crate::engine::network) index: Option<u32>,
    /// The block.
    pub(in crate::engine::network) subnet: Subnet,
}

/// Every interface.
pub(in crate::engine::network) fn interfaces(socket: &mut Socket) -> io::Result<Vec<Interface>> {
    let mut all = Vec::new();
    dump(socket, RouteNetlinkMessage::GetLink(LinkMessage::default()), |message| {
        if let RouteNetlinkMessage::NewLink(link) = message {
            let mut interface = Interface { index: link.header.index, name: String::new(), mac: Vec::new(), bridge: None };
            for attribute in link.attributes {
                match attribute {
                    LinkAttribute::IfName(name) => interface.name = name,
                    LinkAttribute::Address(mac) => interface.mac = mac,
                    LinkAttribute::Controller(bridge) => interface.bridge = Some(bridge),
                    _ => {}
                }
            }
            all.push(interface);
        }
    })?;
    Ok(all)
}

/// Every address.
pub(in crate::engine::network) fn addresses(socket: &mut Socket) -> io::Result<Vec<HostAddress>> {
    let mut all = Vec::new();
    dump(socket, RouteNetlinkMessage::GetAddress(AddressMessage::default()), |message| {
        if let RouteNetlinkMessage::NewAddress(found) = message {
            let local = found.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            let address = local.or_else(|| {
                found.attributes.iter().find_map(|attribute| match attribute {
                    AddressAttribute::Address(address) => Some(*address),
                    _ => None,
                })
            });
            if let Some(address) = address {
                all.push(HostAddress { index: found.header.index, address, prefix: found.header.prefix_len });
            }
        }
    })?;
    Ok(all)
}

/// Every route but those that stand for everything: default routes, and the pair of halves by which VPNs overrule one.
pub(in crate::engine::network) fn routes(socket: &mut Socket) -> io::Result<Vec<HostRoute>> {
    let mut all = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        dump(socket, RouteNetlinkMessage::GetRoute(request), |message| {
            let RouteNetlinkMessage::NewRoute(route) = message else { return };
            let prefix = route.header.destination_prefix_length;
            // Local and broadcast addresses lie within the blocks of the interfaces that have them.
            if prefix <= 1
                || !matches!(route.header.kind, RouteType::Unicast | RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit)
            {
                return;
            }
            let mut index = None;
            let mut address = None;
            for attribute in &route.attributes {
                match attribute {
                    RouteAttribute::Oif(found) => index = Some(*found),
                    RouteAttribute::Destination(RouteAddress::Inet(found)) => address = Some(IpAddr::V4(*found)),
                    RouteAttribute::Destination(RouteAddress::Inet6(found)) => address = Some(IpAddr::V6(*found)),
                    _ => {}
                }
            }
            if let Some(address) = address {
                all.push(HostRoute { index, subnet: Subnet { address, prefix } });
            }
        })?;
    }
    Ok(all)
}
