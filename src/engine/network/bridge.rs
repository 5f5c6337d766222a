//! Bridges: made when a network is first used, parked when it is removed, released when nobody has asked for anything for a while.
//!
//! A bridge costs 0.3 ms to make and 40 ms to remove, and removing one stalls whoever wants to change an interface meanwhile.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::network::error::NetworkError;
use crate::engine::network::handle::{Inner, Networks};
use crate::engine::network::ipam::block::overlap;
use crate::engine::network::ipam::pool::{choose, unique_local};
use crate::engine::network::ipam::space::AddressSpace;
use crate::engine::network::kernel::{Kernel, blocking, set_parameter};
use crate::engine::network::machine_lock::Choosing;
use crate::engine::network::netlink::host::{Interface, addresses, interfaces, routes};
use crate::engine::network::netlink::route::{BridgeRequest, Requests};
use crate::engine::network::netlink::socket::Socket;
use crate::engine::network::record::{NetworkRecord, first_host};
use crate::engine::network::state::{Kind, Parked, State};
use crate::resource::id::NetworkId;
use crate::resource::network::{IpamPool, Subnet};

/// How long nobody must have asked for anything before parked bridges are removed.
const IDLE: Duration = Duration::from_millis(200);

/// Ethernet's; what a parked bridge may have had otherwise is undone by it.
const DEFAULT_MTU: u32 = 1500;

/// What a bridge is to become.
struct Plan {
    request: BridgeRequest,
    reuse: bool,
    addresses: Vec<(IpAddr, u8)>,
}

impl Networks {
    /// Sees to it that a network has its pools and its bridge; returns the bridge's number.
    pub(super) async fn ensure_bridge(&self, id: NetworkId) -> Result<u32, NetworkError> {
        if let Some(index) = self.bridge_of(id)? {
            return Ok(index);
        }
        // First this, then the other, wherever both are held.
        let unnumbered = |state: &State| state.networks.get(&id).is_some_and(|network| network.record.pools.is_empty());
        let _choosing = if unnumbered(&self.state()) { Some(Choosing::begin().await?) } else { None };
        let _building = self.inner.building.lock().await;
        if let Some(index) = self.bridge_of(id)? {
            return Ok(index);
        }
        if self.state().networks.get(&id).is_some_and(|network| network.record.pools.is_empty()) {
            let taken = self.host_blocks().await?;
            let record = {
                let mut state = self.state();
                let pools = self.choose_pools(&state.networks.get(&id).ok_or_else(gone(id))?.record, &taken, &state)?;
                let network = state.networks.get_mut(&id).ok_or_else(gone(id))?;
                network.spaces = pools.iter().cloned().map(AddressSpace::new).collect();
                network.record.pools = pools;
                network.record.clone()
            };
            self.inner.records.write(&record)?;
        }
        self.raise(id).await
    }

    fn bridge_of(&self, id: NetworkId) -> Result<Option<u32>, NetworkError> {
        let state = self.state();
        let network = state.networks.get(&id).ok_or_else(gone(id))?;
        if network.kind == Kind::Bare {
            return Err(NetworkError::Predefined(network.record.name.to_string(), "joined by way of an endpoint"));
        }
        Ok(network.bridge)
    }

    /// The blocks that the host's routes and addresses take, but for those of our own bridges.
    pub(super) async fn host_blocks(&self) -> Result<Vec<Subnet>, NetworkError> {
        let found = blocking(&self.inner.kernel, |kernel| {
            let mut socket = kernel.route();
            Ok::<_, io::Error>((routes(&mut socket)?, addresses(&mut socket)?))
        });
        let (routes, addresses) = found.await.map_err(NetworkError::kernel("read the host's routes and addresses"))?;
        let state = self.state();
        let own = |index: u32| {
            state.networks.values().any(|network| network.bridge == Some(index))
                || state.parked.iter().chain(&state.leaving).any(|bridge| bridge.index == index)
        };
        let routes = routes.into_iter().filter(|route| !route.index.is_some_and(own)).map(|route| route.subnet);
        let addresses = addresses.into_iter().filter(|found| !own(found.index));
        Ok(routes.chain(addresses.map(|found| Subnet { address: found.address, prefix: found.prefix })).collect())
    }

