//! What an `up` that failed takes back: whatever it made that nothing runs in.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::plan::cause::Cause;
use crate::compose::plan::observed::{ObservedState, Replica};
use crate::compose::plan::steps::{Plan, StepId};
use crate::resource::container::ContainerState;
use crate::resource::operation::Operation;

/// Plans that what `failed` made and could not bring to life is gone, so that nothing half-made stays: containers that never ran, then
/// networks and volumes that no other container uses. What runs or has run stays, with its logs; so does what was there `before`, and
/// a container that replaces another, since it has that one's anonymous volumes. Docker Compose leaves all of it.
pub fn undo(failed: &Plan, before: &ObservedState, now: &ObservedState) -> Plan {
    let mut plan = Plan::default();
    let made = Made::by(failed);
    let never_ran = |it: &&Replica| matches!(it.info.state, ContainerState::Created | ContainerState::Exited { started_at: None, .. });
    // Whoever looks at a hook that failed wants to see what it ran for.
    let looked_at = |it: &Replica| now.hooks().iter().any(|hook| hook.service == it.service);
    let (gone, left): (Vec<&Replica>, Vec<&Replica>) = now
        .all()
        .chain(now.one_offs())
        .chain(now.hooks())
        .partition(|it| !looked_at(it) && made.containers.contains(it.name()) && !before.has_container(it.name()) && never_ran(it));
    let removals: BTreeMap<&str, StepId> = gone
        .iter()
        .map(|it| {
            let operation = Operation::RemoveContainer { name: it.name().to_owned(), volumes: true };
            (it.name(), plan.push(operation, [], Cause::Failed))
        })
        .collect();
    let after = |uses: &dyn Fn(&Replica) -> bool| gone.iter().filter(|it| uses(it)).map(|it| removals[it.name()]).collect::<Vec<_>>();
    for info in &now.networks {
        let name = info.name.as_str();
        if made.networks.contains(name) && before.network(name).is_none() && !left.iter().any(|it| it.is_on(name)) {
            plan.push(Operation::RemoveNetwork { name: name.to_owned() }, after(&|it| it.is_on(name)), Cause::Failed);
        }
    }
    for info in &now.volumes {
        let name = info.name.as_str();
        let mounts = |it: &Replica| it.info.mounts.iter().any(|mount| mount.name.as_deref() == Some(name));
        if made.volumes.contains(name) && before.volume(name).is_none() && !left.iter().any(|it| mounts(it)) {
            plan.push(Operation::RemoveVolume { name: name.to_owned() }, after(&mounts), Cause::Failed);
        }
    }
    plan
}

/// The names of what a plan makes.
#[derive(Default)]
struct Made<'a> {
    containers: BTreeSet<&'a str>,
    networks: BTreeSet<&'a str>,
    volumes: BTreeSet<&'a str>,
}

impl<'a> Made<'a> {
    fn by(plan: &'a Plan) -> Self {
        let mut made = Self::default();
        for step in plan.steps() {
            match &step.operation {
                Operation::CreateContainer { name, inherit: None, .. } => drop(made.containers.insert(name.as_str())),
                Operation::CreateNetwork { name, .. } => drop(made.networks.insert(name.as_str())),
                Operation::CreateVolume { name, .. } => drop(made.volumes.insert(name.as_str())),
                _ => {}
            }
        }
        made
    }
}
