//! `up`: the project becomes what its files say, and its output is shown unless it is left in the background.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::api::client::Client;
use crate::cli::apply::{Applier, ApplyOptions};
use crate::cli::args::lifecycle::UpArgs;
use crate::cli::ask;
use crate::cli::await_container::{Watch, last_lines, last_probe};
use crate::cli::command::build::{self, ImagesShown};
use crate::cli::command::{attached, names, seconds};
use crate::cli::context::Context;
use crate::cli::error::{About, CommandError};
use crate::cli::follow;
use crate::cli::interrupt::Interrupt;
use crate::cli::observe;
use crate::cli::output::line::LinePrinter;
use crate::cli::output::progress::Status;
use crate::compose::plan::{self, ObservedState, Plan, Recreate, UpOptions};
use crate::compose::project::model::{Project, PullPolicy};
use crate::resource::container::{ContainerInfo, ContainerState, HealthStatus};
use crate::resource::name::{ProjectName, ServiceName};
use crate::resource::operation::Operation;
use crate::trace;

/// Runs the command.
pub(super) async fn run(args: UpArgs, context: &Context) -> Result<u8, CommandError> {
    run_as("up", args, context).await
}

/// Runs it for another command, under that one's title.
pub(super) async fn run_as(title: &'static str, args: UpArgs, context: &Context) -> Result<u8, CommandError> {
    refuse(&args, context)?;
    let step = trace::span("load");
    let whole = context.project(&args.services.services)?;
    drop(step);
    bring_up(title, args, context, &whole).await.map_err(|error| error.placed(&whole))
}

async fn bring_up(title: &'static str, args: UpArgs, context: &Context, whole: &Project) -> Result<u8, CommandError> {
    let step = trace::span("select");
    let says = |name: &str| context.says(Some(whole), name);
    let remove_orphans = args.remove_orphans || says("COMPOSE_REMOVE_ORPHANS");
    let ignore_orphans = says("COMPOSE_IGNORE_ORPHANS");
    if args.remove_orphans && ignore_orphans {
        return Err(CommandError::local("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans"));
    }
    let targeted = names(whole, &args.services.services)?;
    let mut project = whole.select(&args.services.services, !args.no_deps)?;
    override_policies(&mut project, args.pull.map(Into::into));
    build::apply_flags(&mut project, &args.build);
    if project.services.is_empty() {
        return Err(CommandError::local("no service selected"));
    }
    context.runnable(&project)?;
    let shown = args.attach.iter().chain(&args.no_attach).chain(&args.exit_code_from);
    if let Some(name) = shown.into_iter().find(|name| !project.services.contains_key(name.as_str())) {
        return Err(CommandError::local(format!("no such service: {name}")));
    }
    let mut options = options(&args, &project, targeted, remove_orphans, ignore_orphans)?;
    drop(step);
    let step = trace::span("connect");
    let client = context.client().await?;
    drop(step);
    let step = trace::span("observe");
    let shown = ImagesShown { quiet_pull: args.quiet_pull, quiet_build: args.build.quiet_build, style: None };
    let mut interrupt = Interrupt::listen()?;
    let brought = tokio::select! {
        brought = build::images(context, client, &project, shown) => brought,
        () = interrupt.next() => return Ok(CommandError::INTERRUPTED),
    };
    let (observed, built) = brought?;
    options.built = built;
    drop(step);
    for volume in plan::changed_volumes(&project, &observed) {
        let question = format!("Volume \"{volume}\" exists but doesn't match configuration in compose file. Recreate (data will be lost)?");
        let asks = !context.dry_run && ask::is_somebody_there();
        if args.yes || asks && ask::confirm(&context.terminal, &question).await? {
            options.renew_volumes.insert(volume);
        }
    }
    let step = trace::span("plan");
    let plan = plan::up(&project, &observed, &options)?;
    drop(step);
    let outcome = if context.dry_run || args.detach || args.wait || args.no_start {
        let shown = Shown { quiet_pull: args.quiet_pull, hooks: None };
        let work = carry_out(context, client, &project.name, &plan, title, shown);
        let mut interrupt = Interrupt::listen()?;
        tokio::select! {
            result = within(args.wait_timeout, work, client, &project.name) => result.map(|()| 0),
            () = interrupt.next() => Ok(CommandError::INTERRUPTED),
        }
    } else {
        attached::run(&args, &options, context, client, &project, &observed, &plan).await
    };
    match outcome {
        // Without a start, what was made is as it was asked for.
        Err(error) if !context.dry_run && !args.no_start => {
            Err(match take_back(context, client, &project, &plan, &observed, title).await {
                Ok(()) => error,
                Err(another) => error.detail(format!("what this made and could not start is still there: {}", another.message())),
            })
        }
        outcome => outcome,
    }
}

