//! Connections the kernel remembers: UDP has no beginning, so an entry made before a port was published would go on bypassing it,
//! and one made before it was withdrawn would go on leading to the container's old address.

use std::io;
use std::net::IpAddr;

use crate::engine::network::kernel::Kernel;
use crate::engine::network::netlink::wire::{ACK, DUMP, REQUEST, Writer, attribute};
use crate::engine::network::nft::table::PortRule;
use crate::resource::container::Protocol;

const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
const UDP: u8 = 17;

/// Forgets every UDP connection to the host's side of these ports.
pub(in crate::engine::network) fn flush(kernel: &Kernel, rules: &[PortRule]) -> io::Result<()> {
    let rules: Vec<&PortRule> = rules.iter().filter(|rule| rule.protocol == Protocol::Udp).collect();
    let mut socket = kernel.filter();
    for (family, v4) in [(2_u8, true), (10, false)] {
        let rules: Vec<&PortRule> = rules.iter().copied().filter(|rule| rule.host_ip.is_ipv4() == v4).collect();
        if rules.is_empty() {
            continue;
        }
        let mut request = Writer::default();
        request.message(SUBSYSTEM << 8 | GET, REQUEST | DUMP, 1, &[family, 0, 0, 0], |_| {});
        let mut tuples: Vec<Vec<u8>> = Vec::new();
        socket.dump(&request.into_bytes(), |message| {
            let original = message.payload.get(4..).and_then(|attributes| attribute(attributes, 1));
            if let Some(original) = original
                && leads_to(original, &rules)
            {
                tuples.push(original.to_vec());
            }
        })?;
        for tuple in tuples {
            let mut request = Writer::default();
            request.message(SUBSYSTEM << 8 | DELETE, REQUEST | ACK, 1, &[family, 0, 0, 0], |body| body.nest(1, |nest| nest.raw(&tuple)));
            match socket.request(&request.into_bytes(), 1) {
                // It ended by itself in the meantime.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                result => result?,
            }
        }
    }
    Ok(())
}

/// Whether the first packet of a connection went to one of the ports.
fn leads_to(tuple: &[u8], rules: &[&PortRule]) -> bool {
    let Some(transport) = attribute(tuple, 2) else { return false };
    let protocol = attribute(transport, 1).and_then(|value| value.first().copied());
    let port = attribute(transport, 3).and_then(|value| value.first_chunk::<2>()).map(|port| u16::from_be_bytes(*port));
    let address = attribute(tuple, 1).and_then(|ip| {
        let v4 = attribute(ip, 2).and_then(|value| value.first_chunk::<4>()).map(|octets| IpAddr::from(*octets));
        v4.or_else(|| attribute(ip, 4).and_then(|value| value.first_chunk::<16>()).map(|octets| IpAddr::from(*octets)))
    });
    protocol == Some(UDP)
        && rules.iter().any(|rule| Some(rule.host_port) == port && (rule.host_ip.is_unspecified() || Some(rule.host_ip) == address))
}
