//! Requests to `NETLINK_ROUTE`: bridges, veth pairs, addresses and routes, several in one send.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridgePort, InfoData, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};

use crate::engine::network::netlink::socket::Socket;

/// The loopback interface of every namespace.
const LOOPBACK: u32 = 1;

/// A bridge to be made.
#[derive(Clone, Debug)]
pub(in crate::engine::network) struct BridgeRequest {
    /// The interface's name.
    pub(in crate::engine::network) name: String,
    /// Its number, chosen by us so that requests about it can go out together with this one.
    pub(in crate::engine::network) index: u32,
    /// Its hardware address; without one it would change with every port.
    pub(in crate::engine::network) mac: [u8; 6],
    /// The largest packet; the kernel's choice when absent.
    pub(in crate::engine::network) mtu: Option<u32>,
}

/// A veth pair to be made: one end a port of a bridge, the other born in a container.
#[derive(Clone, Debug)]
pub(in crate::engine::network) struct VethRequest {
    /// The name of the end here.
    pub(in crate::engine::network) name: String,
    /// Its number. The kernel honours the inner one only if this one is given, too (drivers/net/veth.c).
    pub(in crate::engine::network) index: u32,
    /// Its hardware address, by which it is known again.
    pub(in crate::engine::network) mac: [u8; 6],
    /// The bridge.
    pub(in crate::engine::network) bridge: u32,
    /// The name of the end inside.
    pub(in crate::engine::network) inner_name: String,
    /// Its number.
    pub(in crate::engine::network) inner_index: u32,
    /// Its hardware address.
    pub(in crate::engine::network) inner_mac: [u8; 6],
    /// The largest packet; the kernel's choice when absent.
    pub(in crate::engine::network) mtu: Option<u32>,
}

/// Requests in order, each acknowledged.
#[derive(Debug, Default)]
pub(in crate::engine::network) struct Requests {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Requests {
    /// None yet.
    pub(in crate::engine::network) fn new() -> Self {
        Self::default()
    }

    /// Whether there are none.
    pub(in crate::engine::network) fn is_empty(&self) -> bool {
        self.sequence == 0
    }

    /// The bytes, for a socket of somebody else's.
    pub(in crate::engine::network) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Sends them and waits for every acknowledgement; the first refusal ends the waiting.
    pub(in crate::engine::network) fn send(&self, socket: &mut Socket) -> io::Result<()> {
        if self.is_empty() { Ok(()) } else { socket.request(&self.bytes, self.sequence) }
    }

    fn push(&mut self, message: RouteNetlinkMessage, flags: u16) {
        self.sequence += 1;
        encode(&mut self.bytes, message, NLM_F_REQUEST | NLM_F_ACK | flags, self.sequence);
    }

    /// Makes a bridge, up.
    pub(in crate::engine::network) fn add_bridge(&mut self, bridge: &BridgeRequest) {
        let mut message = LinkBridge::new(&bridge.name).index(bridge.index).address(bridge.mac.to_vec()).up();
        if let Some(mtu) = bridge.mtu {
            message = message.mtu(mtu);
        }
        self.push(RouteNetlinkMessage::NewLink(message.build()), NLM_F_CREATE | NLM_F_EXCL);
    }

    /// Makes a veth pair with its inner end in `netns`, the outer end up.
    pub(in crate::engine::network) fn add_veth(&mut self, veth: &VethRequest, netns: BorrowedFd<'_>) {
        let mut inner = LinkUnspec::new_with_index(veth.inner_index)
            .name(&veth.inner_name)
            .address(veth.inner_mac.to_vec())
            .setns_by_fd(netns.as_raw_fd());
        let mut outer = LinkMessageBuilder::<LinkVeth>::new(&veth.name, &veth.inner_name)
            .index(veth.index)
            .address(veth.mac.to_vec())
            .controller(veth.bridge)
            .up();
        if let Some(mtu) = veth.mtu {
            inner = inner.mtu(mtu);
            outer = outer.mtu(mtu);
        }
        let mut outer = outer.build();
        let peer = InfoData::Veth(InfoVeth::Peer(inner.build()));
        for attribute in &mut outer.attributes {
            if let LinkAttribute::LinkInfo(parts) = attribute {
                parts.retain(|part| !matches!(part, LinkInfo::Data(_)));
                parts.push(LinkInfo::Data(peer.clone()));
            }
        }
        self.push(RouteNetlinkMessage::NewLink(outer), NLM_F_CREATE | NLM_F_EXCL);
    }

