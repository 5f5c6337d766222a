//! Writes the operations of one plan, in order, and what each of them runs after.

use crate::compose::plan::cause::Cause;
use crate::compose::plan::decide::{Action, Changed, Decider, Decision, Wanted, temporary_name};
use crate::compose::plan::graph::ServiceGraph;
use crate::compose::plan::known::Known;
use crate::compose::plan::observed::Replica;
use crate::compose::plan::one_off::OneOff;
use crate::compose::plan::options::PlanError;
use crate::compose::plan::steps::{Plan, StepId, Warning};
use crate::compose::plan::teardown::{self, Patience};
use crate::compose::plan::{desired, hook, inherit, label, sharing};
use crate::compose::project::model::{FileWay, PullPolicy, Service};
use crate::resource::container::{ContainerSpec, HealthTest, IpcMode, MountSource, NamespaceMode, NetworkMode};
use crate::resource::name::{ContainerName, ServiceName};
use crate::resource::operation::{Condition, Operation};
use std::collections::BTreeMap;

/// Refuses to make a container of a service with a secret or config of unknown content.
pub(super) fn require_contents(service: &Service) -> Result<(), PlanError> {
    service.files.iter().try_for_each(|file| match &file.way {
        FileWay::Written { content: Err(reason), .. } => {
            let (service, kind, key, reason) = (service.name.clone(), file.kind, file.key.clone(), reason.clone());
            Err(PlanError::Content { service, kind, key, reason })
        }
        _ => Ok(()),
    })
}

