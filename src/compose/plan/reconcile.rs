//! `up`, `run` and `start`: from what is wanted and what is there to the operations between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::plan::build::{Builder, require_contents};
use crate::compose::plan::cause::Cause;
use crate::compose::plan::decide::{Action, Changed, Decider};
use crate::compose::plan::graph::ServiceGraph;
use crate::compose::plan::known::Known;
use crate::compose::plan::observed::ObservedState;
use crate::compose::plan::one_off::OneOff;
use crate::compose::plan::options::{PlanError, Recreate, UpOptions};
use crate::compose::plan::steps::{Plan, StepId};
use crate::compose::plan::teardown::{self};
use crate::compose::plan::{hook, sharing};
use crate::compose::project::model::Project;
use crate::resource::name::{ContainerName, ServiceName};
use crate::resource::operation::{Condition, Operation};

/// Plans that the project is as its files want it, and runs.
///
/// # Errors
/// Services wait for each other, something external is missing, or a name is none.
pub fn up(project: &Project, observed: &ObservedState, options: &UpOptions) -> Result<Plan, PlanError> {
    let graph = ServiceGraph::new(project)?;
    let changed = Changed::of(project, observed, options);
    let mut known = Known::observed(project, observed);
    let decider = Decider { project, observed, options, known: known.clone() };
    let decisions = decider.decide(&graph, &changed)?;
    known.will_be(&decisions);
    sharing::check(project, &decisions, &known)?;
    let mut builder = Builder::new(decider, &graph, &decisions, known);
    builder.old_hooks(|_| true);
    builder.orphans()?;
    builder.images()?;
    builder.everything(&changed)?;
    builder.renamed_networks();
    if options.wait {
        builder.wait();
    }
    Ok(builder.plan)
}

/// Plans that a command runs once in a container of its own: what its service waits for is as the files want it, then the container is
/// made and started. The service's own containers are left alone.
///
/// # Errors
/// Services wait for each other, something external is missing, or a name is none.
pub fn run(project: &Project, observed: &ObservedState, options: &UpOptions, one_off: &OneOff) -> Result<Plan, PlanError> {
    let project = &one_off.applied(project)?;
    let service = &project.services[&one_off.service];
    let graph = ServiceGraph::new(project)?;
    let changed = Changed::of(project, observed, options);
    let mut known = Known::observed(project, observed);
    let decider = Decider { project, observed, options, known: known.clone() };
    let mut decisions = decider.decide(&graph, &changed)?;
    known.will_be(&decisions);
    sharing::check_service(service, &known)?;
    if let Some(own) = decisions.get_mut(&one_off.service) {
        own.surplus.clear();
        // Only what a dependency or a network takes along is stopped, and starts again.
        own.wanted.retain(|wanted| matches!(wanted.action, Action::Restart(_)));
    }
    let mut builder = Builder::new(decider, &graph, &decisions, known);
    // Another `up` may be about its hooks meanwhile.
    builder.old_hooks(|hook| !hook.is_up());
    builder.orphans()?;
    builder.images()?;
    builder.image(service, &service.image)?;
    require_contents(service)?;
    builder.everything(&changed)?;
    builder.one_off(service, one_off);
    Ok(builder.plan)
}

/// Plans that existing containers of the named services, and of those they wait for, run.
///
/// # Errors
/// A service has no container, or services wait for each other.
pub fn start(project: &Project, observed: &ObservedState, wait: bool) -> Result<Plan, PlanError> {
    for (name, service) in &project.services {
        if observed.replicas(name).is_empty() && service.replicas > 0 {
            return Err(PlanError::NothingToStart(name.clone()));
        }
    }
    let scale = project.services.keys().map(|name| (name.clone(), u32::try_from(observed.replicas(name).len()).unwrap_or(u32::MAX)));
    let never = Recreate::Never;
    let options = UpOptions {
        recreate: never,
        recreate_dependencies: never,
        ignore_orphans: true,
        pull: false,
        wait,
        scale: scale.collect(),
        ..UpOptions::default()
    };
    up(project, observed, &options)
}

/// Plans that containers that were just stopped start again, dependencies first; the files, where there are any, say in which order.
/// A service that was never created is left alone.
///
/// # Errors
/// Services wait for each other.
pub fn restart(project: Option<&Project>, observed: &ObservedState, services: &BTreeSet<ServiceName>) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let graph = teardown::observed_graph(project, observed)?;
    let mut started: BTreeMap<&ServiceName, Vec<(ContainerName, StepId)>> = BTreeMap::new();
    for name in graph.order().iter().filter(|name| services.is_empty() || services.contains(*name)) {
        let mut gates = Vec::new();
        for (dependency, terms) in project.and_then(|it| it.services.get(name)).into_iter().flat_map(|it| &it.depends_on) {
            for (container, step) in started.get(dependency).cloned().unwrap_or_default() {
                if terms.condition == Condition::Started {
                    gates.push(step);
                    continue;
                }
                let (condition, required) = (terms.condition, terms.required);
                let operation = Operation::AwaitContainer { name: container, condition, required, waiter: name.to_string() };
                gates.push(plan.push(operation, [step], Cause::DependencyOf(name.clone())));
            }
        }
        let own = observed.replicas(name).iter().map(|replica| {
            let container = replica.info.name.clone();
            let step = plan.push(Operation::StartContainer { name: container.clone() }, gates.iter().copied(), Cause::Asked);
            let service = project.and_then(|it| it.services.get(name));
            let step = service.map_or(step, |service| hook::after_start(&mut plan, service, container.as_str(), step, &Cause::Asked));
            (container, step)
        });
        started.insert(name, own.collect());
    }
    Ok(plan)
}
