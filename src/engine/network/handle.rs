//! The room's door: networks, and the endpoints, ports and names of running containers.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::engine::network::dns::{DnsSettings, DnsSockets};
use crate::engine::network::error::NetworkError;
use crate::engine::network::port::PortHolder;
use crate::engine::root::Root;
use crate::resource::container::{EndpointSpec, EndpointState, PortBinding, PublishedPort};
use crate::resource::id::ContainerId;
use crate::resource::name::NetworkName;
use crate::resource::network::{NetworkInfo, NetworkSpec, Subnet};

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
    pub publish_address: Option<std::net::IpAddr>,
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
pub struct Networks {}

impl Networks {
    /// Reads the records, compares them with the kernel, installs the table. Devices nobody owns are swept by [`Networks::sweep`].
    pub async fn open(root: &Root, options: NetworkOptions, holder: Arc<dyn PortHolder>) -> Result<Self, NetworkError> {
        let _ = (root, options, holder);
        todo!()
    }

    /// Takes over the endpoints, ports and names of a container that is running already.
    pub async fn adopt(&self, running: Adopted) -> Result<(), NetworkError> {
        let _ = running;
        todo!()
    }

    /// Removes every device of this root that no record and no adopted container owns. Called once, after the last [`Networks::adopt`].
    pub async fn sweep(&self) {}

    /// Makes a network.
    pub async fn create(&self, name: NetworkName, spec: NetworkSpec) -> Result<NetworkInfo, NetworkError> {
        let _ = (name, spec);
        todo!()
    }

    /// Removes a network, by name, id, or the beginning of an id.
    pub async fn remove(&self, name_or_id: &str) -> Result<NetworkInfo, NetworkError> {
        let _ = name_or_id;
        todo!()
    }

    /// Every network, the predefined ones included.
    pub fn list(&self) -> Vec<NetworkInfo> {
        Vec::new()
    }

    /// One network, by name, id, or the beginning of an id.
    pub fn get(&self, name_or_id: &str) -> Result<NetworkInfo, NetworkError> {
        let _ = name_or_id;
        todo!()
    }

    /// Reserves the addresses of a container about to start, on the networks named (by name or id).
    pub async fn prepare(
        &self,
        container: ContainerId,
        name: &str,
        wants: &[(String, EndpointSpec)],
        dns: DnsSettings,
    ) -> Result<Vec<EndpointState>, NetworkError> {
        let _ = (container, name, wants, dns);
        todo!()
    }

    /// Creates the container's devices, their ends inside `netns`, and makes its names known.
    ///
    /// Returns the netlink requests its init sends on a `NETLINK_ROUTE` socket of its own: one after the other, each numbered from
    /// 1 and asking for an acknowledgement. They may go out in one `send`; as many acknowledgements come back as there are requests.
    pub async fn join(&self, container: ContainerId, netns: BorrowedFd<'_>) -> Result<Vec<u8>, NetworkError> {
        let _ = (container, netns);
        todo!()
    }

    /// Answers the container's lookups on these sockets, and gives them to the keeper under `dns/ID`.
    pub fn serve_dns(&self, container: ContainerId, sockets: DnsSockets) -> Result<(), NetworkError> {
        let _ = (container, sockets);
        todo!()
    }

    /// Makes ports of the host lead to the container. The bound sockets go to the keeper under `port/ID`.
    pub async fn publish(&self, container: ContainerId, bindings: &[PortBinding]) -> Result<Vec<PublishedPort>, NetworkError> {
        let _ = (container, bindings);
        todo!()
    }

    /// Takes back everything the container had: names, ports and addresses are free when this returns. Its devices are left to
    /// the kernel, which destroys them with the namespace.
    pub async fn leave(&self, container: ContainerId) {
        let _ = container;
    }

    /// Gives a running container another name in every lookup.
    pub fn rename(&self, container: ContainerId, name: &str) {
        let _ = (container, name);
    }

    /// Connects a running container to one more network.
    pub async fn connect(
        &self,
        container: ContainerId,
        netns: BorrowedFd<'_>,
        network: &str,
        spec: EndpointSpec,
    ) -> Result<EndpointState, NetworkError> {
        let _ = (container, netns, network, spec);
        todo!()
    }

    /// Disconnects a running container from a network.
    pub async fn disconnect(&self, container: ContainerId, netns: BorrowedFd<'_>, network: &str) -> Result<(), NetworkError> {
        let _ = (container, netns, network);
        todo!()
    }

    /// Releases what removed networks left behind. For `engine stop`.
    pub async fn close(&self) {}
}
