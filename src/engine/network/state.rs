//! What the room knows beyond the records: bridges that are up, addresses in use, and the endpoints of running containers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::engine::network::dns::table::{Asker, NameTable, Names, Realm};
use crate::engine::network::dns::{DnsSettings, DnsSockets};
use crate::engine::network::error::NetworkError;
use crate::engine::network::ipam::space::AddressSpace;
use crate::engine::network::nft::table::{NetworkRules, PortRule};
use crate::engine::network::port::proxy::Proxy;
use crate::engine::network::record::{NetworkRecord, is_interface_name};
use crate::resource::container::{EndpointSpec, EndpointState, PublishedPort};
use crate::resource::id::{ContainerId, NetworkId};
use crate::resource::network::{NetworkInfo, NetworkMember};

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    /// Owns the task.
    pub(super) const fn new(handle: JoinHandle<()>) -> Self {
        Self(handle)
    }

    /// Ends the task and waits until it has let go of all it held, sockets above all.
    pub(super) async fn end(mut self) {
        self.0.abort();
        // How it ended is of no interest: it was told to.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Made by somebody.
    Custom,
    /// The engine's own `bridge`.
    Default,
    /// `host` or `none`: a name without a device.
    Bare,
}

/// A network.
#[derive(Debug)]
pub(super) struct Network {
    /// What is written down of it.
    pub(super) record: NetworkRecord,
    /// What it is.
    pub(super) kind: Kind,
    /// The addresses, one space for each pool.
    pub(super) spaces: Vec<AddressSpace>,
    /// The bridge's number, while it is up.
    pub(super) bridge: Option<u32>,
}

impl Network {
    /// A network without a device.
    pub(super) fn new(record: NetworkRecord, kind: Kind) -> Self {
        let spaces = record.pools.iter().cloned().map(AddressSpace::new).collect();
        Self { record, kind, spaces, bridge: None }
    }

    /// What the kernel's table says of it.
    pub(super) fn rules(&self) -> NetworkRules {
        let settings = self.record.settings();
        let masquerade = settings.masquerade && !self.record.spec.internal;
        NetworkRules {
            bridge: self.record.bridge.clone(),
            masqueraded: if masquerade { self.record.pools.iter().map(|pool| pool.subnet).collect() } else { Vec::new() },
            internal: self.record.spec.internal,
            mutual: settings.mutual,
        }
    }

    fn gateway(&self, address: IpAddr) -> Option<IpAddr> {
        if self.record.spec.internal {
            return None;
        }
        self.spaces.iter().find(|space| space.contains(address)).and_then(|space| space.pool().gateway)
    }

    /// Takes an address of a family: this one, or the next free one.
    fn take(&mut self, v4: bool, wanted: Option<IpAddr>) -> Result<Option<(IpAddr, u8)>, NetworkError> {
        let name = self.record.name.to_string();
        let mut spaces = self.spaces.iter_mut().filter(|space| space.pool().subnet.address.is_ipv4() == v4);
        if let Some(address) = wanted {
            let Some(space) = spaces.find(|space| space.contains(address)) else {
                return Err(NetworkError::Invalid { name, reason: format!("no configured subnet contains address {address}") });
            };
            let prefix = space.pool().subnet.prefix;
            return if space.take(address) { Ok(Some((address, prefix))) } else { Err(NetworkError::AddressInUse { name, address }) };
        }
        let mut full = None;
        for space in spaces {
            let subnet = space.pool().subnet;
            match space.take_next() {
                Some(address) => return Ok(Some((address, subnet.prefix))),
                None => full = Some(subnet),
            }
        }
        full.map_or(Ok(None), |subnet| Err(NetworkError::AddressesExhausted { name, subnet }))
    }

