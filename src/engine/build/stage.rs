//! One stage: from what it builds on through its instructions to a ground that others can build on or copy from.

use std::future::Future;
use std::sync::atomic::Ordering;

use crate::archive::select::CopyError;
use crate::dockerfile::{Base, Command, Inherited, Kind, Place, PlannedStage, Scope, Step};
use crate::engine::build::ground::{self, Ground};
use crate::engine::build::key::Key;
use crate::engine::build::teller::ToldStep;
use crate::engine::build::{Build, Halt, now};
use crate::engine::clock;
use crate::engine::image::document::{DockerHealth, Document, Empty, RootLayers, RunConfig};
use crate::engine::image::step::StepRecord;
use crate::engine::image::workshop::Origin;
use crate::resource::build::{StepEnd, StepFailure};
use crate::resource::failure::Failure;
use crate::resource::id::Digest;
use crate::resource::image::Platform;
use crate::resource::time::Timestamp;

/// What a step made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// Its layer, if it changed anything.
    pub(super) layer: Option<Digest>,
    /// What is in it, without times.
    pub(super) content: Digest,
}

/// Why a step failed.
#[derive(Debug)]
pub(super) struct StepError {
    pub(super) failure: Failure,
    /// The exit code of its command.
    pub(super) code: Option<i32>,
}

impl<E: Into<Failure>> From<E> for StepError {
    fn from(error: E) -> Self {
        Self { failure: error.into(), code: None }
    }
}

impl From<Halt> for StepError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(failure) => failure.into(),
            Halt::Elsewhere => Failure::internal("another stage failed").into(),
        }
    }
}

impl From<CopyError> for StepError {
    fn from(error: CopyError) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            message = format!("{message}: {source}");
            cause = source.source();
        }
        match error {
            CopyError::Missing { .. } => Failure::not_found(message).into(),
            CopyError::Step { .. } => Failure::internal(message).into(),
            _ => Failure::invalid(message).into(),
        }
    }
}

/// A step that is about to be done.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// What people call it.
    pub(super) name: String,
    /// Where the Dockerfile has it.
    pub(super) place: Place,
    /// What is remembered does not count.
    pub(super) anew: bool,
}

impl Build {
    /// Builds a stage.
    pub(super) async fn build_stage(&self, index: usize) -> Result<Ground, Halt> {
        let planned = &self.plan.stages[index];
        let anew = self.job.spec.no_cache || self.job.spec.no_cache_filter.iter().any(|name| name.eq_ignore_ascii_case(&planned.name));
        let of = count(planned);
        let called = |number: u32, text: &str| {
            let stage = if planned.name.is_empty() { String::new() } else { format!("{} ", planned.name) };
            format!("[{stage}{number}/{of}] {text}")
        };
        let from = match &planned.base {
            Base::Image(name) => format!("FROM {name}"),
            _ => planned.text.clone(),
        };
        let mut ground = self.begin_stage(index, called(1, &from)).await?;
        let mut number = 1;
        for instruction in &planned.instructions {
            let shown = instruction.shown(&ground.scope);
            let step = instruction.resolve(&mut ground.scope);
            let step = step.map_err(|problem| Halt::Failed(self.job.text.refusal(&[problem])))?;
            if makes_layer(instruction.kind) {
                number += 1;
            }
            let task = Task { name: called(number, &shown), place: instruction.place, anew };
            let history = instruction.history(&step);
            // A ground is as it was before a step that failed.
            let looked_at = self.job.spec.shell.map(|_| step.clone());
            if let Err(halt) = self.apply(&mut ground, step, history, task).await {
                if let (Some(step), Halt::Failed(_)) = (looked_at, &halt) {
                    self.look_around(&ground, step).await;
                }
                return Err(halt);
            }
        }
        Ok(ground)
    }

    async fn begin_stage(&self, index: usize, name: String) -> Result<Ground, Halt> {
        let planned = &self.plan.stages[index];
        let ground = match &planned.base {
            Base::Stage(below) => {
                let below = self.stage(*below).await.map_err(|_| Halt::Elsewhere)?;
                let mut ground =
                    Ground { scope: Scope::derive(&self.plan, index, &below.scope), own_command: false, ..Ground::clone(&below) };
                ground.document.config.on_build.clear();
                ground
            }
            base => match self.job.image_of(base) {
                Some(image) => self.on_image(index, &self.job.image(&image, planned.platform.as_deref(), Some(planned.place)).await?),
                None => self.on_nothing(index),
            },
        };
        let told = self.job.teller.begin(&name).await;
        told.end(StepEnd::Done).await;
        match &planned.base {
            Base::Context(context) if self.job.image_of(&planned.base).is_none() => self.fill_from_context(ground, context).await,
            _ => Ok(ground),
        }
    }

    fn on_image(&self, index: usize, origin: &Origin) -> Ground {
        let mut document = origin.document.clone();
        document.config.on_build.clear();
        document.steps.clear();
        let config = &document.config;
        let base = Inherited { environment: &config.env, working_dir: &config.working_dir, user: &config.user, shell: &config.shell };
        let scope = Scope::new(&self.plan, index, base);
        document.config.env = scope.environment();
        let newest = document.created.unwrap_or(Timestamp::from_nanos(0));
        Ground { files: ground::of_layers(&document.rootfs.diff_ids), document, newest, scope, own_command: false }
    }

    fn on_nothing(&self, index: usize) -> Ground {
        let Platform { os, architecture, variant } = self.job.platform.clone();
        let scope = Scope::new(&self.plan, index, Inherited::default());
        let config = RunConfig { env: scope.environment(), working_dir: "/".to_owned(), ..RunConfig::default() };
        let document = Document { architecture, variant, os, config, rootfs: RootLayers::of(Vec::new()), ..Document::default() };
        Ground { files: ground::of_layers(&[]), document, newest: Timestamp::from_nanos(0), scope, own_command: false }
    }

