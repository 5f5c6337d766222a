//! The two ends of a container's interface: what is asked of the kernel here, and what its init asks inside.

use std::net::IpAddr;

use crate::engine::network::netlink::route::{Requests, VethRequest};
use crate::engine::network::state::{Endpoint, Member, outer_mac, parse_mac};
use crate::resource::container::EndpointState;
use crate::resource::id::ContainerId;

/// Numbers of interfaces inside begin here: below lie `lo` and the tunnels that some kernels put into every namespace.
const FIRST_INDEX: u32 = 64;

/// What an interface is like beside its addresses.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The bridge.
    pub(super) bridge: u32,
    /// What the end inside is called.
    pub(super) inner_name: String,
    /// The largest packet.
    pub(super) mtu: Option<u32>,
    /// Containers may not speak to each other.
    pub(super) isolated: bool,
}

/// The number of an interface inside.
pub(super) const fn inner_index(number: u32) -> u32 {
    FIRST_INDEX + number
}

/// The pair of an endpoint. `serial` makes name and number of the outer end; both must be new, for a dying device keeps its own for
/// tens of milliseconds.
pub(super) fn veth(container: ContainerId, endpoint: &Endpoint, shape: &Shape, tag: &str, serial: u32) -> VethRequest {
    VethRequest {
        name: outer_name(tag, serial),
        index: serial,
        mac: outer_mac(container, endpoint.number),
        bridge: shape.bridge,
        inner_name: shape.inner_name.clone(),
        inner_index: inner_index(endpoint.number),
        inner_mac: endpoint.state.mac.as_deref().and_then(parse_mac).unwrap_or([0x02, 0x42, 0, 0, 0, 0]),
        mtu: shape.mtu,
    }
}

/// The name of an outer end: fifteen characters at most.
pub(super) fn outer_name(tag: &str, serial: u32) -> String {
    format!("gv{tag}-{}", base36(serial))
}

/// At most six digits for any 31-bit number.
fn base36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(number % 36, 36).expect("a remainder of 36 is a digit of base 36"));
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().collect()
}

/// What a container's init asks of the kernel in its own namespace: everything up, with addresses and default routes.
pub(super) fn inner_requests(member: &Member, has_ipv6: bool) -> Requests {
    let mut requests = Requests::new();
    requests.set_loopback_up();
    for endpoint in &member.endpoints {
        add_interface(&mut requests, endpoint, has_ipv6);
    }
    for (endpoint, gateway) in default_routes(member) {
        requests.add_default_route(inner_index(endpoint.number), gateway);
    }
    requests
}

/// One interface up, with its addresses.
pub(super) fn add_interface(requests: &mut Requests, endpoint: &Endpoint, has_ipv6: bool) {
    let index = inner_index(endpoint.number);
    if has_ipv6 && endpoint.state.ipv6.is_none() {
        requests.set_no_link_local(index);
    }
    requests.set_up(index);
    for (address, prefix) in addresses(&endpoint.state) {
        requests.add_address(index, address, prefix);
    }
    // The lengths are Docker's (libnetwork, linkLocalMask).
    for address in &endpoint.state.spec.link_local {
        requests.add_address(index, *address, if address.is_ipv4() { 16 } else { 64 });
    }
}

/// The addresses of an endpoint.
pub(super) fn addresses(state: &EndpointState) -> impl Iterator<Item = (IpAddr, u8)> {
    let v4 = state.ipv4.map(|(address, prefix)| (IpAddr::V4(address), prefix));
    v4.into_iter().chain(state.ipv6.map(|(address, prefix)| (IpAddr::V6(address), prefix)))
}

/// Which endpoint's gateway leads to all else, for each IP version.
pub(super) fn default_routes(member: &Member) -> Vec<(&Endpoint, IpAddr)> {
    let v4 = member.gateway_endpoint(|state| state.gateway.is_some()).and_then(|found| Some((found, IpAddr::V4(found.state.gateway?))));
    let v6 = member.gateway_endpoint(|state| state.gateway6.is_some()).and_then(|found| Some((found, IpAddr::V6(found.state.gateway6?))));
    v4.into_iter().chain(v6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_fits_the_name_of_an_interface() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(35), "z");
        assert_eq!(base36(36), "10");
        assert_eq!(base36(0x7fff_ffff).len(), 6);
    }
}