/// Refuses what only other parts of Docker Compose could obey: nothing is accepted and then not done.
fn refuse(args: &UpArgs, context: &Context) -> Result<(), CommandError> {
    if args.watch {
        return Err(CommandError::local("--watch is not supported: Gantry does not rebuild what changes yet")
            .hint("leave it out, and run `gantry up` again after a change"));
    }
    if context.environment.is_true("COMPOSE_MENU") && !args.detach {
        context.terminal.warn("COMPOSE_MENU is set, and there is no bar of keys");
    }
    if args.menu == Some(true) {
        return Err(CommandError::local("--menu is not supported: there is no bar of keys").hint("leave it out, or say --menu=false"));
    }
    Ok(())
}

/// A policy of the command line is above those of the file.
pub(super) fn override_policies(project: &mut Project, policy: Option<PullPolicy>) {
    if let Some(policy) = policy {
        project.services.values_mut().for_each(|service| Arc::make_mut(service).pull_policy = policy);
    }
}

/// The services whose image is to be pulled although it may be here.
pub(super) async fn due(client: &Client, project: &Project) -> BTreeSet<ServiceName> {
    let mut due = BTreeSet::new();
    for (name, service) in &project.services {
        let is_due = match service.pull_policy {
            PullPolicy::Always => true,
            PullPolicy::Unset | PullPolicy::Missing | PullPolicy::Never | PullPolicy::Build => false,
            // What is not here is pulled by the plan itself.
            PullPolicy::Every(age) => match client.image(&service.image).await {
                Ok(image) => image.last_tagged.is_none_or(|tagged| follow::now().since(tagged) > age),
                Err(_) => false,
            },
        };
        if is_due {
            due.insert(name.clone());
        }
    }
    due
}

/// Removes what a plan that failed has made and nothing runs in.
pub(super) async fn take_back(
    context: &Context,
    client: &Client,
    project: &Project,
    failed: &Plan,
    before: &ObservedState,
    title: &'static str,
) -> Result<(), CommandError> {
    let now = observe::project(client, &project.name, Some(project)).await?;
    carry_out(context, client, &project.name, &plan::undo(failed, before, &now), title, Shown::default()).await
}

fn options(
    args: &UpArgs,
    project: &Project,
    services: BTreeSet<ServiceName>,
    remove_orphans: bool,
    ignore_orphans: bool,
) -> Result<UpOptions, CommandError> {
    let scale = args.scale.iter().map(|(name, number)| match project.services.get_key_value(name.as_str()) {
        Some((name, _)) => Ok((name.clone(), *number)),
        None => Err(CommandError::local(format!("no such service: {name}"))),
    });
    let asked = args.force_recreate || args.renew_anon_volumes;
    let recreate = match (asked, args.no_recreate) {
        (_, true) => Recreate::Never,
        (true, false) => Recreate::Always,
        (false, false) => Recreate::Diverged,
    };
    Ok(UpOptions {
        services,
        recreate,
        recreate_dependencies: match (args.always_recreate_deps, args.no_recreate) {
            (_, true) => Recreate::Never,
            (true, false) => Recreate::Always,
            (false, false) => Recreate::Diverged,
        },
        renew_anonymous_volumes: args.renew_anon_volumes,
        renew_volumes: BTreeSet::new(),
        remove_orphans,
        ignore_orphans,
        start: !args.no_start,
        wait: args.wait,
        timeout: seconds(args.timeout),
        pull: true,
        scale: scale.collect::<Result<_, _>>()?,
        built: BTreeSet::new(),
    })
}

