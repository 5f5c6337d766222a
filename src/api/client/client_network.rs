//! The client's verbs on networks.

use std::collections::BTreeMap;

use crate::api::client::Client;
use crate::api::client::call::{Call, segment};
use crate::api::wire::answer::{self, Pruned};
use crate::api::wire::network;
use crate::resource::container::EndpointSpec;
use crate::resource::failure::Failure;
use crate::resource::id::NetworkId;
use crate::resource::network::{NetworkInfo, NetworkSpec};

impl Client {
    /// Returns the networks that filters (`name`, `id`, `label`, `driver`, `type`, `scope`, `dangling`) select. The containers on them
    /// are not told here.
    pub async fn networks(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<NetworkInfo>, Failure> {
        let lines = self.transport.send(&Call::get("/networks").filters(filters)).await?.list().await?;
        Ok(lines.into_iter().map(network::from_json).collect::<Result<_, _>>()?)
    }

    /// Returns a network by name, id or unambiguous start of an id.
    pub async fn network(&self, name: &str) -> Result<NetworkInfo, Failure> {
        let call = Call::get(format!("/networks/{}", segment(name)));
        Ok(network::from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Makes a network.
    pub async fn create_network(&self, name: &str, spec: &NetworkSpec) -> Result<NetworkId, Failure> {
        let call = Call::post("/networks/create").json(&network::create_to_json(name, spec));
        Ok(answer::created_from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Removes a network that no running container is on.
    pub async fn remove_network(&self, name: &str) -> Result<(), Failure> {
        self.change(Call::delete(format!("/networks/{}", segment(name)))).await
    }

    /// Puts a container on a further network.
    pub async fn connect_network(&self, network: &str, container: &str, endpoint: &EndpointSpec) -> Result<(), Failure> {
        let call = Call::post(format!("/networks/{}/connect", segment(network)));
        self.change(call.json(&network::connect_to_json(container, endpoint))).await
    }

    /// Takes a container off a network; `force` forgives one that is not on it.
    pub async fn disconnect_network(&self, network: &str, container: &str, force: bool) -> Result<(), Failure> {
        let call = Call::post(format!("/networks/{}/disconnect", segment(network)));
        self.change(call.json(&network::disconnect_to_json(container, force))).await
    }

    /// Removes every network that no container is on and that the filters select; returns their names.
    pub async fn prune_networks(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, Failure> {
        let body = self.transport.send(&Call::post("/networks/prune").filters(filters)).await?.json().await?;
        Ok(answer::prune_from_json(Pruned::Networks, body)?.0)
    }
}
