//! Who has a port: from the kernel's tables of sockets to the process that holds one open.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::resource::container::Protocol;

/// Who keeps `wanted` from being bound, as it is told: ` by nginx (pid 4711)`; nothing when it cannot be seen.
pub(super) fn holder(protocol: Protocol, wanted: SocketAddr) -> String {
    let ours = [Some(std::process::id()), rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs())];
    match process(protocol, wanted) {
        // The engine, or its keeper, for a container that is being started at this moment.
        Some((process, _)) if ours.contains(&Some(process)) => " by another container".to_owned(),
        Some((process, name)) => format!(" by {name} (pid {process})"),
        None => String::new(),
    }
}

/// The process that keeps `wanted` from being bound, and its name.
fn process(protocol: Protocol, wanted: SocketAddr) -> Option<(u32, String)> {
    let tables: &[&str] = match protocol {
        Protocol::Tcp => &["tcp", "tcp6"],
        Protocol::Udp => &["udp", "udp6"],
        Protocol::Sctp => &[],
    };
    let inodes: Vec<String> = tables
        .iter()
        // Of this thread: the process as a whole may have begun in another namespace.
        .filter_map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(parse_line).collect::<Vec<_>>())
        .filter(|line| clashes(protocol, line, wanted))
        .map(|line| format!("socket:[{}]", line.inode))
        .collect();
    process_with(&inodes)
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    address: SocketAddr,
    listens: bool,
    inode: u64,
}

fn clashes(protocol: Protocol, line: &Line, wanted: SocketAddr) -> bool {
    let (one, other) = (line.address.ip(), wanted.ip());
    // Ours take one IP version each; what others have at every IPv6 address may take IPv4 along.
    let same = one == other
        || one.is_unspecified() && (one.is_ipv6() || other.is_ipv4())
        || other.is_unspecified() && one.is_ipv6() == other.is_ipv6();
    line.address.port() == wanted.port() && same && (line.listens || protocol == Protocol::Udp)
}

/// A line of `/proc/net/tcp`: addresses are words of this machine in hexadecimal digits.
fn parse_line(line: &str) -> Option<Line> {
    let mut fields = line.split_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (index, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(8 * index)?);
            }
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(Line { address: SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), listens: state == "0A", inode })
}

fn process_with(links: &[String]) -> Option<(u32, String)> {
    if links.is_empty() {
        return None;
    }
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let holds = fs::read_dir(entry.path().join("fd")).ok()?.flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
        });
        let name = || fs::read_to_string(entry.path().join("comm")).ok().map(|name| name.trim_end().to_owned());
        holds.then(|| Some((process, name()?))).flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::engine::network::test_namespace::in_namespace;

    #[test]
    fn a_line_of_the_kernel_is_understood() {
        let line = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0";
        let expect = Line { address: "127.0.0.1:8080".parse().expect("an address"), listens: true, inode: 4711 };
        assert_eq!(parse_line(line), Some(expect));
        let line = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1 0";
        assert_eq!(parse_line(line).map(|line| line.address.to_string()).as_deref(), Some("[::1]:80"));
        assert_eq!(parse_line(""), None);
    }

    #[test]
    fn a_listening_process_is_found() {
        in_namespace(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
            let address = listener.local_addr().expect("has one");
            let found = |protocol, address| process(protocol, address).map(|(process, _)| process);
            assert_eq!(found(Protocol::Tcp, address), Some(std::process::id()));
            let every = |ip: IpAddr| SocketAddr::new(ip, address.port());
            assert_eq!(found(Protocol::Tcp, every(Ipv4Addr::UNSPECIFIED.into())), Some(std::process::id()));
            // What is wanted of IPv6 alone, IPv4 does not take.
            assert_eq!(found(Protocol::Tcp, every(Ipv6Addr::UNSPECIFIED.into())), None);
            assert_eq!(found(Protocol::Udp, address), None);
            assert_eq!(holder(Protocol::Tcp, address), " by another container");
        });
    }
}
