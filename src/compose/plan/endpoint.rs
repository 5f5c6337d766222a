//! Where the network of a service's container lives, and what it is called and wants on each network.

use std::collections::BTreeMap;

use crate::compose::plan::known::{self, Known};
use crate::compose::project::model::{Project, Service};
use crate::compose::project::other::{Link, Other, ServiceNetworkMode};
use crate::resource::container::{EndpointSpec, NetworkMode};

/// The network mode and the endpoints of a service's containers; as the file writes them where nothing is `known`.
pub(super) fn of(project: &Project, service: &Service, known: Option<&Known>) -> (NetworkMode, BTreeMap<String, EndpointSpec>) {
    let mode = match &service.network_mode {
        ServiceNetworkMode::Networks => return on_networks(project, service, known),
        ServiceNetworkMode::Bridge => NetworkMode::Bridge,
        ServiceNetworkMode::None => NetworkMode::None,
        ServiceNetworkMode::Host => NetworkMode::Host,
        ServiceNetworkMode::With(other) => NetworkMode::Container(container(other, known)),
        ServiceNetworkMode::Named(name) => NetworkMode::Named(name.clone()),
    };
    (mode, BTreeMap::new())
}

/// Another container: by its name where that is known, else as it is written.
pub(super) fn container(other: &Other, known: Option<&Known>) -> String {
    known.map_or_else(|| known::written(other), |known| known.container(other))
}

fn on_networks(project: &Project, service: &Service, known: Option<&Known>) -> (NetworkMode, BTreeMap<String, EndpointSpec>) {
    let links = links(project, service, known);
    let mut mode = NetworkMode::None;
    let mut endpoints = BTreeMap::new();
    for (index, key) in service.networks_in_order().into_iter().enumerate() {
        let Some(network) = project.networks.get(key) else { continue };
        let name = known.map_or(network.name.as_str(), |known| known.network(&network.name));
        // Two networks of every engine are no networks but modes; files name them as external ones.
        let of_mode = match name {
            "host" if network.external => Some(NetworkMode::Host),
            "none" if network.external => Some(NetworkMode::None),
            _ => None,
        };
        if index == 0 {
            mode = of_mode.clone().unwrap_or_else(|| NetworkMode::Named(name.to_owned()));
        }
        if of_mode.is_some() {
            continue;
        }
        let place = &service.networks[key];
        // The engine itself answers to the container's name; the service's name is what makes replicas one.
        let mut aliases = vec![service.name.to_string()];
        aliases.extend(place.aliases.iter().filter(|alias| **alias != *service.name.as_str()).cloned());
        let own_mac = service.mac_address.as_ref().filter(|_| index == 0);
        let endpoint = EndpointSpec {
            aliases,
            links: links.clone(),
            ipv4_address: place.ipv4_address,
            ipv6_address: place.ipv6_address,
            mac_address: place.mac_address.as_ref().or(own_mac).cloned(),
            link_local: place.link_local_ips.clone(),
            interface_name: place.interface_name.clone(),
            gateway_priority: place.gw_priority,
        };
        endpoints.insert(name.to_owned(), endpoint);
    }
    (mode, endpoints)
}

/// Pairs of a container and a name for it. A service's containers have three each, as Docker Compose gives them: the alias, and the
/// container's number behind the service's name and behind the project's.
fn links(project: &Project, service: &Service, known: Option<&Known>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for Link { to, alias } in &service.links {
        let (Other::Service(target), Some(known)) = (to, known) else {
            pairs.push((known::written(to), alias.clone()));
            continue;
        };
        for name in known.of(target) {
            // A container with a name of its own is the only one, whatever that ends with.
            let is_named = project.services.get(target).is_some_and(|it| it.container_name.is_some());
            let counted = name.as_str().rsplit_once('-').and_then(|(_, number)| number.parse().ok());
            let number: u32 = counted.filter(|_| !is_named).unwrap_or(1);
            pairs.push((name.to_string(), alias.clone()));
            pairs.push((name.to_string(), format!("{target}-{number}")));
            pairs.push((name.to_string(), format!("{}-{target}-{number}", project.name)));
        }
    }
    pairs
}
