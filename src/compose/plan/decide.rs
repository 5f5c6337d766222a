//! What is to become of each container of a service: the decision, before any operation is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::plan::attribute::Origin;
use crate::compose::plan::cause::{Cause, Divergence};
use crate::compose::plan::graph::ServiceGraph;
use crate::compose::plan::known::Known;
use crate::compose::plan::observed::{ObservedState, Replica};
use crate::compose::plan::options::{PlanError, Recreate, UpOptions};
use crate::compose::plan::{desired, label, replica, sharing};
use crate::compose::project::model::{Project, Service};
use crate::resource::container::{ContainerSpec, ContainerState};
use crate::resource::id::ImageId;
use crate::resource::name::{ContainerName, ServiceName};

/// What is to become of one container.
#[derive(Clone, Debug)]
pub(super) enum Action<'a> {
    /// It stays and runs.
    Keep,
    /// It stays and is started.
    Start,
    /// It stays and goes on.
    Unpause,
    /// It stays, but is stopped first and started afterwards.
    Restart(Cause),
    /// It is replaced.
    Replace(&'a Replica, Divergence),
    /// It goes, and one of the same name is made where it was.
    Remake(&'a Replica, Cause),
    /// It is made.
    Create,
}

impl Action<'_> {
    /// Whether a container is made.
    pub(super) const fn makes(&self) -> bool {
        matches!(self, Self::Create | Self::Replace(..) | Self::Remake(..))
    }
}

/// One container that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    /// Its name.
    pub(super) name: ContainerName,
    /// Its number.
    pub(super) number: u32,
    /// The name it has until it is renamed, where an earlier run was interrupted.
    pub(super) misnamed: Option<&'a str>,
    /// The container that is there, if there is one.
    pub(super) existing: Option<&'a Replica>,
    /// What is to be done.
    pub(super) action: Action<'a>,
}

/// What is to become of a service's containers.
#[derive(Clone, Debug)]
pub(super) struct Decision<'a> {
    /// Those that are wanted, by number.
    pub(super) wanted: Vec<Wanted<'a>>,
    /// Those that go.
    pub(super) surplus: Vec<(&'a Replica, Cause)>,
}

/// What exists and is to be made anew, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Changed {
    pub(super) networks: BTreeSet<String>,
    pub(super) volumes: BTreeSet<String>,
}

/// The part of the world that decisions are made from.
pub(super) struct Decider<'a> {
    pub(super) project: &'a Project,
    pub(super) observed: &'a ObservedState,
    pub(super) options: &'a UpOptions,
    /// What is called how, as far as it is there.
    pub(super) known: Known,
}