    /// The pools of a network that is short of one for a family it is to have.
    pub(super) fn choose_pools(&self, record: &NetworkRecord, host: &[Subnet], state: &State) -> Result<Vec<IpamPool>, NetworkError> {
        let mut pools = record.pools.clone();
        let others = state.networks.values().filter(|network| network.record.id != record.id);
        let mut taken: Vec<Subnet> = others.flat_map(|network| network.record.pools.iter().map(|pool| pool.subnet)).collect();
        for pool in &pools {
            if let Some(other) = taken.iter().find(|other| overlap(**other, pool.subnet)) {
                return Err(NetworkError::Overlap {
                    name: record.name.to_string(),
                    subnet: pool.subnet,
                    other: format!("{other} of another network"),
                });
            }
        }
        taken.extend_from_slice(host);
        let local = [unique_local(&self.inner.tag)];
        for (wanted, v4) in [(record.spec.enable_ipv4 != Some(false), true), (record.spec.enable_ipv6 == Some(true), false)] {
            if !wanted || pools.iter().any(|pool| pool.subnet.address.is_ipv4() == v4) {
                continue;
            }
            let configured: Vec<_> = self.inner.pools.iter().copied().filter(|pool| pool.base.address.is_ipv4() == v4).collect();
            let supply = if v4 || !configured.is_empty() { configured.as_slice() } else { local.as_slice() };
            let subnet = choose(supply, &taken).ok_or_else(|| NetworkError::PoolsExhausted { name: record.name.to_string() })?;
            taken.push(subnet);
            let mut pool = IpamPool { subnet, range: None, gateway: None, reserved: std::collections::BTreeMap::new() };
            pool.gateway = Some(first_host(&pool));
            pools.push(pool);
        }
        Ok(pools)
    }

    /// Makes the bridge of a network, or takes a parked one, and adds it to the table. The caller holds `building`.
    async fn raise(&self, id: NetworkId) -> Result<u32, NetworkError> {
        let (mut plan, record) = self.plan(id)?;
        self.forward_packets(&record).await;
        let (name, network) = (plan.request.name.clone(), record.name.clone());
        let tag = self.inner.tag.clone();
        let made = blocking(&self.inner.kernel, move |kernel| {
            let result = make(kernel, &mut plan, &tag);
            (plan.request.index, result)
        });
        let (index, result) = made.await;
        result.map_err(NetworkError::kernel(format!("create bridge `{name}` for network {network}")))?;
        let rules = {
            let mut state = self.state();
            // Numbers are passed on the way, if others had them.
            state.next = state.next.max(index + 1);
            let network = state.networks.get_mut(&id).ok_or_else(gone(id))?;
            network.bridge = Some(index);
            network.rules()
        };
        if let Err(error) = self.add_to_table(&rules).await {
            if let Some(network) = self.state().networks.get_mut(&id) {
                network.bridge = None;
            }
            self.park(Parked { name, index }, record.pools.clone()).await;
            return Err(error);
        }
        Ok(index)
    }

    fn plan(&self, id: NetworkId) -> Result<(Plan, NetworkRecord), NetworkError> {
        let mut state = self.state();
        let record = state.networks.get(&id).ok_or_else(gone(id))?.record.clone();
        let settings = record.settings();
        let parked = state.parked.iter().position(|bridge| bridge.name == record.bridge).map(|at| state.parked.remove(at));
        let reuse = parked.is_some();
        let index = parked.map_or_else(|| state.next_serial(), |bridge| bridge.index);
        let [_, b, c, d] = index.to_be_bytes();
        let request = BridgeRequest { name: record.bridge.clone(), index, mac: [0x02, 0x42, 0xfe, b, c, d], mtu: settings.mtu };
        let gateways = record.pools.iter().filter_map(|pool| Some((pool.gateway?, pool.subnet.prefix))).collect();
        Ok((Plan { request, reuse, addresses: gateways }, record))
    }

    /// The name of the next network's bridge: a parked bridge's, if there is one, else the first free of ours. A name that somebody
    /// chose is left to networks it is chosen for.
    pub(super) fn bridge_name(&self, state: &crate::engine::network::state::State) -> String {
        let used = |name: &str| {
            state.networks.values().any(|network| network.record.bridge == name) || state.leaving.iter().any(|bridge| bridge.name == name)
        };
        let ours = format!("gt{}-", self.inner.tag);
        if let Some(parked) = state.parked.iter().find(|parked| parked.name.starts_with(&ours) && !used(&parked.name)) {
            return parked.name.clone();
        }
        (0_u32..).map(|number| format!("{ours}{number}")).find(|name| !used(name)).expect("there are fewer networks than numbers")
    }

    /// Takes the addresses off a bridge and keeps it for the next network.
    pub(super) async fn park(&self, bridge: Parked, pools: Vec<IpamPool>) {
        let index = bridge.index;
        let taken = blocking(&self.inner.kernel, move |kernel| {
            let mut requests = Requests::new();
            for (gateway, prefix) in pools.iter().filter_map(|pool| Some((pool.gateway?, pool.subnet.prefix))) {
                requests.delete_address(index, gateway, prefix);
            }
            requests.send(&mut kernel.route())
        });
        if let Err(error) = taken.await {
            tracing::debug!(bridge = bridge.name, %error, "a bridge kept an address while parked");
        }
        self.state().parked.push(bridge);
        self.release_when_idle();
    }

