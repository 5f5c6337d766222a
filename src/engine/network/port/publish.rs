//! Ports of the host that lead to a container: taken before it starts, given back when it leaves.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use crate::engine::network::error::NetworkError;
use crate::engine::network::handle::Networks;
use crate::engine::network::kernel::blocking;
use crate::engine::network::nft::batch::Batch;
use crate::engine::network::nft::conntrack;
use crate::engine::network::nft::table::PortRule;
use crate::engine::network::port::choice::grant;
use crate::engine::network::port::proxy::{self, Proxy};
use crate::engine::network::port::socket::{Bound, recognise};
use crate::engine::network::state::{Member, State};
use crate::resource::container::{EndpointState, PortBinding, Protocol, PublishedPort};
use crate::resource::id::ContainerId;

/// Where a container's ports lead.
#[derive(Clone, Copy, Debug)]
struct Target {
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
}

impl Target {
    /// The addresses on the network that has the default route. A container on internal networks only has none: nothing leads into
    /// those from outside, as with Docker.
    fn of(member: &Member) -> Option<Self> {
        let leads_outside = |state: &EndpointState| state.gateway.is_some() || state.gateway6.is_some();
        let state = &member.gateway_endpoint(leads_outside)?.state;
        Some(Self { v4: state.ipv4.map(|(v4, _)| IpAddr::V4(v4)), v6: state.ipv6.map(|(v6, _)| IpAddr::V6(v6)) })
    }

    /// What the kernel's table is told: nothing where only the proxy gets through.
    fn rule(self, port: &PublishedPort) -> Option<PortRule> {
        let target = if port.host_ip.is_ipv4() { self.v4? } else { self.v6? };
        (port.host_ip != IpAddr::V6(Ipv6Addr::LOCALHOST)).then_some(PortRule {
            protocol: port.container.protocol,
            host_ip: port.host_ip,
            host_port: port.host_port,
            target,
            target_port: port.container.port,
        })
    }

    fn address(self, port: u16) -> Option<SocketAddr> {
        self.v4.or(self.v6).map(|address| SocketAddr::new(address, port))
    }
}

impl Networks {
    /// Makes ports of the host lead to the container. The bound sockets go to the keeper under `port/ID`.
    pub async fn publish(&self, container: ContainerId, bindings: &[PortBinding]) -> Result<Vec<PublishedPort>, NetworkError> {
        self.inner.touch();
        if bindings.is_empty() {
            return Ok(Vec::new());
        }
        let (target, default_address) = {
            let state = self.state();
            let member = state.members.get(&container).ok_or_else(|| NetworkError::NotPrepared(container.short()))?;
            (Target::of(member), self.default_address(&state, member))
        };
        let Some(target) = target else {
            tracing::warn!(container = container.short(), "no port is published: the container is on internal networks only");
            return Ok(Vec::new());
        };
        let taken = |protocol, wanted| self.publisher(container, protocol, wanted);
        let mut published = Vec::new();
        let mut sockets = Vec::new();
        for binding in bindings {
            let granted = grant(binding, default_address, &taken)?;
            published.extend(granted.published);
            sockets.extend(granted.sockets);
        }
        let rules: Vec<PortRule> = published.iter().filter_map(|port| target.rule(port)).collect();
        self.hold(container, &sockets)?;
        if let Err(error) = self.add_rules(container, rules).await {
            self.inner.holder.release(&key(container));
            return Err(error);
        }
        let proxies = start_proxies(sockets, &published, target);
        if let Some(member) = self.state().members.get_mut(&container) {
            member.published.extend(published.iter().copied());
            member.proxies.extend(proxies);
        }
        Ok(published)
    }

    /// Where ports are published that name no address: the network's own choice, then the engine's.
    fn default_address(&self, state: &State, member: &Member) -> Option<IpAddr> {
        let endpoint = member.gateway_endpoint(|state| state.gateway.is_some() || state.gateway6.is_some())?;
        let network = state.networks.get(&endpoint.state.network)?;
        network.record.settings().host_binding.or(self.inner.publish_address).filter(|address| *address != IpAddr::V4([0, 0, 0, 0].into()))
    }

