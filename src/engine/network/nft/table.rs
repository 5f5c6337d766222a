//! Our table: what may pass between bridges and the world, who is masqueraded, and where published ports lead.
//!
//! The rules are fixed; networks and ports are elements of its sets and maps. So a port costs one element (15 µs), not a rule, and a
//! packet one lookup, however many ports there are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::network::ipam::block::{address, bounds};
use crate::engine::network::nft::batch::{Batch, DataType, Element, Family, Hook, SetShape, Verdict};
use crate::engine::network::nft::expression::{Expressions, Field, Meta, REGISTER};
use crate::resource::container::Protocol;
use crate::resource::network::Subnet;

const INET: Family = Family::Inet;
/// Connection states, as nf_tables numbers them: established and related.
const KNOWN: u32 = 2 | 4;
/// `IPS_DST_NAT`: somebody published it.
const PUBLISHED: u32 = 1 << 5;

const BRIDGES: &str = "bridges";
const INTERNAL: &str = "internal";
const WITHIN: &str = "within";
const SUBNETS4: &str = "subnets4";
const SUBNETS6: &str = "subnets6";
const PORTS4: &str = "ports4";
const PORTS6: &str = "ports6";
const ANY4: &str = "any4";
const ANY6: &str = "any6";

/// What the table knows of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine::network) struct NetworkRules {
    /// The bridge's name.
    pub(in crate::engine::network) bridge: String,
    /// The blocks whose packets to the outside are masqueraded.
    pub(in crate::engine::network) masqueraded: Vec<Subnet>,
    /// Nothing goes out or comes in.
    pub(in crate::engine::network) internal: bool,
    /// Its containers may speak to each other.
    pub(in crate::engine::network) mutual: bool,
}

/// A published port, as the kernel knows it. Address and target are of the same IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine::network) struct PortRule {
    /// The protocol.
    pub(in crate::engine::network) protocol: Protocol,
    /// The address on the host; the unspecified one stands for all.
    pub(in crate::engine::network) host_ip: IpAddr,
    /// The port on the host.
    pub(in crate::engine::network) host_port: u16,
    /// The container's address.
    pub(in crate::engine::network) target: IpAddr,
    /// The port inside.
    pub(in crate::engine::network) target_port: u16,
}

/// A table of this root.
#[derive(Clone, Debug)]
pub(in crate::engine::network) struct Table {
    name: String,
}

impl Table {
    /// The table of the root with this tag.
    pub(in crate::engine::network) fn new(tag: &str) -> Self {
        Self { name: format!("gantry-{tag}") }
    }

    /// Its name.
    pub(in crate::engine::network) fn name(&self) -> &str {
        &self.name
    }

    /// Replaces whatever there is of the table by one with these networks and ports, all at once: no packet meets half of it.
    ///
    /// With `guard_forwarding` it also drops what is forwarded for neither us nor a published port: for hosts that forwarded nothing
    /// before we made them.
    pub(in crate::engine::network) fn install(&self, networks: &[NetworkRules], ports: &[PortRule], guard_forwarding: bool) -> Batch {
        let mut batch = Batch::new();
        // Deleting what does not exist is an error, so it exists first.
        batch.add_table(INET, &self.name);
        batch.delete_table(INET, &self.name);
        batch.add_table(INET, &self.name);
        self.add_sets(&mut batch);
        self.add_chains(&mut batch);
        self.add_guard(&mut batch);
        self.add_forward(&mut batch, guard_forwarding);
        self.add_nat(&mut batch);
        for network in networks {
            self.add_network(&mut batch, network);
        }
        self.add_ports(&mut batch, ports, false);
        batch
    }

    /// Removes the table, if there is one.
    pub(in crate::engine::network) fn uninstall(&self) -> Batch {
        let mut batch = Batch::new();
        batch.add_table(INET, &self.name);
        batch.delete_table(INET, &self.name);
        batch
    }

