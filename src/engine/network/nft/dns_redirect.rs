//! The redirect of port 53 of 127.0.0.11 inside a container's namespace.
//!
//! The sockets themselves are at high ports, so that an image which serves port 53 of every address still starts.

use std::net::Ipv4Addr;

use crate::engine::network::nft::batch::{Batch, Family, Hook};
use crate::engine::network::nft::expression::{Expressions, Field, Meta, REGISTER};

/// Docker's resolver; many images have it hard-coded.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

const TABLE: &str = "gantry-dns";

/// The batch that a container's init sends on a `NETLINK_NETFILTER` socket of its own, in one `send`.
///
/// Exactly one acknowledgement comes back when all of it took effect; otherwise the first answer carries the error, and nothing did.
pub fn dns_redirect(udp_port: u16, tcp_port: u16) -> Vec<u8> {
    let mut batch = Batch::new();
    batch.add_table(Family::Ip, TABLE);
    batch.add_base_chain(Family::Ip, TABLE, "output", "nat", Hook::Output, -100);
    for (protocol, port) in [(17_u8, udp_port), (6, tcp_port)] {
        let rule = Expressions::new()
            .payload(Field::DESTINATION4, REGISTER)
            .equal(&RESOLVER.octets())
            .meta(Meta::TransportProtocol, REGISTER)
            .equal(&[protocol])
            .payload(Field::DESTINATION_PORT, REGISTER)
            .equal(&53_u16.to_be_bytes())
            .destination_nat_to(RESOLVER, port);
        batch.add_rule(Family::Ip, TABLE, "output", rule);
    }
    batch.finish().0
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;
    use crate::engine::network::netlink::socket::Socket;
    use crate::engine::network::test_namespace::in_namespace;

    #[test]
    fn a_lookup_at_port_53_reaches_the_high_port() {
        in_namespace(|| {
            let udp = UdpSocket::bind((RESOLVER, 0)).expect("binds");
            let tcp = TcpListener::bind((RESOLVER, 0)).expect("binds");
            let ports = (udp.local_addr().expect("has one").port(), tcp.local_addr().expect("has one").port());
            Socket::open(12).expect("opens").request(&dns_redirect(ports.0, ports.1), 4).expect("is accepted");

            let client = UdpSocket::bind("127.0.0.1:0").expect("binds");
            client.connect((RESOLVER, 53)).expect("connects");
            client.send(b"question").expect("goes out");
            let mut buffer = [0; 16];
            let (length, from) = udp.recv_from(&mut buffer).expect("arrives");
            assert_eq!(&buffer[..length], b"question");
            udp.send_to(b"answer", from).expect("goes back");
            assert_eq!(client.recv(&mut buffer).expect("comes from port 53"), 6);

            TcpStream::connect((RESOLVER, 53)).expect("is redirected");
            tcp.accept().expect("arrives");
        });
    }
}
