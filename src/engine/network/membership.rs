//! Containers on networks: addresses before they start, interfaces and names while they run, nothing after.

use std::io;
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use crate::engine::network::dns::DnsSettings;
use crate::engine::network::endpoint::{Shape, add_interface, addresses, default_routes, inner_index, inner_requests, veth};
use crate::engine::network::error::NetworkError;
use crate::engine::network::handle::{Adopted, Networks};
use crate::engine::network::kernel::{Kernel, blocking, parameter};
use crate::engine::network::netlink::host::interfaces;
use crate::engine::network::netlink::route::{Requests, VethRequest};
use crate::engine::network::netlink::socket::Socket;
use crate::engine::network::state::{Endpoint, Member, outer_mac};
use crate::resource::container::{EndpointSpec, EndpointState};
use crate::resource::id::{ContainerId, NetworkId};

impl Networks {
    /// Reserves the addresses of a container about to start, on the networks named (by name or id).
    pub async fn prepare(
        &self,
        container: ContainerId,
        name: &str,
        wants: &[(String, EndpointSpec)],
        dns: DnsSettings,
    ) -> Result<Vec<EndpointState>, NetworkError> {
        self.inner.touch();
        // What a start that failed may have left.
        self.leave(container).await;
        self.state().members.insert(container, Member::new(name.to_owned(), dns));
        let mut states = Vec::with_capacity(wants.len());
        for (network, spec) in wants {
            match self.reserve(container, network, spec).await {
                Ok(state) => states.push(state),
                Err(error) => {
                    self.leave(container).await;
                    return Err(error);
                }
            }
        }
        Ok(states)
    }

    async fn reserve(&self, container: ContainerId, network: &str, spec: &EndpointSpec) -> Result<EndpointState, NetworkError> {
        let id = self.state().find(network)?;
        self.ensure_bridge(id).await?;
        let mut state = self.state();
        let (name, hostname) = match state.members.get(&container) {
            None => return Err(NetworkError::NotPrepared(container.short())),
            Some(member) if member.endpoints.iter().any(|endpoint| endpoint.state.network == id) => {
                return Err(NetworkError::AlreadyConnected { container: member.name.clone(), network: network.to_owned() });
            }
            Some(member) => (member.name.clone(), member.dns.hostname.clone()),
        };
        let network = state.networks.get_mut(&id).ok_or_else(|| NetworkError::NotFound(network.to_owned()))?;
        let reserved = network.reserve(container, &name, hostname.as_deref(), spec)?;
        if let Some(member) = state.members.get_mut(&container) {
            let number = (0_u32..).find(|number| !member.endpoints.iter().any(|endpoint| endpoint.number == *number));
            let number = number.expect("a container has fewer interfaces than there are numbers");
            member.endpoints.push(Endpoint { state: reserved.clone(), number, joined: false });
        }
        Ok(reserved)
    }

    /// Creates the container's devices, their ends inside `netns`, and makes its names known.
    ///
    /// Returns the netlink requests its init sends on a `NETLINK_ROUTE` socket of its own: one after the other, each numbered from
    /// 1 and asking for an acknowledgement. They may go out in one `send`; as many acknowledgements come back as there are requests.
    pub async fn join(&self, container: ContainerId, netns: BorrowedFd<'_>) -> Result<Vec<u8>, NetworkError> {
        self.inner.touch();
        let wanted = self.wires(container, None)?;
        self.make_wires(container, netns, wanted).await?;
        let mut state = self.state();
        let member = state.members.get_mut(&container).ok_or_else(|| NetworkError::NotPrepared(container.short()))?;
        for endpoint in &mut member.endpoints {
            endpoint.joined = true;
        }
        let requests = inner_requests(member, has_ipv6());
        let realms: Vec<_> = member.endpoints.iter().map(|endpoint| endpoint.state.network).collect();
        state.rename(realms, container);
        Ok(requests.into_bytes())
    }

