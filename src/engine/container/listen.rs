//! Whether a container listens where others can reach it, read from its network namespace.

use std::collections::BTreeSet;
use std::path::Path;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Whether one of the TCP ports is listened on at an address other than loopback, in the network namespace of a process. `proc` is `/proc`.
pub(super) fn is_reachable(proc: &Path, pid: i32, ports: &BTreeSet<u16>) -> bool {
    ["tcp", "tcp6"].iter().any(|table| {
        let path = proc.join(pid.to_string()).join("net").join(table);
        std::fs::read_to_string(path).is_ok_and(|text| text.lines().skip(1).any(|line| listens(line, ports)))
    })
}

/// Reads a line: `0: 0100007F:0050 00000000:0000 0A …`.
fn listens(line: &str, ports: &BTreeSet<u16>) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let (Some(local), Some(LISTEN)) = (fields.next(), fields.nth(1)) else { return false };
    let Some((address, port)) = local.split_once(':') else { return false };
    u16::from_str_radix(port, 16).is_ok_and(|port| ports.contains(&port)) && !is_loopback(address)
}

/// Addresses are written in words of the machine's byte order, the first byte last.
fn is_loopback(address: &str) -> bool {
    let v4 = match address.strip_prefix("0000000000000000FFFF0000") {
        Some(mapped) => mapped,
        None => address,
    };
    match v4.len() {
        8 => v4.ends_with("7F"),
        _ => address == "00000000000000000000000001000000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_does_not_count() {
        let check = |local: &str, state: &str, expected: bool| {
            let line =
                format!("   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0");
            assert_eq!(listens(&line, &BTreeSet::from([80, 443])), expected, "{local} {state}");
        };
        check("00000000:0050", "0A", true);
        check("020011AC:01BB", "0A", true);
        check("0100007F:0050", "0A", false);
        check("0B00007F:0050", "0A", false);
        check("00000000:0051", "0A", false);
        check("00000000:0050", "01", false);
        check("00000000000000000000000000000000:0050", "0A", true);
        check("00000000000000000000000001000000:0050", "0A", false);
        check("0000000000000000FFFF00000100007F:0050", "0A", false);
        check("0000000000000000FFFF0000020011AC:0050", "0A", true);
    }
}
