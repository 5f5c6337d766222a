//! `down`, `stop` and `rm`: dependants first, by the labels of what is there, with or without the project's files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::compose::plan::cause::Cause;
use crate::compose::plan::graph::{self, ServiceGraph};
use crate::compose::plan::observed::{ObservedState, Replica};
use crate::compose::plan::options::{DownOptions, ImageScope, PlanError, StopPlanOptions};
use crate::compose::plan::steps::{Plan, StepId, Warning};
use crate::compose::plan::{hook, label};
use crate::compose::project::model::Project;
use crate::resource::container::ContainerState;
use crate::resource::name::{ProjectName, ServiceName};
use crate::resource::operation::{Condition, Operation};

/// Containers of services that the project does not have, and one-offs that ended.
pub(super) fn orphans<'a>(project: &Project, observed: &'a ObservedState) -> Vec<&'a Replica> {
    let known = |replica: &&Replica| is_known(project, &replica.service);
    let ended = |replica: &&Replica| matches!(replica.info.state, ContainerState::Exited { .. } | ContainerState::Dead);
    let one_offs = observed.one_offs().iter().filter(ended);
    observed.all().filter(|it| !known(it)).chain(one_offs).collect()
}

fn is_known(project: &Project, service: &ServiceName) -> bool {
    project.services.contains_key(service) || project.disabled.contains_key(service)
}

/// Which containers are stopped with their whole grace period, because somebody may notice that it was cut short.
pub(super) struct Patience {
    jobs: BTreeSet<ServiceName>,
    /// Services whose file names a grace period; the container's own specification tells for the others.
    declared: BTreeSet<ServiceName>,
}

impl Patience {
    pub(super) fn new(project: Option<&Project>, observed: &ObservedState) -> Self {
        let services = project.into_iter().flat_map(|project| project.services.values().chain(project.disabled.values()));
        let (mut jobs, mut declared) = (BTreeSet::new(), BTreeSet::new());
        for service in services {
            let awaited = service.depends_on.iter().filter(|(_, dependency)| dependency.condition == Condition::Completed);
            jobs.extend(awaited.map(|(name, _)| name.clone()));
            if service.stop_grace_period.is_some() {
                declared.insert(service.name.clone());
            }
        }
        for label in observed.all().filter_map(|replica| replica.label(label::DEPENDS_ON)) {
            jobs.extend(graph::read_dependencies(label).into_iter().filter(|(_, completed)| *completed).map(|(name, _)| name));
        }
        Self { jobs, declared }
    }

    /// Whether others wait for the service's completion.
    pub(super) fn is_job(&self, service: &ServiceName) -> bool {
        self.jobs.contains(service)
    }

    pub(super) fn wants(&self, replica: &Replica, timeout: Option<Duration>) -> bool {
        let named = timeout.is_some() || replica.info.spec.stop_grace.is_some() || self.declared.contains(&replica.service);
        named || replica.one_off || self.is_job(&replica.service)
    }
}

/// Plans that the project's containers and networks are gone, and its volumes where that is asked for.
///
/// # Errors
/// A named service is unknown, or services wait for each other.
pub fn down(
    project_name: &ProjectName,
    project: Option<&Project>,
    observed: &ObservedState,
    options: &DownOptions,
) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let graph = observed_graph(project, observed)?;
    let selected = select(project, observed, &options.services, Some(&graph))?;
    let known = |replica: &Replica| project.is_none_or(|project| is_known(project, &replica.service));
    let taken = |replica: &Replica| {
        let named = selected.as_ref().is_none_or(|it| it.contains(&replica.service));
        let is_hook = replica.label(label::HOOK).is_some();
        named && (options.remove_orphans || is_hook || (known(replica) && !replica.one_off))
    };
    let everything = || observed.all().chain(observed.one_offs()).chain(observed.hooks());
    let containers: Vec<&Replica> = everything().filter(|it| taken(it)).collect();
    let stops = stop_all(&mut plan, project, observed, &graph, &containers, options.timeout);
    let mut removals: BTreeMap<&str, StepId> = BTreeMap::new();
    for replica in &containers {
        let operation = Operation::RemoveContainer { name: replica.name().to_owned(), volumes: options.volumes };
        let step = plan.push(operation, stops.get(replica.name()).copied(), Cause::Asked);
        removals.insert(replica.name(), step);
    }
    let left: Vec<&Replica> = everything().filter(|it| !removals.contains_key(it.name())).collect();
    if selected.is_none() && project.is_some() {
        let orphans: Vec<_> = left.iter().filter(|it| !known(it)).map(|it| it.info.name.clone()).collect();
        if !orphans.is_empty() {
            plan.warnings.push(Warning::Orphans(orphans));
        }
    }
    for info in &observed.networks {
        let owned = info.spec.labels.get(label::PROJECT).is_some_and(|it| *project_name == **it);
        let name = info.name.as_str();
        // With services named, a network that others of the project still use is none of our business.
        if !owned || (selected.is_some() && (left.iter().any(|it| it.is_on(name)) || !containers.iter().any(|it| it.is_on(name)))) {
            continue;
        }
        let members = containers.iter().filter(|it| it.is_on(name)).map(|it| removals[it.name()]);
        plan.push(Operation::RemoveNetwork { name: name.to_owned() }, members.collect::<Vec<_>>(), Cause::Asked);
    }
    if options.volumes {
        for info in &observed.volumes {
            let owned = info.spec.labels.get(label::PROJECT).is_some_and(|it| *project_name == **it);
            let uses = |it: &&&Replica| it.info.mounts.iter().any(|mount| mount.name.as_deref() == Some(info.name.as_str()));
            if !owned || info.anonymous || (selected.is_some() && left.iter().any(|it| uses(&it))) {
                continue;
            }
            if selected.is_some() && !containers.iter().any(|it| uses(&it)) {
                continue;
            }
            let users: Vec<StepId> = containers.iter().filter(uses).map(|it| removals[it.name()]).collect();
            plan.push(Operation::RemoveVolume { name: info.name.to_string() }, users, Cause::Asked);
        }
    }
    if let Some(scope) = &options.images {
        let is_taken = |service: &str| selected.as_ref().is_none_or(|it| it.contains(service));
        for name in images(project, observed, scope, options.remove_orphans, is_taken) {
            plan.push(Operation::RemoveImage { name }, removals.values().copied(), Cause::Asked);
        }
    }
    Ok(plan)
}

