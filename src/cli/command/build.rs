//! `build`: the images of the project's services; and what `up` and `run` pull and build before they make containers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::client::Client;
use crate::cli::apply::{Applier, ApplyOptions};
use crate::cli::args::build::{Argument, ServiceBuildArgs};
use crate::cli::args::lifecycle::BuildArgs;
use crate::cli::build;
use crate::cli::command::{push, up};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::output::build::failure::Warned;
use crate::cli::output::progress::{Progress, Style};
use crate::compose::plan::{self, BuildOptions, Cause, ObservedState, Plan};
use crate::compose::project::model::{Project, PullPolicy};
use crate::resource::name::ServiceName;
use crate::resource::operation::Operation;

/// Runs the command.
pub(super) async fn run(args: ServiceBuildArgs, context: &Context) -> Result<u8, CommandError> {
    refuse(&args)?;
    for (given, flag) in [(args.compress, "--compress"), (args.force_rm, "--force-rm"), (args.no_rm, "--no-rm")] {
        if given {
            context.terminal.warn(&format!("{flag} of build is deprecated and has no effect"));
        }
    }
    if args.deprecated_parallel.is_some() {
        context.terminal.warn(
            "--parallel of build is deprecated and has no effect: `--parallel N` before the command says how many images are built at once",
        );
    }
    let whole = context.project(&args.services.services)?;
    build(&args, context, &whole).await.map_err(|error| error.placed(&whole))
}

/// Refuses what a builder of Docker's would do and this one does not.
fn refuse(args: &ServiceBuildArgs) -> Result<(), CommandError> {
    let refused = |message: &str, hint: &str| Err(CommandError::local(message).hint(hint));
    if args.builder.as_deref().is_some_and(|builder| builder != "default") {
        return refused("--builder is not supported: there is one builder, the engine's own", "leave it out; -H names another engine");
    }
    if args.memory.is_some() {
        return refused("--memory is not supported: builds have no limit of memory of their own", "leave it out");
    }
    if args.check && args.push {
        return refused("--push makes no sense with --check: what is only looked at cannot be pushed", "leave one of them out");
    }
    for (setting, flag) in [(&args.provenance, "--provenance"), (&args.sbom, "--sbom")] {
        if setting.as_deref().is_some_and(|setting| setting != "false") {
            return refused(
                &format!("{flag} is not supported: an image does not say how it was made or of what"),
                "leave it out, or say `false`",
            );
        }
    }
    Ok(())
}

async fn build(args: &ServiceBuildArgs, context: &Context, whole: &Project) -> Result<u8, CommandError> {
    let project = whole.select(&args.services.services, args.with_dependencies)?;
    let mut options = BuildOptions {
        args: arguments(&args.args, &project.environment),
        ssh: args.ssh.iter().map(|agent| (agent.id.clone(), agent.socket.as_ref().map(|path| context.absolute(path)))).collect(),
        no_cache: args.no_cache,
        pull: args.pull,
        check: args.check,
        push: args.push,
        every_platform: true,
        ..defaults(context)
    };
    if args.print {
        if let Some(file) = plan::bake(&project, project.services.keys(), &options)? {
            context.terminal.line(&serde_json::to_string_pretty(&file).unwrap_or_default());
        }
        return Ok(0);
    }
    dated(context, &mut options);
    let all = project.with_bases(project.services.keys()).into_iter();
    let built: BTreeMap<ServiceName, Cause> =
        all.filter(|(_, service)| service.build.is_some()).map(|(name, _)| (name.clone(), Cause::Asked)).collect();
    if built.is_empty() {
        context.terminal.warn("No services to build");
        return Ok(0);
    }
    context.buildable(&project, &built.keys().cloned().collect())?;
    let plan = plan::build(&project, &built, &options)?;
    if context.dry_run {
        context.terminal.out(plan.to_string().as_bytes());
        if args.push {
            push::push(context, &project, args.quiet, false).await?;
        }
        return Ok(0);
    }
    let style = if args.quiet { Some(Style::Quiet) } else { args.deprecated_progress };
    let progress = context.progress_as(style, "build");
    let warnings = carry_out(context, context.client().await?, &plan, progress, false).await?;
    tell(context, &warnings, args.check);
    if args.push {
        push::push(context, &project, args.quiet, false).await?;
    }
    Ok(u8::from(args.check && !warnings.is_empty()))
}

/// Tells what is no good in Dockerfiles: on standard output where that was the question.
pub(super) fn tell(context: &Context, warnings: &[Warned], checked: bool) {
    if checked {
        let color = context.terminal.stdout_colors();
        warnings.iter().for_each(|warned| context.terminal.line(&format!("{}\n", warned.render(color))));
        let summary = match warnings.len() {
            0 => "Check complete, no warnings found.".to_owned(),
            1 => "Check complete, 1 warning has been found!".to_owned(),
            many => format!("Check complete, {many} warnings have been found!"),
        };
        context.terminal.line(&summary);
        return;
    }
    let color = context.terminal.stderr_colors();
    warnings.iter().for_each(|warned| context.terminal.note(&format!("{}\n", warned.render(color))));
}

/// Arguments of the command line; a name alone has the value of the environment, and is none where there is no such.
pub(super) fn arguments(args: &[Argument], environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let value = |it: &Argument| it.value.clone().or_else(|| environment.get(&it.name).cloned());
    args.iter().filter_map(|it| Some((it.name.clone(), value(it)?))).collect()
}

