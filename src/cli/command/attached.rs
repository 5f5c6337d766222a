//! `up` in the foreground: output while containers run, and what Ctrl-C and the flags make of it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;

use crate::api::client::Client;
use crate::cli::apply::{Applier, ApplyOptions};
use crate::cli::args::lifecycle::UpArgs;
use crate::cli::await_container::Watch;
use crate::cli::command::{seconds, up};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::follow::{Clock, Follower, Occurrence};
use crate::cli::interrupt::Interrupt;
use crate::cli::observe;
use crate::cli::output::line::{LinePrinter, LineStyle};
use crate::cli::output::progress::Status;
use crate::compose::plan::{self, ObservedState, Plan, Replica, StopPlanOptions, UpOptions};
use crate::compose::project::model::Project;
use crate::resource::operation::Operation;

/// Carries out the plan, shows what containers write, and returns the code to exit with.
pub(super) async fn run(
    args: &UpArgs,
    options: &UpOptions,
    context: &Context,
    client: &Client,
    project: &Project,
    observed: &ObservedState,
    plan: &Plan,
) -> Result<u8, CommandError> {
    let scene = Scene { args, options, context, client, project };
    let mut interrupt = Interrupt::listen()?;
    up::tell_warnings(context, plan);
    let watch = Watch::begin(client, project.name.as_str()).await?;
    let shown = follower_names(plan, &scene);
    let mut follower = scene.follower(&watch, &shown);
    for replica in observed.all() {
        follower.know(&replica.info);
        if plan.kept.contains(&replica.info.name) {
            follower.join(&replica.info);
        }
    }
    let progress = context.progress("up");
    for name in &plan.kept {
        progress.tell(&format!("Container {name}"), Status::Done, "Running");
    }
    let apply_options = ApplyOptions {
        parallel: context.parallel,
        attached: true,
        quiet_pull: args.quiet_pull,
        hooks: Some(follower.printer().clone()),
        ..ApplyOptions::default()
    };
    let applier = Applier::new(client, &progress, Some(watch), plan, apply_options);
    let announced = AtomicBool::new(false);
    let announce = || {
        if !announced.swap(true, Ordering::Relaxed) {
            scene.announce(&shown);
        }
    };
    let mut ending = Ending::default();
    let mut working = true;
    {
        let mut work = pin!(plan::execute(plan, |operation| {
            if matches!(operation, Operation::StartContainer { .. }) {
                announce();
            }
            applier.clone().apply(operation)
        }));
        loop {
            tokio::select! {
                result = &mut work, if working => {
                    working = false;
                    announce();
                    // What was to be done is told; from here on the services speak.
                    progress.clone().finish();
                    if let Some(text) = applier.unheard() {
                        context.terminal.warn(&text);
                    }
                    if let Err(error) = result {
                        context.terminal.flush();
                        return Err(error);
                    }
                    follower.complete(started_names(plan, &scene));
                }
                occurrence = follower.next() => if scene.judge(&occurrence, &mut ending) { break },
                () = interrupt.next() => {
                    ending.interrupted = true;
                    break;
                }
            }
        }
    }
    if working {
        progress.finish();
    }
    if ending.interrupted {
        context.terminal.note("Gracefully Stopping... press Ctrl+C again to force");
    } else if !ending.aborted {
        return Ok(ending.code);
    } else {
        context.terminal.note("Aborting on container exit...");
    }
    scene.stop(&mut follower, &mut interrupt, &mut ending).await?;
    Ok(if ending.interrupted { CommandError::INTERRUPTED } else { ending.code })
}

struct Scene<'a> {
    args: &'a UpArgs,
    options: &'a UpOptions,
    context: &'a Context,
    client: &'a Client,
    project: &'a Project,
}

/// How it ends, as far as that is known.
#[derive(Default)]
struct Ending {
    code: u8,
    decided: bool,
    aborted: bool,
    interrupted: bool,
}