    /// Reserves what a container wants here.
    pub(super) fn reserve(
        &mut self,
        container: ContainerId,
        name: &str,
        hostname: Option<&str>,
        spec: &EndpointSpec,
    ) -> Result<EndpointState, NetworkError> {
        let mac = match &spec.mac_address {
            Some(text) => Some(parse_mac(text).ok_or_else(|| NetworkError::Invalid {
                name: self.record.name.to_string(),
                reason: format!("invalid MAC address `{text}`"),
            })?),
            None => None,
        };
        if let Some(name) = spec.interface_name.as_ref().filter(|name| !is_interface_name(name)) {
            return Err(NetworkError::Invalid { name: self.record.name.to_string(), reason: format!("invalid interface name `{name}`") });
        }
        if let Some(address) = spec.link_local.iter().find(|address| !is_link_local(**address)) {
            return Err(NetworkError::Invalid {
                name: self.record.name.to_string(),
                reason: format!("invalid link-local IP address {address}"),
            });
        }
        let v4 = self.take(true, spec.ipv4_address.map(IpAddr::V4))?;
        let v6 = match self.take(false, spec.ipv6_address.map(IpAddr::V6)) {
            Ok(v6) => v6,
            Err(error) => {
                if let Some((address, _)) = v4 {
                    self.give_back(address);
                }
                return Err(error);
            }
        };
        let gateway = v4.and_then(|(address, _)| self.gateway(address));
        let gateway6 = v6.and_then(|(address, _)| self.gateway(address));
        let v4 = v4.and_then(|(address, prefix)| match address {
            IpAddr::V4(v4) => Some((v4, prefix)),
            IpAddr::V6(_) => None,
        });
        let v6 = v6.and_then(|(address, prefix)| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some((v6, prefix)),
        });
        let mac = mac.unwrap_or_else(|| derived_mac(v4.map(|(address, _)| address), container, self.record.id));
        let mut dns_names = Vec::new();
        let hostname = hostname.filter(|hostname| !hostname.is_empty()).map(str::to_owned);
        for known in std::iter::once(name.to_owned()).chain(spec.aliases.iter().cloned()).chain([container.short()]).chain(hostname) {
            if !dns_names.contains(&known) {
                dns_names.push(known);
            }
        }
        Ok(EndpointState {
            network: self.record.id,
            network_name: self.record.name.to_string(),
            spec: spec.clone(),
            ipv4: v4,
            ipv6: v6,
            gateway: match gateway {
                Some(IpAddr::V4(address)) => Some(address),
                _ => None,
            },
            gateway6: match gateway6 {
                Some(IpAddr::V6(address)) => Some(address),
                _ => None,
            },
            mac: Some(mac_text(mac)),
            dns_names,
        })
    }

    /// Gives an address back.
    pub(super) fn give_back(&mut self, address: IpAddr) {
        for space in &mut self.spaces {
            if space.contains(address) {
                space.give_back(address);
            }
        }
    }
}

/// The endpoint of a container.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// What it has.
    pub(super) state: EndpointState,
    /// Its interface inside is number so-and-so: `eth0` is 0.
    pub(super) number: u32,
    /// Its interface exists.
    pub(super) joined: bool,
}

/// A running container, or one about to start.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    /// What it asks, and its host name.
    pub(super) dns: DnsSettings,
    /// One for each network.
    pub(super) endpoints: Vec<Endpoint>,
    /// What the kernel's table has of it.
    pub(super) rules: Vec<PortRule>,
    /// Its published ports.
    pub(super) published: Vec<PublishedPort>,
    /// Proxies of its ports.
    pub(super) proxies: Vec<Proxy>,
    /// Answers to its lookups.
    pub(super) resolver: Vec<Task>,
}

impl Member {
    /// A container without endpoints.
    pub(super) const fn new(name: String, dns: DnsSettings) -> Self {
        Self { name, dns, endpoints: Vec::new(), rules: Vec::new(), published: Vec::new(), proxies: Vec::new(), resolver: Vec::new() }
    }

    /// What the interface of an endpoint is called inside: as was asked for, else by its number, past the names that were asked for.
    pub(super) fn interface_name(&self, endpoint: &Endpoint, prefix: &str) -> String {
        if let Some(name) = &endpoint.state.spec.interface_name {
            return name.clone();
        }
        let asked = |name: &String| self.endpoints.iter().any(|other| other.state.spec.interface_name.as_ref() == Some(name));
        let mut names = (endpoint.number..).map(|number| format!("{prefix}{number}"));
        names.find(|name| !asked(name)).unwrap_or_default()
    }