    /// Starts the wait for a quiet moment, in which parked bridges go.
    pub(super) fn release_when_idle(&self) {
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            loop {
                let Some(strong) = inner.upgrade() else { return };
                let quiet = tokio::time::timeout(IDLE, strong.activity.notified()).await.is_err();
                if quiet {
                    Self { inner: strong }.release_parked().await;
                    return;
                }
            }
        });
    }

    /// Removes every parked bridge, all in one: the kernel then waits once.
    pub(super) async fn release_parked(&self) {
        let _building = self.inner.building.lock().await;
        let leaving = {
            let mut state = self.state();
            let parked = std::mem::take(&mut state.parked);
            state.leaving.extend(parked.iter().cloned());
            parked
        };
        if leaving.is_empty() {
            return;
        }
        let group = self.inner.group;
        let indexes: Vec<u32> = leaving.iter().map(|bridge| bridge.index).collect();
        let released = blocking(&self.inner.kernel, move |kernel| delete_links(&mut kernel.route(), &indexes, group));
        if let Err(error) = released.await {
            tracing::warn!(%error, "parked bridges could not be removed; the next start of the engine tries again");
        }
        self.state().leaving.retain(|bridge| !leaving.contains(bridge));
    }
}

fn gone(id: NetworkId) -> impl Fn() -> NetworkError {
    move || NetworkError::NotFound(id.to_string())
}

/// Removes interfaces together. Those that are gone already do not keep the others.
pub(super) fn delete_links(socket: &mut Socket, indexes: &[u32], group: u32) -> io::Result<()> {
    if let [only] = indexes {
        let mut request = Requests::new();
        request.delete_link(*only);
        return match request.send(socket) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            result => result,
        };
    }
    let mut marked = false;
    for index in indexes {
        let mut request = Requests::new();
        request.set_group(*index, group);
        match request.send(socket) {
            Ok(()) => marked = true,
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => return Err(error),
        }
    }
    if !marked {
        return Ok(());
    }
    let mut request = Requests::new();
    request.delete_group(group);
    request.send(socket)
}

/// Makes or wakes a bridge. What was begun is undone when a step fails.
fn make(kernel: &Kernel, plan: &mut Plan, tag: &str) -> io::Result<()> {
    let mut socket = kernel.route();
    if !plan.reuse {
        create(&mut socket, &mut plan.request, tag)?;
    }
    let result = configure(&mut socket, plan);
    if result.is_err() {
        let mut undo = Requests::new();
        undo.delete_link(plan.request.index);
        if let Err(error) = undo.send(&mut socket) {
            tracing::warn!(bridge = plan.request.name, %error, "a bridge that could not be set up could not be removed either");
        }
    }
    result
}

fn create(socket: &mut Socket, request: &mut BridgeRequest, tag: &str) -> io::Result<()> {
    loop {
        let mut requests = Requests::new();
        requests.add_bridge(request);
        match requests.send(socket) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            result => return result,
        }
        // The number or the name is somebody's.
        let existing = interfaces(socket)?;
        match existing.iter().find(|interface| interface.name == request.name) {
            Some(Interface { index, name, .. }) if name.starts_with(&format!("gt{tag}-")) => {
                // A bridge of ours that no record names: an engine was killed between removing the one and the other.
                let mut requests = Requests::new();
                requests.delete_link(*index);
                requests.send(socket)?;
            }
            Some(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "an interface of that name exists already")),
            None => {
                request.index =
                    existing.iter().map(|interface| interface.index).filter(|index| *index >= request.index).max().unwrap_or(request.index)
                        + 1;
            }
        }
    }
}

fn configure(socket: &mut Socket, plan: &Plan) -> io::Result<()> {
    let name = &plan.request.name;
    set_parameter(&format!("net/ipv4/conf/{name}/route_localnet"), "1")?;
    let has_v6 = plan.addresses.iter().any(|(address, _)| address.is_ipv6());
    let disable = set_parameter(&format!("net/ipv6/conf/{name}/disable_ipv6"), if has_v6 { "0" } else { "1" });
    if has_v6 {
        disable?;
        // A container must not be able to tell the host where to send its packets (CVE-2020-13401).
        set_parameter(&format!("net/ipv6/conf/{name}/accept_ra"), "0")?;
    }
    let mut requests = Requests::new();
    if plan.reuse {
        requests.set_mtu(plan.request.index, plan.request.mtu.unwrap_or(DEFAULT_MTU));
    }
    for (address, prefix) in &plan.addresses {
        requests.add_address(plan.request.index, *address, *prefix);
    }
    requests.send(socket)
}

impl Inner {
    /// Somebody asked for something: parked bridges stay a little longer.
    pub(super) fn touch(&self) {
        self.activity.notify_waiters();
    }
}
