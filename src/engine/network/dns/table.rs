//! Who is called what, and by whom: an immutable table, replaced as a whole; the parts that did not change are shared.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock};

use crate::resource::container::EndpointState;
use crate::resource::id::{ContainerId, NetworkId};

/// The addresses of one name in one network: one entry for each container that has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine::network) struct Addresses {
    /// v4 addresses.
    pub(in crate::engine::network) v4: Vec<Ipv4Addr>,
    /// v6 addresses.
    pub(in crate::engine::network) v6: Vec<Ipv6Addr>,
}

/// The names of one network: a realm.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::network) struct Realm {
    name: String,
    names: BTreeMap<String, Addresses>,
    hosts: BTreeMap<IpAddr, String>,
    containers: BTreeMap<String, Addresses>,
}

impl Realm {
    /// The realm of the network with this name.
    pub(in crate::engine::network) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds what one container is called here; `name` is its own name.
    pub(in crate::engine::network) fn add(&mut self, name: &str, state: &EndpointState) {
        for known in &state.dns_names {
            add_address(self.names.entry(known.to_ascii_lowercase()).or_default(), state);
        }
        add_address(self.containers.entry(name.to_owned()).or_default(), state);
        // Docker answers a reverse lookup with the container's name and the network's.
        let host = format!("{name}.{}", self.name);
        let addresses = state.ipv4.map(|(v4, _)| IpAddr::V4(v4)).into_iter().chain(state.ipv6.map(|(v6, _)| IpAddr::V6(v6)));
        self.hosts.extend(addresses.map(|address| (address, host.clone())));
    }

    fn find(&self, name: &str) -> Option<&Addresses> {
        // `web.shop_default` is the name `web` in the network `shop_default`; so Docker has it.
        let bare = || name.strip_suffix(&self.name.to_ascii_lowercase()).and_then(|rest| rest.strip_suffix('.'));
        self.names.get(name).or_else(|| self.names.get(bare()?))
    }
}

fn add_address(to: &mut Addresses, state: &EndpointState) {
    to.v4.extend(state.ipv4.map(|(address, _)| address));
    to.v6.extend(state.ipv6.map(|(address, _)| address));
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine::network) struct Asker {
    /// Its networks, in the order in which they are searched; names valid for it alone: alias, then the container meant.
    pub(in crate::engine::network) realms: Vec<(NetworkId, Vec<(String, String)>)>,
    /// The name servers for all else; the host's when empty.
    pub(in crate::engine::network) upstreams: Vec<IpAddr>,
    /// At least one of its networks leads outside.
    pub(in crate::engine::network) outside: bool,
}

/// Every name of every network.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::network) struct NameTable {
    /// By network.
    pub(in crate::engine::network) realms: BTreeMap<NetworkId, Arc<Realm>>,
    /// By container.
    pub(in crate::engine::network) askers: BTreeMap<ContainerId, Arc<Asker>>,
}

impl NameTable {
    /// What a name means to a container: the first of its networks that knows it decides. The name is in lower case, without a
    /// final dot.
    pub(in crate::engine::network) fn find(&self, asker: ContainerId, name: &str) -> Option<Cow<'_, Addresses>> {
        self.askers.get(&asker)?.realms.iter().find_map(|(network, links)| {
            let realm = self.realms.get(network)?;
            let mut linked = links.iter().filter(|(alias, _)| alias.eq_ignore_ascii_case(name)).peekable();
            if linked.peek().is_none() {
                return realm.find(name).map(Cow::Borrowed);
            }
            // One name for several containers is that of all of them.
            let found = linked.filter_map(|(_, target)| realm.containers.get(target).or_else(|| realm.find(&target.to_ascii_lowercase())));
            found.map(Cow::Borrowed).reduce(|mut all, more| {
                all.to_mut().v4.extend(&more.v4);
                all.to_mut().v6.extend(&more.v6);
                all
            })
        })
    }

    /// The name of an address, in a network of the asker's.
    pub(in crate::engine::network) fn host(&self, asker: ContainerId, address: IpAddr) -> Option<&str> {
        self.askers.get(&asker)?.realms.iter().find_map(|(network, _)| self.realms.get(network)?.hosts.get(&address)).map(String::as_str)
    }
}

/// The table in force, as everybody sees it at once.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::network) struct Names(Arc<RwLock<Arc<NameTable>>>);

impl Names {
    /// The table of this moment.
    pub(in crate::engine::network) fn load(&self) -> Arc<NameTable> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place.
    pub(in crate::engine::network) fn store(&self, table: NameTable) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::container::EndpointSpec;

    fn state(network: NetworkId, address: [u8; 4], names: &[&str]) -> EndpointState {
        EndpointState {
            network,
            network_name: "net".to_owned(),
            spec: EndpointSpec::default(),
            ipv4: Some((address.into(), 16)),
            ipv6: None,
            gateway: None,
            gateway6: None,
            mac: None,
            dns_names: names.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn a_name_means_what_the_first_network_that_knows_it_says() {
        let (own, shared) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
        let asker = ContainerId::from_bytes([9; 32]);
        let mut first = Realm::new("shop_default");
        first.add("shop-db-1", &state(own, [10, 0, 0, 2], &["shop-db-1", "db"]));
        first.add("shop-db-2", &state(own, [10, 0, 0, 3], &["shop-db-2", "DB"]));
        let mut second = Realm::new("shared");
        second.add("other-db-1", &state(shared, [10, 1, 0, 2], &["other-db-1", "db", "cache"]));
        let realms = [(own, Arc::new(first)), (shared, Arc::new(second))].into();
        let mut table = NameTable { realms, ..NameTable::default() };
        let link = |target: &str, alias: &str| (alias.to_owned(), target.to_owned());
        let links = vec![link("shop-db-2", "store"), link("shop-db-2", "both"), link("shop-db-1", "both"), link("gone", "nobody")];
        table.askers.insert(asker, Arc::new(Asker { realms: vec![(own, links), (shared, vec![])], upstreams: vec![], outside: true }));

        let check = |name: &str, expect: &[&str]| {
            let found = table.find(asker, name).map(|found| found.v4.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(found.unwrap_or_default(), expect, "{name}");
        };
        check("db", &["10.0.0.2", "10.0.0.3"]);
        check("db.shop_default", &["10.0.0.2", "10.0.0.3"]);
        check("db.shared", &["10.1.0.2"]);
        check("cache", &["10.1.0.2"]);
        check("store", &["10.0.0.3"]);
        check("both", &["10.0.0.3", "10.0.0.2"]);
        check("nobody", &[]);
        check("", &[]);
        assert_eq!(table.host(asker, "10.0.0.3".parse().expect("an address")), Some("shop-db-2.shop_default"));
        assert_eq!(table.host(ContainerId::from_bytes([8; 32]), "10.0.0.3".parse().expect("an address")), None);
    }
}
