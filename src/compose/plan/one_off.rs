//! A service's command, or another one, run once in a container of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compose::plan::options::PlanError;
use crate::compose::project::model::{Project, Service};
use crate::resource::container::{Mount, PortBinding};
use crate::resource::name::{ContainerName, ServiceName};

/// What `run` wants otherwise than the service's files do.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOff {
    /// The service.
    pub service: ServiceName,
    /// The container's name.
    pub name: ContainerName,
    /// What makes that name its own.
    pub slug: String,
    /// Replaces the command; empty leaves it.
    pub command: Vec<String>,
    /// Replaces the entry point; `Some([])` clears it. Setting it drops the service's command.
    pub entrypoint: Option<Vec<String>>,
    /// Beside the service's variables, and above them.
    pub environment: BTreeMap<String, String>,
    /// Replaces the user.
    pub user: Option<String>,
    /// Replaces the working directory.
    pub working_dir: Option<String>,
    /// Capabilities added, even those that the service drops.
    pub cap_add: BTreeSet<String>,
    /// Capabilities dropped, even those that the service adds.
    pub cap_drop: BTreeSet<String>,
    /// Beside the service's labels.
    pub labels: BTreeMap<String, String>,
    /// Ports instead of the service's; those when absent.
    pub ports: Option<Vec<PortBinding>>,
    /// Mounts beside the service's, instead of those at the same path.
    pub mounts: Vec<Mount>,
    /// A pseudo-terminal.
    pub tty: bool,
    /// Standard input is sent.
    pub stdin: bool,
    /// It goes when it ends.
    pub remove: bool,
    /// It answers to the service's names.
    pub use_aliases: bool,
}

impl OneOff {
    /// The project with the service as it is wanted here.
    pub(super) fn applied(&self, project: &Project) -> Result<Project, PlanError> {
        let Some(service) = project.services.get(&self.service) else {
            return Err(PlanError::UnknownService(self.service.to_string()));
        };
        let mut project = project.clone();
        project.services.insert(self.service.clone(), Arc::new(self.adjusted(service)));
        Ok(project)
    }

    fn adjusted(&self, service: &Service) -> Service {
        let mut service = service.clone();
        service.container_name = None;
        service.replicas = 1;
        (service.tty, service.stdin_open) = (self.tty, self.stdin);
        if self.entrypoint.is_some() {
            service.entrypoint.clone_from(&self.entrypoint);
            service.command = Some(Vec::new());
        }
        if !self.command.is_empty() {
            service.command = Some(self.command.clone());
        }
        service.environment.extend(self.environment.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        service.labels.extend(self.labels.clone());
        if self.user.is_some() {
            service.user.clone_from(&self.user);
        }
        if self.working_dir.is_some() {
            service.working_dir.clone_from(&self.working_dir);
        }
        service.cap_drop = &(&service.cap_drop - &self.cap_add) | &self.cap_drop;
        service.cap_add = &(&service.cap_add | &self.cap_add) - &self.cap_drop;
        if let Some(ports) = &self.ports {
            service.ports.clone_from(ports);
        }
        service.mounts.retain(|mount| !self.mounts.iter().any(|it| it.target == mount.target));
        service.mounts.extend(self.mounts.clone());
        service
    }
}
