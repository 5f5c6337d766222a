//! What of a spec contradicts itself, in Docker's words.

use crate::engine::container::{security, signal};
use crate::resource::container::{ContainerSpec, NamespaceMode, NetworkMode, RestartPolicy};
use crate::resource::failure::Failure;

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
    if let Some(text) = &spec.stop_signal {
        signal::parse(text)?;
    }
    security::of(spec).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check(ContainerSpec { oom_score_adj: Some(1001), ..plain() }, "Invalid value 1001, range for oom score adj is [-1000, 1000]");
    }
}