/// Carries out a plan, or prints it for a dry run.
pub(super) async fn apply(
    context: &Context,
    client: &Client,
    project: &ProjectName,
    plan: &Plan,
    title: &'static str,
) -> Result<(), CommandError> {
    carry_out(context, client, project, plan, title, Shown::default()).await
}

/// The same, and shows what hooks write.
pub(super) async fn apply_with_hooks(
    context: &Context,
    client: &Client,
    project: &ProjectName,
    plan: &Plan,
    title: &'static str,
    printer: &LinePrinter,
) -> Result<(), CommandError> {
    carry_out(context, client, project, plan, title, Shown { quiet_pull: false, hooks: Some(printer.clone()) }).await
}

/// What of a plan's execution is shown.
#[derive(Default)]
struct Shown {
    quiet_pull: bool,
    hooks: Option<LinePrinter>,
}

async fn carry_out(
    context: &Context,
    client: &Client,
    project: &ProjectName,
    plan: &Plan,
    title: &'static str,
    shown: Shown,
) -> Result<(), CommandError> {
    tell_warnings(context, plan);
    if context.dry_run {
        context.terminal.out(plan.to_string().as_bytes());
        return Ok(());
    }
    let waits = plan.steps().iter().any(|step| matches!(step.operation, Operation::AwaitContainer { .. }));
    let watch = if waits { Some(Watch::begin(client, project.as_str()).await?) } else { None };
    let progress = context.progress(title);
    for name in &plan.kept {
        progress.tell(&format!("Container {name}"), Status::Done, "Running");
    }
    let options = ApplyOptions {
        parallel: context.parallel,
        attached: false,
        quiet_pull: shown.quiet_pull,
        hooks: shown.hooks,
        ..ApplyOptions::default()
    };
    let applier = Applier::new(client, &progress, watch, plan, options);
    let _span = trace::span("execute");
    let result = plan::execute(plan, |operation| applier.clone().apply(operation)).await;
    progress.finish();
    if let Some(text) = applier.unheard() {
        context.terminal.warn(&text);
    }
    result
}

/// Tells what a plan wants people to know.
pub(super) fn tell_warnings(context: &Context, plan: &Plan) {
    plan.warnings.iter().for_each(|warning| context.terminal.warn(&warning.to_string()));
}

/// Gives up after so many seconds; 0 never does.
pub(super) async fn within(
    limit: u64,
    work: impl Future<Output = Result<(), CommandError>>,
    client: &Client,
    project: &ProjectName,
) -> Result<(), CommandError> {
    let Some(limit) = seconds(Some(limit).filter(|limit| *limit > 0)) else { return work.await };
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(late(client, limit, &observe::containers(client, project).await?).await),
    }
}

/// Says which containers are not well, and what their last probes said, or they themselves.
async fn late(client: &Client, limit: Duration, containers: &[ContainerInfo]) -> CommandError {
    let mut error = CommandError::new(format!("application not healthy after {}s", limit.as_secs()));
    for info in containers {
        match &info.health {
            // What a probe said in an earlier life is none of this one's.
            _ if !info.state.is_running() => match &info.state {
                ContainerState::Exited { status, .. } if status.code == 0 => {}
                state => {
                    error = error.detail(format!("container {} is {}", info.name, state.word()));
                    error = error.about(About::Container(info.name.to_string()));
                    if let Some(lines) = last_lines(client, info).await {
                        error = error.detail(lines);
                    }
                }
            },
            Some(health) if health.status != HealthStatus::Healthy => {
                error = error.detail(format!("container {} is {}: {}", info.name, health.status.word(), last_probe(health)));
                error = error.about(About::Health(info.name.to_string()));
            }
            _ => {}
        }
    }
    error
}
