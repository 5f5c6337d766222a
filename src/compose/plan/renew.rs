//! Networks and volumes of an `up`: those that are made, and those that are made anew under containers that have them.

use std::collections::BTreeSet;

use crate::compose::plan::build::Builder;
use crate::compose::plan::cause::Cause;
use crate::compose::plan::decide::Changed;
use crate::compose::plan::network::{self, Standing};
use crate::compose::plan::observed::{ObservedState, Replica};
use crate::compose::plan::options::{PlanError, UpOptions};
use crate::compose::plan::steps::{StepId, Warning};
use crate::compose::plan::{hook, volume};
use crate::compose::project::model::{Project, Service};
use crate::resource::container::EndpointSpec;
use crate::resource::name::NetworkName;
use crate::resource::operation::Operation;

/// Names of the project's networks that exist otherwise than they are wanted.
fn changed_networks(project: &Project, observed: &ObservedState) -> BTreeSet<String> {
    let used = used_networks(project);
    let ours = project.networks.iter().filter(|(key, network)| used.contains(*key) && !network.external);
    ours.filter(|(_, network)| {
        let existing = observed.network(&network.name);
        existing.is_some_and(|info| network::standing(project, &network.spec, info) == Standing::Differs)
    })
    .map(|(_, network)| network.name.clone())
    .collect()
}

/// Names of the project's volumes that exist otherwise than they are wanted. An `up` makes anew those it is told to.
pub fn changed_volumes(project: &Project, observed: &ObservedState) -> Vec<String> {
    let used = used_volumes(project);
    let ours = project.volumes.iter().filter(|(key, volume)| used.contains(key.as_str()) && !volume.external);
    ours.filter(|(_, volume)| {
        let existing = observed.volume(&volume.name);
        existing.is_some_and(|info| volume::standing(project, &volume.spec, info) == Standing::Differs)
    })
    .map(|(_, volume)| volume.name.clone())
    .collect()
}

fn used_networks(project: &Project) -> BTreeSet<&String> {
    project.services.values().flat_map(|service| service.networks.keys()).collect()
}

fn used_volumes(project: &Project) -> BTreeSet<&str> {
    project.services.values().flat_map(|service| service.volume_keys()).collect()
}

impl Changed {
    /// What is to be made anew: networks that differ, and volumes where that was allowed.
    pub(super) fn of(project: &Project, observed: &ObservedState, options: &UpOptions) -> Self {
        let volumes = changed_volumes(project, observed).into_iter().filter(|volume| options.renew_volumes.contains(volume));
        Self { networks: changed_networks(project, observed), volumes: volumes.collect() }
    }
}

