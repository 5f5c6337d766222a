//! What things of the engine are called that a specification refers to: containers of other services, networks named by id.

use std::collections::BTreeMap;

use crate::compose::plan::decide::Decision;
use crate::compose::plan::observed::ObservedState;
use crate::compose::project::model::Project;
use crate::compose::project::other::Other;
use crate::resource::name::{ContainerName, ServiceName};

/// The names by which specifications refer to what is there, or will be.
#[derive(Clone, Debug, Default)]
pub struct Known {
    containers: BTreeMap<ServiceName, Vec<ContainerName>>,
    networks: BTreeMap<String, String>,
}

impl Known {
    /// The names of what there is.
    pub fn observed(project: &Project, observed: &ObservedState) -> Self {
        let containers = observed.services.iter().map(|(service, replicas)| {
            let names = replicas.iter().map(|replica| replica.info.name.clone()).collect();
            (service.clone(), names)
        });
        let networks = project.networks.values().filter_map(|network| {
            let info = observed.network(&network.name)?;
            Some((network.name.clone(), info.name.to_string()))
        });
        Self { containers: containers.collect(), networks: networks.collect() }
    }

    /// Says what containers will be called once it is as was decided.
    pub(super) fn will_be(&mut self, decisions: &BTreeMap<ServiceName, Decision<'_>>) {
        let names = |decision: &Decision<'_>| decision.wanted.iter().map(|wanted| wanted.name.clone()).collect();
        self.containers.extend(decisions.iter().map(|(service, decision)| (service.clone(), names(decision))));
    }

    /// The containers of a service.
    pub(super) fn of(&self, service: &ServiceName) -> &[ContainerName] {
        self.containers.get(service).map_or(&[], Vec::as_slice)
    }

    /// The name of a network that a file names by its name or its id.
    pub(super) fn network<'a>(&'a self, written: &'a str) -> &'a str {
        self.networks.get(written).map_or(written, String::as_str)
    }

    /// The container whose namespace or volumes another has.
    pub(super) fn container(&self, other: &Other) -> String {
        match other {
            Other::Container(name) => name.clone(),
            // Nobody of that name is there: the planner refuses such a plan.
            Other::Service(service) => self.of(service).first().map_or_else(|| written(other), ToString::to_string),
        }
    }
}

/// Another container as a file names it: no name of a container has a colon.
pub(super) fn written(other: &Other) -> String {
    match other {
        Other::Container(name) => name.clone(),
        Other::Service(service) => format!("service:{service}"),
    }
}
