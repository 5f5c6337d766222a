//! What of a spec contradicts itself, in Docker's words.

use crate::engine::container::{security, signal};
use crate::resource::container::{ContainerSpec, DeviceRule, IpcMode, NamespaceMode, NetworkMode, Resources, RestartPolicy};
use crate::resource::extra_host;
use crate::resource::failure::Failure;
use crate::resource::sysctl::{self, SysctlNamespace};

/// A container with less memory does not start.
const LEAST_MEMORY: u64 = 6 << 20;

/// Refuses what cannot be.
pub(super) fn spec(spec: &ContainerSpec) -> Result<(), Failure> {
    let refuse = |message: &str| Err(Failure::invalid(message));
    if spec.auto_remove && spec.restart != RestartPolicy::No {
        return refuse("can't create 'AutoRemove' container with restart policy");
    }
    if let NetworkMode::Container(_) = spec.network {
        for (given, what) in [
            (spec.hostname.is_some(), "hostname and the network mode"),
            (!spec.dns.is_empty(), "dns and the network mode"),
            (!spec.extra_hosts.is_empty(), "custom host-to-IP mapping and the network mode"),
            (!spec.ports.is_empty(), "port publishing and the container type network mode"),
            (!spec.exposed.is_empty(), "port exposing and the container type network mode"),
        ] {
            if given {
                return refuse(&format!("conflicting options: {what}"));
            }
        }
    }
    if spec.uts == NamespaceMode::Host && (spec.hostname.is_some() || spec.domainname.is_some()) {
        return refuse("conflicting options: hostname and the UTS mode");
    }
    for (mode, name) in [(&spec.uts, "UTS"), (&spec.cgroup, "cgroup")] {
        if let NamespaceMode::Container(_) = mode {
            return refuse(&format!("invalid {name} mode: a container cannot share the {name} namespace of another"));
        }
    }
    if let Some(adjustment) = spec.oom_score_adj.filter(|adjustment| !(-1000..=1000).contains(adjustment)) {
        return refuse(&format!("Invalid value {adjustment}, range for oom score adj is [-1000, 1000]"));
    }
    if let Some(rule) = spec.device_rules.iter().find_map(|rule| rule.parse::<DeviceRule>().err()) {
        return refuse(&rule);
    }
    text(spec).map_err(Failure::invalid)?;
    sysctls(spec)?;
    limits(&spec.resources, processors())?;
    if let Some(text) = &spec.stop_signal {
        signal::parse(text)?;
    }
    security::of(spec).map(drop)
}

/// Refuses what would be another path, another variable, or another line of a file than it says.
fn text(spec: &ContainerSpec) -> Result<(), String> {
    if let Some(path) = spec.working_dir.as_ref().filter(|path| !path.starts_with('/')) {
        return Err(format!("the working directory '{path}' is invalid, it needs to be an absolute path"));
    }
    if let Some(value) = spec.environment.get("") {
        return Err(format!("invalid environment variable: {}", value.as_ref().map(|value| format!("={value}")).unwrap_or_default()));
    }
    spec.extra_hosts.iter().try_for_each(|(name, address)| extra_host::check(name, address))?;
    // dockerd writes these into /etc/hosts and /etc/resolv.conf as they are, and a line break begins a line there.
    let names = spec.hostname.iter().map(|text| ("host name", text)).chain(spec.domainname.iter().map(|text| ("domain name", text)));
    let lookups =
        spec.dns_search.iter().map(|text| ("search domain", text)).chain(spec.dns_options.iter().map(|text| ("DNS option", text)));
    match names.chain(lookups).find(|(_, text)| text.contains(char::is_control)) {
        Some((what, text)) => Err(format!("invalid {what} {text:?}: it has a control character in it")),
        None => Ok(()),
    }
}

/// Limits that are to be changed, and what they come to together with those that stay.
pub(super) fn change(change: &Resources, together: &Resources) -> Result<(), Failure> {
    // A limit of memory and swap alone is one beside the limit of memory that is there.
    limits(&Resources { memory_swap: change.memory_swap.filter(|_| change.memory.is_some()), ..change.clone() }, processors())?;
    limits(together, processors())
}

/// How many processors there are.
fn processors() -> u64 {
    // What may be used by this thread is not what there is: a container's own choice is not bound to it.
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let ranges = online.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<u64>().ok()? - first.parse::<u64>().ok()? + 1)
    });
    ranges.sum::<u64>().max(1)
}

