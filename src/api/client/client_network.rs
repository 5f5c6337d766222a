//! The client's verbs on networks.

use std::collections::BTreeMap;

use crate::api::client::Client;
use crate::resource::container::EndpointSpec;
use crate::resource::failure::Failure;
use crate::resource::id::NetworkId;
use crate::resource::network::{NetworkInfo, NetworkSpec};

impl Client {
    /// Returns the networks that filters (`name`, `id`, `label`, `driver`, `type`, `scope`, `dangling`) select.
    pub async fn networks(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<NetworkInfo>, Failure> {
        todo!("{filters:?}")
    }

    /// Returns a network by name, id or unambiguous start of an id.
    pub async fn network(&self, name: &str) -> Result<NetworkInfo, Failure> {
        todo!("{name}")
    }

    /// Makes a network.
    pub async fn create_network(&self, name: &str, spec: &NetworkSpec) -> Result<NetworkId, Failure> {
        todo!("{name} {spec:?}")
    }

    /// Removes a network that no running container is on.
    pub async fn remove_network(&self, name: &str) -> Result<(), Failure> {
        todo!("{name}")
    }

    /// Puts a container on a further network.
    pub async fn connect_network(&self, network: &str, container: &str, endpoint: &EndpointSpec) -> Result<(), Failure> {
        todo!("{network} {container} {endpoint:?}")
    }

    /// Takes a container off a network; `force` forgives one that is not on it.
    pub async fn disconnect_network(&self, network: &str, container: &str, force: bool) -> Result<(), Failure> {
        todo!("{network} {container} {force}")
    }

    /// Removes every network that no container is on and that the filters select; returns their names.
    pub async fn prune_networks(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, Failure> {
        todo!("{filters:?}")
    }
}
