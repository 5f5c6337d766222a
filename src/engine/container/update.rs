//! Changing the limits and the restart policy of a container that exists, running or not.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::container::check;
use crate::engine::container::entry::Container;
use crate::engine::container::record::SpecRecord;
use crate::engine::runtime::task::{LimitError, TaskError};
use crate::resource::container::{ContainerChange, ContainerSpec, ContainerState, Resources, RestartPolicy};
use crate::resource::failure::Failure;

impl From<LimitError> for Failure {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Task(error) => error.into(),
            LimitError::Launch(error) => error.into(),
        }
    }
}

impl Engine {
    /// Changes a container. One that runs has its new limits when this returns, or its old ones if they cannot be had.
    pub(in crate::engine) async fn update(&self, container: &Arc<Container>, change: &ContainerChange) -> Result<(), Failure> {
        let id = container.id();
        let refused = |failure: Failure| failure.within(&format!("Cannot update container {id}"));
        let _turn = container.turn().await;
        let life = container.life();
        if life.removed || matches!(life.state, ContainerState::Removing | ContainerState::Dead) {
            return Err(refused(Failure::conflict("container is marked for removal and cannot be \"update\"")));
        }
        let record = container.record();
        let spec = changed(&record.spec, change).map_err(refused)?;
        let limits = spec.resources.clone();
        check::change(&change.resources, &limits)?;
        container.replace_record(SpecRecord { spec, ..SpecRecord::clone(&record) })?;
        if let Some(task) = life.task.filter(|_| change.resources != Resources::default()) {
            match task.limit(&limits).await {
                // It has just ended: its next life begins with them.
                Ok(()) | Err(LimitError::Task(TaskError::Gone { .. })) => {}
                // Its shim has taken back those that could be had.
                Err(error) => {
                    if let Err(failure) = container.replace_record(SpecRecord::clone(&record)) {
                        tracing::error!(container = %id, %failure, "a container has limits in its record that it does not have");
                    }
                    return Err(refused(error.into()));
                }
            }
        }
        self.tell(container, "update", &[]);
        Ok(())
    }
}

/// A spec with a change made, or Docker's words for why it cannot be.
fn changed(spec: &ContainerSpec, change: &ContainerChange) -> Result<ContainerSpec, Failure> {
    let mut spec = spec.clone();
    merge(&mut spec.resources, &change.resources)?;
    if let Some(policy) = change.restart {
        if spec.auto_remove && policy != RestartPolicy::No {
            return Err(Failure::conflict("Restart policy cannot be updated because AutoRemove is enabled for the container"));
        }
        spec.restart = policy;
    }
    Ok(spec)
}

fn merge(limits: &mut Resources, change: &Resources) -> Result<(), Failure> {
    let Resources {
        memory,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        oom_kill_disable,
        nano_cpus,
        cpu_shares,
        cpu_quota,
        cpu_period,
        cpuset,
        cpuset_mems,
        pids,
    } = change;
    let is_set = |number: Option<u64>| number.is_some_and(|number| number > 0);
    let quota = |quota: Option<i64>| quota.is_some_and(|quota| quota > 0);
    for (clashes, message) in [
        (
            is_set(*nano_cpus) && is_set(limits.cpu_period),
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            is_set(*nano_cpus) && quota(limits.cpu_quota),
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            is_set(*cpu_period) && is_set(limits.nano_cpus),
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            quota(*cpu_quota) && is_set(limits.nano_cpus),
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ] {
        if clashes {
            return Err(Failure::conflict(message));
        }
    }
    if let (Some(memory), None) = (*memory, *memory_swap) {
        // What was never said is twice the memory, as Docker writes it down when the container is made; without either, nothing.
        let double = || limits.memory.map_or(0, |memory| i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX));
        let both = limits.memory_swap.filter(|both| *both != 0).unwrap_or_else(double);
        if i64::try_from(memory).unwrap_or(i64::MAX) > both {
            return Err(Failure::conflict(
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
            ));
        }
        limits.memory_swap = Some(both);
    }
    limits.memory = memory.or(limits.memory);
    limits.memory_reservation = memory_reservation.or(limits.memory_reservation);
    limits.memory_swap = memory_swap.or(limits.memory_swap);
    limits.memory_swappiness = memory_swappiness.or(limits.memory_swappiness);
    limits.oom_kill_disable |= oom_kill_disable;
    limits.nano_cpus = nano_cpus.or(limits.nano_cpus);
    limits.cpu_shares = cpu_shares.or(limits.cpu_shares);
    limits.cpu_quota = cpu_quota.or(limits.cpu_quota);
    limits.cpu_period = cpu_period.or(limits.cpu_period);
    limits.cpuset = cpuset.clone().or(limits.cpuset.take());
    limits.cpuset_mems = cpuset_mems.clone().or(limits.cpuset_mems.take());
    limits.pids = pids.or(limits.pids);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_merged_one_by_one() {
        let mut limits = Resources { memory: Some(100), cpu_shares: Some(5), cpuset: Some("0".to_owned()), ..Resources::default() };
        let change = Resources { memory: Some(150), cpu_shares: Some(7), pids: Some(0), ..Resources::default() };
        merge(&mut limits, &change).expect("a change");
        let expect = Resources {
            memory: Some(150),
            memory_swap: Some(200),
            cpu_shares: Some(7),
            cpuset: Some("0".to_owned()),
            pids: Some(0),
            ..Resources::default()
        };
        assert_eq!(limits, expect);
    }

    #[test]
    fn what_clashes_with_what_is_there_is_refused_in_dockers_words() {
        let check = |limits: Resources, change: Resources, expect: &str| {
            let refused = merge(&mut limits.clone(), &change).map_err(|failure| failure.message);
            assert_eq!(refused.err().unwrap_or_default(), expect, "{limits:?} {change:?}");
        };
        let plain = Resources::default;
        let swap = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
        check(plain(), Resources { memory: Some(9), ..plain() }, swap);
        check(plain(), Resources { memory: Some(9), memory_swap: Some(-1), ..plain() }, "");
        check(Resources { memory: Some(9), ..plain() }, Resources { memory: Some(18), ..plain() }, "");
        check(Resources { memory: Some(9), ..plain() }, Resources { memory: Some(19), ..plain() }, swap);
        let nano = "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set";
        check(Resources { cpu_quota: Some(9000), ..plain() }, Resources { nano_cpus: Some(9), ..plain() }, nano);
        check(Resources { cpu_quota: Some(-1), ..plain() }, Resources { nano_cpus: Some(9), ..plain() }, "");
        let period = "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set";
        check(Resources { nano_cpus: Some(9), ..plain() }, Resources { cpu_period: Some(9000), ..plain() }, period);
    }

    #[test]
    fn what_is_removed_at_its_end_does_not_start_again() {
        let spec = ContainerSpec { auto_remove: true, ..ContainerSpec::default() };
        let change = |policy| ContainerChange { restart: Some(policy), ..ContainerChange::default() };
        assert!(changed(&spec, &change(RestartPolicy::Always)).is_err());
        assert!(changed(&spec, &change(RestartPolicy::No)).is_ok());
    }
}