/// What builds get that is said nowhere in the files: proxies of Docker's configuration.
pub(super) fn defaults(context: &Context) -> BuildOptions {
    let proxies = build::proxies(context.docker_config().as_deref(), context.environment.get("DOCKER_HOST"));
    BuildOptions { default_args: proxies.into_iter().collect(), ..BuildOptions::default() }
}

/// The time that everything in an image has, where the environment says one.
pub(super) fn dated(context: &Context, options: &mut BuildOptions) {
    const DATE: &str = "SOURCE_DATE_EPOCH";
    options.default_args.extend(context.environment.get(DATE).map(|value| (DATE.to_owned(), value.to_owned())));
}

/// What the flags of a command that makes containers say of building.
pub(super) fn apply_flags(project: &mut Project, args: &BuildArgs) {
    let own: BTreeMap<ServiceName, String> = project.services.keys().map(|name| (name.clone(), project.own_image(name))).collect();
    for (name, service) in project.services.iter_mut().filter(|(_, service)| service.build.is_some()) {
        let service = Arc::make_mut(service);
        if args.build {
            service.pull_policy = PullPolicy::Build;
        } else if args.no_build {
            service.build = None;
            if service.image == own[name] || service.pull_policy == PullPolicy::Build {
                // Nobody but the project itself has an image of that name.
                service.pull_policy = PullPolicy::Never;
            }
        }
    }
}

/// What of pulls and builds is shown.
#[derive(Clone, Copy, Default)]
pub(super) struct ImagesShown {
    /// The style, where it is not that of the command line.
    pub(super) style: Option<Style>,
    /// Layers are not told.
    pub(super) quiet_pull: bool,
    /// Steps are not told.
    pub(super) quiet_build: bool,
}

/// Pulls what is due and builds what is missing or always built, before anything is made of it. Returns what is there then, and the
/// images that a dry run would have built.
pub(super) async fn images(
    context: &Context,
    client: &Client,
    project: &Project,
    shown: ImagesShown,
) -> Result<(ObservedState, BTreeSet<String>), CommandError> {
    if !context.dry_run {
        let due = up::due(client, project).await;
        if !due.is_empty() {
            pull(context, client, project, &plan::refresh(project, &due), shown).await?;
        }
    }
    let mut observed = observe::project(client, &project.name, Some(project)).await?;
    let tried = plan::pull_before_build(project, &observed);
    if !context.dry_run && !tried.is_empty() {
        pull(context, client, project, &tried, shown).await?;
        observed = observe::project(client, &project.name, Some(project)).await?;
    }
    let due = plan::due_builds(project, &observed);
    if due.is_empty() {
        return Ok((observed, BTreeSet::new()));
    }
    context.buildable(project, &due.keys().cloned().collect())?;
    let mut options = defaults(context);
    dated(context, &mut options);
    let plan = plan::build(project, &due, &options)?;
    if context.dry_run {
        context.terminal.out(plan.to_string().as_bytes());
        let all = project.with_bases(project.services.keys());
        let built = due.keys().filter_map(|name| all.get(name)).map(|service| service.image.clone()).collect();
        return Ok((observed, built));
    }
    let progress = context.progress_as(shown.style, "build");
    let warnings = carry_out(context, client, &plan, progress, shown.quiet_build).await?;
    if !shown.quiet_build && shown.style != Some(Style::Quiet) {
        tell(context, &warnings, false);
    }
    Ok((observe::project(client, &project.name, Some(project)).await?, BTreeSet::new()))
}

/// Pulls images; one that can be built may stay away.
async fn pull(context: &Context, client: &Client, project: &Project, plan: &Plan, shown: ImagesShown) -> Result<(), CommandError> {
    let progress = context.progress_as(shown.style, "pull");
    let options = ApplyOptions { parallel: context.parallel, quiet_pull: shown.quiet_pull, ..ApplyOptions::default() };
    let applier = Applier::new(client, &progress, None, plan, options);
    let missed = RefCell::new(Vec::new());
    let result = plan::execute(plan, |operation| {
        let applier = applier.clone();
        let can_do_without = matches!(&operation, Operation::PullImage { image, .. } if plan::is_built(project, image));
        let missed = &missed;
        async move {
            match applier.apply(operation).await {
                Err(error) if can_do_without => {
                    missed.borrow_mut().push(error);
                    Ok(())
                }
                outcome => outcome,
            }
        }
    })
    .await;
    progress.finish();
    if shown.style != Some(Style::Quiet) {
        missed.into_inner().iter().for_each(|error| context.terminal.warn(&format!("{}; it is built", error.message())));
    }
    result
}

/// Builds, and returns what is no good in the Dockerfiles.
async fn carry_out(
    context: &Context,
    client: &Client,
    plan: &Plan,
    progress: Progress,
    quiet_build: bool,
) -> Result<Vec<Warned>, CommandError> {
    let options = ApplyOptions { parallel: context.parallel, quiet_build, ..ApplyOptions::default() };
    let applier = Applier::new(client, &progress, None, plan, options);
    let result = plan::execute(plan, |operation| applier.clone().apply(operation)).await;
    progress.finish();
    let warnings = applier.build_warnings();
    if result.is_err() {
        // What could be better may be what is wrong.
        tell(context, &warnings, false);
    }
    result.map(|()| warnings)
}