impl Scene<'_> {
    /// Whoever is shown has its colour and its room before anything is written, in the order of names.
    fn follower(&self, watch: &Watch, shown: &BTreeSet<String>) -> Follower {
        let style = LineStyle {
            prefix: !self.args.no_log_prefix,
            color: !self.args.no_color && self.context.terminal.stdout_colors(),
            split: true,
        };
        let printer = LinePrinter::new(&self.context.terminal, style, self.project.name.as_str());
        shown.iter().for_each(|name| printer.register(name));
        let named = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
        let services = if !self.args.attach.is_empty() {
            Some(named(&self.args.attach))
        } else if self.options.services.is_empty() || self.args.attach_dependencies {
            None
        } else {
            Some(self.options.services.iter().map(ToString::to_string).collect())
        };
        let clock = if self.args.timestamps { Clock::Here } else { Clock::Off };
        let mut hidden = named(&self.args.no_attach);
        if self.args.attach.is_empty() {
            let silent = self.project.services.values().filter(|service| !service.attach);
            hidden.extend(silent.map(|service| service.name.to_string()));
        }
        Follower::new(self.client, printer, watch.subscribe(), services, hidden, clock)
    }

    fn shows(&self, service: &str) -> bool {
        let targeted = self.options.services.is_empty() || self.args.attach_dependencies || self.options.services.contains(service);
        let wants = || self.project.services.get(service).is_none_or(|service| service.attach);
        let attached = if self.args.attach.is_empty() { targeted && wants() } else { self.args.attach.iter().any(|it| it == service) };
        attached && !self.args.no_attach.iter().any(|it| it == service)
    }

    /// Whether a container of one of the project's services is shown.
    fn shows_container(&self, name: &str) -> bool {
        self.project.service_of(name).is_some_and(|service| self.shows(service))
    }

    fn announce(&self, names: &BTreeSet<String>) {
        let prefix = format!("{}-", self.project.name);
        let short: Vec<&str> = names.iter().map(|name| name.strip_prefix(&prefix).unwrap_or(name)).collect();
        self.context.terminal.line(&format!("Attaching to {}", short.join(", ")));
        self.context.terminal.flush();
    }

    /// Whether what happened ends the command.
    fn judge(&self, occurrence: &Occurrence, ending: &mut Ending) -> bool {
        let Occurrence::Exited { service, code, .. } = occurrence else { return true };
        let code = u8::try_from(code & 0xff).unwrap_or(1);
        if let Some(wanted) = &self.args.exit_code_from {
            if wanted == service {
                (ending.code, ending.decided) = (code, true);
            }
        } else if self.aborts(code) && !ending.decided {
            (ending.code, ending.decided) = (code, true);
        }
        ending.aborted = self.aborts(code);
        ending.aborted
    }

    fn aborts(&self, code: u8) -> bool {
        let on_exit = self.args.abort_on_container_exit || (self.args.exit_code_from.is_some() && !self.args.abort_on_container_failure);
        on_exit || (self.args.abort_on_container_failure && code != 0)
    }

    /// Stops what this command is for, while it still shows what is written; another interrupt kills.
    async fn stop(&self, follower: &mut Follower, interrupt: &mut Interrupt, ending: &mut Ending) -> Result<(), CommandError> {
        let observed = observe::project(self.client, &self.project.name, Some(self.project)).await?;
        let services = self.options.services.clone();
        let timeout = seconds(self.args.timeout);
        let plan = plan::stop(Some(self.project), &observed, &StopPlanOptions { services, timeout, ..StopPlanOptions::default() })?;
        follower.complete(BTreeSet::new());
        let printer = follower.printer().clone();
        let mut work = pin!(up::apply_with_hooks(self.context, self.client, &self.project.name, &plan, "stop", &printer));
        let (mut stopped, mut drained, mut killed) = (false, false, false);
        while !(stopped && (drained || !self.options.services.is_empty())) {
            tokio::select! {
                result = &mut work, if !stopped => {
                    stopped = true;
                    if !killed {
                        result?;
                    }
                }
                occurrence = follower.next(), if !drained => match occurrence {
                    Occurrence::AllEnded => drained = true,
                    Occurrence::Exited { service, code, .. } => {
                        if self.args.exit_code_from.as_ref() == Some(&service) && !ending.decided {
                            (ending.code, ending.decided) = (u8::try_from(code & 0xff).unwrap_or(1), true);
                        }
                    }
                },
                () = interrupt.next() => {
                    killed = true;
                    let chosen = observed.all().filter(|it| self.options.services.is_empty() || self.options.services.contains(&it.service));
                    join_all(chosen.map(Replica::name).map(|name| self.client.kill_container(name, "SIGKILL"))).await;
                    ending.interrupted = true;
                }
            }
        }
        Ok(())
    }
}

/// The containers that are shown: those the plan keeps or starts.
fn follower_names(plan: &Plan, scene: &Scene<'_>) -> BTreeSet<String> {
    let kept = plan.kept.iter().filter(|name| scene.shows_container(name.as_str()));
    started_names(plan, scene).into_iter().chain(kept.map(ToString::to_string)).collect()
}

/// The containers that are shown and that the plan starts.
fn started_names(plan: &Plan, scene: &Scene<'_>) -> BTreeSet<String> {
    let started = plan.steps().iter().filter_map(|step| match &step.operation {
        Operation::StartContainer { name } => Some(name),
        _ => None,
    });
    started.filter(|name| scene.shows_container(name.as_str())).map(ToString::to_string).collect()
}
