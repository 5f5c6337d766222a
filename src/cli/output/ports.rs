//! Ports of a container as Docker lists them: sorted, neighbours joined to ranges.

use std::net::IpAddr;

use crate::resource::container::{ContainerInfo, Protocol};

/// A port of a container: published, or only exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListedPort {
    /// The port inside.
    pub(crate) target: u16,
    /// The address on the host, if it is published.
    pub(crate) host: Option<IpAddr>,
    /// The port on the host; 0 when it is not published.
    pub(crate) published: u16,
    /// The protocol.
    pub(crate) protocol: Protocol,
}

/// The ports of a container; those that are only exposed are listed while it runs.
pub(crate) fn of(info: &ContainerInfo) -> Vec<ListedPort> {
    let published = info.published.iter().map(|port| ListedPort {
        target: port.container.port,
        host: Some(port.host_ip),
        published: port.host_port,
        protocol: port.container.protocol,
    });
    let shows = info.state.is_running() && info.spec.network.has_ports();
    let exposed = info.effective.exposed.iter().filter(|port| shows && !info.published.iter().any(|it| it.container == **port));
    let exposed = exposed.map(|port| ListedPort { target: port.port, host: None, published: 0, protocol: port.protocol });
    let mut ports: Vec<ListedPort> = published.chain(exposed).collect();
    ports.sort_by_key(|port| (port.target, port.host.map(|host| host.to_string()), port.published, port.protocol));
    ports
}

/// `0.0.0.0:8080->80/tcp, 53/udp`: Docker's `DisplayablePorts`, of sorted ports.
pub(crate) fn render(ports: &[ListedPort]) -> String {
    let mut done = Vec::new();
    let mut mapped = Vec::new();
    // Ranges that may grow, each for an address and a protocol, in the order of their first port.
    let mut groups: Vec<(Option<IpAddr>, Protocol, u16, u16)> = Vec::new();
    for port in ports {
        if let Some(host) = port.host.filter(|_| port.published != port.target) {
            mapped.push(format!("{}->{}/{}", joined(host, &port.published.to_string()), port.target, port.protocol.as_str()));
            continue;
        }
        match groups.iter_mut().find(|group| (group.0, group.1) == (port.host, port.protocol)) {
            None => groups.push((port.host, port.protocol, port.target, port.target)),
            Some(group) if group.3.checked_add(1) == Some(port.target) => group.3 = port.target,
            Some(group) => {
                done.push(range(*group));
                (group.2, group.3) = (port.target, port.target);
            }
        }
    }
    done.extend(groups.into_iter().map(range));
    done.extend(mapped);
    done.join(", ")
}

fn range((host, protocol, first, last): (Option<IpAddr>, Protocol, u16, u16)) -> String {
    let numbers = if first == last { first.to_string() } else { format!("{first}-{last}") };
    match host {
        Some(host) => format!("{}->{numbers}/{}", joined(host, &numbers), protocol.as_str()),
        None => format!("{numbers}/{}", protocol.as_str()),
    }
}

fn joined(host: IpAddr, port: &str) -> String {
    match host {
        IpAddr::V4(host) => format!("{host}:{port}"),
        IpAddr::V6(host) => format!("[{host}]:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_listed_as_docker_does() {
        let port = |text: &str| {
            let (host, target) = text.split_once('>').unwrap_or(("", text));
            let (address, published) = host.rsplit_once(':').unwrap_or(("", "0"));
            ListedPort {
                target: target.parse().expect("a port"),
                host: (!address.is_empty()).then(|| address.parse().expect("an address")),
                published: published.parse().expect("a port"),
                protocol: Protocol::Tcp,
            }
        };
        for (ports, expect) in [
            (vec![], ""),
            (vec!["80"], "80/tcp"),
            (vec!["80", "81", "83"], "80-81/tcp, 83/tcp"),
            (vec!["0.0.0.0:8080>80", ":::8080>80"], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
            (vec!["0.0.0.0:80>80", ":::80>80", "0.0.0.0:81>81", ":::81>81"], "0.0.0.0:80-81->80-81/tcp, [::]:80-81->80-81/tcp"),
            (vec!["53", "127.0.0.1:9000>80", "0.0.0.0:90>90"], "53/tcp, 0.0.0.0:90->90/tcp, 127.0.0.1:9000->80/tcp"),
        ] {
            let ports: Vec<ListedPort> = ports.into_iter().map(port).collect();
            assert_eq!(render(&ports), expect);
        }
    }
}
