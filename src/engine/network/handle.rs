//! The room's door: networks, and the endpoints, ports and names of running containers.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::engine::network::dns::{DnsSettings, DnsSockets};
use crate::engine::network::error::NetworkError;
use crate::engine::network::ipam::pool::default_pools;
use crate::engine::network::kernel::{Kernel, blocking};
use crate::engine::network::machine_lock::Choosing;
use crate::engine::network::netlink::host::{Interface, interfaces};
use crate::engine::network::nft::batch::Batch;
use crate::engine::network::nft::table::Table;
use crate::engine::network::port::PortHolder;
use crate::engine::network::record::{NetworkRecord, Records, Settings, wanted_pools};
use crate::engine::network::state::{Kind, Network, Parked, State};
use crate::engine::root::Root;
use crate::engine::store;
use crate::resource::container::{EndpointState, PublishedPort};
use crate::resource::id::{ContainerId, NetworkId};
use crate::resource::name::NetworkName;
use crate::resource::network::{NetworkInfo, NetworkSpec, Subnet};
use crate::resource::time::Timestamp;

/// A supply of address blocks: `base` is cut into blocks of `size` leading bits (Docker's `default-address-pools`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole supply.
    pub base: Subnet,
    /// The prefix length of a block taken from it.
    pub size: u8,
}

/// How the room behaves.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// Where blocks of addresses come from; Docker's own when empty.
    pub pools: Vec<AddressPool>,
    /// Keep the kernel's `ip_forward` as it is, even if containers then cannot reach the outside (daemon.json's `ip-forward: false`).
    pub leave_ip_forward: bool,
    /// The address ports are published on when a binding names none (daemon.json's `ip`); every address when absent.
    pub publish_address: Option<IpAddr>,
}

/// A container that runs while a new engine starts.
#[derive(Debug)]
pub struct Adopted {
    /// The container.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
    /// What it has on each network.
    pub endpoints: Vec<EndpointState>,
    /// Its published ports.
    pub published: Vec<PublishedPort>,
    /// What the keeper holds under `port/ID`, in any order.
    pub port_sockets: Vec<OwnedFd>,
    /// How its names are looked up.
    pub dns: DnsSettings,
    /// What the keeper holds under `dns/ID`.
    pub dns_sockets: Option<DnsSockets>,
}

/// All networks of one root. Cheap to clone.
#[derive(Clone)]
pub struct Networks {
    pub(super) inner: Arc<Inner>,
}

/// What the clones share.
pub(super) struct Inner {
    pub(super) tag: String,
    /// The group of interfaces that are removed together.
    pub(super) group: u32,
    pub(super) run: PathBuf,
    pub(super) records: Records,
    pub(super) pools: Vec<AddressPool>,
    pub(super) leave_forwarding: bool,
    pub(super) publish_address: Option<IpAddr>,
    pub(super) holder: Arc<dyn PortHolder>,
    pub(super) kernel: Arc<Kernel>,
    pub(super) table: Table,
    /// One network at a time gets or loses its bridge.
    pub(super) building: tokio::sync::Mutex<()>,
    /// Told of every request.
    pub(super) activity: Notify,
    state: Mutex<State>,
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Networks").field("tag", &self.inner.tag).finish_non_exhaustive()
    }
}

