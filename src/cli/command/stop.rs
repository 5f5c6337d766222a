//! `stop`, `restart` and `rm`.

use std::collections::BTreeSet;

use crate::api::client::Client;
use crate::cli::args::lifecycle::{RemoveArgs, RestartArgs, StopArgs};
use crate::cli::ask;
use crate::cli::command::{label_names, seconds, up};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::compose::plan::{self, ObservedState, Plan, StopPlanOptions};
use crate::compose::project::model::Project;
use crate::resource::name::{ProjectName, ServiceName};
use crate::resource::operation::Operation;

struct Scene<'a> {
    client: &'a Client,
    name: ProjectName,
    project: Option<Project>,
    observed: ObservedState,
}

async fn scene(context: &Context) -> Result<Scene<'_>, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::project(client, &name, project.as_ref()).await?;
    Ok(Scene { client, name, project, observed })
}

/// Runs `stop`.
pub(super) async fn stop(args: StopArgs, context: &Context) -> Result<u8, CommandError> {
    let scene = scene(context).await?;
    let services = label_names(scene.project.as_ref(), &args.services.services)?;
    let options = StopPlanOptions { services, timeout: seconds(args.timeout), ..StopPlanOptions::default() };
    let plan = plan::stop(scene.project.as_ref(), &scene.observed, &options)?;
    up::apply(context, scene.client, &scene.name, &plan, "stop").await?;
    Ok(0)
}

/// Runs `restart`: stops, dependants first, then starts what ran, dependencies first.
pub(super) async fn restart(args: RestartArgs, context: &Context) -> Result<u8, CommandError> {
    let scene = scene(context).await?;
    let mut services = label_names(scene.project.as_ref(), &args.services.services)?;
    if let (Some(project), false) = (&scene.project, args.no_deps || services.is_empty()) {
        add_restarting(project, &mut services);
    }
    let options = StopPlanOptions { services: services.clone(), timeout: seconds(args.timeout), ..StopPlanOptions::default() };
    let stop = plan::stop(scene.project.as_ref(), &scene.observed, &options)?;
    let start = plan::restart(scene.project.as_ref(), &scene.observed, &services)?;
    up::apply(context, scene.client, &scene.name, &stop, "restart").await?;
    up::apply(context, scene.client, &scene.name, &start, "restart").await?;
    Ok(0)
}

/// Adds the services that want to restart with those that do.
fn add_restarting(project: &Project, services: &mut BTreeSet<ServiceName>) {
    loop {
        let with = project.services.values().filter(|service| {
            service.depends_on.iter().any(|(name, dependency)| dependency.restart && services.contains(name))
                && !services.contains(&service.name)
        });
        let more: Vec<ServiceName> = with.map(|service| service.name.clone()).collect();
        if more.is_empty() {
            return;
        }
        services.extend(more);
    }
}

/// Runs `rm`.
pub(super) async fn remove(args: RemoveArgs, context: &Context) -> Result<u8, CommandError> {
    if args.all {
        context.terminal.warn("--all of rm is deprecated and has no effect");
    }
    let scene = scene(context).await?;
    let services = label_names(scene.project.as_ref(), &args.services.services)?;
    let options = StopPlanOptions { services, timeout: None, volumes: args.volumes, running: args.stop };
    let plan = plan::remove(scene.project.as_ref(), &scene.observed, &options)?;
    let names = removed(&plan);
    if names.is_empty() {
        context.terminal.note("No stopped containers");
        return Ok(0);
    }
    let question = format!("Going to remove {}", names.join(", "));
    if args.force {
        context.terminal.line(&question);
        context.terminal.flush();
    } else if !context.dry_run && !ask::confirm(&context.terminal, &question).await? {
        return Ok(0);
    }
    up::apply(context, scene.client, &scene.name, &plan, "rm").await?;
    Ok(0)
}

fn removed(plan: &Plan) -> Vec<&str> {
    let steps = plan.steps().iter();
    steps
        .filter_map(|step| match &step.operation {
            Operation::RemoveContainer { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect()
}
