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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::plan::simulate::{World, project};
    use crate::compose::plan::{self, UpOptions};
    use crate::resource::container::ContainerState;
    use crate::resource::operation::Operation;

    const SHOP: &str = "
services:
  web: {image: web, command: serve, depends_on: {db: {condition: service_healthy}}, ports: ['80:80'], cap_drop: [CHOWN], volumes: ['data:/data']}
  db: {image: db, healthcheck: {test: x}}
volumes: {data: }
";

    fn one_off() -> OneOff {
        OneOff {
            service: "web".parse().expect("a name"),
            name: "p-web-run-0123456789ab".parse().expect("a name"),
            slug: "0123456789ab".to_owned(),
            command: Vec::new(),
            entrypoint: None,
            environment: BTreeMap::new(),
            user: None,
            working_dir: None,
            cap_add: BTreeSet::new(),
            cap_drop: BTreeSet::new(),
            labels: BTreeMap::new(),
            ports: Some(Vec::new()),
            mounts: Vec::new(),
            tty: false,
            stdin: true,
            remove: true,
            use_aliases: false,
        }
    }

    #[test]
    fn it_starts_once_what_it_waits_for_is_well() {
        let project = project(SHOP);
        let options = UpOptions::default();
        let world = World::after(&plan::up(&project, &World::default().observed(&project), &options).expect("a plan"));
        let plan = plan::run(&project, &world.observed(&project), &options, &one_off()).expect("a plan");
        assert_eq!(
            plan.to_string(),
            "#1 wait until container p-db-1 is healthy (web depends on it)\n\
             #2 create container p-web-run-0123456789ab after #1 (asked)\n\
             #3 start container p-web-run-0123456789ab after #2 (created)\n"
        );
        let alone = project.select(&["web".to_owned()], false).expect("a service");
        let plan = plan::run(&alone, &world.observed(&alone), &options, &one_off()).expect("a plan");
        assert_eq!(plan.steps().len(), 2, "{plan}");
    }

    #[test]
    fn a_hook_that_runs_is_left_to_whoever_runs_it() {
        let project = project("services: {web: {image: web, command: serve, pre_start: [{command: migrate}]}}");
        let options = UpOptions::default();
        let first = plan::up(&project, &World::default().observed(&project), &options).expect("a plan");
        let mut world = World::after(&first);
        world.leave_hook(&first);
        let run = |world: &World| plan::run(&project, &world.observed(&project), &options, &one_off()).expect("a plan").to_string();
        assert!(run(&world).starts_with("#1 remove container p-web-pre_start-0 (left by an interrupted run)\n"), "{}", run(&world));
        let now = crate::resource::time::Timestamp::from_nanos(0);
        world.change("p-web-pre_start-0", |info| info.state = ContainerState::Running { pid: 1, started_at: now, paused: false });
        assert!(run(&world).starts_with("#1 create container p-web-run-0123456789ab"), "{}", run(&world));
    }

    #[test]
    fn flags_stand_above_the_files() {
        let wanted = OneOff {
            entrypoint: Some(vec!["sh".to_owned()]),
            cap_add: BTreeSet::from(["CHOWN".to_owned()]),
            cap_drop: BTreeSet::from(["KILL".to_owned()]),
            mounts: vec![crate::compose::project::flag::mount("other:/data", std::path::Path::new("/")).expect("a mount")],
            ..one_off()
        };
        let project = project(SHOP);
        let plan = plan::run(&project, &World::default().observed(&project), &UpOptions::default(), &wanted).expect("a plan");
        let created = plan.steps().iter().find_map(|step| match &step.operation {
            Operation::CreateContainer { name, spec, .. } if *name == wanted.name => Some(spec),
            _ => None,
        });
        let spec = created.expect("it is made");
        assert_eq!((spec.entrypoint.clone(), spec.command.clone()), (Some(vec!["sh".to_owned()]), Some(Vec::new())));
        assert_eq!((spec.cap_add.len(), spec.cap_drop.clone()), (1, BTreeSet::from(["KILL".to_owned()])));
        assert_eq!((spec.ports.len(), spec.mounts.len()), (0, 1));
        assert!(spec.stdin_open && spec.stdin_once && spec.auto_remove);
        assert!(spec.endpoints.values().all(|endpoint| endpoint.aliases.is_empty()));
    }
}
