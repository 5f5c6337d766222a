//! The engine's verbs on networks.

use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::engine::filter::Filters;
use crate::resource::container::EndpointSpec;
use crate::resource::event::EventKind;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::NetworkId;
use crate::resource::name::NetworkName;
use crate::resource::network::{NetworkInfo, NetworkSpec};

/// Networks that are there without having been made.
const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

impl Engine {
    /// Returns the networks that filters (`name`, `id`, `label`, `driver`, `type`, `scope`, `dangling`, `until`) select.
    pub async fn networks(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<NetworkInfo>, Failure> {
        let filters = Filters::of(filters, &["name", "id", "label", "label!", "driver", "type", "scope", "dangling", "until"])?;
        let dangling = filters
            .flag("dangling")
            .map_err(|_| Failure::invalid("invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")"))?;
        let until = filters.until()?;
        if let Some(unknown) = filters.values("type").iter().find(|value| !matches!(value.as_str(), "builtin" | "custom")) {
            return Err(Failure::invalid(format!("invalid filter: 'type'='{unknown}'")));
        }
        let mut found = Vec::new();
        for network in self.shared.networks.list() {
            let network = self.with_bare_members(network);
            let custom = !is_predefined(&network);
            let wanted = filters.any("driver", |driver| driver == driver_of(&network))
                && filters.any("scope", |scope| scope == "local")
                && filters.any("type", |kind| (kind == "custom") == custom)
                && dangling.is_none_or(|dangling| (custom && network.containers.is_empty()) == dangling)
                && until.is_none_or(|until| network.created < until)
                && filters.labels(&network.spec.labels)
                && filters.occurs("name", network.name.as_str())
                && filters.occurs("id", &network.id.to_string());
            found.extend(wanted.then_some(network));
        }
        Ok(found)
    }

    /// Returns a network by name, id or unambiguous start of an id.
    pub async fn network(&self, name: &str) -> Result<NetworkInfo, Failure> {
        Ok(self.with_bare_members(self.shared.networks.get(name)?))
    }

    /// Makes a network.
    pub async fn create_network(&self, name: &str, spec: &NetworkSpec) -> Result<NetworkId, Failure> {
        if is_predefined_name(name) {
            return Err(Failure::denied(format!("operation is not permitted on predefined {name} network ")));
        }
        refuse_driver(&spec.driver)?;
        let parsed: NetworkName = name.parse().map_err(|error: crate::resource::name::NameError| Failure::invalid(error.to_string()))?;
        let made = self.shared.networks.create(parsed, spec.clone()).await?;
        self.tell_of_network(&made, "create");
        Ok(made.id)
    }

    /// Removes a network that no running container is on.
    pub async fn remove_network(&self, name: &str) -> Result<(), Failure> {
        let removed = self.shared.networks.remove(name).await?;
        self.tell_of_network(&removed, "destroy");
        Ok(())
    }

    /// Puts a container on a further network.
    pub async fn connect_network(&self, network: &str, container: &str, endpoint: &EndpointSpec) -> Result<(), Failure> {
        let network = self.shared.networks.get(network)?;
        let container = self.shared.containers.find(container)?;
        let endpoint = endpoint.clone();
        self.whole(move |engine| async move { engine.connect_to(&container, &network, &endpoint).await }).await
    }

    /// Takes a container off a network; `force` forgives one that is not on it.
    pub async fn disconnect_network(&self, network: &str, container: &str, force: bool) -> Result<(), Failure> {
        let network = self.shared.networks.get(network)?;
        let container = match self.shared.containers.find(container) {
            Err(error) if force && error.kind == FailureKind::NotFound => return Ok(()),
            found => found?,
        };
        self.whole(move |engine| async move { engine.disconnect_from(&container, &network, force).await }).await
    }

    /// Removes every network that no running container is on and that the filters select; returns their names.
    pub async fn prune_networks(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, Failure> {
        let filters = Filters::of(filters, &["label", "label!", "until"])?;
        let until = filters.until()?;
        let mut names = Vec::new();
        for network in self.shared.networks.list() {
            let wanted = !is_predefined(&network)
                && network.containers.is_empty()
                && until.is_none_or(|until| network.created < until)
                && filters.labels(&network.spec.labels);
            if !wanted {
                continue;
            }
            match self.shared.networks.remove(&network.id.to_string()).await {
                Ok(removed) => {
                    self.tell_of_network(&removed, "destroy");
                    names.push(removed.name.to_string());
                }
                // A container came to it meanwhile, or somebody else removed it.
                Err(error) => tracing::debug!(%error, network = %network.name, "a network is left alone"),
            }
        }
        self.tell_prune(EventKind::Network, 0);
        Ok(names)
    }

    fn tell_of_network(&self, network: &NetworkInfo, action: &str) {
        let attributes = [("name", network.name.to_string()), ("type", driver_of(network).to_owned())];
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.shared.ring.emit(EventKind::Network, action, &network.id.to_string(), attributes);
    }
}

fn is_predefined(network: &NetworkInfo) -> bool {
    is_predefined_name(network.name.as_str())
}

fn is_predefined_name(name: &str) -> bool {
    PREDEFINED.contains(&name)
}

/// Refuses the drivers that cannot be had, in dockerd's words; of others that dockerd has the network itself says so.
fn refuse_driver(driver: &str) -> Result<(), Failure> {
    match driver {
        "host" | "null" => Err(Failure::denied(format!("only one instance of {driver:?} network is allowed"))),
        "overlay" => Err(Failure::denied(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try \
             again.",
        )),
        "" | "default" | "bridge" | "macvlan" | "ipvlan" => Ok(()),
        other => Err(Failure::not_found(format!("plugin {other:?} not found"))),
    }
}

fn driver_of(network: &NetworkInfo) -> &str {
    if network.spec.driver.is_empty() { "bridge" } else { &network.spec.driver }
}