    async fn apply(&self, ground: &mut Ground, step: Step, history: Option<String>, task: Task) -> Result<(), Halt> {
        let config = &mut ground.document.config;
        match step {
            Step::Run(run) => return self.run(ground, &run, history, task).await,
            Step::Copy(copy) => return self.copy(ground, &copy, history, task).await,
            Step::Workdir(path) => return self.workdir(ground, &path, history, task).await,
            Step::Env(variables) => variables.iter().for_each(|(name, value)| set(&mut config.env, name, value)),
            Step::Label(labels) => config.labels.extend(labels),
            Step::User(user) => config.user = user,
            Step::Cmd(Command { words, shell_form }) => {
                config.cmd = words;
                config.args_escaped = shell_form;
                ground.own_command = true;
            }
            Step::Entrypoint(Command { words, shell_form }) => {
                config.entrypoint = words;
                config.args_escaped = shell_form;
                if !ground.own_command {
                    config.cmd.clear();
                }
            }
            Step::Expose(ports) => config.exposed_ports.extend(ports.into_iter().map(|port| (port, Empty {}))),
            Step::Volume(paths) => config.volumes.extend(paths.into_iter().map(|path| (path, Empty {}))),
            Step::Healthcheck(check) => config.healthcheck = Some(DockerHealth::of(check)),
            Step::Stopsignal(signal) => config.stop_signal = signal,
            Step::Onbuild(trigger) => config.on_build.push(trigger),
            Step::Shell(shell) => config.shell = shell,
            Step::Arg(_) => {}
            Step::Maintainer(author) => ground.document.author = author,
        }
        // What does not take time has none of its own: the same input is to give the same image.
        let created = self.job.epoch.map_or(ground.newest, |_| now(self.job.epoch));
        ground.note(history, true, created);
        Ok(())
    }

    /// Does a step, unless it is remembered; whoever does the same step at the same time is waited for.
    pub(super) async fn step<F: Future<Output = Result<Made, StepError>>>(
        &self,
        task: &Task,
        key: Digest,
        work: impl FnOnce(ToldStep) -> F,
    ) -> Result<StepRecord, Halt> {
        let workshop = &self.job.workshop;
        let told = self.job.teller.begin(&task.name).await;
        let turn = workshop.reserve(&key).await;
        let known = workshop.step(&key)?.or_else(|| self.job.borrowed.get(&key).cloned());
        // What another build of the same command has done anew is new enough.
        let fresh = |record: &StepRecord| !task.anew || (record.made_for.is_some() && record.made_for == self.job.spec.made_for);
        if let Some(record) = known.filter(fresh) {
            told.end(StepEnd::Cached).await;
            return Ok(record);
        }
        match work(told.clone()).await {
            Ok(Made { layer, content }) => {
                let created = now(self.job.epoch);
                let made_for = self.job.spec.made_for.clone();
                let record = StepRecord { layer, content, created, used: clock::now(), name: shortened(&task.name), made_for };
                workshop.note(key, record.clone())?;
                drop(turn);
                told.end(StepEnd::Done).await;
                Ok(record)
            }
            Err(error) => Err(self.failed(told, task, error).await),
        }
    }

    /// Tells that a step failed.
    pub(super) async fn failed(&self, told: ToldStep, task: &Task, error: StepError) -> Halt {
        let StepError { failure, code } = error;
        let place = self.job.text.place(task.place);
        let at = format!("{}:{}", place.file, place.line);
        // An engine that leaves ends a build at whatever step it is: nothing is wrong there.
        let place = (!self.job.engine.shared.leaving.load(Ordering::Acquire)).then_some(place);
        told.end(StepEnd::Failed(StepFailure { message: failure.message.clone(), code, place })).await;
        Halt::Failed(Failure { kind: failure.kind, message: format!("{at}: {}", failure.message) })
    }

    /// The part of a key that all steps share.
    pub(super) fn key(&self, kind: &str, ground: &Ground) -> Key {
        self.epoch_key(kind).digest(&ground.files)
    }

    /// The same without what lies below.
    pub(super) fn epoch_key(&self, kind: &str) -> Key {
        Key::of(kind).maybe(self.job.epoch.map(|epoch| epoch.to_string()).as_deref())
    }
}

/// What is remembered of a step's name: a command may be as long as a Dockerfile.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 1000;
    let end = (0..=LONGEST.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    if end == name.len() { name.to_owned() } else { format!("{}…", &name[..end]) }
}

/// Sets a variable of an image, in its place if it has one.
fn set(environment: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match environment.iter_mut().find(|line| line.split('=').next() == Some(name)) {
        Some(line) => *line = entry,
        None => environment.push(entry),
    }
}

/// How many steps a stage has, its beginning among them.
pub(super) fn count(stage: &PlannedStage) -> u32 {
    1 + u32::try_from(stage.instructions.iter().filter(|it| makes_layer(it.kind)).count()).unwrap_or(u32::MAX - 1)
}

fn makes_layer(kind: Kind) -> bool {
    matches!(kind, Kind::Run | Kind::Copy | Kind::Add | Kind::Workdir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_remembered_in_part() {
        assert_eq!(shortened("[1/2] RUN x"), "[1/2] RUN x");
        let long = shortened(&"ü".repeat(70_000));
        assert!(long.len() <= 1003 && long.ends_with("ü…"), "{}", long.len());
    }
}
