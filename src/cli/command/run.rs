//! `run`: a service's command, or another one, once, in a container of its own.

use std::collections::BTreeMap;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::api::client::Client;
use crate::cli::apply::{Applier, ApplyOptions};
use crate::cli::args::one_off::RunArgs;
use crate::cli::await_container::Watch;
use crate::cli::command::build::{self, ImagesShown};
use crate::cli::command::exec::{KILLED, ran_out_of_memory};
use crate::cli::command::up;
use crate::cli::context::Context;
use crate::cli::error::{About, CommandError};
use crate::cli::follow;
use crate::cli::hook;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::progress::{Progress, Status, Style};
use crate::cli::relay::{self, Parted, Peer, Relay, Signals};
use crate::compose::plan::{self, OneOff, Plan, UpOptions};
use crate::compose::project::flag;
use crate::compose::project::model::{Project, Service};
use crate::resource::container::{AttachOptions, ExitStatus, Mount, MountSource, WaitCondition};
use crate::resource::detach::DetachKeys;
use crate::resource::failure::Failure;
use crate::resource::operation::Operation;

/// Runs the command.
pub(super) async fn run(args: RunArgs, context: &Context) -> Result<u8, CommandError> {
    let tty = args.tty.or(args.no_tty.map(|no| !no)).unwrap_or_else(|| relay::on_a_terminal(&context.terminal));
    relay::check_input(tty, args.interactive)?;
    let whole = context.project(std::slice::from_ref(&args.service))?;
    run_in(&args, tty, context, &whole).await.map_err(|error| error.placed(&whole))
}

async fn run_in(args: &RunArgs, tty: bool, context: &Context, whole: &Project) -> Result<u8, CommandError> {
    let says = |name: &str| context.says(Some(whole), name);
    if args.remove_orphans && says("COMPOSE_IGNORE_ORPHANS") {
        return Err(CommandError::local("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans"));
    }
    let one_off = one_off(args, tty, context, whole)?;
    let mut project = whole.select(std::slice::from_ref(&args.service), !args.no_deps)?;
    for key in one_off.mounts.iter().filter_map(volume_key) {
        // A volume that only this command mounts is the project's all the same.
        project.volumes.extend(whole.volumes.get_key_value(key).map(|(key, volume)| (key.clone(), volume.clone())));
    }
    context.runnable(&project)?;
    up::override_policies(&mut project, args.pull.map(Into::into));
    build::apply_flags(&mut project, &args.build);
    let mut options = UpOptions {
        remove_orphans: args.remove_orphans || says("COMPOSE_REMOVE_ORPHANS"),
        ignore_orphans: says("COMPOSE_IGNORE_ORPHANS"),
        ..UpOptions::default()
    };
    let client = context.client().await?;
    let style = args.quiet.then_some(Style::Quiet);
    let shown = ImagesShown { style, quiet_pull: args.quiet_pull, quiet_build: args.build.quiet_build };
    let mut interrupt = Interrupt::listen()?;
    let brought = tokio::select! {
        brought = build::images(context, client, &project, shown) => brought,
        () = interrupt.next() => return Ok(CommandError::INTERRUPTED),
    };
    let (observed, built) = brought?;
    options.built = built;
    let plan = plan::run(&project, &observed, &options, &one_off)?;
    up::tell_warnings(context, &plan);
    if context.dry_run {
        context.terminal.out(plan.to_string().as_bytes());
        return Ok(0);
    }
    let service = &project.services[&one_off.service];
    let prepared = async {
        prepare(args, context, client, &project, &plan, &one_off).await?;
        if args.detach { begin(client, &one_off, service).await } else { Ok(()) }
    };
    let prepared = tokio::select! {
        prepared = prepared => prepared,
        () = interrupt.next() => return Ok(CommandError::INTERRUPTED),
    };
    let undone = match prepared {
        Ok(()) if args.detach => Ok(None),
        // From here on an interrupt is the container's.
        Ok(()) => attended(args, context, client, &one_off, service).await.map(Some),
        Err(error) => Err(error),
    };
    match undone {
        Ok(Some(code)) => Ok(code),
        Ok(None) => {
            let id = client.container(one_off.name.as_str()).await?.id;
            context.terminal.line(&id.to_string());
            Ok(0)
        }
        Err(error) => match up::take_back(context, client, &project, &plan, &observed, "run").await {
            Ok(()) => Err(error),
            Err(another) => Err(error.detail(format!("what this made and could not start is still there: {}", another.message()))),
        },
    }
}