/// The images that go with a project, each once: those built for it, and those that its services name, as far as they are here.
fn images(
    project: Option<&Project>,
    observed: &ObservedState,
    scope: &ImageScope,
    orphans: bool,
    is_taken: impl Fn(&str) -> bool,
) -> BTreeSet<String> {
    let is_known = |service: &str| match project {
        Some(project) => project.services.contains_key(service),
        None => observed.all().any(|it| it.service == *service),
    };
    let built = scope.built.iter().filter(|(_, service)| orphans || (is_known(service) && is_taken(service)));
    let mut names: BTreeSet<String> = built.map(|(name, _)| name.clone()).collect();
    // One that another tool has built may have no labels; of its name there is only one.
    let unnamed = project.into_iter().flat_map(|project| project.services.values()).filter(|service| {
        let own = project.is_some_and(|project| project.is_own_image(service));
        own && service.build.is_some() && is_taken(service.name.as_str()) && observed.images.contains_key(&service.image)
    });
    names
        .extend(unnamed.map(|service| service.image.clone()).filter(|image| !names_image(scope.built.iter().map(|(name, _)| name), image)));
    match project {
        _ if !scope.all => {}
        Some(project) => {
            let taken = project.services.values().filter(|service| is_taken(service.name.as_str()));
            let images = taken.flat_map(|service| service.images()).filter(|image| observed.images.contains_key(*image));
            // Each once: one that was built is there with its tag already.
            let images: Vec<String> = images.filter(|image| !names_image(&names, image)).map(str::to_owned).collect();
            names.extend(images);
        }
        // Without files, what the containers were made from. An id has no name to be removed by.
        None => {
            let taken = observed.all().filter(|it| is_taken(it.service.as_str())).map(|it| it.info.spec.image.clone());
            names.extend(taken.filter(|image| !image.starts_with("sha256:")));
        }
    }
    names
}

/// Whether one of these names is that of an image, which may be written without its tag.
fn names_image<'a>(names: impl IntoIterator<Item = &'a String>, image: &str) -> bool {
    names.into_iter().any(|name| name.strip_prefix(image).is_some_and(|rest| rest.is_empty() || rest == ":latest"))
}

/// Plans that containers of the named services are stopped, dependants first. Those that are stopped already are in the plan, too:
/// Docker Compose tells of them.
///
/// # Errors
/// A named service is unknown, or services wait for each other.
pub fn stop(project: Option<&Project>, observed: &ObservedState, options: &StopPlanOptions) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let graph = observed_graph(project, observed)?;
    let selected = select(project, observed, &options.services, None)?;
    let containers: Vec<&Replica> = observed.all().filter(|it| selected.as_ref().is_none_or(|them| them.contains(&it.service))).collect();
    stop_all(&mut plan, project, observed, &graph, &containers, options.timeout);
    // A hook that runs before a start that was interrupted is no container of the service, and nobody would find it.
    let hooks = observed.hooks().iter().filter(|it| it.is_up() && selected.as_ref().is_none_or(|them| them.contains(&it.service)));
    for hook in hooks {
        plan.push(Operation::RemoveContainer { name: hook.name().to_owned(), volumes: true }, [], Cause::Asked);
    }
    Ok(plan)
}