    /// Sets how a port of a bridge behaves: sends back where it came from, and speaks to no other port that is isolated.
    pub(in crate::engine::network) fn set_port(&mut self, index: u32, hairpin: bool, isolated: bool) {
        let message = LinkUnspec::new_with_index(index)
            .set_port_kind(InfoPortKind::Bridge)
            .set_port_data(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(hairpin), InfoBridgePort::Isolated(isolated)]))
            .build();
        self.push(RouteNetlinkMessage::NewLink(message), 0);
    }

    /// Brings the loopback interface up.
    pub(in crate::engine::network) fn set_loopback_up(&mut self) {
        self.set_up(LOOPBACK);
    }

    /// Brings an interface up.
    pub(in crate::engine::network) fn set_up(&mut self, index: u32) {
        self.push(RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).up().build()), 0);
    }

    /// Sets the largest packet of an interface.
    pub(in crate::engine::network) fn set_mtu(&mut self, index: u32, mtu: u32) {
        self.push(RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).mtu(mtu).build()), 0);
    }

    /// Keeps the kernel from giving an interface an address `fe80::…`.
    pub(in crate::engine::network) fn set_no_link_local(&mut self, index: u32) {
        let attribute = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)])]);
        self.push(RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).append_extra_attribute(attribute).build()), 0);
    }

    /// Puts an interface into a group.
    pub(in crate::engine::network) fn set_group(&mut self, index: u32, group: u32) {
        self.push(RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).link_group(group).build()), 0);
    }

    /// Removes every interface of a group; the kernel waits once for all of them.
    pub(in crate::engine::network) fn delete_group(&mut self, group: u32) {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        self.push(RouteNetlinkMessage::DelLink(message), 0);
    }

    /// Removes an interface.
    pub(in crate::engine::network) fn delete_link(&mut self, index: u32) {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.push(RouteNetlinkMessage::DelLink(message), 0);
    }

    /// Adds an address, usable at once: an IPv6 one is not probed for duplicates first, nobody else hands out addresses here.
    pub(in crate::engine::network) fn add_address(&mut self, index: u32, address: IpAddr, prefix: u8) {
        self.push(RouteNetlinkMessage::NewAddress(address_message(index, address, prefix)), NLM_F_CREATE | NLM_F_EXCL);
    }

    /// Removes an address.
    pub(in crate::engine::network) fn delete_address(&mut self, index: u32, address: IpAddr, prefix: u8) {
        self.push(RouteNetlinkMessage::DelAddress(address_message(index, address, prefix)), 0);
    }

    /// Sends all else by way of this gateway.
    pub(in crate::engine::network) fn add_default_route(&mut self, index: u32, gateway: IpAddr) {
        self.push(RouteNetlinkMessage::NewRoute(default_route(index, gateway)), NLM_F_CREATE | NLM_F_EXCL);
    }

    /// Takes a default route back.
    pub(in crate::engine::network) fn delete_default_route(&mut self, index: u32, gateway: IpAddr) {
        self.push(RouteNetlinkMessage::DelRoute(default_route(index, gateway)), 0);
    }
}

fn default_route(index: u32, gateway: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(gateway);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::from(gateway)), RouteAttribute::Oif(index)];
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn address_message(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    match address {
        IpAddr::V4(v4) if prefix < 31 => {
            let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            message.attributes.push(AddressAttribute::Broadcast((u32::from(v4) | host).into()));
        }
        IpAddr::V4(_) => {}
        IpAddr::V6(_) => message.header.flags = AddressHeaderFlags::Nodad,
    }
    message
}

fn encode(bytes: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16, sequence: u32) {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let start = bytes.len();
    // Every message begins at a multiple of four, as does what follows it.
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut bytes[start..]);
}

/// Asks for everything of a kind and hands each to `each`. Messages that this library does not understand are passed over: they
/// describe devices that are none of ours.
pub(in crate::engine::network) fn dump(
    socket: &mut Socket,
    request: RouteNetlinkMessage,
    mut each: impl FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    let mut bytes = Vec::new();
    encode(&mut bytes, request, NLM_F_REQUEST | NLM_F_DUMP, 1);
    socket.dump(&bytes, |message| {
        if let Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(message), .. }) = NetlinkMessage::deserialize(message.whole) {
            each(message);
        }
    })
}
