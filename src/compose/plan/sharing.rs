//! Containers that live in a namespace of another's, or have its volumes: what becomes of the one becomes of them.

use std::collections::BTreeMap;

use crate::compose::plan::cause::{Cause, Divergence};
use crate::compose::plan::decide::{Action, Decider, Decision, Wanted};
use crate::compose::plan::known::Known;
use crate::compose::plan::observed::Replica;
use crate::compose::plan::options::{PlanError, Recreate};
use crate::compose::project::model::{Project, Service};
use crate::resource::container::{IpcMode, NamespaceMode, NetworkMode};
use crate::resource::name::ServiceName;

/// Changes what was decided of a container to fit what was decided of those it shares something with.
pub(super) fn follow<'a>(
    decider: &Decider<'a>,
    service: &Service,
    wanted: &mut Wanted<'a>,
    existing: &'a Replica,
    decisions: &BTreeMap<ServiceName, Decision<'a>>,
) {
    if wanted.action.makes() {
        return;
    }
    let first = |owner: &ServiceName| match decisions.get(owner) {
        Some(decision) => decision.wanted.first().map_or(Owner::Absent, |first| match (&first.action, first.existing) {
            (Action::Keep | Action::Unpause, Some(replica)) => Owner::Stays(replica),
            (Action::Start | Action::Restart(_), Some(replica)) => Owner::Starts(replica),
            _ => Owner::New,
        }),
        None => decider.observed.replicas(owner).first().map_or(Owner::Absent, Owner::Stays),
    };
    let never = decider.policy(&service.name) == Recreate::Never;
    let mut restarts = None;
    for (owner, what) in service.shares() {
        let stale = match first(owner) {
            Owner::Absent => false,
            Owner::New => true,
            Owner::Stays(replica) | Owner::Starts(replica) => !is_in_namespace_of(existing, what, replica),
        };
        if stale && !never {
            wanted.action = Action::Replace(existing, Divergence::Shares { with: owner.clone(), what });
            return;
        }
        if matches!(first(owner), Owner::Starts(_)) {
            restarts = Some(owner);
        }
    }
    for owner in service.volumes_from.iter().filter_map(|it| it.from.service()) {
        let stale = match first(owner) {
            Owner::Absent => false,
            Owner::New => true,
            Owner::Stays(replica) | Owner::Starts(replica) => lacks_volumes_of(existing, service, replica),
        };
        if stale && !never {
            wanted.action = Action::Replace(existing, Divergence::Shares { with: owner.clone(), what: "volumes" });
            return;
        }
    }
    // A namespace ends with its owner's processes; whoever lives on in it is cut off.
    if let (Some(owner), true, Action::Keep | Action::Unpause) = (restarts, decider.options.start && existing.is_up(), &wanted.action) {
        wanted.action = Action::Restart(Cause::RestartsWith(owner.clone()));
    }
}

/// What is decided of the container that others share something of.
enum Owner<'a> {
    /// It stays as it is.
    Stays(&'a Replica),
    /// It stays, and is started.
    Starts(&'a Replica),
    /// It is made.
    New,
    /// There is none, nor will there be.
    Absent,
}

/// Whether a container lives in that namespace of another; engines keep the id, where they were told a name.
fn is_in_namespace_of(existing: &Replica, what: &str, owner: &Replica) -> bool {
    let spec = &existing.info.spec;
    let named = match what {
        "network" => match &spec.network {
            NetworkMode::Container(name) => Some(name),
            _ => None,
        },
        "pid" => match &spec.pid {
            NamespaceMode::Container(name) => Some(name),
            _ => None,
        },
        _ => match &spec.ipc {
            IpcMode::Container(name) => Some(name),
            _ => None,
        },
    };
    named.is_some_and(|name| *name == owner.info.id.to_string() || name == owner.name())
}

/// Whether the other has a volume or a bind where the container has another one, or none, and mounts nothing of its own.
fn lacks_volumes_of(existing: &Replica, service: &Service, owner: &Replica) -> bool {
    let own = |target: &str| service.mounts.iter().any(|mount| mount.target == target);
    let lent = owner.info.mounts.iter().filter(|mount| matches!(mount.kind.as_str(), "volume" | "bind") && !own(&mount.target));
    let differs = |theirs: &crate::resource::container::MountInfo| {
        let ours = existing.info.mounts.iter().find(|mount| mount.target == theirs.target);
        ours.is_none_or(|ours| ours.name != theirs.name || ours.source != theirs.source)
    };
    // Of two that lend something at one place, the later one is heard.
    service.volumes_from.len() == 1 && lent.into_iter().any(differs)
}

/// Whether a service shares a namespace with a container that does not stay as it is.
pub(super) fn is_cut_off(service: &Service, decisions: &BTreeMap<ServiceName, Decision<'_>>) -> bool {
    let first = |owner: &ServiceName| decisions.get(owner).and_then(|decision| decision.wanted.first());
    service.shares().any(|(owner, _)| first(owner).is_some_and(|first| !matches!(first.action, Action::Keep | Action::Unpause)))
}

/// Refuses what is to share something with a service that has no container, nor will have one.
pub(super) fn check(project: &Project, decisions: &BTreeMap<ServiceName, Decision<'_>>, known: &Known) -> Result<(), PlanError> {
    for (name, service) in &project.services {
        if decisions.get(name).is_some_and(|decision| decision.wanted.iter().any(|wanted| wanted.action.makes())) {
            check_service(service, known)?;
        }
    }
    Ok(())
}

/// The same for one service.
pub(super) fn check_service(service: &Service, known: &Known) -> Result<(), PlanError> {
    let volumes = service.volumes_from.iter().filter_map(|it| Some((it.from.service()?, "volumes")));
    match service.shares().chain(volumes).find(|(owner, _)| known.of(owner).is_empty()) {
        Some((with, what)) => Err(PlanError::NothingToShare { service: service.name.clone(), with: with.clone(), what }),
        None => Ok(()),
    }
}