    /// The pairs to be made for a container: of one network, or of all.
    fn wires(&self, container: ContainerId, only: Option<NetworkId>) -> Result<Vec<Wire>, NetworkError> {
        let mut state = self.state();
        let count = state.members.get(&container).ok_or_else(|| NetworkError::NotPrepared(container.short()))?.endpoints.len();
        let serials: Vec<u32> = (0..count).map(|_| state.next_serial()).collect();
        let member = state.members.get(&container).ok_or_else(|| NetworkError::NotPrepared(container.short()))?;
        let mut wires = Vec::with_capacity(count);
        for (endpoint, serial) in member.endpoints.iter().zip(serials) {
            if only.is_some_and(|only| endpoint.state.network != only) {
                continue;
            }
            let missing = || NetworkError::NotFound(endpoint.state.network_name.clone());
            let network = state.networks.get(&endpoint.state.network).ok_or_else(missing)?;
            let settings = network.record.settings();
            let shape = Shape {
                bridge: network.bridge.ok_or_else(missing)?,
                inner_name: member.interface_name(endpoint, &settings.interface_prefix),
                mtu: settings.mtu,
                isolated: !settings.mutual,
            };
            wires.push(Wire { request: veth(container, endpoint, &shape, &self.inner.tag, serial), isolated: shape.isolated });
        }
        Ok(wires)
    }