/// Writes the operations of one `up`, in order.
pub(super) struct Builder<'a> {
    pub(super) decider: Decider<'a>,
    /// What everything will be called.
    pub(super) known: Known,
    pub(super) graph: &'a ServiceGraph,
    pub(super) decisions: &'a BTreeMap<ServiceName, Decision<'a>>,
    patience: Patience,
    pub(super) plan: Plan,
    /// The step after which a network, by name, can be used.
    pub(super) networks: BTreeMap<String, StepId>,
    /// The step after which a volume, by name, can be used, or made.
    pub(super) volumes: BTreeMap<String, StepId>,
    /// The steps that bring images in. What comes from outside may fail: nothing is made before all of it is here.
    pub(super) images: BTreeMap<String, StepId>,
    /// The step after which a container has its name.
    named: BTreeMap<String, StepId>,
    /// The step after which an existing container, by name, is stopped.
    stops: BTreeMap<String, StepId>,
    /// Steps that do something to an existing container, before which it must not go.
    pub(super) touches: BTreeMap<String, Vec<StepId>>,
    /// Steps that put a kept container back on its networks.
    pub(super) joins: BTreeMap<String, Vec<StepId>>,
    /// For each service its containers, and the step that starts each, if it does not run already.
    running: BTreeMap<ServiceName, Vec<(ContainerName, Option<StepId>)>>,
    /// Removals of orphans.
    orphans: Vec<StepId>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        decider: Decider<'a>,
        graph: &'a ServiceGraph,
        decisions: &'a BTreeMap<ServiceName, Decision<'a>>,
        known: Known,
    ) -> Self {
        Self {
            patience: Patience::new(Some(decider.project), decider.observed),
            decider,
            known,
            graph,
            decisions,
            plan: Plan::default(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
            named: BTreeMap::new(),
            stops: BTreeMap::new(),
            touches: BTreeMap::new(),
            joins: BTreeMap::new(),
            running: BTreeMap::new(),
            orphans: Vec::new(),
        }
    }

    /// Networks, volumes, and every container that was decided upon.
    pub(super) fn everything(&mut self, changed: &Changed) -> Result<(), PlanError> {
        self.restarts();
        self.remove_volumes(&changed.volumes);
        self.networks(&changed.networks)?;
        self.volumes()?;
        let (project, graph, decisions) = (self.decider.project, self.graph, self.decisions);
        graph.order().iter().try_for_each(|name| self.service(&project.services[name], &decisions[name]))
    }

    /// The container of a command that runs once.
    pub(super) fn one_off(&mut self, service: &Service, one_off: &OneOff) {
        let image = self.decider.image(service);
        let spec = desired::one_off(self.decider.project, service, one_off, image, &self.known);
        let mut after = self.needs(&spec);
        after.extend(self.gates(service));
        after.extend(self.removal(one_off.name.as_str()));
        if !service.ports.is_empty() {
            after.extend(&self.orphans);
        }
        let operation = Operation::CreateContainer { name: one_off.name.clone(), spec: Box::new(spec), inherit: None };
        let created = self.plan.push(operation, after, Cause::Asked);
        self.plan.push(Operation::StartContainer { name: one_off.name.clone() }, [created], Cause::Created);
    }

    pub(super) fn orphans(&mut self) -> Result<(), PlanError> {
        let orphans = teardown::orphans(self.decider.project, self.decider.observed);
        if self.decider.options.remove_orphans {
            for orphan in orphans {
                let removed = self.discard(orphan, &[], false, Cause::Orphan);
                self.orphans.push(removed);
            }
        } else if !orphans.is_empty() && !self.decider.options.ignore_orphans {
            let names = orphans.iter().map(|orphan| orphan.info.name.clone()).collect();
            self.plan.warnings.push(Warning::Orphans(names));
        }
        Ok(())
    }

    /// Containers of hooks that failed, or that an interrupted run left, have been looked at by now.
    pub(super) fn old_hooks(&mut self, is_old: impl Fn(&Replica) -> bool) {
        let services = &self.decider.project.services;
        for hook in self.decider.observed.hooks().iter().filter(|hook| services.contains_key(&hook.service) && is_old(hook)) {
            let operation = Operation::RemoveContainer { name: hook.name().to_owned(), volumes: true };
            self.plan.push(operation, [], Cause::Interrupted);
        }
    }

    /// Pulls of images that are missing and from which something is made.
    pub(super) fn images(&mut self) -> Result<(), PlanError> {
        for (name, decision) in self.decisions {
            let service = &self.decider.project.services[name];
            let makes = decision.wanted.iter().any(|it| it.action.makes());
            if makes {
                self.image(service, &service.image)?;
            }
            if self.runs_pre_start(service, decision) {
                service.images().skip(1).try_for_each(|image| self.image(service, image))?;
            }
        }
        Ok(())
    }

    /// The pull of an image of a service, its own or that of a hook, if it is missing.
    pub(super) fn image(&mut self, service: &Service, image: &str) -> Result<(), PlanError> {
        let is_built = self.decider.options.built.contains(image);
        if is_built || self.decider.observed.images.contains_key(image) || self.images.contains_key(image) {
            return Ok(());
        }
        let never = match service.pull_policy {
            PullPolicy::Never => true,
            PullPolicy::Build => image == service.image,
            PullPolicy::Unset | PullPolicy::Missing | PullPolicy::Always | PullPolicy::Every(_) => false,
        };
        if never || !self.decider.options.pull {
            return Err(PlanError::ImageMissing { image: image.to_owned(), service: service.name.clone() });
        }
        let platform = desired::platform(self.decider.project, service);
        let operation = Operation::PullImage { image: image.to_owned(), platform };
        let step = self.plan.push(operation, [], Cause::Missing);
        self.images.insert(image.to_owned(), step);
        Ok(())
    }

    /// Stops of what is started again later, and of what would be cut off from the namespace it lives in, dependants first.
    fn restarts(&mut self) {
        for name in self.graph.order().iter().rev() {
            let cut_off = sharing::is_cut_off(&self.decider.project.services[name], self.decisions);
            for wanted in &self.decisions[name].wanted {
                let cause = match &wanted.action {
                    Action::Restart(cause) => cause.clone(),
                    Action::Remake(_, cause) if cut_off => cause.clone(),
                    Action::Replace(_, divergence) if cut_off => Cause::Diverged(divergence.clone()),
                    _ => continue,
                };
                if let Some(existing) = wanted.existing {
                    let after = self.stops_of_dependants(name);
                    self.stop(existing, &after, cause);
                }
            }
        }
    }

    /// The steps before a container of a service stops, to start again or to be replaced: images are here, dependants have stopped.
    pub(super) fn stops_of_dependants(&self, service: &ServiceName) -> Vec<StepId> {
        let dependants = self.graph.dependants(service).into_iter();
        let stops = dependants.flat_map(|name| self.decider.observed.replicas(name)).filter_map(|it| self.stops.get(it.name()));
        stops.chain(self.images.values()).copied().collect()
    }

    /// Whether an existing container is stopped before it is started again.
    pub(super) fn is_stopped(&self, existing: &Replica) -> bool {
        self.stops.contains_key(existing.name())
    }

    /// Stops an existing container once; `None` when it does not run.
    pub(super) fn stop(&mut self, existing: &Replica, after: &[StepId], cause: Cause) -> Option<StepId> {
        if !existing.is_up() {
            return None;
        }
        if let Some(step) = self.stops.get(existing.name()) {
            return Some(*step);
        }
        let after = hook::before_stop(&mut self.plan, Some(self.decider.project), existing, after, &cause);
        let operation = Operation::StopContainer {
            name: existing.name().to_owned(),
            timeout: self.decider.options.timeout,
            patient: self.patience.wants(existing, self.decider.options.timeout),
        };
        let step = self.plan.push(operation, after, cause);
        self.stops.insert(existing.name().to_owned(), step);
        Some(step)
    }

    /// Stops and removes an existing container, once.
    pub(super) fn discard(&mut self, existing: &Replica, after: &[StepId], volumes: bool, cause: Cause) -> StepId {
        if let Some(removed) = self.removal(existing.name()) {
            return removed;
        }
        let stopped = self.stop(existing, after, cause.clone());
        let touches = self.touches.get(existing.name()).cloned().unwrap_or_default();
        let after = stopped.into_iter().chain(after.iter().copied()).chain(touches);
        self.plan.push(Operation::RemoveContainer { name: existing.name().to_owned(), volumes }, after, cause)
    }

    fn service(&mut self, service: &'a Service, decision: &Decision<'a>) -> Result<(), PlanError> {
        let mut gone = Vec::new();
        for (existing, cause) in &decision.surplus {
            gone.push(self.discard(existing, &[], false, cause.clone()));
        }
        let starts = decision.wanted.iter().any(|it| !matches!(it.action, Action::Keep)) && self.decider.options.start;
        let mut gates = if starts { self.gates(service) } else { Vec::new() };
        gates.extend(&gone);
        if !service.ports.is_empty() {
            // An orphan may hold the very port: a renamed service does.
            gates.extend(&self.orphans);
        }
        let mut prepared = Vec::new();
        if self.runs_pre_start(service, decision) {
            for wanted in &decision.wanted {
                prepared.push(self.prepare(service, wanted)?);
            }
            gates.extend(prepared.iter().flat_map(|(ready, _)| ready));
            gates = self.pre_start(service, &decision.wanted[0].name, gates)?;
        }
        let mut prepared = prepared.into_iter();
        let mut running = Vec::new();
        for wanted in &decision.wanted {
            let (ready, cause) = match prepared.next() {
                Some(prepared) => prepared,
                None => self.prepare(service, wanted)?,
            };
            let started = match (&wanted.action, cause) {
                (Action::Unpause, _) => {
                    let operation = Operation::UnpauseContainer { name: wanted.name.clone() };
                    Some(self.plan.push(operation, ready, Cause::NotRunning))
                }
                (_, Some(cause)) if self.decider.options.start => {
                    let operation = Operation::StartContainer { name: wanted.name.clone() };
                    let started = self.plan.push(operation, ready.into_iter().chain(gates.iter().copied()), cause.clone());
                    Some(hook::after_start(&mut self.plan, service, wanted.name.as_str(), started, &cause))
                }
                _ => {
                    if wanted.existing.is_some_and(Replica::is_up) {
                        self.plan.kept.push(wanted.name.clone());
                    }
                    None
                }
            };
            running.push((wanted.name.clone(), started));
        }
        self.running.insert(service.name.clone(), running);
        Ok(())
    }

    /// Whether the hooks before a service's start run: it starts, and no container of it goes on running.
    fn runs_pre_start(&self, service: &Service, decision: &Decision<'_>) -> bool {
        let runs = |wanted: &Wanted<'_>| match wanted.action {
            Action::Keep => wanted.existing.is_some_and(Replica::is_up),
            Action::Unpause => true,
            _ => false,
        };
        let wanted = &decision.wanted;
        !service.pre_start.is_empty() && self.decider.options.start && !wanted.is_empty() && !wanted.iter().any(runs)
    }

    /// Hooks before the start of a service, one after the other; `first` is its container with the lowest number.
    fn pre_start(&mut self, service: &Service, first: &ContainerName, after: Vec<StepId>) -> Result<Vec<StepId>, PlanError> {
        let project = self.decider.project;
        require_contents(service)?;
        let mut after = after;
        for (index, hook) in service.pre_start.iter().enumerate() {
            let name: ContainerName = project.part_name(&[service.name.as_str(), "pre_start", &index.to_string()]).parse()?;
            let spec = Box::new(desired::pre_start(project, service, hook, first, &self.known));
            after.extend(self.removal(name.as_str()));
            let operation = Operation::RunPreStart { name, service: service.name.to_string(), index, spec };
            after = vec![self.plan.push(operation, after, Cause::BeforeStart(service.name.clone()))];
        }
        Ok(after)
    }

    /// The steps after which a wanted container exists under its name, and why it is to be started, if it is.
    fn prepare(&mut self, service: &Service, wanted: &Wanted<'a>) -> Result<(Vec<StepId>, Option<Cause>), PlanError> {
        let mut ready = wanted.existing.and_then(|it| self.joins.get(it.name()).cloned()).unwrap_or_default();
        if let (Some(existing), false) = (wanted.existing, wanted.action.makes()) {
            ready.extend(self.missing_networks(service, wanted.number, existing));
        }
        if let (Some(from), false) = (wanted.misnamed, wanted.action.makes()) {
            let operation = Operation::RenameContainer { from: from.to_owned(), to: wanted.name.clone() };
            let renamed = self.plan.push(operation, ready.clone(), Cause::Interrupted);
            self.named.insert(wanted.name.to_string(), renamed);
            ready.push(renamed);
        }
        Ok(match &wanted.action {
            Action::Keep | Action::Unpause => (ready, None),
            Action::Start => (ready, Some(Cause::NotRunning)),
            Action::Restart(cause) => {
                ready.extend(self.stops.get(wanted.existing.map_or("", Replica::name)));
                (ready, Some(cause.clone()))
            }
            Action::Create => {
                require_contents(service)?;
                let spec = self.decider.spec(service, wanted.number, &self.known);
                let mut after = self.needs(&spec);
                // An orphan may have the very name: a renamed service with a `container_name` does.
                after.extend(self.removal(wanted.name.as_str()));
                let operation = Operation::CreateContainer { name: wanted.name.clone(), spec: Box::new(spec), inherit: None };
                let created = self.plan.push(operation, after, Cause::Missing);
                self.named.insert(wanted.name.to_string(), created);
                (vec![created], Some(Cause::Created))
            }
            Action::Remake(old, cause) => {
                require_contents(service)?;
                let spec = self.successor(service, wanted.number, old);
                let mut after = self.needs(&spec);
                after.extend(self.removal(old.name()));
                after.extend(self.removal(wanted.name.as_str()));
                let inherit = Some(old.name().to_owned());
                let operation = Operation::CreateContainer { name: wanted.name.clone(), spec: Box::new(spec), inherit };
                let created = self.plan.push(operation, after, cause.clone());
                self.named.insert(wanted.name.to_string(), created);
                (vec![created], Some(cause.clone()))
            }
            Action::Replace(old, divergence) => {
                require_contents(service)?;
                let cause = Cause::Diverged(divergence.clone());
                let renew = self.decider.options.renew_anonymous_volumes;
                let temporary = temporary_name(old, &wanted.name)?;
                let mut spec = self.successor(service, wanted.number, old);
                spec.labels.insert(label::REPLACE.to_owned(), wanted.name.to_string());
                let mut after = self.needs(&spec);
                // A replacement that an interrupted run left has the name of this one.
                after.extend(self.removal(temporary.as_str()));
                let inherit = (!renew).then(|| old.name().to_owned());
                let operation = Operation::CreateContainer { name: temporary.clone(), spec: Box::new(spec), inherit };
                let created = self.plan.push(operation, after, cause.clone());
                let mut after = self.stops_of_dependants(&service.name);
                after.push(created);
                // What put the old one back on a network that was made anew comes to nothing, but must not come later.
                after.extend(ready);
                let removed = self.discard(old, &after, renew, cause.clone());
                let operation = Operation::RenameContainer { from: temporary.to_string(), to: wanted.name.clone() };
                let renamed = self.plan.push(operation, [removed], cause.clone());
                self.named.insert(wanted.name.to_string(), renamed);
                (vec![renamed], Some(cause))
            }
        })
    }

    /// The container of a number, with the anonymous volumes of the one before it unless new ones were asked for.
    fn successor(&self, service: &Service, number: u32, old: &Replica) -> ContainerSpec {
        let mut spec = self.decider.spec(service, number, &self.known);
        if !self.decider.options.renew_anonymous_volumes {
            inherit::anonymous(service, self.decider.observed, old, &mut spec);
        }
        spec
    }

    /// The steps before a container can be made: its image, networks and volumes, and those it shares something with.
    fn needs(&self, spec: &ContainerSpec) -> Vec<StepId> {
        let volumes = spec.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name: Some(name), .. } => self.volumes.get(name),
            _ => None,
        });
        let networks = spec.endpoints.keys().filter_map(|name| self.networks.get(name));
        let network = if let NetworkMode::Container(name) = &spec.network { Some(name) } else { None };
        let pid = if let NamespaceMode::Container(name) = &spec.pid { Some(name) } else { None };
        let ipc = if let IpcMode::Container(name) = &spec.ipc { Some(name) } else { None };
        let lenders = spec.volumes_from.iter().map(|it| it.split(':').next().unwrap_or(it));
        let shared = [network, pid, ipc].into_iter().flatten().map(String::as_str).chain(lenders).filter_map(|name| self.named.get(name));
        self.images.values().chain(networks).chain(volumes).chain(shared).copied().collect()
    }

    /// The steps before a service's containers may start: its dependencies, as it wants them.
    fn gates(&mut self, service: &Service) -> Vec<StepId> {
        let mut gates = Vec::new();
        for (name, dependency) in &service.depends_on {
            let Some(containers) = self.running.get(name).cloned() else { continue };
            for (container, started) in containers {
                if dependency.condition == Condition::Started {
                    gates.extend(started);
                    continue;
                }
                let operation = Operation::AwaitContainer {
                    name: container,
                    condition: dependency.condition,
                    required: dependency.required,
                    waiter: service.name.to_string(),
                };
                gates.push(self.plan.push(operation, started, Cause::DependencyOf(service.name.clone())));
            }
        }
        gates
    }

    /// Networks of the project that have another name now go, once nothing is on them.
    pub(super) fn renamed_networks(&mut self) {
        let project = self.decider.project;
        for info in &self.decider.observed.networks {
            let label = |key: &str| info.spec.labels.get(key).map(String::as_str);
            let renamed = label(label::NETWORK).and_then(|key| project.networks.get(key)).is_some_and(|it| info.name != *it.name.as_str());
            if label(label::PROJECT) != Some(project.name.as_str()) || !renamed {
                continue;
            }
            let members = self.decider.observed.all().chain(self.decider.observed.one_offs()).filter(|it| it.is_on(info.name.as_str()));
            let removals: Option<Vec<StepId>> = members.map(|it| self.removal(it.name())).collect();
            if let Some(removals) = removals {
                let operation = Operation::RemoveNetwork { name: info.name.to_string() };
                self.plan.push(operation, removals, Cause::NetworkChanged(info.name.to_string()));
            }
        }
    }

    pub(super) fn removal(&self, container: &str) -> Option<StepId> {
        self.plan.find(|operation| matches!(operation, Operation::RemoveContainer { name, .. } if name == container))
    }

    /// One wait for each container of a named service: compose.md §4.10.
    pub(super) fn wait(&mut self) {
        let project = self.decider.project;
        let services = &self.decider.options.services;
        let targeted = project.services.values().filter(|it| services.is_empty() || services.contains(&it.name));
        for service in targeted {
            let condition = if self.patience.is_job(&service.name) {
                Condition::Completed
            } else if service.healthcheck.as_ref().is_some_and(|check| check.test != HealthTest::Disabled) {
                Condition::Healthy
            } else {
                Condition::Started
            };
            for (name, started) in self.running.get(&service.name).cloned().unwrap_or_default() {
                let operation = Operation::AwaitContainer { name, condition, required: true, waiter: String::new() };
                self.plan.push(operation, started, Cause::Wait);
            }
        }
    }
}