    /// The endpoint whose gateway is the default route: the greatest priority, then the first name, as Docker decides.
    pub(super) fn gateway_endpoint(&self, has_gateway: impl Fn(&EndpointState) -> bool) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .filter(|endpoint| has_gateway(&endpoint.state))
            .min_by_key(|endpoint| (std::cmp::Reverse(endpoint.state.spec.gateway_priority), endpoint.state.network_name.clone()))
    }
}

/// A bridge that nobody uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    /// Its name.
    pub(super) name: String,
    /// Its number.
    pub(super) index: u32,
}

/// Everything, behind one lock that is never held while the kernel works.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By id.
    pub(super) networks: BTreeMap<NetworkId, Network>,
    /// By container.
    pub(super) members: BTreeMap<ContainerId, Member>,
    /// Bridges to be used again, or released.
    pub(super) parked: Vec<Parked>,
    /// Bridges on their way out: their numbers and names are not free yet.
    pub(super) leaving: Vec<Parked>,
    /// Who is called what.
    pub(super) names: Names,
    /// Sockets of adopted containers that nobody answers at before all are adopted: a name of one not yet known would be denied.
    pub(super) unanswered: Vec<(ContainerId, DnsSockets)>,
    /// The table is in the kernel.
    pub(super) installed: bool,
    /// The table drops what is forwarded for neither us nor anybody else.
    pub(super) guards: bool,
    /// Looks out for changes of others.
    pub(super) watcher: Option<Task>,
    /// We made this host forward packets.
    pub(super) forwarding_is_ours: bool,
    /// The next interface number, and the next veth name.
    pub(super) next: u32,
}

impl State {
    /// A number for a new interface of ours.
    pub(super) fn next_serial(&mut self) -> u32 {
        // Numbers are 31 bits wide; a root that used up its share begins again, where its first devices are long gone.
        if self.next >= 0x7fff_fff0 {
            self.next = 0x2000_0000;
        }
        self.next += 1;
        self.next
    }

    /// The network with this name, id, or beginning of an id.
    pub(super) fn find(&self, name_or_id: &str) -> Result<NetworkId, NetworkError> {
        // A network could be called like the beginning of another's id: ids first, then names, then beginnings, as Docker looks.
        if let Ok(id) = name_or_id.parse::<NetworkId>()
            && self.networks.contains_key(&id)
        {
            return Ok(id);
        }
        if let Some(network) = self.networks.values().find(|network| network.record.name == *name_or_id) {
            return Ok(network.record.id);
        }
        let mut found = self.networks.keys().filter(|id| !name_or_id.is_empty() && id.to_string().starts_with(name_or_id));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(*id),
            (Some(_), Some(_)) => Err(NetworkError::Ambiguous(name_or_id.to_owned())),
            (None, _) => Err(NetworkError::NotFound(name_or_id.to_owned())),
        }
    }

    /// What is told of a network.
    pub(super) fn info(&self, id: NetworkId) -> Option<NetworkInfo> {
        let network = self.networks.get(&id)?;
        let member = |(container, member): (&ContainerId, &Member)| {
            let endpoint = member.endpoints.iter().find(|endpoint| endpoint.state.network == id)?;
            Some(NetworkMember {
                id: *container,
                name: member.name.clone(),
                mac: endpoint.state.mac.clone().unwrap_or_default(),
                ipv4: endpoint.state.ipv4.map(|(address, prefix)| format!("{address}/{prefix}")),
                ipv6: endpoint.state.ipv6.map(|(address, prefix)| format!("{address}/{prefix}")),
            })
        };
        Some(NetworkInfo {
            id,
            name: network.record.name.clone(),
            created: network.record.created,
            spec: network.record.spec.clone(),
            pools: network.record.pools.clone(),
            bridge: network.record.bridge.clone(),
            containers: self.members.iter().filter_map(member).collect(),
        })
    }

    /// The names of the containers on a network.
    pub(super) fn members_of(&self, id: NetworkId) -> Vec<String> {
        let on = |member: &&Member| member.endpoints.iter().any(|endpoint| endpoint.state.network == id);
        self.members.values().filter(on).map(|member| member.name.clone()).collect()
    }

    /// Gives back the addresses of an endpoint.
    pub(super) fn release(&mut self, state: &EndpointState) {
        if let Some(network) = self.networks.get_mut(&state.network) {
            let addresses = state.ipv4.map(|(v4, _)| IpAddr::V4(v4)).into_iter().chain(state.ipv6.map(|(v6, _)| IpAddr::V6(v6)));
            for address in addresses {
                network.give_back(address);
            }
        }
    }

    /// Rules of every network whose bridge is up, and every port: all the kernel's table holds.
    pub(super) fn rules(&self) -> (Vec<NetworkRules>, Vec<PortRule>) {
        let networks = self.networks.values().filter(|network| network.bridge.is_some()).map(Network::rules).collect();
        let ports = self.members.values().flat_map(|member| member.rules.iter().copied()).collect();
        (networks, ports)
    }

    /// Writes the names anew: of these networks, and of this container as one that asks.
    pub(super) fn rename(&mut self, networks: impl IntoIterator<Item = NetworkId>, asker: ContainerId) {
        let mut table = NameTable::clone(&self.names.load());
        for id in networks {
            let Some(network) = self.networks.get(&id) else {
                table.realms.remove(&id);
                continue;
            };
            let mut realm = Realm::new(network.record.name.as_str());
            for member in self.members.values() {
                for endpoint in &member.endpoints {
                    if endpoint.joined && endpoint.state.network == id {
                        realm.add(&member.name, &endpoint.state);
                    }
                }
            }
            table.realms.insert(id, Arc::new(realm));
        }
        match self.members.get(&asker) {
            Some(member) => {
                let realms = member.endpoints.iter().map(|endpoint| (endpoint.state.network, links(&endpoint.state.spec))).collect();
                let leads_outside =
                    |endpoint: &Endpoint| self.networks.get(&endpoint.state.network).is_some_and(|network| !network.record.spec.internal);
                let outside = member.endpoints.iter().any(leads_outside);
                table.askers.insert(asker, Arc::new(Asker { realms, upstreams: member.dns.upstreams.clone(), outside }));
            }
            None => {
                table.askers.remove(&asker);
            }
        }
        self.names.store(table);
    }
}