/// All of the plan but the start of the container itself.
async fn prepare(
    args: &RunArgs,
    context: &Context,
    client: &Client,
    project: &Project,
    plan: &Plan,
    one_off: &OneOff,
) -> Result<(), CommandError> {
    let waits = plan.steps().iter().any(|step| matches!(step.operation, Operation::AwaitContainer { .. }));
    let watch = if waits { Some(Watch::begin(client, project.name.as_str()).await?) } else { None };
    let progress = if args.quiet { Progress::new(&context.terminal, Style::Quiet, "run", false) } else { context.progress("run") };
    for name in &plan.kept {
        progress.tell(&format!("Container {name}"), Status::Done, "Running");
    }
    let options = ApplyOptions { parallel: context.parallel, quiet_pull: args.quiet_pull, ..ApplyOptions::default() };
    let applier = Applier::new(client, &progress, watch, plan, options);
    let result = plan::execute(plan, |operation| {
        let is_own_start = matches!(&operation, Operation::StartContainer { name } if *name == one_off.name);
        let applier = applier.clone();
        async move { if is_own_start { Ok(()) } else { applier.apply(operation).await } }
    })
    .await;
    progress.finish();
    if let Some(text) = applier.unheard() {
        context.terminal.warn(&text);
    }
    result
}

async fn start(client: &Client, one_off: &OneOff) -> Result<(), CommandError> {
    client.start_container(one_off.name.as_str()).await.map_err(|failure| refused(failure, one_off))
}

/// Starts the container, and runs what its service wants to run after that.
async fn begin(client: &Client, one_off: &OneOff, service: &Service) -> Result<(), CommandError> {
    start(client, one_off).await?;
    hook::after_run(client, service, one_off.name.as_str()).await
}

/// A start that failed has the code that a shell gives for such a command.
fn refused(failure: Failure, one_off: &OneOff) -> CommandError {
    let code = match failure.message.as_str() {
        text if text.contains("executable file not found") || text.contains("no such file or directory") => 127,
        text if text.contains("permission denied") || text.contains("is a directory") => 126,
        _ => CommandError::FAILURE,
    };
    let about = About::Container(one_off.name.to_string());
    CommandError::from(failure).during(&format!("cannot start container {}", one_off.name)).about(about).code(code)
}

/// Starts the container with our streams joined to its own, and returns its code.
async fn attended(args: &RunArgs, context: &Context, client: &Client, one_off: &OneOff, service: &Service) -> Result<u8, CommandError> {
    let id = client.container(one_off.name.as_str()).await?.id.to_string();
    let options = AttachOptions { stdin: args.interactive, stdout: true, stderr: true, logs: false, stream: true, detach_keys: None };
    let mut signals = Signals::listen()?;
    let streams = client.attach(&id, &options).await?;
    let condition = if args.rm { WaitCondition::Removed } else { WaitCondition::NextExit };
    let wait = client.watch_container(&id, condition).await?;
    let began = follow::now();
    start(client, one_off).await?;
    let relay = Relay {
        peer: Peer::Container(id.clone()),
        tty: one_off.tty,
        interactive: args.interactive,
        proxy: true,
        keys: DetachKeys::default(),
    };
    if relay.tty {
        relay.resize(client).await;
    }
    let hooks = hook::after_run(client, service, one_off.name.as_str());
    let (parted, hooks) = tokio::join!(relay.carry(&context.terminal, client, streams, &mut signals), hooks);
    let parted = parted?;
    hooks?;
    context.terminal.flush();
    if parted == Parted::Detached || context.terminal.reader_left() {
        return Ok(0);
    }
    let mut status = relay.proxied(client, &mut signals, wait.status()).await?;
    // Docker's own answer does not say it.
    status.out_of_memory |= status.code == KILLED && ran_out_of_memory(client, id, began).await;
    Ok(ended(context, one_off.name.as_str(), &status))
}

