//! Init's own end of the network: it sends what the engine prepared on sockets of its own, inside its namespace.

use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Ipv4Addr, Protocol, RecvFlags, SendFlags, SocketAddrV4, SocketFlags, SocketType};

use crate::engine::runtime::error::{Errno, LaunchError};

/// Every container asks here for names; many images have it written down.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// `nlmsghdr`.
const HEADER: usize = 16;

/// Brings up `lo`, the first interface of every network namespace.
pub(super) fn loopback_up() -> Result<(), LaunchError> {
    const RTM_NEWLINK: u16 = 16;
    let mut request = Vec::with_capacity(32);
    request.extend(32u32.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    // NLM_F_REQUEST | NLM_F_ACK.
    request.extend(5u16.to_ne_bytes());
    request.extend(1u32.to_ne_bytes());
    request.extend(0u32.to_ne_bytes());
    // ifinfomsg: any family, any type, interface 1, flags and mask IFF_UP.
    request.extend([0; 4]);
    request.extend(1i32.to_ne_bytes());
    request.extend(1u32.to_ne_bytes());
    request.extend(1u32.to_ne_bytes());
    send(None, &request).map_err(|error| LaunchError::step("bring up the loopback interface", error))
}

/// The sockets on which the engine answers for 127.0.0.11: datagram, and listening stream. Not on port 53, which an image may want to
/// serve itself; the engine's rules lead there.
pub(super) fn dns_sockets() -> Result<(OwnedFd, OwnedFd), LaunchError> {
    let failed = |error| LaunchError::step("make the sockets at 127.0.0.11", error);
    let make = |kind| {
        let socket = rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(NAME_SERVER, 0))?;
        Ok(socket)
    };
    let udp = make(SocketType::DGRAM).map_err(failed)?;
    let tcp = make(SocketType::STREAM).map_err(failed)?;
    rustix::net::listen(&tcp, 64).map_err(failed)?;
    Ok((udp, tcp))
}

/// Addresses and routes.
pub(super) fn send_route(requests: &[u8]) -> Result<(), LaunchError> {
    send(None, requests).map_err(|error| LaunchError::step("set up the container's addresses and routes", error))
}

/// The redirect of port 53.
pub(super) fn send_netfilter(batch: &[u8]) -> Result<(), LaunchError> {
    send(Some(netlink::NETFILTER), batch).map_err(|error| LaunchError::step("redirect port 53 of 127.0.0.11 (nf_tables)", error))
}

/// Sends requests as they are, to `NETLINK_ROUTE` (protocol 0, thus `None`) or another protocol, and waits for the acknowledgement of each that asks for one.
fn send(protocol: Option<Protocol>, requests: &[u8]) -> Result<(), Errno> {
    let mut expected = acknowledgements(requests);
    if requests.is_empty() {
        return Ok(());
    }
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    rustix::net::sendto(&socket, requests, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    while expected > 0 {
        let answers = receive(&socket)?;
        for message in messages(&answers) {
            match error_of(message) {
                Some(0) => expected -= 1,
                Some(error) => return Err(Errno(-error)),
                None => {}
            }
        }
    }
    Ok(())
}

fn receive(socket: impl AsFd) -> Result<Vec<u8>, Errno> {
    // Not filled with zeros: only the pages of a long answer are touched.
    let mut answers = Vec::with_capacity(32 << 10);
    rustix::io::retry_on_intr(|| rustix::net::recv(&socket, spare_capacity(&mut answers), RecvFlags::empty()))?;
    Ok(answers)
}

/// How many of the requests ask for an acknowledgement (`NLM_F_ACK`).
fn acknowledgements(requests: &[u8]) -> usize {
    messages(requests).filter(|message| u16::from_ne_bytes([message[6], message[7]]) & 4 != 0).count()
}

/// The messages in a buffer, each aligned to four bytes.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_ne_bytes([head[0], head[1], head[2], head[3]])).ok()?;
        if length < HEADER || length > bytes.len() {
            return None;
        }
        let message = &bytes[..length];
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

/// The number in an `NLMSG_ERROR`: 0 acknowledges, anything else is a negative error number.
fn error_of(message: &[u8]) -> Option<i32> {
    const NLMSG_ERROR: u16 = 2;
    if u16::from_ne_bytes([message[4], message[5]]) != NLMSG_ERROR {
        return None;
    }
    let number = message.get(HEADER..HEADER + 4)?;
    Some(i32::from_ne_bytes([number[0], number[1], number[2], number[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32, kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn requests_that_ask_for_an_acknowledgement_are_counted() {
        let check = |bytes: Vec<u8>, expect| assert_eq!(acknowledgements(&bytes), expect, "{bytes:?}");
        check(Vec::new(), 0);
        check(message(16, 20, 5, &[]), 1);
        check(message(16, 20, 1, &[]), 0);
        check([message(17, 20, 5, &[0; 4]), message(16, 24, 5, &[])].concat(), 2);
        check(message(15, 20, 5, &[]), 0);
        check(message(64, 20, 5, &[]), 0);
    }

    #[test]
    fn an_error_is_told_from_an_acknowledgement() {
        let check = |bytes: Vec<u8>, expect| assert_eq!(error_of(&bytes), expect, "{bytes:?}");
        check(message(20, 2, 0, &0i32.to_ne_bytes()), Some(0));
        check(message(20, 2, 0, &(-17i32).to_ne_bytes()), Some(-17));
        check(message(20, 16, 0, &[0; 4]), None);
        check(message(16, 2, 0, &[]), None);
    }
}
