//! Limits, as the files of both versions of control groups spell them.

use crate::engine::runtime::cgroup::group::Group;
use crate::engine::runtime::cgroup::hierarchy::wanted;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::resource::container::Resources;

/// Microseconds, where a quota comes without a period: the kernel's own.
const PERIOD: u64 = 100_000;

/// A limit that no hierarchy of this machine can set.
pub(super) fn unavailable(controller: &str) -> LaunchError {
    let what = match controller {
        "memory" => "a memory limit",
        "cpu" => "a limit of processor time",
        "cpuset" => "a choice of processors or memory nodes",
        "pids" => "a limit of processes",
        _ => "a limit",
    };
    LaunchError::Unavailable { what: what.to_owned(), reason: format!("no control-group hierarchy here has the controller `{controller}`") }
}

/// What makes no sense on any machine.
pub(super) fn check(resources: &Resources) -> Result<(), LaunchError> {
    let invalid = |text: &str| Err(LaunchError::Invalid(text.to_owned()));
    if let Some(swap) = resources.memory_swap.filter(|swap| *swap > 0) {
        let Some(memory) = resources.memory else {
            return invalid("a limit of memory and swap needs a limit of memory, too");
        };
        if swap.cast_unsigned() < memory {
            return invalid("the limit of memory and swap together is below that of memory alone");
        }
    }
    if resources.nano_cpus.is_some() && (resources.cpu_quota.is_some() || resources.cpu_period.is_some()) {
        return invalid("a number of processors and a quota cannot both be given");
    }
    Ok(())
}

/// Quota and period in microseconds, if one is asked for; a quota of `None` is without limit.
fn quota(resources: &Resources) -> Option<(Option<u64>, u64)> {
    if let Some(nano) = resources.nano_cpus {
        return Some((Some(nano.saturating_mul(PERIOD) / 1_000_000_000), PERIOD));
    }
    if resources.cpu_quota.is_none() && resources.cpu_period.is_none() {
        return None;
    }
    let quota = resources.cpu_quota.filter(|quota| *quota > 0).map(i64::cast_unsigned);
    Some((quota, resources.cpu_period.filter(|period| *period > 0).unwrap_or(PERIOD)))
}

/// Bytes of memory and swap together; -1 is without limit. Docker gives as much swap as memory unless told otherwise.
fn memory_and_swap(resources: &Resources) -> Option<i64> {
    match (resources.memory, resources.memory_swap) {
        (_, Some(swap)) if swap != 0 => Some(swap),
        (Some(memory), _) => Some(i64::try_from(memory.saturating_mul(2)).unwrap_or(-1)),
        (None, _) => None,
    }
}

/// Sets those limits that `group` of version 2 has the controllers for.
pub(super) fn set_unified(group: &Group, controllers: &[String], resources: &Resources) -> Result<(), LaunchError> {
    let has = |controller: &str| controllers.iter().any(|known| known == controller);
    let limited = wanted(resources);
    let sets = |controller: &str| has(controller) && limited.contains(&controller);
    if sets("memory") {
        let only_before = [
            (resources.memory_swappiness.is_some(), "a swappiness of its own"),
            (resources.oom_kill_disable, "to wait when its memory is used up (oom_kill_disable)"),
        ];
        if let Some((_, what)) = only_before.into_iter().find(|(asked, _)| *asked) {
            return Err(LaunchError::Unavailable {
                what: what.to_owned(),
                reason: "memory is controlled by version 2 of control groups here, which has no such thing".to_owned(),
            });
        }
        if let Some(memory) = resources.memory {
            group.set("memory.max", &memory.to_string())?;
        }
        if let Some(reservation) = resources.memory_reservation {
            group.set("memory.low", &reservation.to_string())?;
        }
        if let Some(both) = memory_and_swap(resources) {
            let swap =
                if both < 0 { "max".to_owned() } else { (both.cast_unsigned().saturating_sub(resources.memory.unwrap_or(0))).to_string() };
            set_swap(group, "memory.swap.max", &swap, resources)?;
        }
    }
    if sets("cpu") {
        if let Some(shares) = resources.cpu_shares.filter(|shares| *shares > 0) {
            // 2…262144 to 1…10000, as runc converts it.
            let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
            group.set("cpu.weight", &weight.to_string())?;
        }
        if let Some((quota, period)) = quota(resources) {
            let quota = quota.map_or("max".to_owned(), |quota| quota.to_string());
            group.set("cpu.max", &format!("{quota} {period}"))?;
        }
    }
    if let Some(cpuset) = resources.cpuset.as_ref().filter(|_| sets("cpuset")) {
        group.set("cpuset.cpus", cpuset)?;
    }
    if let Some(nodes) = resources.cpuset_mems.as_ref().filter(|_| sets("cpuset")) {
        group.set("cpuset.mems", nodes)?;
    }
    if let Some(pids) = resources.pids.filter(|_| has("pids")) {
        group.set("pids.max", &tasks(pids))?;
    }
    Ok(())
}

/// A limit of processes; what is not positive is none.
fn tasks(pids: i64) -> String {
    if pids > 0 { pids.to_string() } else { "max".to_owned() }
}