/// Plans that stopped containers of the named services are gone, and running ones, too, where that is asked for.
///
/// # Errors
/// A named service is unknown, or services wait for each other.
pub fn remove(project: Option<&Project>, observed: &ObservedState, options: &StopPlanOptions) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let graph = observed_graph(project, observed)?;
    let selected = select(project, observed, &options.services, None)?;
    let taken = |it: &&Replica| selected.as_ref().is_none_or(|them| them.contains(&it.service)) && (options.running || !it.is_up());
    let containers: Vec<&Replica> = observed.all().filter(taken).collect();
    let running: Vec<&Replica> = containers.iter().copied().filter(|it| it.is_up()).collect();
    let stops = stop_all(&mut plan, project, observed, &graph, &running, options.timeout);
    for replica in containers {
        let operation = Operation::RemoveContainer { name: replica.name().to_owned(), volumes: options.volumes };
        plan.push(operation, stops.get(replica.name()).copied(), Cause::Asked);
    }
    Ok(plan)
}

/// The services named, with those that depend on them where `graph` is given; `None` when none was named.
fn select(
    project: Option<&Project>,
    observed: &ObservedState,
    services: &BTreeSet<ServiceName>,
    graph: Option<&ServiceGraph>,
) -> Result<Option<BTreeSet<ServiceName>>, PlanError> {
    if services.is_empty() {
        return Ok(None);
    }
    for name in services {
        let there = !observed.replicas(name).is_empty() || project.is_some_and(|project| is_known(project, name));
        if !there {
            return Err(PlanError::UnknownService(name.to_string()));
        }
    }
    Ok(Some(graph.map_or_else(|| services.clone(), |graph| graph.with_dependants(services))))
}

/// What waits for what: as the files say, else as the containers' labels say.
pub(super) fn observed_graph(project: Option<&Project>, observed: &ObservedState) -> Result<ServiceGraph, PlanError> {
    let mut services: BTreeMap<ServiceName, BTreeSet<ServiceName>> = BTreeMap::new();
    for replica in observed.all().chain(observed.one_offs()) {
        let entry = services.entry(replica.service.clone()).or_default();
        let service = project.and_then(|project| project.services.get(&replica.service).or_else(|| project.disabled.get(&replica.service)));
        match service {
            Some(service) => entry.extend(service.depends_on.keys().cloned()),
            None => {
                let label = replica.label(label::DEPENDS_ON).unwrap_or_default();
                entry.extend(graph::read_dependencies(label).into_iter().map(|(name, _)| name));
            }
        }
    }
    // A file that changed since the containers were made can, with the labels of orphans, close a circle; the files alone cannot.
    match ServiceGraph::of(services.iter().map(|(name, it)| (name, it.iter().collect())).collect()) {
        Ok(graph) => Ok(graph),
        Err(cycle) => match project {
            Some(project) => Ok(ServiceGraph::new(project)?),
            None => Err(cycle.into()),
        },
    }
}

/// Stops containers, each after those of services that depend on its own.
fn stop_all<'a>(
    plan: &mut Plan,
    project: Option<&Project>,
    observed: &ObservedState,
    graph: &ServiceGraph,
    containers: &[&'a Replica],
    timeout: Option<Duration>,
) -> BTreeMap<&'a str, StepId> {
    let patience = Patience::new(project, observed);
    let mut stops: BTreeMap<&'a str, StepId> = BTreeMap::new();
    let mut of_service: BTreeMap<&ServiceName, Vec<StepId>> = BTreeMap::new();
    let unordered = containers.iter().filter(|it| !graph.order().contains(&it.service)).map(|it| &it.service);
    let order: Vec<&ServiceName> = unordered.chain(graph.order().iter().rev()).collect();
    for service in order {
        // A service none of whose containers is here passes on those before it.
        let before: Vec<StepId> = graph.dependants(service).into_iter().filter_map(|it| of_service.get(it)).flatten().copied().collect();
        let mut own = Vec::new();
        for replica in containers.iter().filter(|it| it.service == *service) {
            if stops.contains_key(replica.name()) {
                continue;
            }
            let patient = patience.wants(replica, timeout);
            let operation = Operation::StopContainer { name: replica.name().to_owned(), timeout, patient };
            let after = hook::before_stop(plan, project, replica, &before, &Cause::Asked);
            let step = plan.push(operation, after, Cause::Asked);
            stops.insert(replica.name(), step);
            own.push(step);
        }
        of_service.insert(service, if own.is_empty() { before } else { own });
    }
    stops
}
