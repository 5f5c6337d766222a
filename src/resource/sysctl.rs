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
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Returns the namespace a parameter belongs to; none where it is the whole machine's, and the host name, which has an attribute of its
/// own. Parameters are named as sysctl(8) does, with dots or with slashes between.
pub fn namespace_of(name: &str) -> Option<SysctlNamespace> {
    let slashes = name.split(['.', '/']).next().is_some_and(|first| name[first.len()..].starts_with('/'));
    let dotted = if slashes { name.replace('/', ".") } else { name.to_owned() };
    match dotted.as_str() {
        "kernel.domainname" => Some(SysctlNamespace::Uts),
        name if IPC.contains(&name) || name.starts_with("fs.mqueue.") => Some(SysctlNamespace::Ipc),
        name if name.starts_with("net.") => Some(SysctlNamespace::Net),
        _ => None,
    }
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
        for name in ["vm.swappiness", "kernel.panic", "kernel.hostname", "fs.file-max", "net", "", "kernel"] {
            check(name, None);
        }
    }
}
