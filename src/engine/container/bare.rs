//! Containers in the host's network or in none, of which is told as if they were on a network of that name, as Docker does.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::resource::container::{ContainerInfo, EndpointSpec, EndpointState, NetworkMode, Told};
use crate::resource::network::{NetworkInfo, NetworkMember};

impl Engine {
    /// What is told of a container.
    pub(in crate::engine) fn told_of(&self, container: &Container) -> Arc<Told> {
        let told = container.info();
        if let Some(network) = self.bare_network(&told.spec.network) {
            let mut info = ContainerInfo::clone(&told);
            info.endpoints.push(EndpointState::at_rest(network.id, network.name.as_str(), EndpointSpec::default()));
            return Told::new(info);
        }
        told
    }

    /// Adds to a network those who are told to be on it.
    pub(in crate::engine) fn with_bare_members(&self, mut network: NetworkInfo) -> NetworkInfo {
        if network.name == *"host" || network.name == *"none" {
            for container in self.shared.containers.all() {
                let info = container.info();
                let is_on_it = name_of(&info.spec.network).is_some_and(|name| network.name == *name);
                if is_on_it && info.state.is_running() {
                    let member = NetworkMember { id: info.id, name: info.name.to_string(), mac: String::new(), ipv4: None, ipv6: None };
                    network.containers.push(member);
                }
            }
        }
        network
    }

    /// Says that such a container came to its network or left it.
    pub(in crate::engine) fn tell_bare_network(&self, container: &Container, action: &str) {
        if let Some(network) = self.bare_network(&container.record().spec.network) {
            self.tell_network(container, action, &network.id.to_string(), network.name.as_str());
        }
    }

    fn bare_network(&self, mode: &NetworkMode) -> Option<NetworkInfo> {
        self.shared.networks.get(name_of(mode)?).ok()
    }
}

const fn name_of(mode: &NetworkMode) -> Option<&'static str> {
    match mode {
        NetworkMode::Host => Some("host"),
        NetworkMode::None => Some("none"),
        NetworkMode::Bridge | NetworkMode::Container(_) | NetworkMode::Named(_) => None,
    }
}
