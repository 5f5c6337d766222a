//! Kernel parameters of a container's namespaces.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;

use crate::engine::runtime::beneath;
use crate::engine::runtime::error::{Errno, LaunchError};

/// Writes them into a `/proc/sys` that nothing has been mounted over (a covered file would swallow them, CVE-2025-52881).
pub(super) fn apply(parameters: BorrowedFd<'_>, sysctls: &BTreeMap<String, String>) -> Result<(), LaunchError> {
    for (name, value) in sysctls {
        write(parameters, name, value)
            .map_err(|error| LaunchError::step(format!("set the kernel parameter {name} to `{value}`"), error))?;
    }
    Ok(())
}

fn write(parameters: BorrowedFd<'_>, name: &str, value: &str) -> Result<(), Errno> {
    let file = beneath::open_plain(parameters, path(name), OFlags::WRONLY)?;
    rustix::io::write(&file, value.as_bytes())?;
    Ok(())
}

/// `net.ipv4.conf.eth0/100.arp_filter` is `net/ipv4/conf/eth0.100/arp_filter`: sysctl(8) swaps the two signs.
fn path(name: &str) -> String {
    if name.split(['.', '/']).next().is_some_and(|first| name[first.len()..].starts_with('/')) {
        return name.to_owned();
    }
    name.chars()
        .map(|letter| match letter {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_path() {
        let check = |name, expect| assert_eq!(path(name), expect, "{name}");
        check("net.core.somaxconn", "net/core/somaxconn");
        check("net/core/somaxconn", "net/core/somaxconn");
        check("net.ipv4.conf.eth0/100.arp_filter", "net/ipv4/conf/eth0.100/arp_filter");
    }
}