    /// The name of the other container that has this port.
    fn publisher(&self, container: ContainerId, protocol: Protocol, wanted: SocketAddr) -> Option<String> {
        let state = self.state();
        let has = |port: &PublishedPort| {
            let (one, other) = (port.host_ip, wanted.ip());
            let same = one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified());
            port.container.protocol == protocol && port.host_port == wanted.port() && same
        };
        let mut others = state.members.iter().filter(|(id, _)| **id != container);
        others.find(|(_, member)| member.published.iter().any(has)).map(|(_, member)| member.name.clone())
    }

    fn hold(&self, container: ContainerId, sockets: &[Bound]) -> Result<(), NetworkError> {
        let step = || format!("keep the published ports of container {}", container.short());
        let copies: Result<Vec<OwnedFd>, _> = sockets.iter().map(|bound| bound.socket.try_clone()).collect();
        copies.and_then(|copies| self.inner.holder.hold(&key(container), copies)).map_err(NetworkError::kernel(step()))
    }

    async fn add_rules(&self, container: ContainerId, rules: Vec<PortRule>) -> Result<(), NetworkError> {
        let mut batch = Batch::new();
        self.inner.table.add_ports(&mut batch, &rules, true);
        if let Some(member) = self.state().members.get_mut(&container) {
            member.rules.extend(rules.iter().copied());
        }
        let added = blocking(&self.inner.kernel, {
            let rules = rules.clone();
            move |kernel| {
                kernel.commit(batch)?;
                conntrack::flush(kernel, &rules)
            }
        });
        let added = match added.await {
            // Somebody flushed the ruleset; what is written anew has these ports, too.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.install_table().await,
            result => result.map_err(NetworkError::kernel(format!("publish the ports of container {}", container.short()))),
        };
        if added.is_err()
            && let Some(member) = self.state().members.get_mut(&container)
        {
            member.rules.retain(|rule| !rules.contains(rule));
        }
        added
    }

    /// Takes rules out of the kernel's table.
    pub(in crate::engine::network) async fn remove_rules(&self, container: ContainerId, rules: Vec<PortRule>) {
        if rules.is_empty() {
            return;
        }
        if let Some(member) = self.state().members.get_mut(&container) {
            member.rules.retain(|rule| !rules.contains(rule));
        }
        let mut batch = Batch::new();
        self.inner.table.delete_ports(&mut batch, &rules);
        let removed = blocking(&self.inner.kernel, move |kernel| {
            kernel.commit(batch)?;
            conntrack::flush(kernel, &rules)
        });
        if let Err(error) = removed.await {
            tracing::debug!(container = container.short(), %error, "ports were not in the kernel's table any more: it is written anew");
            // Without the table there is nothing to take out; with it, half of what was asked would have stayed.
            if let Err(error) = self.install_table().await {
                tracing::error!(%error, "published ports do not work");
            }
        }
    }

    /// Takes back everything published for a container; when this returns, its ports can be bound again.
    pub(in crate::engine::network) async fn withdraw(&self, container: ContainerId, rules: Vec<PortRule>) {
        self.remove_rules(container, rules).await;
        let (proxies, published) = match self.state().members.get_mut(&container) {
            Some(member) => (std::mem::take(&mut member.proxies), std::mem::take(&mut member.published)),
            None => return,
        };
        for proxy in proxies {
            proxy.end().await;
        }
        if !published.is_empty() {
            self.inner.holder.release(&key(container));
        }
    }

    /// Takes over the ports of a container that is running already; the kernel's table is written by the sweep.
    pub(in crate::engine::network) fn adopt_ports(
        &self,
        container: ContainerId,
        published: Vec<PublishedPort>,
        sockets: Vec<OwnedFd>,
    ) -> Result<(), NetworkError> {
        let step = || format!("take over the published ports of container {}", container.short());
        let sockets: Result<Vec<Bound>, _> = sockets.into_iter().map(recognise).collect();
        let sockets = sockets.map_err(NetworkError::kernel(step()))?;
        let target = self.state().members.get(&container).and_then(Target::of);
        let Some(target) = target else { return Ok(()) };
        let proxies = start_proxies(sockets, &published, target);
        if let Some(member) = self.state().members.get_mut(&container) {
            member.rules = published.iter().filter_map(|port| target.rule(port)).collect();
            member.published = published;
            member.proxies = proxies;
        }
        Ok(())
    }
}

/// Under this key the keeper holds the sockets of a container's ports.
fn key(container: ContainerId) -> String {
    format!("port/{container}")
}

/// One proxy for each socket. Those that the kernel's table covers idle, unless somebody flushes it.
fn start_proxies(sockets: Vec<Bound>, published: &[PublishedPort], target: Target) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for bound in sockets {
        let port = published.iter().find(|port| {
            port.container.protocol == bound.protocol && port.host_ip == bound.address.ip() && port.host_port == bound.address.port()
        });
        let Some(address) = port.and_then(|port| target.address(port.container.port)) else { continue };
        match proxy::start(bound, address) {
            Ok(proxy) => proxies.push(proxy),
            Err(error) => tracing::warn!(%error, %address, "a published port is reached by way of the kernel only"),
        }
    }
    proxies
}
