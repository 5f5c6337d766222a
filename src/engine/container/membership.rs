//! Which networks a container joins, in the order of its interfaces.

use std::net::IpAddr;

use crate::engine::network::error::NetworkError;
use crate::engine::network::handle::{DEFAULT, Networks};
use crate::resource::container::{ContainerSpec, EndpointSpec, EndpointState, NetworkMode};
use crate::resource::failure::Failure;
use crate::resource::name::NetworkName;
use crate::resource::network::NetworkInfo;

/// A network by its name, and what is wanted there. By name: one that is made again under its name is the same to its containers.
pub(super) type Wanted = (NetworkName, EndpointSpec);

/// The networks of a spec: that of its network mode first, the others by name.
pub(super) fn wanted(spec: &ContainerSpec, networks: &Networks) -> Result<Vec<Wanted>, Failure> {
    choose(spec, |name| networks.get(name))
}

fn choose(spec: &ContainerSpec, find: impl Fn(&str) -> Result<NetworkInfo, NetworkError>) -> Result<Vec<Wanted>, Failure> {
    let primary = match &spec.network {
        // Docker's command line sends what it was given under the mode's own name.
        NetworkMode::None | NetworkMode::Host | NetworkMode::Container(_) => {
            let of_mode = |name: &String| matches!(name.as_str(), "none" | "host") || name.starts_with("container:");
            return match spec.endpoints.keys().find(|name| !of_mode(name)) {
                None => Ok(Vec::new()),
                Some(other) => Err(Failure::invalid(format!(
                    "conflicting options: cannot attach both user-defined and non-user-defined networks: {other}"
                ))),
            };
        }
        NetworkMode::Bridge if spec.endpoints.is_empty() => Some(DEFAULT),
        NetworkMode::Bridge => None,
        NetworkMode::Named(name) => Some(name.as_str()),
    };
    let mut chosen: Vec<Wanted> = Vec::new();
    let mut add = |name: &str, endpoint: &EndpointSpec| -> Result<(), Failure> {
        let found = find(if name == "default" { DEFAULT } else { name })?;
        if matches!(found.name.as_str(), "host" | "none") {
            return Err(Failure::invalid("conflicting options: cannot attach both user-defined and non-user-defined networks"));
        }
        match chosen.iter_mut().find(|(known, _)| *known == found.name) {
            // The mode's network again, now with what is wanted there.
            Some(known) => endpoint.clone_into(&mut known.1),
            None => chosen.push((found.name, endpoint.clone())),
        }
        Ok(())
    };
    if let Some(primary) = primary {
        add(primary, &EndpointSpec::default())?;
    }
    for (name, endpoint) in &spec.endpoints {
        add(name, endpoint)?;
    }
    Ok(chosen)
}

/// What is told of the networks of a container that does not run.
pub(super) fn at_rest(wanted: &[Wanted], networks: &Networks) -> Vec<EndpointState> {
    let rest = |(name, spec): &Wanted| Some(EndpointState::at_rest(networks.get(name.as_str()).ok()?.id, name.as_str(), spec.clone()));
    wanted.iter().filter_map(rest).collect()
}

/// The address that stands for the host: the bridge of the first network that has one.
pub(super) fn host_gateway(endpoints: &[EndpointState], networks: &Networks) -> Option<IpAddr> {
    let of = |state: &EndpointState| {
        let bridge = || networks.get(&state.network.to_string()).ok()?.pools.iter().find_map(|pool| pool.gateway);
        state.gateway.map(IpAddr::V4).or_else(|| state.gateway6.map(IpAddr::V6)).or_else(bridge)
    };
    endpoints.iter().find_map(of)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::resource::id::NetworkId;
    use crate::resource::network::NetworkSpec;
    use crate::resource::time::Timestamp;

    fn find(name: &str) -> Result<NetworkInfo, NetworkError> {
        // Every network is called as it is looked up, and has an id beginning with `id-`.
        let name = name.strip_prefix("id-").unwrap_or(name);
        if name == "nope" {
            return Err(NetworkError::NotFound(name.to_owned()));
        }
        Ok(NetworkInfo {
            id: NetworkId::from_bytes([1; 32]),
            name: name.parse().expect("a name"),
            created: Timestamp::from_nanos(0),
            spec: NetworkSpec::default(),
            pools: Vec::new(),
            bridge: String::new(),
            containers: Vec::new(),
        })
    }

    fn check(network: NetworkMode, endpoints: &[&str], expected: Result<&str, &str>) {
        let endpoint = |name: &&str| ((*name).to_owned(), EndpointSpec { aliases: vec![(*name).to_owned()], ..EndpointSpec::default() });
        let endpoints: BTreeMap<String, EndpointSpec> = endpoints.iter().map(endpoint).collect();
        let chosen = choose(&ContainerSpec { network, endpoints, ..ContainerSpec::default() }, find);
        let text = |chosen: Vec<Wanted>| {
            chosen.iter().map(|(name, endpoint)| format!("{name}[{}]", endpoint.aliases.join(","))).collect::<Vec<_>>().join(" ")
        };
        let found = chosen.map(text).map_err(|failure| failure.message);
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn the_networks_of_a_spec() {
        check(NetworkMode::Bridge, &[], Ok("bridge[]"));
        check(NetworkMode::Bridge, &["default"], Ok("bridge[default]"));
        check(NetworkMode::Bridge, &["back", "front"], Ok("back[back] front[front]"));
        check(NetworkMode::Named("front".to_owned()), &["back", "id-front"], Ok("front[id-front] back[back]"));
        check(NetworkMode::Named("nope".to_owned()), &[], Err("network nope not found"));
        check(NetworkMode::Host, &["host"], Ok(""));
        check(NetworkMode::None, &[], Ok(""));
        let both = "conflicting options: cannot attach both user-defined and non-user-defined networks: back";
        check(NetworkMode::Host, &["back"], Err(both));
    }
}
