//! One page per command.

mod attach;
mod attached;
mod build;
mod completion;
mod config;
mod cp;
mod create;
mod down;
mod engine;
mod events;
mod exec;
mod image;
mod image_build;
mod image_cache;
mod images;
mod login;
mod logs;
mod ls;
mod port;
mod ps;
mod pull;
mod push;
mod run;
mod signal;
mod start;
mod stats;
mod stop;
mod system;
mod top;
mod up;
mod version;
mod volumes;
mod wait;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::args::Command;
use crate::cli::args::engine::ImageCommand;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::interrupt::Interrupt;
use crate::compose::plan::ObservedState;
use crate::compose::project::model::Project;
use crate::resource::name::ServiceName;

/// Runs a command and returns the code to exit with.
pub(crate) async fn run(command: Command, context: &Context) -> Result<u8, CommandError> {
    if context.dry_run && !has_dry_run(&command) {
        return Err(CommandError::local(
            "this command has no dry run: --dry-run is for up, create, scale, run, down, start, stop, rm, build, image build, pull and push",
        ));
    }
    match command {
        // These see to interrupts themselves.
        Command::Up(args) => up::run(args, context).await,
        Command::Create(args) => create::create(args, context).await,
        Command::Scale(args) => create::scale(args, context).await,
        Command::Exec(args) => exec::run(args, context).await,
        Command::Run(args) => run::run(args, context).await,
        Command::Attach(args) => attach::run(args, context).await,
        Command::Down(args) => interruptible(down::run(args, context)).await,
        Command::Start(args) => interruptible(start::run(args, context)).await,
        Command::Stop(args) => interruptible(stop::stop(args, context)).await,
        Command::Restart(args) => interruptible(stop::restart(args, context)).await,
        Command::Rm(args) => interruptible(stop::remove(args, context)).await,
        Command::Kill(args) => interruptible(signal::kill(args, context)).await,
        Command::Pause(args) => interruptible(signal::pause(args, context)).await,
        Command::Unpause(args) => interruptible(signal::unpause(args, context)).await,
        Command::Wait(args) => interruptible(wait::run(args, context)).await,
        Command::Build(args) => interruptible(heard(build::run(*args, context), context)).await,
        Command::Pull(args) => interruptible(pull::run(args, context)).await,
        Command::Push(args) => interruptible(push::run(args, context)).await,
        Command::Ps(args) => interruptible(ps::run(args, context)).await,
        Command::Logs(args) => interruptible(logs::run(args, context)).await,
        Command::Ls(args) => interruptible(ls::run(args, context)).await,
        Command::Images(args) => interruptible(images::run(args, context)).await,
        Command::Top(args) => interruptible(top::run(args, context)).await,
        Command::Stats(args) => interruptible(stats::run(args, context)).await,
        Command::Events(args) => interruptible(events::run(args, context)).await,
        Command::Volumes(args) => interruptible(volumes::run(args, context)).await,
        Command::Cp(args) => interruptible(cp::run(args, context)).await,
        Command::Export(args) => interruptible(cp::export(args, context)).await,
        Command::Config(args) => config::run(&args, context),
        Command::Port(args) => interruptible(port::run(args, context)).await,
        Command::Login(args) => interruptible(login::login(args, context)).await,
        Command::Logout(args) => interruptible(login::logout(args, context)).await,
        // A shell has interrupts of its own.
        Command::Image(ImageCommand::Build(args)) if args.debug_shell => image_build::run(*args, context).await,
        Command::Image(ImageCommand::Build(args)) => interruptible(heard(image_build::run(*args, context), context)).await,
        Command::Image(command) => interruptible(image::run(command, context)).await,
        // It speaks for another client, and knows no interrupts but the end of that.
        Command::System(command) => system::run(command, context).await,
        Command::Engine(args) => interruptible(engine::run(args, context)).await,
        Command::Completion(args) => Ok(completion::completion(&args, context)),
        Command::Man(args) => completion::man(&args, context),
        Command::Version(args) => interruptible(version::run(args, context)).await,
    }
}

/// Whether a command can say what it would do, or changes nothing anyhow.
fn has_dry_run(command: &Command) -> bool {
    let makes =
        matches!(command, Command::Up(_) | Command::Create(_) | Command::Scale(_) | Command::Run(_) | Command::Build(_) | Command::Pull(_));
    let sends = matches!(command, Command::Push(_));
    let changes = matches!(command, Command::Down(_) | Command::Start(_) | Command::Stop(_) | Command::Rm(_));
    let looks = matches!(command, Command::Ps(_) | Command::Logs(_) | Command::Config(_) | Command::Port(_) | Command::Version(_));
    let makes = makes || matches!(command, Command::Image(ImageCommand::Build(_)));
    let lists = matches!(command, Command::Ls(_) | Command::Images(_) | Command::Top(_) | Command::Stats(_));
    makes || sends || changes || looks || lists || matches!(command, Command::Events(_) | Command::Volumes(_))
}

/// Runs until the end, or until nobody reads what is told: then what has no end by itself is to have one.
async fn heard(command: impl Future<Output = Result<u8, CommandError>>, context: &Context) -> Result<u8, CommandError> {
    tokio::select! {
        result = command => result,
        () = context.terminal.listener_left() => Ok(CommandError::UNHEARD),
    }
}

/// Runs until the end or the first interrupt, after which the code is 130; what the engine was asked to do, it does.
async fn interruptible(command: impl Future<Output = Result<u8, CommandError>>) -> Result<u8, CommandError> {
    let mut interrupt = Interrupt::listen()?;
    tokio::select! {
        result = command => result,
        () = interrupt.next() => Ok(CommandError::INTERRUPTED),
    }
}

/// Service names of the command line that select cut a project down to.
fn names(project: &Project, patterns: &[String]) -> Result<BTreeSet<ServiceName>, CommandError> {
    if patterns.is_empty() {
        return Ok(BTreeSet::new());
    }
    Ok(project.select(patterns, false)?.services.keys().cloned().collect())
}

/// Services named for a command that can do with labels alone: by the files where there are any, else as they are written.
fn label_names(project: Option<&Project>, patterns: &[String]) -> Result<BTreeSet<ServiceName>, CommandError> {
    let parse = |name: &String| name.parse::<ServiceName>().map_err(|error| CommandError::local(error.to_string()));
    match project {
        Some(project) => {
            let mut found = BTreeSet::new();
            for pattern in patterns {
                match project.select(std::slice::from_ref(pattern), false) {
                    Ok(selected) => found.extend(selected.services.into_keys()),
                    // A disabled service has containers, too; whether anything has that name is the planner's to say.
                    Err(_) => drop(found.insert(parse(pattern)?)),
                }
            }
            Ok(found)
        }
        None => patterns.iter().map(parse).collect(),
    }
}

/// Services named for a command that looks: by the files, or by containers that are there; what is neither is refused.
fn known_names(project: Option<&Project>, observed: &ObservedState, patterns: &[String]) -> Result<BTreeSet<ServiceName>, CommandError> {
    let names = label_names(project, patterns)?;
    for name in &names {
        let in_files = project.is_some_and(|it| it.services.contains_key(name) || it.disabled.contains_key(name));
        if !in_files && observed.replicas(name).is_empty() && !observed.one_offs().iter().any(|it| it.service == *name) {
            return Err(CommandError::local(format!("no such service: {name}")));
        }
    }
    Ok(names)
}

/// Seconds of the command line.
fn seconds(number: Option<u64>) -> Option<Duration> {
    number.map(Duration::from_secs)
}