impl Networks {
    /// Reads the records and compares them with the kernel. Running containers are then [adopted](Self::adopt), and what nobody
    /// owns is [swept](Self::sweep).
    pub async fn open(root: &Root, options: NetworkOptions, holder: Arc<dyn PortHolder>) -> Result<Self, NetworkError> {
        let kernel = Kernel::open().map_err(NetworkError::kernel("open netlink sockets"))?;
        let records = Records::open(root.data())?;
        std::fs::create_dir_all(root.run())
            .map_err(|source| NetworkError::Record { step: format!("create `{}`", root.run().display()), source })?;
        let number = u32::from_str_radix(root.tag(), 16).unwrap_or(0) & 0x00ff_ffff;
        let forwarding_is_ours = store::read_until_reboot::<bool>(&root.run().join("forwarding.json")).ok().flatten().unwrap_or(false);
        let inner = Inner {
            tag: root.tag().to_owned(),
            group: 0x4700_0000 | number,
            run: root.run().to_owned(),
            records,
            pools: if options.pools.is_empty() { default_pools() } else { options.pools },
            leave_forwarding: options.leave_ip_forward,
            publish_address: options.publish_address,
            holder,
            kernel: Arc::new(kernel),
            table: Table::new(root.tag()),
            building: tokio::sync::Mutex::new(()),
            activity: Notify::new(),
            // Each root counts from a place of its own; where two meet, the kernel says so and the next number is tried.
            state: Mutex::new(State { next: 0x2000_0000 + number * 32, forwarding_is_ours, ..State::default() }),
        };
        let networks = Self { inner: Arc::new(inner) };
        networks.read_records()?;
        networks.find_bridges().await?;
        Ok(networks)
    }

    fn read_records(&self) -> Result<(), NetworkError> {
        let mut state = self.state();
        for record in self.inner.records.read()? {
            let kind = if record.name == *DEFAULT { Kind::Default } else { Kind::Custom };
            state.networks.insert(record.id, Network::new(record, kind));
        }
        for (name, kind, driver) in [(DEFAULT, Kind::Default, "bridge"), ("host", Kind::Bare, "host"), ("none", Kind::Bare, "null")] {
            if state.networks.values().any(|network| network.record.name == *name) {
                continue;
            }
            // Their ids must not change from one start to the next, nor need a record.
            let digest = Sha256::new().chain_update("gantry network ").chain_update(&self.inner.tag).chain_update(name).finalize();
            let record = NetworkRecord {
                id: NetworkId::from_bytes(digest.into()),
                name: name.parse().expect("the names of predefined networks are names"),
                created: now(),
                spec: NetworkSpec { driver: driver.to_owned(), ..NetworkSpec::default() },
                pools: Vec::new(),
                bridge: if kind == Kind::Bare { String::new() } else { self.bridge_name(&state) },
            };
            state.networks.insert(record.id, Network::new(record, kind));
        }
        Ok(())
    }

    /// Recognises the bridges of an engine before this one: those of records are used, others are parked.
    async fn find_bridges(&self) -> Result<(), NetworkError> {
        let prefix = format!("gt{}-", self.inner.tag);
        let found = blocking(&self.inner.kernel, |kernel| interfaces(&mut kernel.route())).await;
        let found = found.map_err(NetworkError::kernel("list interfaces"))?;
        let mut state = self.state();
        for Interface { index, name, mac, .. } in found {
            let ours = mac.starts_with(&[0x02, 0x42, 0xfe]) || name.starts_with(&prefix);
            match state.networks.values_mut().find(|network| !name.is_empty() && network.record.bridge == name) {
                Some(network) if ours && !network.record.pools.is_empty() => network.bridge = Some(index),
                _ if name.starts_with(&prefix) => state.parked.push(Parked { name, index }),
                _ => {}
            }
            if (state.next..0x7fff_fff0).contains(&index) && index - state.next < 1 << 20 {
                state.next = index;
            }
        }
        Ok(())
    }