    async fn make_wires(&self, container: ContainerId, netns: BorrowedFd<'_>, wires: Vec<Wire>) -> Result<(), NetworkError> {
        let netns = netns.try_clone_to_owned().map_err(NetworkError::kernel("keep the container's network namespace open"))?;
        let step = || format!("create the network interfaces of container {}", container.short());
        for mut wire in wires {
            // A number or a name in use means that another root counts in the same place, or that a device lingers: take the next.
            for attempt in 0.. {
                let (inside, request, isolated) =
                    (netns.try_clone().map_err(NetworkError::kernel(step()))?, wire.request.clone(), wire.isolated);
                let made = blocking(&self.inner.kernel, move |kernel| make(kernel, &request, isolated, &inside)).await;
                match made {
                    Err(error) if error.raw_os_error() == Some(libc::EEXIST) && attempt < 64 => {
                        let serial = self.state().next_serial();
                        wire.request = renumbered(&wire.request, &self.inner.tag, serial);
                    }
                    result => {
                        result.map_err(NetworkError::kernel(step()))?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes back everything the container had: names, ports and addresses are free when this returns. Its devices are left to
    /// the kernel, which destroys them with the namespace.
    pub async fn leave(&self, container: ContainerId) {
        self.inner.touch();
        let Some(rules) = self.state().members.get(&container).map(|member| member.rules.clone()) else { return };
        self.withdraw(container, rules).await;
        let mut state = self.state();
        if let Some(member) = state.members.remove(&container) {
            for endpoint in &member.endpoints {
                state.release(&endpoint.state);
            }
            state.rename(member.endpoints.iter().map(|endpoint| endpoint.state.network), container);
            if !member.resolver.is_empty() {
                self.inner.holder.release(&dns_key(container));
            }
        }
    }

    /// Gives a container another name in every lookup.
    pub fn rename(&self, container: ContainerId, name: &str) {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&container) else { return };
        let old = std::mem::replace(&mut member.name, name.to_owned());
        for endpoint in &mut member.endpoints {
            for known in &mut endpoint.state.dns_names {
                if *known == old {
                    name.clone_into(known);
                }
            }
        }
        let realms: Vec<_> = member.endpoints.iter().map(|endpoint| endpoint.state.network).collect();
        state.rename(realms, container);
    }

    /// Connects a running container to one more network.
    pub async fn connect(
        &self,
        container: ContainerId,
        netns: BorrowedFd<'_>,
        network: &str,
        spec: EndpointSpec,
    ) -> Result<EndpointState, NetworkError> {
        self.inner.touch();
        let before = self.routes(container);
        let reserved = self.reserve(container, network, &spec).await?;
        let result = self.plug_in(container, netns, reserved.network, before).await;
        if result.is_err() {
            self.forget(container, reserved.network);
        }
        result.map(|()| reserved)
    }

    async fn plug_in(&self, container: ContainerId, netns: BorrowedFd<'_>, network: NetworkId, before: Routes) -> Result<(), NetworkError> {
        let wires = self.wires(container, Some(network))?;
        self.make_wires(container, netns, wires).await?;
        let mut requests = Requests::new();
        {
            let mut state = self.state();
            let member = state.members.get_mut(&container).ok_or_else(|| NetworkError::NotPrepared(container.short()))?;
            if let Some(endpoint) = member.endpoints.iter_mut().find(|endpoint| endpoint.state.network == network) {
                endpoint.joined = true;
                add_interface(&mut requests, endpoint, has_ipv6());
            }
        }
        move_routes(&mut requests, &before, &self.routes(container));
        self.inside(netns, requests, container).await?;
        self.state().rename([network], container);
        Ok(())
    }

    /// Disconnects a running container from a network.
    pub async fn disconnect(&self, container: ContainerId, netns: BorrowedFd<'_>, network: &str) -> Result<(), NetworkError> {
        self.inner.touch();
        let before = self.routes(container);
        let (id, number, gone) = {
            let state = self.state();
            let id = state.find(network)?;
            let not_there = || NetworkError::NotConnected { container: container.short(), network: network.to_owned() };
            let member = state.members.get(&container).ok_or_else(not_there)?;
            let endpoint = member.endpoints.iter().find(|endpoint| endpoint.state.network == id).ok_or_else(not_there)?;
            let lost: Vec<IpAddr> = addresses(&endpoint.state).map(|(address, _)| address).collect();
            let rules: Vec<_> = member.rules.iter().filter(|rule| lost.contains(&rule.target)).copied().collect();
            (id, endpoint.number, rules)
        };
        self.remove_rules(container, gone).await;
        self.forget(container, id);
        let after = self.routes(container);
        // Routes of the interface go with it.
        let mut requests = Requests::new();
        let kept: Routes = before.iter().filter(|(index, _)| *index != inner_index(number)).copied().collect();
        move_routes(&mut requests, &kept, &after);
        let mac = outer_mac(container, number);
        let removed = blocking(&self.inner.kernel, move |kernel| remove_wire(&mut kernel.route(), mac)).await;
        removed.map_err(NetworkError::kernel(format!("remove the interface of container {} on network {network}", container.short())))?;
        self.inside(netns, requests, container).await
    }

    /// Drops the endpoint on one network.
    fn forget(&self, container: ContainerId, network: NetworkId) {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&container) else { return };
        let Some(at) = member.endpoints.iter().position(|endpoint| endpoint.state.network == network) else { return };
        let endpoint = member.endpoints.remove(at);
        state.release(&endpoint.state);
        state.rename([network], container);
    }

    fn routes(&self, container: ContainerId) -> Routes {
        let state = self.state();
        let member = state.members.get(&container);
        member
            .map(|member| default_routes(member).iter().map(|(endpoint, gateway)| (inner_index(endpoint.number), *gateway)).collect())
            .unwrap_or_default()
    }

    /// Sends requests from inside a container's namespace, on a thread that lives for this only: a worker must never be left there.
    async fn inside(&self, netns: BorrowedFd<'_>, requests: Requests, container: ContainerId) -> Result<(), NetworkError> {
        let step = format!("set up the network interface of container {}", container.short());
        if requests.is_empty() {
            return Ok(());
        }
        let netns = netns.try_clone_to_owned().map_err(NetworkError::kernel(step.clone()))?;
        let done = blocking(&self.inner.kernel, move |_| {
            let thread = std::thread::spawn(move || -> io::Result<()> {
                nix::sched::setns(&netns, nix::sched::CloneFlags::CLONE_NEWNET)?;
                requests.send(&mut Socket::open(0)?)
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        });
        done.await.map_err(NetworkError::kernel(step))
    }

    /// Takes over the endpoints, ports and names of a container that is running already.
    pub async fn adopt(&self, running: Adopted) -> Result<(), NetworkError> {
        let container = running.container;
        let existing = blocking(&self.inner.kernel, |kernel| interfaces(&mut kernel.route())).await;
        let existing = existing.map_err(NetworkError::kernel("list interfaces"))?;
        {
            let mut state = self.state();
            let mut member = Member::new(running.name, running.dns);
            for (position, found) in (0_u32..).zip(running.endpoints) {
                let Some(network) = state.networks.get_mut(&found.network) else {
                    tracing::warn!(
                        container = container.short(),
                        network = found.network_name,
                        "a running container is on a network without a record"
                    );
                    continue;
                };
                for (address, _) in addresses(&found) {
                    for space in &mut network.spaces {
                        space.take(address);
                    }
                }
                // After a disconnection, an interface's number is no longer its endpoint's position.
                let has_wire = |number: &u32| {
                    let mac = outer_mac(container, *number);
                    existing
                        .iter()
                        .any(|interface| interface.mac == mac && interface.bridge.is_some() && interface.bridge == network.bridge)
                };
                let number = (0..MOST_INTERFACES).find(has_wire).unwrap_or(position);
                member.endpoints.push(Endpoint { state: found, number, joined: true });
            }
            let realms: Vec<_> = member.endpoints.iter().map(|endpoint| endpoint.state.network).collect();
            state.members.insert(container, member);
            state.rename(realms, container);
        }
        self.adopt_ports(container, running.published, running.port_sockets)?;
        self.state().unanswered.extend(running.dns_sockets.map(|sockets| (container, sockets)));
        Ok(())
    }

    /// Removes every container's interface of this root that no container owns. Those of dying namespaces are left to the kernel only
    /// for as long as that is cheaper.
    pub(super) async fn remove_strays(&self) {
        let owned: Vec<_> = {
            let state = self.state();
            let macs = |(container, member): (&ContainerId, &Member)| {
                member.endpoints.iter().map(|endpoint| outer_mac(*container, endpoint.number).to_vec()).collect::<Vec<_>>()
            };
            state.members.iter().flat_map(macs).collect()
        };
        let (prefix, group) = (format!("gv{}-", self.inner.tag), self.inner.group);
        let swept = blocking(&self.inner.kernel, move |kernel| {
            let mut socket = kernel.route();
            let strays: Vec<u32> = interfaces(&mut socket)?
                .into_iter()
                .filter(|interface| interface.name.starts_with(&prefix) && !owned.contains(&interface.mac))
                .map(|interface| interface.index)
                .collect();
            crate::engine::network::bridge::delete_links(&mut socket, &strays, group)
        });
        if let Err(error) = swept.await {
            tracing::warn!(%error, "interfaces that nobody owns could not be removed");
        }
    }

    /// Answers the lookups of what was adopted, installs the table with it, and removes every device of this root that nobody owns.
    /// Called once, after the last [`Networks::adopt`].
    pub async fn sweep(&self) {
        let unanswered = std::mem::take(&mut self.state().unanswered);
        for (container, sockets) in unanswered {
            if let Err(error) = self.answer(container, sockets) {
                tracing::error!(container = container.short(), %error, "a running container looks names up in vain");
            }
        }
        self.remove_strays().await;
        let any = self.state().networks.values().any(|network| network.bridge.is_some());
        if any {
            if let Err(error) = self.install_table().await {
                tracing::error!(%error, "published ports and the way outside do not work");
            }
        } else {
            let batch = self.inner.table.uninstall();
            if let Err(error) = blocking(&self.inner.kernel, move |kernel| kernel.commit(batch)).await {
                tracing::warn!(%error, "the table of an engine before this one could not be removed");
            }
        }
        if !self.state().parked.is_empty() {
            self.release_when_idle();
        }
    }
}

/// Interfaces of one container that are looked for after a takeover.
const MOST_INTERFACES: u32 = 256;

/// Default routes: interface number inside, and gateway.
type Routes = Vec<(u32, IpAddr)>;

/// A pair to be made.
struct Wire {
    request: VethRequest,
    isolated: bool,
}

/// Under this key the keeper holds a container's DNS sockets.
pub(super) fn dns_key(container: ContainerId) -> String {
    format!("dns/{container}")
}

fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

fn renumbered(request: &VethRequest, tag: &str, serial: u32) -> VethRequest {
    VethRequest { name: crate::engine::network::endpoint::outer_name(tag, serial), index: serial, ..request.clone() }
}

fn make(kernel: &Kernel, request: &VethRequest, isolated: bool, netns: &OwnedFd) -> io::Result<()> {
    use std::os::fd::AsFd as _;
    let mut socket = kernel.route();
    let mut requests = Requests::new();
    requests.add_veth(request, netns.as_fd());
    requests.send(&mut socket)?;
    // With br_netfilter, a call to one's own published port is turned round within the bridge.
    let hairpin = ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"]
        .iter()
        .any(|name| parameter(name).as_deref() == Some("1"));
    if hairpin || isolated {
        let mut requests = Requests::new();
        requests.set_port(request.index, hairpin, isolated);
        requests.send(&mut socket)?;
    }
    Ok(())
}

fn remove_wire(socket: &mut Socket, mac: [u8; 6]) -> io::Result<()> {
    let mut requests = Requests::new();
    for interface in interfaces(socket)? {
        if interface.mac == mac {
            requests.delete_link(interface.index);
        }
    }
    requests.send(socket)
}

/// Replaces the default routes that differ.
fn move_routes(requests: &mut Requests, before: &Routes, after: &Routes) {
    for (index, gateway) in before.iter().filter(|route| !after.contains(route)) {
        requests.delete_default_route(*index, *gateway);
    }
    for (index, gateway) in after.iter().filter(|route| !before.contains(route)) {
        requests.add_default_route(*index, *gateway);
    }
}