/// The code of a container that ended; why, where the code alone does not tell.
pub(super) fn ended(context: &Context, name: &str, status: &ExitStatus) -> u8 {
    if status.out_of_memory {
        context.terminal.warn(&format!("the kernel ended container {name} for want of memory"));
    } else if !status.error.is_empty() {
        context.terminal.warn(&format!("container {name}: {}", status.error));
    }
    u8::try_from(status.code & 0xff).unwrap_or(1)
}

/// What the flags want otherwise than the files.
fn one_off(args: &RunArgs, tty: bool, context: &Context, project: &Project) -> Result<OneOff, CommandError> {
    let wrong = |error: &dyn std::fmt::Display| CommandError::local(error.to_string());
    let slug = slug()?;
    let short = slug.get(..12).unwrap_or(&slug);
    let name = args.name.clone().unwrap_or_else(|| project.part_name(&[&args.service, "run", short]));
    let folder = context.environment.working_dir().cloned().unwrap_or_else(|| project.working_dir.clone());
    let mounts = args.volumes.iter().map(|text| flag::mount(text, &folder).map_err(|error| wrong(&error)));
    Ok(OneOff {
        service: args.service.parse().map_err(|error| wrong(&error))?,
        name: name.parse().map_err(|error| wrong(&error))?,
        slug,
        command: args.command.clone(),
        entrypoint: args.entrypoint.clone().map(|words| words.0),
        environment: variables(args, context, project)?,
        user: args.user.clone().filter(|user| !user.is_empty()),
        working_dir: args.workdir.clone().filter(|folder| !folder.is_empty()),
        cap_add: args.cap_add.iter().cloned().collect(),
        cap_drop: args.cap_drop.iter().cloned().collect(),
        labels: args.labels.iter().cloned().collect(),
        ports: (!args.service_ports).then(|| args.publish.iter().flat_map(|ports| ports.0.clone()).collect()),
        mounts: mounts.collect::<Result<_, _>>()?,
        tty,
        stdin: args.interactive,
        remove: args.rm,
        use_aliases: args.use_aliases,
    })
}

/// `-e` above `--env-from-file`; a name alone takes the project's value, and is nothing where there is none.
fn variables(args: &RunArgs, context: &Context, project: &Project) -> Result<BTreeMap<String, String>, CommandError> {
    let mut variables = BTreeMap::new();
    for text in &args.env {
        match text.split_once('=') {
            Some((name, value)) => drop(variables.insert(name.to_owned(), value.to_owned())),
            None => variables.extend(project.environment.get(text).map(|value| (text.clone(), value.clone()))),
        }
    }
    for path in &args.env_files {
        let wrong = |error: &dyn std::fmt::Display| CommandError::local(format!("--env-from-file {}: {error}", path.display()));
        let text = std::fs::read_to_string(context.absolute(path)).map_err(|error| wrong(&error))?;
        for (name, value) in flag::variables(&text, &variables).map_err(|error| wrong(&error))? {
            variables.entry(name).or_insert(value);
        }
    }
    Ok(variables)
}

fn volume_key(mount: &Mount) -> Option<&String> {
    match &mount.source {
        MountSource::Volume { name, .. } => name.as_ref(),
        _ => None,
    }
}

/// What makes a container's name its own.
fn slug() -> Result<String, CommandError> {
    let mut bytes = [0; 32];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|error| CommandError::local(format!("cannot draw random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