impl Builder<'_> {
    /// Removes volumes that are made anew, and before them every container of the project that has them.
    pub(super) fn remove_volumes(&mut self, volumes: &BTreeSet<String>) {
        let observed = self.decider.observed;
        for name in volumes {
            let cause = Cause::VolumeChanged(name.clone());
            let mut after: Vec<StepId> = self.images.values().copied().collect();
            // Dependants stop first.
            for service in self.graph.order().iter().rev() {
                for replica in observed.replicas(service).iter().filter(|it| it.mounts(name)) {
                    let before = self.stops_of_dependants(service);
                    self.stop(replica, &before, cause.clone());
                }
            }
            for replica in observed.all().chain(observed.one_offs()).filter(|it| it.mounts(name)) {
                let before = self.stops_of_dependants(&replica.service);
                after.push(self.discard(replica, &before, false, cause.clone()));
            }
            let removed = self.plan.push(Operation::RemoveVolume { name: name.clone() }, after, cause);
            self.volumes.insert(name.clone(), removed);
        }
    }

    pub(super) fn volumes(&mut self) -> Result<(), PlanError> {
        let project = self.decider.project;
        let used = used_volumes(project);
        for (key, volume) in project.volumes.iter().filter(|(key, _)| used.contains(key.as_str())) {
            let existing = self.decider.observed.volume(&volume.name);
            let removed = self.volumes.get(&volume.name).copied();
            let cause = match existing.map(|info| volume::standing(project, &volume.spec, info)) {
                None if volume.external => return Err(PlanError::ExternalVolume(volume.name.clone())),
                None => Cause::Missing,
                Some(_) if removed.is_some() => Cause::VolumeChanged(volume.name.clone()),
                Some(_) if volume.external => continue,
                Some(Standing::Same) => continue,
                Some(Standing::Differs) => {
                    self.plan.warnings.push(Warning::VolumeDiffers(volume.name.clone()));
                    continue;
                }
                Some(Standing::Foreign) => {
                    self.plan.warnings.push(Warning::ForeignVolume(volume.name.clone()));
                    continue;
                }
            };
            let spec = Box::new(volume::wanted(project, key, volume));
            let operation = Operation::CreateVolume { name: volume.name.parse()?, spec };
            let after: Vec<StepId> = self.images.values().copied().chain(removed).collect();
            let step = self.plan.push(operation, after, cause);
            self.volumes.insert(volume.name.clone(), step);
        }
        Ok(())
    }

    pub(super) fn networks(&mut self, changed: &BTreeSet<String>) -> Result<(), PlanError> {
        let project = self.decider.project;
        let used = used_networks(project);
        for (key, network) in project.networks.iter().filter(|(key, _)| used.contains(key)) {
            let existing = self.decider.observed.network(&network.name);
            if network.external {
                existing.ok_or_else(|| PlanError::ExternalNetwork(network.name.clone()))?;
                continue;
            }
            let name: NetworkName = network.name.parse()?;
            if changed.contains(&network.name) {
                self.remake_network(key, &name)?;
                continue;
            }
            match existing {
                Some(info) if network::standing(project, &network.spec, info) == Standing::Foreign => {
                    self.plan.warnings.push(Warning::ForeignNetwork(name));
                }
                Some(_) => {}
                None => {
                    let spec = Box::new(network::wanted(project, key, network));
                    let after: Vec<StepId> = self.images.values().copied().collect();
                    let step = self.plan.push(Operation::CreateNetwork { name, spec }, after, Cause::Missing);
                    self.networks.insert(network.name.clone(), step);
                }
            }
        }
        self.start_undecided(changed);
        Ok(())
    }

    /// Stops what is on a network, takes it off, makes the network anew, and puts what stays back on it, with all its names and
    /// addresses.
    fn remake_network(&mut self, key: &str, name: &NetworkName) -> Result<(), PlanError> {
        let (project, observed) = (self.decider.project, self.decider.observed);
        let cause = Cause::NetworkChanged(name.to_string());
        let mut freed = Vec::new();
        let mut kept = Vec::new();
        for replica in observed.all().chain(observed.one_offs()).filter(|it| it.is_on(name.as_str())) {
            if let Some(removed) = self.removal(replica.name()) {
                freed.push(removed);
                continue;
            }
            let after = self.stops_of_dependants(&replica.service);
            let stopped = self.stop(replica, &after, cause.clone());
            let operation = Operation::DisconnectNetwork { network: name.to_string(), container: replica.info.name.clone() };
            let step = self.plan.push(operation, stopped, cause.clone());
            self.touches.entry(replica.name().to_owned()).or_default().push(step);
            freed.push(step);
            if self.stays(replica) {
                kept.push(replica);
            }
        }
        let removed = self.plan.push(Operation::RemoveNetwork { name: name.to_string() }, freed, cause.clone());
        let spec = Box::new(network::wanted(project, key, &project.networks[key]));
        let created = self.plan.push(Operation::CreateNetwork { name: name.clone(), spec }, [removed], cause.clone());
        self.networks.insert(name.to_string(), created);
        for replica in kept {
            let Some(endpoint) = self.endpoint(replica, name.as_str()) else { continue };
            let container = replica.info.name.clone();
            let operation = Operation::ConnectNetwork { network: name.clone(), container, endpoint: Box::new(endpoint) };
            let step = self.plan.push(operation, [created], cause.clone());
            self.joins.entry(replica.name().to_owned()).or_default().push(step);
            self.touches.entry(replica.name().to_owned()).or_default().push(step);
        }
        Ok(())
    }

    /// Nothing else is decided of containers of services that were not asked for: they start again once they are back on all of their
    /// networks. A one-off had its one run.
    fn start_undecided(&mut self, changed: &BTreeSet<String>) {
        let (project, observed, decisions) = (self.decider.project, self.decider.observed, self.decisions);
        if !self.decider.options.start {
            return;
        }
        for replica in observed.all().filter(|it| it.is_up() && !decisions.contains_key(&it.service)) {
            let Some(joins) = self.joins.get(replica.name()).cloned() else { continue };
            let Some(network) = changed.iter().find(|network| replica.is_on(network)) else { continue };
            let cause = Cause::NetworkChanged(network.clone());
            let started = self.plan.push(Operation::StartContainer { name: replica.info.name.clone() }, joins, cause.clone());
            if let Some(service) = project.disabled.get(&replica.service) {
                hook::after_start(&mut self.plan, service, replica.name(), started, &cause);
            }
        }
    }

    /// Whether an existing container is there when the plan is done.
    fn stays(&self, replica: &Replica) -> bool {
        if replica.one_off {
            // One that goes when it ends is gone by then.
            return !replica.info.spec.auto_remove;
        }
        let Some(decision) = self.decisions.get(&replica.service) else { return true };
        let is_it = |existing: Option<&Replica>| existing.is_some_and(|existing| existing.info.id == replica.info.id);
        decision.wanted.iter().any(|wanted| is_it(wanted.existing) && !wanted.action.makes())
    }

    /// What a container wants on a network: as the file says, else as it has it.
    fn endpoint(&self, replica: &Replica, network: &str) -> Option<EndpointSpec> {
        match self.decider.project.services.get(&replica.service).filter(|_| !replica.one_off) {
            Some(service) => self.decider.spec(service, replica.number, &self.known).endpoints.remove(network),
            None => replica.info.endpoints.iter().find(|it| it.network_name == network).map(|it| it.spec.clone()),
        }
    }

    /// Puts a container that does not run on those of its networks that it is not on: an interrupted run had taken it off.
    pub(super) fn missing_networks(&mut self, service: &Service, number: u32, existing: &Replica) -> Vec<StepId> {
        if existing.is_up() && !self.is_stopped(existing) {
            return Vec::new();
        }
        let spec = self.decider.spec(service, number, &self.known);
        let mut joined = Vec::new();
        for (name, endpoint) in spec.endpoints.into_iter().filter(|(name, _)| !existing.is_on(name)) {
            let Ok(network) = name.parse() else { continue };
            let operation = Operation::ConnectNetwork { network, container: existing.info.name.clone(), endpoint: Box::new(endpoint) };
            joined.push(self.plan.push(operation, self.networks.get(&name).copied(), Cause::Missing));
        }
        joined
    }
}