/// Limits that contradict each other, or are beyond every measure.
fn limits(limits: &Resources, processors: u64) -> Result<(), Failure> {
    let (memory, reservation) = (limits.memory.unwrap_or_default(), limits.memory_reservation.unwrap_or_default());
    let swap = limits.memory_swap.and_then(|swap| u64::try_from(swap).ok()).unwrap_or_default();
    let has_cpus = limits.nano_cpus.is_some_and(|nano| nano > 0);
    let period = limits.cpu_period.unwrap_or_default();
    let quota = limits.cpu_quota.unwrap_or_default();
    let cpus = format!("range of CPUs is from 0.01 to {processors}.00, as there are only {processors} CPUs available");
    let wrong = [
        (memory != 0 && memory < LEAST_MEMORY, "Minimum memory limit allowed is 6MB"),
        (memory > 0 && swap > 0 && swap < memory, "Minimum memoryswap limit should be larger than memory limit, see usage"),
        (memory == 0 && swap > 0, "You should always set the Memory limit when using Memoryswap limit, see usage"),
        (reservation != 0 && reservation < LEAST_MEMORY, "Minimum memory reservation allowed is 6MB"),
        (memory > 0 && memory < reservation, "Minimum memory limit can not be less than memory reservation limit, see usage"),
        (has_cpus && period > 0, "conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (has_cpus && quota > 0, "conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (limits.nano_cpus.is_some_and(|nano| nano > processors * 1_000_000_000), cpus.as_str()),
        (
            period != 0 && !(1000..=1_000_000).contains(&period),
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ((1..1000).contains(&quota), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    ];
    wrong.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, message)| Err(Failure::invalid(message)))
}

/// Kernel parameters that would change more than the container.
fn sysctls(spec: &ContainerSpec) -> Result<(), Failure> {
    for name in spec.sysctls.keys() {
        let refuse = |what: &str| Err(Failure::invalid(format!("sysctl \"{name}\" {what}")));
        match sysctl::namespace_of(name) {
            None => return refuse("is not in a separate kernel namespace"),
            Some(SysctlNamespace::Net) if spec.network == NetworkMode::Host => return refuse("not allowed in host network namespace"),
            Some(SysctlNamespace::Ipc) if spec.ipc == IpcMode::Host => return refuse("is not allowed in the hosts ipc namespace"),
            Some(SysctlNamespace::Uts) if spec.uts == NamespaceMode::Host => return refuse("is not allowed in the hosts uts namespace"),
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_refused_in_dockers_words() {
        let check = |changed: Resources, expected: &str| {
            let refused = limits(&changed, 2).map_err(|failure| failure.message);
            assert_eq!(refused.err().unwrap_or_default(), expected);
        };
        let plain = Resources::default;
        check(plain(), "");
        check(
            Resources { memory: Some(6 << 20), memory_swap: Some(-1), nano_cpus: Some(2_000_000_000), cpu_quota: Some(-1), ..plain() },
            "",
        );
        check(Resources { memory: Some(5), ..plain() }, "Minimum memory limit allowed is 6MB");
        check(
            Resources { nano_cpus: Some(2_100_000_000), ..plain() },
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        );
        check(Resources { cpu_quota: Some(999), ..plain() }, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
        check(
            Resources { memory_swap: Some(9), ..plain() },
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }

    #[test]
    fn kernel_parameters_of_the_machine_are_not_touched() {
        let check = |name: &str, network: NetworkMode, expected: &str| {
            let changed = ContainerSpec { sysctls: [(name.to_owned(), "1".to_owned())].into(), network, ..ContainerSpec::default() };
            assert_eq!(spec(&changed).map_err(|failure| failure.message).err().unwrap_or_default(), expected);
        };
        check("net.core.somaxconn", NetworkMode::Bridge, "");
        check("net.core.somaxconn", NetworkMode::Host, "sysctl \"net.core.somaxconn\" not allowed in host network namespace");
        check("kernel.panic", NetworkMode::Bridge, "sysctl \"kernel.panic\" is not in a separate kernel namespace");
    }

    #[test]
    fn contradictions_are_refused() {
        let check = |changed: ContainerSpec, expected: &str| {
            let refused = spec(&changed).map_err(|failure| failure.message);
            assert_eq!(refused.err().unwrap_or_default(), expected);
        };
        let plain = ContainerSpec::default;
        check(plain(), "");
        let shared = || ContainerSpec { network: NetworkMode::Container("db".to_owned()), ..plain() };
        check(shared(), "");
        check(ContainerSpec { hostname: Some("x".to_owned()), ..shared() }, "conflicting options: hostname and the network mode");
        check(
            ContainerSpec { auto_remove: true, restart: RestartPolicy::Always, ..plain() },
            "can't create 'AutoRemove' container with restart policy",
        );
        check(ContainerSpec { stop_signal: Some("NOPE".to_owned()), ..plain() }, "invalid signal: NOPE");
        let in_folder = |path: &str| ContainerSpec { working_dir: Some(path.to_owned()), ..plain() };
        check(in_folder("/srv"), "");
        check(in_folder("srv"), "the working directory 'srv' is invalid, it needs to be an absolute path");
        check(ContainerSpec { oom_score_adj: Some(1001), ..plain() }, "Invalid value 1001, range for oom score adj is [-1000, 1000]");
    }

    #[test]
    fn a_text_is_one_line_of_a_file() {
        let check = |changed: ContainerSpec, expected: &str| assert_eq!(text(&changed).err().unwrap_or_default(), expected);
        let plain = ContainerSpec::default;
        let some = |text: &str| Some(text.to_owned());
        let variable = |value: Option<String>| ContainerSpec { environment: [(String::new(), value)].into(), ..plain() };
        check(variable(None), "invalid environment variable: ");
        check(variable(some("x")), "invalid environment variable: =x");
        let host = |address: &str| ContainerSpec { extra_hosts: vec![("a".to_owned(), address.to_owned())], ..plain() };
        check(host("host-gateway"), "");
        check(host("b"), r#"invalid IP address in add-host: "b""#);
        let broken = |what: &str| format!("invalid {what} \"a\\nb\": it has a control character in it");
        check(ContainerSpec { hostname: some("a\nb"), ..plain() }, &broken("host name"));
        check(ContainerSpec { domainname: some("a\nb"), ..plain() }, &broken("domain name"));
        check(ContainerSpec { dns_search: vec!["a\nb".to_owned()], ..plain() }, &broken("search domain"));
        check(ContainerSpec { dns_options: vec!["a\nb".to_owned()], ..plain() }, &broken("DNS option"));
    }
}