    fn add_sets(&self, batch: &mut Batch) {
        use DataType::{Interface, Ipv4, Ipv6, Port, Protocol};
        let set = |key, interval| SetShape { key, value: &[], interval };
        let map = |key, value| SetShape { key, value, interval: false };
        for (name, shape) in [
            (BRIDGES, set(&[Interface], false)),
            (INTERNAL, set(&[Interface], false)),
            (WITHIN, set(&[Interface, Interface], false)),
            (SUBNETS4, set(&[Ipv4], true)),
            (SUBNETS6, set(&[Ipv6], true)),
            (PORTS4, map(&[Ipv4, Protocol, Port], &[Ipv4, Port])),
            (PORTS6, map(&[Ipv6, Protocol, Port], &[Ipv6, Port])),
            (ANY4, map(&[Protocol, Port], &[Ipv4, Port])),
            (ANY6, map(&[Protocol, Port], &[Ipv6, Port])),
        ] {
            batch.add_set(INET, &self.name, name, shape);
        }
    }

    fn add_chains(&self, batch: &mut Batch) {
        for (chain, kind, hook, priority) in [
            ("guard", "filter", Hook::Prerouting, -300),
            ("forward", "filter", Hook::Forward, 0),
            ("prerouting", "nat", Hook::Prerouting, -100),
            ("output", "nat", Hook::Output, -100),
            ("postrouting", "nat", Hook::Postrouting, 100),
        ] {
            batch.add_base_chain(INET, &self.name, chain, kind, hook, priority);
        }
        batch.add_chain(INET, &self.name, "publish");
    }

    fn rule(&self, batch: &mut Batch, chain: &str, rule: Expressions) {
        batch.add_rule(INET, &self.name, chain, rule);
    }

    /// Bridges have `route_localnet`, so that 127.0.0.1 of the host can lead to a container. Without this, a neighbour on any link
    /// could then address the host's loopback (CVE-2020-8558).
    fn add_guard(&self, batch: &mut Batch) {
        for field in [Field::DESTINATION4, Field::SOURCE4] {
            let rule = Expressions::new()
                .version(Family::Ip)
                .meta(Meta::InputName, REGISTER)
                .not_equal(&interface("lo"))
                .payload(field, REGISTER)
                .masked(&[255, 0, 0, 0])
                .equal(&[127, 0, 0, 0])
                .verdict(Verdict::Drop);
            self.rule(batch, "guard", rule);
        }
    }

    fn add_forward(&self, batch: &mut Batch, guard_forwarding: bool) {
        let input = |set| Expressions::new().meta(Meta::InputName, REGISTER).lookup(set, false);
        let output = |set| Expressions::new().meta(Meta::OutputName, REGISTER).lookup(set, false);
        let rules = [
            Expressions::new().connection_state().any_bit(KNOWN).verdict(Verdict::Accept),
            // Within one network, be it through br_netfilter or by way of a published port.
            Expressions::new()
                .meta(Meta::InputName, REGISTER)
                .meta(Meta::OutputName, REGISTER + 4)
                .lookup(WITHIN, false)
                .verdict(Verdict::Accept),
            input(INTERNAL).verdict(Verdict::Drop),
            output(INTERNAL).verdict(Verdict::Drop),
            Expressions::new().connection_status().any_bit(PUBLISHED).verdict(Verdict::Accept),
            // From one network to another; and from outside to an address inside that nobody published.
            output(BRIDGES).verdict(Verdict::Drop),
            input(BRIDGES).verdict(Verdict::Accept),
        ];
        for rule in rules {
            self.rule(batch, "forward", rule);
        }
        if guard_forwarding {
            self.rule(batch, "forward", Expressions::new().verdict(Verdict::Drop));
        }
    }