    /// The state; the lock is never held while the kernel works or anything is awaited.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it can panic.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a network.
    pub async fn create(&self, name: NetworkName, spec: NetworkSpec) -> Result<NetworkInfo, NetworkError> {
        self.inner.touch();
        let settings = Settings::parse(&name, &spec)?;
        let pools = wanted_pools(&name, &spec)?;
        // Until its bridge has its route, by which others see what was chosen.
        let _choosing = Choosing::begin().await?;
        let taken = self.host_blocks().await?;
        let mut id = [0; 32];
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| NetworkError::Kernel { step: "draw an id".to_owned(), source: error.into() })?;
        let record = {
            let mut state = self.state();
            if state.networks.values().any(|network| network.record.name == name) {
                return Err(NetworkError::Exists(name.to_string()));
            }
            let bridge = settings.bridge.unwrap_or_else(|| self.bridge_name(&state));
            let mut record = NetworkRecord { id: NetworkId::from_bytes(id), name, created: now(), spec, pools, bridge };
            record.pools = self.choose_pools(&record, &taken, &state)?;
            state.networks.insert(record.id, Network::new(record.clone(), Kind::Custom));
            record
        };
        let result = match self.inner.records.write(&record) {
            Ok(()) => self.ensure_bridge(record.id).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.state().networks.remove(&record.id);
            if let Err(error) = self.inner.records.remove(record.id) {
                tracing::warn!(%error, network = %record.name, "the record of a network that could not be made stays");
            }
            return Err(error);
        }
        self.get(&record.id.to_string())
    }

    /// Removes a network, by name, id, or the beginning of an id. Its name and its addresses are free when this returns.
    pub async fn remove(&self, name_or_id: &str) -> Result<NetworkInfo, NetworkError> {
        self.inner.touch();
        let _building = self.inner.building.lock().await;
        let (info, network) = {
            let mut state = self.state();
            let id = state.find(name_or_id)?;
            let info = state.info(id).ok_or_else(|| NetworkError::NotFound(name_or_id.to_owned()))?;
            if state.networks.get(&id).is_none_or(|network| network.kind != Kind::Custom) {
                return Err(NetworkError::Predefined(info.name.to_string(), "removed"));
            }
            let members = state.members_of(id);
            if !members.is_empty() {
                return Err(NetworkError::InUse { name: info.name.to_string(), members: members.join(", ") });
            }
            let network = state.networks.remove(&id).ok_or_else(|| NetworkError::NotFound(name_or_id.to_owned()))?;
            (info, network)
        };
        self.inner.records.remove(info.id)?;
        if let Some(index) = network.bridge {
            let mut batch = Batch::new();
            self.inner.table.delete_network(&mut batch, &network.rules());
            let removed = blocking(&self.inner.kernel, move |kernel| kernel.commit(batch)).await;
            if let Err(error) = removed {
                tracing::warn!(%error, network = %info.name, "the network is still in the kernel's table; the next change replaces the table");
                self.state().installed = false;
            }
            self.park(Parked { name: network.record.bridge, index }, network.record.pools).await;
        }
        Ok(info)
    }

    /// Every network, the predefined ones included, by name.
    pub fn list(&self) -> Vec<NetworkInfo> {
        let state = self.state();
        let mut all: Vec<_> = state.networks.keys().filter_map(|id| state.info(*id)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// One network, by name, id, or the beginning of an id.
    pub fn get(&self, name_or_id: &str) -> Result<NetworkInfo, NetworkError> {
        let state = self.state();
        let id = state.find(name_or_id)?;
        state.info(id).ok_or_else(|| NetworkError::NotFound(name_or_id.to_owned()))
    }

    /// Releases what removed networks left behind. For `engine stop`: with no container running, nothing of this root is left in
    /// the kernel.
    pub async fn close(&self) {
        let idle = {
            let mut state = self.state();
            let idle = state.members.is_empty();
            if idle {
                let up: Vec<_> = state
                    .networks
                    .values_mut()
                    .filter_map(|network| Some(Parked { name: network.record.bridge.clone(), index: network.bridge.take()? }))
                    .collect();
                state.parked.extend(up);
                state.installed = false;
            }
            idle
        };
        self.release_parked().await;
        if idle {
            self.remove_strays().await;
            self.state().watcher = None;
            if let Err(error) = self.come_to_terms().await {
                tracing::warn!(%error, "our rules in the tables of others could not be removed");
            }
            let batch = self.inner.table.uninstall();
            if let Err(error) = blocking(&self.inner.kernel, move |kernel| kernel.commit(batch)).await {
                tracing::warn!(%error, table = self.inner.table.name(), "the table could not be removed");
            }
        }
    }
}

/// The network of containers that name none.
pub const DEFAULT: &str = "bridge";

/// This instant.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
