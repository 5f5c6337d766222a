//! Kernel parameters: which of them a container can have of its own.

/// The namespace whose copy of a parameter a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysctlNamespace {
    /// System V objects and message queues.
    Ipc,
    /// The network.
    Net,
    /// The domain name.
    Uts,
}

/// The parameters of System V objects.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// Returns the namespace a parameter belongs to; none where it is the whole machine's, and the host name, which has an attribute of its
/// own. Parameters are named as sysctl(8) does, with dots or with slashes between.
pub fn namespace_of(name: &str) -> Option<SysctlNamespace> {
    let path = path_of(name);
    // A part that is no name could lead from here to a parameter of the machine.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    match path.as_str() {
        "kernel/domainname" => Some(SysctlNamespace::Uts),
        path if IPC.contains(&path) || path.starts_with("fs/mqueue/") => Some(SysctlNamespace::Ipc),
        path if path.starts_with("net/") => Some(SysctlNamespace::Net),
        _ => None,
    }
}

/// Where a parameter lies below `/proc/sys`: `net.ipv4.conf.eth0/100.arp_filter` at `net/ipv4/conf/eth0.100/arp_filter`, since sysctl(8)
/// swaps the two signs.
pub fn path_of(name: &str) -> String {
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
    fn only_parameters_of_namespaces_are_a_containers_own() {
        let check = |name, expect| assert_eq!(namespace_of(name), expect, "{name}");
        check("net.core.somaxconn", Some(SysctlNamespace::Net));
        check("net/ipv4/conf/eth0.1/forwarding", Some(SysctlNamespace::Net));
        check("kernel.shmmax", Some(SysctlNamespace::Ipc));
        check("fs.mqueue.msg_max", Some(SysctlNamespace::Ipc));
        check("kernel.domainname", Some(SysctlNamespace::Uts));
        check("net.ipv4.conf.eth0/1.forwarding", Some(SysctlNamespace::Net));
        for name in
            ["net/../vm/swappiness", "net.//.vm.swappiness", "net.", "net..core", "net//core", "net/./core", "/net/core", ".net.core"]
        {
            check(name, None);
        }
        for name in ["vm.swappiness", "kernel.panic", "kernel.hostname", "fs.file-max", "net", "", "kernel"] {
            check(name, None);
        }
    }
    #[test]
    fn a_parameter_is_a_path() {
        let check = |name, expect| assert_eq!(path_of(name), expect, "{name}");
        check("net.core.somaxconn", "net/core/somaxconn");
        check("net/core/somaxconn", "net/core/somaxconn");
        check("net.ipv4.conf.eth0/100.arp_filter", "net/ipv4/conf/eth0.100/arp_filter");
    }
}