    fn add_nat(&self, batch: &mut Batch) {
        let local = || Expressions::new().destination_is_local();
        self.rule(batch, "prerouting", local().verdict(Verdict::Jump("publish")));
        // The kernel lets no packet from ::1 leave the machine; the proxy listens there.
        let loopback = Expressions::new()
            .version(Family::Ip6)
            .payload(Field::DESTINATION6, REGISTER)
            .equal(&Ipv6Addr::LOCALHOST.octets())
            .verdict(Verdict::Return);
        self.rule(batch, "output", loopback);
        self.rule(batch, "output", local().verdict(Verdict::Jump("publish")));

        for (family, field, words, ports, any) in
            [(Family::Ip, Field::DESTINATION4, 1, PORTS4, ANY4), (Family::Ip6, Field::DESTINATION6, 4, PORTS6, ANY6)]
        {
            let exact = Expressions::new()
                .version(family)
                .payload(field, REGISTER)
                .meta(Meta::TransportProtocol, REGISTER + words)
                .payload(Field::DESTINATION_PORT, REGISTER + words + 1)
                .lookup_value(ports)
                .destination_nat(family, REGISTER, REGISTER + words);
            self.rule(batch, "publish", exact);
            let every = Expressions::new()
                .version(family)
                .meta(Meta::TransportProtocol, REGISTER)
                .payload(Field::DESTINATION_PORT, REGISTER + 1)
                .lookup_value(any)
                .destination_nat(family, REGISTER, REGISTER + words);
            self.rule(batch, "publish", every);
        }

        for (family, field, subnets) in [(Family::Ip, Field::SOURCE4, SUBNETS4), (Family::Ip6, Field::SOURCE6, SUBNETS6)] {
            let inside = || Expressions::new().version(family).payload(field, REGISTER).lookup(subnets, false);
            let outwards = inside().meta(Meta::OutputName, REGISTER).lookup(BRIDGES, true).masquerade();
            self.rule(batch, "postrouting", outwards);
            // A container that calls a published port of its own network: without this the answer would go to it directly, from
            // an address it never spoke to.
            let back = inside().connection_status().any_bit(PUBLISHED).meta(Meta::OutputName, REGISTER).lookup(BRIDGES, false).masquerade();
            self.rule(batch, "postrouting", back);
        }
        let from_loopback = Expressions::new()
            .version(Family::Ip)
            .payload(Field::SOURCE4, REGISTER)
            .masked(&[255, 0, 0, 0])
            .equal(&[127, 0, 0, 0])
            .meta(Meta::OutputName, REGISTER)
            .lookup(BRIDGES, false)
            .masquerade();
        self.rule(batch, "postrouting", from_loopback);
    }

    /// Adds a network.
    pub(in crate::engine::network) fn add_network(&self, batch: &mut Batch, network: &NetworkRules) {
        for (set, elements) in network_elements(network) {
            batch.add_elements(INET, &self.name, set, &elements, false);
        }
    }

    /// Takes a network out; it must be in.
    pub(in crate::engine::network) fn delete_network(&self, batch: &mut Batch, network: &NetworkRules) {
        for (set, elements) in network_elements(network) {
            batch.delete_elements(INET, &self.name, set, &elements);
        }
    }

    /// Adds ports; with `exclusive`, none of them may lead anywhere yet.
    pub(in crate::engine::network) fn add_ports(&self, batch: &mut Batch, ports: &[PortRule], exclusive: bool) {
        for (set, elements) in port_elements(ports) {
            batch.add_elements(INET, &self.name, set, &elements, exclusive);
        }
    }

    /// Takes ports out; all of them must be in.
    pub(in crate::engine::network) fn delete_ports(&self, batch: &mut Batch, ports: &[PortRule]) {
        for (set, elements) in port_elements(ports) {
            batch.delete_elements(INET, &self.name, set, &elements);
        }
    }
}

/// An interface's name as a key: zeros up to `IFNAMSIZ`.
fn interface(name: &str) -> [u8; 16] {
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    key
}

