//! Links on the engine's own network: variables that tell a container of those it is linked to, as Docker has set them since before there
//! were networks. (That their names resolve is the network's affair.)

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::engine::Engine;
use crate::engine::container::record::SpecRecord;
use crate::engine::network::handle::DEFAULT;
use crate::resource::container::{ContainerPort, NetworkMode};
use crate::resource::failure::Failure;

impl Engine {
    /// Returns the variables of a container's links; whom it is linked to must run.
    pub(super) fn link_variables(&self, record: &SpecRecord) -> Result<Vec<String>, Failure> {
        let mut variables = Vec::new();
        if record.spec.network != NetworkMode::Bridge || record.spec.remarks.links.is_empty() {
            return Ok(variables);
        }
        for (container, alias) in record.networks.iter().filter(|(name, _)| *name == *DEFAULT).flat_map(|(_, endpoint)| &endpoint.links) {
            let other = self.shared.containers.find(container)?.info();
            let address = other.endpoints.iter().find(|endpoint| endpoint.network_name == DEFAULT).and_then(|endpoint| endpoint.ipv4);
            let name = format!("/{}/{alias}", record.name);
            let Some((address, _)) = address.filter(|_| other.state.is_running()) else {
                return Err(Failure::invalid(format!("Cannot link to a non running container: /{} AS {name}", other.name)));
            };
            variables.extend(told(alias, &name, address, &other.effective.exposed, &other.effective.environment));
        }
        Ok(variables)
    }
}

/// What is told of one container: where each of its ports is, what the link is called, and its own variables.
fn told(alias: &str, name: &str, address: Ipv4Addr, exposed: &BTreeSet<ContainerPort>, environment: &[String]) -> Vec<String> {
    let alias = alias.to_uppercase().replace('-', "_");
    let mut ports: Vec<ContainerPort> = exposed.iter().copied().collect();
    ports.sort_by_key(|port| (port.protocol.as_str() != "tcp", port.protocol.as_str(), port.port));
    let place = |port: &ContainerPort| format!("{}://{address}:{}", port.protocol.as_str(), port.port);
    let prefix = |port: &ContainerPort| format!("{alias}_PORT_{}_{}", port.port, port.protocol.as_str().to_uppercase());
    let mut lines: Vec<String> = ports.first().map(|port| format!("{alias}_PORT={}", place(port))).into_iter().collect();
    for port in &ports {
        let prefix = prefix(port);
        lines.push(format!("{prefix}={}", place(port)));
        lines.push(format!("{prefix}_ADDR={address}"));
        lines.push(format!("{prefix}_PORT={}", port.port));
        lines.push(format!("{prefix}_PROTO={}", port.protocol.as_str()));
    }
    let follows =
        |one: &ContainerPort, other: &ContainerPort| one.protocol == other.protocol && one.port.checked_add(1) == Some(other.port);
    for range in ports.chunk_by(follows) {
        if let [first, .., last] = range {
            let prefix = prefix(first);
            lines.push(format!("{prefix}_START={}", place(first)));
            lines.push(format!("{prefix}_PORT_START={}", first.port));
            lines.push(format!("{prefix}_END={}", place(last)));
            lines.push(format!("{prefix}_PORT_END={}", last.port));
        }
    }
    lines.push(format!("{alias}_NAME={name}"));
    let own = environment.iter().filter_map(|line| line.split_once('=')).filter(|(name, _)| !matches!(*name, "HOME" | "PATH"));
    lines.extend(own.map(|(name, value)| format!("{alias}_ENV_{name}={value}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::container::Protocol;

    #[test]
    fn a_link_tells_of_ports_and_variables() {
        let port = |port, protocol| ContainerPort { port, protocol };
        let exposed = BTreeSet::from([port(81, Protocol::Tcp), port(80, Protocol::Tcp), port(53, Protocol::Udp)]);
        let environment = ["PATH=/bin", "A=b=c", "BARE"].map(str::to_owned);
        let lines = told("my-db", "/web/my-db", Ipv4Addr::new(10, 1, 0, 2), &exposed, &environment);
        let expect = [
            "MY_DB_PORT=tcp://10.1.0.2:80",
            "MY_DB_PORT_80_TCP=tcp://10.1.0.2:80",
            "MY_DB_PORT_80_TCP_ADDR=10.1.0.2",
            "MY_DB_PORT_80_TCP_PORT=80",
            "MY_DB_PORT_80_TCP_PROTO=tcp",
            "MY_DB_PORT_81_TCP=tcp://10.1.0.2:81",
            "MY_DB_PORT_81_TCP_ADDR=10.1.0.2",
            "MY_DB_PORT_81_TCP_PORT=81",
            "MY_DB_PORT_81_TCP_PROTO=tcp",
            "MY_DB_PORT_53_UDP=udp://10.1.0.2:53",
            "MY_DB_PORT_53_UDP_ADDR=10.1.0.2",
            "MY_DB_PORT_53_UDP_PORT=53",
            "MY_DB_PORT_53_UDP_PROTO=udp",
            "MY_DB_PORT_80_TCP_START=tcp://10.1.0.2:80",
            "MY_DB_PORT_80_TCP_PORT_START=80",
            "MY_DB_PORT_80_TCP_END=tcp://10.1.0.2:81",
            "MY_DB_PORT_80_TCP_PORT_END=81",
            "MY_DB_NAME=/web/my-db",
            "MY_DB_ENV_A=b=c",
        ];
        assert_eq!(lines, expect);
    }
}
