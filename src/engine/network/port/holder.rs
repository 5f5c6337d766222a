//! Who has a port: from the kernel's tables of sockets to the process that holds one open.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::resource::container::Protocol;

/// The process that keeps `wanted` from being bound, as it is told: ` by nginx (pid 4711)`; nothing when it cannot be seen.
pub(super) fn holder(protocol: Protocol, wanted: SocketAddr) -> String {
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
    process_with(&inodes).map(|(process, name)| format!(" by {name} (pid {process})")).unwrap_or_default()
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    address: SocketAddr,
    listens: bool,
    inode: u64,
}

fn clashes(protocol: Protocol, line: &Line, wanted: SocketAddr) -> bool {
    let (one, other) = (line.address.ip(), wanted.ip());
    let same = one == other
        || one.is_unspecified() && (one.is_ipv6() || other.is_ipv4())
        || other.is_unspecified() && (other.is_ipv6() || one.is_ipv4());
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
            let expect = format!("(pid {})", std::process::id());
            assert!(holder(Protocol::Tcp, address).ends_with(&expect));
            let every = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            assert!(holder(Protocol::Tcp, every).ends_with(&expect));
            assert_eq!(holder(Protocol::Udp, address), "");
        });
    }
}