fn network_elements(network: &NetworkRules) -> Vec<(&'static str, Vec<Element>)> {
    let key = |key: Vec<u8>| Element { key, value: Vec::new(), end: false };
    let bridge = interface(&network.bridge).to_vec();
    let mut all = vec![(BRIDGES, vec![key(bridge.clone())])];
    if network.internal {
        all.push((INTERNAL, vec![key(bridge.clone())]));
    }
    if network.mutual {
        all.push((WITHIN, vec![key([bridge.clone(), bridge].concat())]));
    }
    for subnet in &network.masqueraded {
        let (first, last) = bounds(*subnet);
        let mut elements = vec![key(octets(address(first, subnet.address)))];
        // A range that reaches the last address of all has no end.
        let end = last.checked_add(1).filter(|end| subnet.address.is_ipv6() || *end <= u128::from(u32::MAX));
        if let Some(end) = end {
            elements.push(Element { key: octets(address(end, subnet.address)), value: Vec::new(), end: true });
        }
        all.push((if subnet.address.is_ipv4() { SUBNETS4 } else { SUBNETS6 }, elements));
    }
    all
}

fn port_elements(ports: &[PortRule]) -> Vec<(&'static str, Vec<Element>)> {
    [(PORTS4, true, false), (PORTS6, false, false), (ANY4, true, true), (ANY6, false, true)]
        .into_iter()
        .map(|(set, v4, any)| {
            let chosen = ports.iter().filter(|port| port.host_ip.is_ipv4() == v4 && port.host_ip.is_unspecified() == any);
            (set, chosen.map(port_element).collect::<Vec<_>>())
        })
        .filter(|(_, elements)| !elements.is_empty())
        .collect()
}

fn port_element(port: &PortRule) -> Element {
    let mut key = if port.host_ip.is_unspecified() { Vec::new() } else { octets(port.host_ip) };
    let protocol = match port.protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    // Each part fills whole registers.
    key.extend_from_slice(&[protocol, 0, 0, 0]);
    key.extend_from_slice(&port.host_port.to_be_bytes());
    key.extend_from_slice(&[0, 0]);
    let mut value = octets(port.target);
    value.extend_from_slice(&port.target_port.to_be_bytes());
    value.extend_from_slice(&[0, 0]);
    Element { key, value, end: false }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::octets(&v4).to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::network::ipam::block::subnet_of;
    use crate::engine::network::netlink::socket::Socket;
    use crate::engine::network::test_namespace::in_namespace;

    fn apply(socket: &mut Socket, batch: Batch) -> std::io::Result<()> {
        let (bytes, last) = batch.finish();
        socket.request(&bytes, last)
    }

    fn port(host: &str, target: &str) -> PortRule {
        let host: std::net::SocketAddr = host.parse().expect("an address");
        let target: std::net::SocketAddr = target.parse().expect("an address");
        PortRule { protocol: Protocol::Tcp, host_ip: host.ip(), host_port: host.port(), target: target.ip(), target_port: target.port() }
    }

    #[test]
    fn the_kernel_takes_the_table_and_its_changes() {
        in_namespace(|| {
            let table = Table::new("abcdef");
            let network = NetworkRules {
                bridge: "gtabcdef-0".to_owned(),
                masqueraded: vec![subnet_of("172.18.0.0/16"), subnet_of("fd00::/64"), subnet_of("255.255.0.0/16")],
                internal: true,
                mutual: true,
            };
            let ports = [
                port("0.0.0.0:80", "172.18.0.2:8080"),
                port("127.0.0.1:81", "172.18.0.2:8080"),
                port("[::]:80", "[fd00::2]:8080"),
                port("[::1]:80", "[fd00::2]:8080"),
            ];
            let mut socket = Socket::open(12).expect("opens");
            for guard in [false, true] {
                apply(&mut socket, table.install(std::slice::from_ref(&network), &ports, guard)).expect("installs");
            }
            let change = |body: &dyn Fn(&mut Batch)| {
                let mut batch = Batch::new();
                body(&mut batch);
                batch
            };
            let error = apply(&mut socket, change(&|batch| table.add_ports(batch, &ports[..1], true))).expect_err("is taken");
            assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
            apply(&mut socket, change(&|batch| table.delete_ports(batch, &ports))).expect("are there");
            apply(&mut socket, change(&|batch| table.add_ports(batch, &ports, true))).expect("are free again");
            apply(&mut socket, change(&|batch| table.delete_network(batch, &network))).expect("is there");
            apply(&mut socket, table.uninstall()).expect("goes");
        });
    }
}
