//! Which ports of the host a container gets, and the sockets that hold them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::engine::network::error::NetworkError;
use crate::engine::network::port::holder::holder;
use crate::engine::network::port::socket::{Bound, bind_port};
use crate::resource::container::{PortBinding, Protocol, PublishedPort};

/// How often a port chosen by the kernel for one IP version may be taken in the other.
const ATTEMPTS: u32 = 64;

/// A binding that was granted.
#[derive(Debug)]
pub(super) struct Granted {
    /// One for each address.
    pub(super) published: Vec<PublishedPort>,
    /// Their sockets; none for SCTP.
    pub(super) sockets: Vec<Bound>,
}

/// Binds the first port of the wanted range that is free on every wanted address. `taken` knows what other containers have, for the
/// messages and for SCTP.
pub(super) fn grant(
    binding: &PortBinding,
    default_address: Option<IpAddr>,
    taken: &dyn Fn(Protocol, SocketAddr) -> Option<String>,
) -> Result<Granted, NetworkError> {
    let addresses = match binding.host_ip.or(default_address) {
        Some(address) => vec![address],
        None => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    };
    let (first, last) = match (binding.host_port, binding.host_port_end) {
        (0, _) if binding.container.protocol == Protocol::Sctp => (49153, u16::MAX),
        (first, last) => (first, last.max(first)),
    };
    let mut refused = None;
    for port in first..=last {
        let attempts = if port == 0 { ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            match grant_port(binding, &addresses, port, taken) {
                Ok(granted) => return Ok(granted),
                Err(Refusal::Fatal(error)) => return Err(error),
                Err(Refusal::InUse(error)) => refused = refused.or(Some(error)),
            }
        }
    }
    Err(match refused {
        Some(NetworkError::PortInUse { port, .. }) if last > first => NetworkError::PortInUse {
            port,
            address: format!("every port of {}", SocketAddr::new(addresses[0], first)) + &format!("-{last}"),
            holder: String::new(),
        },
        Some(error) => error,
        None => unreachable!("a range has at least one port, and each is granted or refused"),
    })
}

enum Refusal {
    InUse(NetworkError),
    Fatal(NetworkError),
}

fn grant_port(
    binding: &PortBinding,
    addresses: &[IpAddr],
    port: u16,
    taken: &dyn Fn(Protocol, SocketAddr) -> Option<String>,
) -> Result<Granted, Refusal> {
    let protocol = binding.container.protocol;
    let mut granted = Granted { published: Vec::new(), sockets: Vec::new() };
    let mut port = port;
    for address in addresses {
        let wanted = SocketAddr::new(*address, port);
        if protocol == Protocol::Sctp {
            if let Some(other) = taken(protocol, wanted) {
                return Err(Refusal::InUse(in_use(binding, wanted, format!(" by container {other}"))));
            }
        } else {
            match bind_port(protocol, wanted) {
                Ok(bound) => {
                    port = bound.address.port();
                    granted.sockets.push(bound);
                }
                // A host without IPv6 still has the v4 half of "every address".
                Err(error) if addresses.len() > 1 && address.is_ipv6() && lacks_family(&error) => continue,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    let by = taken(protocol, wanted).map_or_else(|| holder(protocol, wanted), |other| format!(" by container {other}"));
                    return Err(Refusal::InUse(in_use(binding, wanted, by)));
                }
                Err(source) => {
                    let (port, address) = (binding.container.to_string(), wanted.to_string());
                    return Err(Refusal::Fatal(NetworkError::PortBind { port, address, source }));
                }
            }
        }
        granted.published.push(PublishedPort { container: binding.container, host_ip: *address, host_port: port });
    }
    Ok(granted)
}

fn in_use(binding: &PortBinding, wanted: SocketAddr, holder: String) -> NetworkError {
    NetworkError::PortInUse { port: binding.container.to_string(), address: wanted.to_string(), holder }
}

fn lacks_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::engine::network::test_namespace::in_namespace;
    use crate::resource::container::ContainerPort;

    fn binding(ip: Option<&str>, first: u16, last: u16) -> PortBinding {
        PortBinding {
            container: ContainerPort { port: 80, protocol: Protocol::Tcp },
            host_ip: ip.map(|text| text.parse().expect("an address")),
            host_port: first,
            host_port_end: last,
        }
    }

    fn free(_: Protocol, _: SocketAddr) -> Option<String> {
        None
    }

    #[test]
    fn every_address_is_bound_at_one_port() {
        in_namespace(|| {
            let granted = grant(&binding(None, 0, 0), None, &free).expect("is granted");
            assert_eq!(granted.published.len(), 2);
            assert_eq!(granted.published[0].host_port, granted.published[1].host_port);
            assert_ne!(granted.published[0].host_port, 0);
        });
    }

    #[test]
    fn a_range_gives_its_first_free_port_and_a_clash_names_the_holder() {
        in_namespace(|| {
            let _taken = TcpListener::bind("0.0.0.0:8000").expect("binds");
            let granted = grant(&binding(None, 8000, 8002), None, &free).expect("is granted");
            assert_eq!(granted.published[0].host_port, 8001);
            let error = grant(&binding(None, 8000, 8000), None, &free).expect_err("is taken");
            // What this process holds it holds for a container.
            assert_eq!(error.to_string(), "cannot publish 80/tcp: 0.0.0.0:8000 is already in use by another container");
            let error = grant(&binding(None, 8000, 8001), None, &free).expect_err("all are taken");
            assert_eq!(error.to_string(), "cannot publish 80/tcp: every port of 0.0.0.0:8000-8001 is already in use");
            let other = |_: Protocol, _: SocketAddr| Some("web".to_owned());
            let error = grant(&binding(Some("127.0.0.1"), 8001, 8001), None, &other).expect_err("is taken");
            assert_eq!(error.to_string(), "cannot publish 80/tcp: 127.0.0.1:8001 is already in use by container web");
        });
    }
}