/// Sets those limits that `group` of version 1 has the controllers for.
pub(super) fn set_legacy(parents: &[&Group], group: &Group, controllers: &[String], resources: &Resources) -> Result<(), LaunchError> {
    let has = |controller: &str| controllers.iter().any(|known| known == controller);
    if has("memory") {
        let both = memory_and_swap(resources);
        // Neither may pass the other on its way: what grows together grows first.
        let grows =
            both.is_some_and(|both| both < 0 || group.bytes("memory.memsw.limit_in_bytes").is_some_and(|now| both.cast_unsigned() > now));
        let set_both = || match both {
            Some(both) => set_swap(group, "memory.memsw.limit_in_bytes", &both.to_string(), resources),
            None => Ok(()),
        };
        if grows {
            set_both()?;
        }
        if let Some(memory) = resources.memory {
            group.set("memory.limit_in_bytes", &memory.to_string())?;
        }
        if !grows {
            set_both()?;
        }
        if let Some(reservation) = resources.memory_reservation {
            group.set("memory.soft_limit_in_bytes", &reservation.to_string())?;
        }
        if let Some(swappiness) = resources.memory_swappiness {
            group.set("memory.swappiness", &swappiness.to_string())?;
        }
        if resources.oom_kill_disable {
            group.set("memory.oom_control", "1")?;
        }
    }
    if has("cpu") {
        if let Some(shares) = resources.cpu_shares.filter(|shares| *shares > 0) {
            group.set("cpu.shares", &shares.to_string())?;
        }
        if let Some((quota, period)) = quota(resources) {
            group.set("cpu.cfs_period_us", &period.to_string())?;
            group.set("cpu.cfs_quota_us", &quota.map_or("-1".to_owned(), |quota| quota.to_string()))?;
        }
    }
    if has("cpuset") && (resources.cpuset.is_some() || resources.cpuset_mems.is_some()) {
        // A new group of version 1 has no processor and no memory node, and nothing can run in it until it has both.
        for pair in parents.windows(2) {
            inherit_cpuset(pair[0], pair[1])?;
        }
        if let Some(parent) = parents.last() {
            inherit_cpuset(parent, group)?;
        }
        for (name, choice) in [("cpuset.cpus", &resources.cpuset), ("cpuset.mems", &resources.cpuset_mems)] {
            choice.iter().try_for_each(|choice| group.set(name, choice))?;
        }
    }
    if let Some(pids) = resources.pids.filter(|_| has("pids")) {
        group.set("pids.max", &tasks(pids))?;
    }
    Ok(())
}

fn inherit_cpuset(parent: &Group, group: &Group) -> Result<(), LaunchError> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let read = |group: &Group| group.read(name).map_err(|error| LaunchError::step(format!("read {name}"), error));
        if read(group)?.trim().is_empty() {
            group.set(name, read(parent)?.trim())?;
        }
    }
    Ok(())
}

/// A kernel may be without swap accounting. A limit of swap that was asked for is then missed, one that only follows from a limit of
/// memory is not.
fn set_swap(group: &Group, name: &str, value: &str, resources: &Resources) -> Result<(), LaunchError> {
    if group.has(name) {
        return group.set(name, value);
    }
    match resources.memory_swap {
        Some(swap) if swap > 0 => Err(LaunchError::Unavailable {
            what: "a limit of swap".to_owned(),
            reason: format!("this kernel accounts no swap ({name} is missing)"),
        }),
        _ => Ok(()),
    }
}

/// Lets groups below `group` have these controllers. What the kernel refuses is missed when a limit asks for it.
pub(super) fn delegate(group: &Group, controllers: &[String]) -> Result<(), Errno> {
    let enabled = group.read("cgroup.subtree_control")?;
    for controller in controllers.iter().filter(|controller| !enabled.split_whitespace().any(|known| known == **controller)) {
        // One by one: a write with one bad word does nothing. EBUSY: processes in the group itself.
        let _ = group.write("cgroup.subtree_control", &format!("+{controller}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_a_quota() {
        let check = |resources: Resources, expect| assert_eq!(quota(&resources), expect, "{resources:?}");
        check(Resources::default(), None);
        check(Resources { nano_cpus: Some(1_500_000_000), ..Resources::default() }, Some((Some(150_000), 100_000)));
        check(Resources { cpu_quota: Some(-1), ..Resources::default() }, Some((None, 100_000)));
        check(Resources { cpu_quota: Some(5000), cpu_period: Some(50_000), ..Resources::default() }, Some((Some(5000), 50_000)));
    }

    #[test]
    fn swap_follows_memory() {
        let check = |memory, memory_swap, expect| {
            let resources = Resources { memory, memory_swap, ..Resources::default() };
            assert_eq!(memory_and_swap(&resources), expect, "{resources:?}");
        };
        check(None, None, None);
        check(Some(100), None, Some(200));
        check(Some(100), Some(0), Some(200));
        check(Some(100), Some(-1), Some(-1));
        check(Some(100), Some(150), Some(150));
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let check = |resources: Resources, good: bool| assert_eq!(super::check(&resources).is_ok(), good, "{resources:?}");
        check(Resources::default(), true);
        check(Resources { memory_swap: Some(5), ..Resources::default() }, false);
        check(Resources { memory: Some(6), memory_swap: Some(5), ..Resources::default() }, false);
        check(Resources { memory: Some(5), memory_swap: Some(5), ..Resources::default() }, true);
        check(Resources { nano_cpus: Some(5), cpu_quota: Some(5), ..Resources::default() }, false);
    }
}