fn links(spec: &EndpointSpec) -> Vec<(String, String)> {
    spec.links.iter().map(|(target, alias)| (alias.clone(), target.clone())).collect()
}

/// Docker's way: `02:42` and the v4 address. Without one, a digest of who it is.
fn derived_mac(address: Option<Ipv4Addr>, container: ContainerId, network: NetworkId) -> [u8; 6] {
    match address.map(|address| address.octets()) {
        Some([a, b, c, d]) => [0x02, 0x42, a, b, c, d],
        None => {
            let digest = Sha256::new().chain_update(container.as_bytes()).chain_update(network.as_bytes()).finalize();
            [0x02, 0x42, digest[0], digest[1], digest[2], digest[3]]
        }
    }
}

/// Whether an address is of use on one link alone.
const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The hardware address of the outer end of an endpoint's pair: by it the pair is known again after a takeover. It is never seen on
/// the wire.
pub(super) fn outer_mac(container: ContainerId, number: u32) -> [u8; 6] {
    let digest = Sha256::new().chain_update(container.as_bytes()).chain_update(number.to_be_bytes()).finalize();
    [0x06, digest[0], digest[1], digest[2], digest[3], digest[4]]
}

/// Reads a hardware address; a group's is none.
pub(super) fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next().filter(|part| part.len() == 2)?, 16).ok()?;
    }
    (parts.next().is_none() && mac[0] & 1 == 0).then_some(mac)
}

/// Writes a hardware address.
pub(super) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_is_six_bytes_of_one_device() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(parse_mac(text).map(mac_text).as_deref(), expect, "{text}");
        check("02:42:AC:11:00:02", Some("02:42:ac:11:00:02"));
        check("02-42-ac-11-00-02", Some("02:42:ac:11:00:02"));
        check("01:00:5e:00:00:01", None);
        check("02:42:ac:11:00", None);
        check("02:42:ac:11:00:02:03", None);
        check("2:42:ac:11:00:02", None);
    }
}