impl<'a> Decider<'a> {
    /// Decides for every service, dependencies first.
    pub(super) fn decide(&self, graph: &ServiceGraph, changed: &Changed) -> Result<BTreeMap<ServiceName, Decision<'a>>, PlanError> {
        let mut decisions: BTreeMap<ServiceName, Decision<'a>> = BTreeMap::new();
        for name in graph.order() {
            let service = &self.project.services[name];
            let recreated = |other: &ServiceName| {
                let decision = decisions.get(other);
                decision.is_some_and(|it| it.wanted.iter().any(|wanted| matches!(wanted.action, Action::Replace(..) | Action::Remake(..))))
            };
            let with = service.depends_on.iter().find(|(other, dependency)| dependency.restart && recreated(other));
            let with = with.map(|(other, _)| Cause::RestartsWith(other.clone()));
            let mut decision = self.of_service(service)?;
            for wanted in &mut decision.wanted {
                let Some(existing) = wanted.existing else { continue };
                sharing::follow(self, service, wanted, existing, &decisions);
                if let Some(volume) = changed.volumes.iter().find(|volume| existing.mounts(volume)) {
                    wanted.action = Action::Remake(existing, Cause::VolumeChanged(volume.clone()));
                }
                if !existing.is_up() {
                    continue;
                }
                let network = changed.networks.iter().find(|network| existing.is_on(network));
                let cause = network.map(|network| Cause::NetworkChanged(network.clone())).or_else(|| with.clone());
                if let (Action::Keep | Action::Unpause, Some(cause)) = (&wanted.action, cause)
                    && self.options.start
                {
                    wanted.action = Action::Restart(cause);
                }
            }
            decisions.insert(name.clone(), decision);
        }
        Ok(decisions)
    }

    /// How many containers of a service are wanted.
    pub(super) fn count(&self, service: &Service) -> u32 {
        self.options.scale.get(&service.name).copied().unwrap_or(service.replicas)
    }

    /// What the image's reference means now.
    pub(super) fn image(&self, service: &Service) -> Option<ImageId> {
        self.observed.images.get(&service.image).copied()
    }

    /// The wanted container of a number.
    pub(super) fn spec(&self, service: &Service, number: u32, known: &Known) -> ContainerSpec {
        desired::container(self.project, service, number, self.image(service), known)
    }

    fn of_service(&self, service: &'a Service) -> Result<Decision<'a>, PlanError> {
        let count = self.count(service);
        if let Some(name) = service.container_name.as_ref().filter(|_| count > 1) {
            return Err(PlanError::NamedTwice { service: service.name.clone(), name: name.clone(), wanted: count });
        }
        let mut surplus = Vec::new();
        let mut candidates = Vec::new();
        for existing in self.observed.replicas(&service.name) {
            let name = desired::name(self.project, service, existing.number)?;
            let misnamed = is_temporary(existing).then_some(existing.name());
            if misnamed.is_some() && self.observed.has_container(name.as_str()) {
                // The old one is still there: the replacement is made again, from today's wishes.
                surplus.push((existing, Cause::Interrupted));
                continue;
            }
            let divergence = self.divergence(service, existing, &name, misnamed.is_some());
            candidates
                .push((divergence, Wanted { name, number: existing.number, misnamed, existing: Some(existing), action: Action::Keep }));
        }
        // What is up to date stays first, then what has the lowest number (compose.md §4.4).
        candidates.sort_by_key(|(divergence, wanted)| (divergence.is_some(), wanted.number));
        let mut wanted: Vec<Wanted<'a>> = Vec::new();
        for (divergence, mut candidate) in candidates {
            let Some(existing) = candidate.existing else { continue };
            if wanted.len() >= usize::try_from(count).unwrap_or(usize::MAX) {
                surplus.push((existing, Cause::Surplus { wanted: count }));
                continue;
            }
            candidate.action = match divergence.filter(|_| self.policy(&service.name) != Recreate::Never) {
                Some(divergence) => Action::Replace(existing, divergence),
                None => self.revive(existing),
            };
            wanted.push(candidate);
        }
        let mut next = wanted.iter().map(|it| it.number).max().unwrap_or(0);
        while wanted.len() < usize::try_from(count).unwrap_or(usize::MAX) {
            next += 1;
            let name = desired::name(self.project, service, next)?;
            wanted.push(Wanted { name, number: next, misnamed: None, existing: None, action: Action::Create });
        }
        wanted.sort_by_key(|it| it.number);
        Ok(Decision { wanted, surplus })
    }

    fn revive(&self, existing: &Replica) -> Action<'a> {
        match existing.info.state {
            _ if !self.options.start => Action::Keep,
            ContainerState::Running { paused: true, .. } => Action::Unpause,
            ContainerState::Running { .. } | ContainerState::Restarting { .. } => Action::Keep,
            _ => Action::Start,
        }
    }

    pub(super) fn policy(&self, service: &ServiceName) -> Recreate {
        let targeted = self.options.services.is_empty() || self.options.services.contains(service);
        if targeted { self.options.recreate } else { self.options.recreate_dependencies }
    }

    fn divergence(&self, service: &Service, existing: &Replica, name: &ContainerName, misnamed: bool) -> Option<Divergence> {
        if self.policy(&service.name) == Recreate::Always {
            return Some(Divergence::Forced);
        }
        let spec = self.spec(service, existing.number, &self.known);
        // A container left under its temporary name gets the right one; that alone is no reason to replace it.
        let name = if misnamed { &existing.info.name } else { name };
        let origin = Origin { project: self.project, service };
        replica::divergence(existing, name, origin, &spec, self.image(service))
    }
}

/// The name a container has while it is to replace another: `<first 12 digits of the old id>_<name>`.
pub(super) fn temporary_name(old: &Replica, name: &ContainerName) -> Result<ContainerName, PlanError> {
    Ok(format!("{}_{name}", old.info.id.short()).parse()?)
}

fn is_temporary(replica: &Replica) -> bool {
    let prefix = replica.name().split_once('_').map(|(prefix, _)| prefix);
    replica.label(label::REPLACE).is_some() && prefix.is_some_and(|it| it.len() == 12 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
