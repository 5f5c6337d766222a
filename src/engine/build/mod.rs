//! Builds images of Dockerfiles: a plan of stages, each as far as nothing stands in its way; steps whose results are remembered; layers
//! straight from what overlay wrote.

pub mod agent;
mod base;
pub(in crate::engine) mod cache;
pub mod context;
mod copy;
mod emulator;
mod fetch;
mod ground;
mod hint;
mod key;
mod mount;
mod placing;
mod prune;
mod run;
mod shell;
mod stage;
mod teller;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinSet;

use crate::dockerfile::{self, Dockerfile, Ignore, Known, Options, Place, Plan, Problem};
use crate::engine::Engine;
use crate::engine::build::agent::AgentSockets;
use crate::engine::build::base::Planned;
use crate::engine::build::context::{ContextTree, Contexts};
use crate::engine::build::fetch::Fetches;
use crate::engine::build::ground::Ground;
use crate::engine::build::teller::Teller;
use crate::engine::clock;
use crate::engine::image::step::StepRecord;
use crate::engine::image::workshop::Workshop;
use crate::resource::build::{BuildEvent, BuildNetwork, BuildPlace, BuildSpec, DockerfileSource, ShellInput};
use crate::resource::event::EventKind;
use crate::resource::failure::Failure;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::{Credentials, ImageReference, Platform};
use crate::resource::time::Timestamp;

/// What comes along with a build.
#[derive(Debug, Default)]
pub struct Supply {
    /// The context.
    pub context: Option<Arc<ContextTree>>,
    /// Named contexts that are folders.
    pub named: BTreeMap<String, Arc<ContextTree>>,
    /// Secrets, by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// The sockets of agents, by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Credentials, by registry.
    pub credentials: BTreeMap<String, Credentials>,
    /// What is typed into a shell where a step fails; whoever takes it has the shell.
    pub typed: tokio::sync::Mutex<Option<Receiver<ShellInput>>>,
}

/// Why a stage came to nothing.
#[derive(Clone, Debug)]
enum Halt {
    /// It failed, and whoever asked has been told where.
    Failed(Failure),
    /// It waited for something that failed.
    Elsewhere,
}

impl<E: Into<Failure>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What was asked, and all that goes along with it.
struct Job {
    engine: Engine,
    workshop: Workshop,
    spec: BuildSpec,
    supply: Supply,
    teller: Teller,
    text: DockerfileText,
    /// What is built for.
    platform: Platform,
    /// `SOURCE_DATE_EPOCH`: no time in the image is later.
    epoch: Option<i64>,
    found: base::Found,
    /// What the client left out of the context.
    ignore: Option<Ignore>,
    /// Steps of other images, which count for this build alone.
    borrowed: BTreeMap<Digest, StepRecord>,
}

/// What a stage came to.
type Outcome = Result<Arc<Ground>, Halt>;

/// A build under way.
struct Build {
    job: Job,
    plan: Plan,
    /// What each stage came to, once it is known. Each is built by a task of its own.
    stages: Vec<watch::Sender<Option<Outcome>>>,
    /// What lies behind the addresses that it needs whatever comes.
    fetched: Fetches,
}

/// A Dockerfile as it was written.
#[derive(Clone, Debug)]
struct DockerfileText {
    name: String,
    text: String,
}

impl DockerfileText {
    /// A place, with its lines.
    fn place(&self, place: Place) -> BuildPlace {
        BuildPlace::of(&self.name, &self.text, place.line, place.column, place.end_line)
    }

    /// All that is wrong with it, one a line.
    fn refusal(&self, problems: &[Problem]) -> Failure {
        Failure::invalid(Problem::tell(&self.name, problems))
    }
}

impl Engine {
    /// Builds an image. It is given up when the future is dropped or nobody hears what it tells.
    pub async fn build(&self, spec: BuildSpec, supply: Supply, tell: Sender<BuildEvent>) -> Result<ImageId, Failure> {
        if self.shared.leaving.load(Ordering::Acquire) {
            return Err(Failure::unavailable("the engine is leaving: nothing is built any more"));
        }
        let teller = Teller::new(tell);
        tokio::select! {
            built = Box::pin(self.build_told(spec, supply, teller.clone())) => built,
            () = teller.deserted() => Err(Failure::unavailable("the build was given up: nobody listens any more")),
        }
    }

    async fn build_told(&self, spec: BuildSpec, supply: Supply, teller: Teller) -> Result<ImageId, Failure> {
        let names = spec.tags.iter().map(|tag| tag.parse()).collect::<Result<Vec<ImageReference>, _>>();
        let names = names.map_err(|error| Failure::invalid(error.to_string()))?;
        if let Some(name) = names.iter().find(|name| name.digest().is_some()) {
            return Err(Failure::invalid(format!(
                "an image cannot be named {}: a name with a digest cannot be given away",
                name.familiar()
            )));
        }
        let platform = spec.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::wanted);
        let platform = platform.map_err(|error| Failure::invalid(error.to_string()))?;
        self.check_network(&spec.network)?;
        let epoch = epoch(&spec.args)?;
        let text = read_dockerfile(&spec, &supply)?;
        let file = Dockerfile::parse(&text.text).map_err(|problems| text.refusal(&problems))?;
        let file = file.directed(&spec.args).map_err(|problem| text.refusal(&[problem]))?;
        let options = Options {
            target: spec.target.clone(),
            args: spec.args.clone(),
            build_platform: Platform::host().to_string(),
            target_platform: platform.to_string(),
            contexts: spec.contexts.keys().cloned().collect(),
            triggers: BTreeMap::new(),
        };
        let workshop = self.shared.images.workshop();
        let ignore = spec.ignore.as_deref().and_then(|patterns| Ignore::parse(patterns).ok());
        let mut job = Job {
            engine: self.clone(),
            workshop,
            spec,
            supply,
            teller,
            text,
            platform,
            epoch,
            found: base::Found::default(),
            ignore,
            borrowed: BTreeMap::new(),
        };
        job.borrow_steps().await;
        let planned = job.plan(&file, options).await?;
        let trial = planned.plan.try_out(&planned.environments);
        if !trial.problems.is_empty() {
            return Err(job.text.refusal(&trial.problems));
        }
        job.warn(&file, &planned).await?;
        let stages = planned.plan.stages.iter().map(|_| watch::Sender::new(None)).collect();
        let fetched = trial.addresses.into_iter().map(|url| (url, OnceCell::new())).collect();
        let build = Arc::new(Build { job, plan: planned.plan, stages, fetched });
        let built = self.build_all(&build, &names).await;
        // What goes may be much, and nobody waits for it; of a build that failed no less than of another one.
        let engine = self.clone();
        drop(tokio::task::spawn_blocking(move || {
            drop(build);
            engine.keep_within_bounds();
        }));
        built
    }

    /// Builds what was planned, and gives the image its names.
    async fn build_all(&self, build: &Arc<Build>, names: &[ImageReference]) -> Result<ImageId, Failure> {
        let steps = build.plan.stages.iter().map(stage::count).sum();
        build.job.teller.say(BuildEvent::Planned { steps }).await;
        let ground = Arc::clone(build).all_stages().await?;
        let id = build.publish(&ground, names)?;
        for name in names {
            self.shared.ring.emit(EventKind::Image, "tag", &id.to_string(), BTreeMap::from([("name".to_owned(), name.familiar())]));
        }
        build.job.teller.say(BuildEvent::Built { image: id }).await;
        Ok(id)
    }

    /// Refuses a network that does not exist before anything is done, and not where the first command wants it.
    fn check_network(&self, network: &BuildNetwork) -> Result<(), Failure> {
        let BuildNetwork::Named(name) = network else { return Ok(()) };
        match self.shared.networks.get(name) {
            Ok(_) => Ok(()),
            Err(error) => {
                let Failure { kind, message } = Failure::from(error);
                let message = format!("{message}: the commands of this build were to use it; make it first, or name another network");
                Err(Failure { kind, message })
            }
        }
    }

    /// The contexts that clients have sent.
    pub fn contexts(&self) -> &Contexts {
        &self.shared.contexts
    }

    /// Where steps find the agents of clients.
    pub fn agent_sockets(&self) -> &AgentSockets {
        &self.shared.agent_sockets
    }
}

impl Build {
    /// Builds every stage, each on a task of its own; the first that fails ends all others.
    async fn all_stages(self: Arc<Self>) -> Result<Arc<Ground>, Failure> {
        let mut running = JoinSet::new();
        let build = Arc::clone(&self);
        running.spawn(async move {
            build.fetch_ahead().await;
            Ok(())
        });
        for index in 0..self.plan.stages.len() {
            let build = Arc::clone(&self);
            running.spawn(async move {
                let built = build.build_stage(index).await.map(Arc::new);
                build.stages[index].send_replace(Some(built.clone()));
                built.map(drop)
            });
        }
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(Err(Halt::Failed(failure))) => return Err(failure),
                // Whoever it waited for tells what failed.
                Ok(Ok(()) | Err(Halt::Elsewhere)) => {}
                Err(error) => return Err(Failure::internal(format!("a stage of the build was given up: {error}"))),
            }
        }
        self.stage(self.plan.target).await.map_err(|_| Failure::internal("a stage of the build came to nothing"))
    }

    /// What a stage came to, once it did.
    async fn stage(&self, index: usize) -> Outcome {
        let mut built = self.stages[index].subscribe();
        // The sender lives in `self`.
        match built.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(built)) => built.clone(),
            _ => Err(Halt::Elsewhere),
        }
    }

    /// Makes the last stage an image.
    fn publish(&self, ground: &Ground, names: &[ImageReference]) -> Result<ImageId, Failure> {
        let mut document = ground.document.clone();
        document.config.labels.extend(self.job.spec.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        document.created = Some(self.job.epoch.map_or(ground.newest, |_| now(self.job.epoch)));
        Ok(self.job.workshop.publish(&document, names)?)
    }
}

impl Job {
    /// What a cache mount is known by: builds with another namespace have others (BuildKit's argument).
    fn cache_id(&self, id: &str) -> String {
        match self.spec.args.get("BUILDKIT_CACHE_MOUNT_NS").filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => format!("{namespace}/{}", id.trim_start_matches('/')),
            None => id.to_owned(),
        }
    }

    /// What the machine of a command is called.
    fn hostname(&self) -> &str {
        self.spec.args.get("BUILDKIT_SANDBOX_HOSTNAME").filter(|name| !name.is_empty()).map_or(HOSTNAME, String::as_str)
    }

    /// Tells what of the Dockerfile could be better, and which arguments nobody asked for. A Dockerfile may ask to be refused for it.
    async fn warn(&self, file: &Dockerfile, planned: &Planned) -> Result<(), Failure> {
        let known = Known { environments: planned.environments.clone(), ignore: self.ignore.as_ref(), all_stages: false };
        let warnings = file.warnings(&planned.options, &known);
        let count = warnings.len();
        for warning in warnings {
            let place = Some(self.text.place(warning.place));
            let rule = warning.rule.as_str().to_owned();
            self.teller.say(BuildEvent::Warning { rule, message: warning.message, place }).await;
        }
        if !planned.plan.unconsumed.is_empty() {
            let message = format!("one or more build-args were not consumed: {}", planned.plan.unconsumed.join(", "));
            self.teller.say(BuildEvent::Warning { rule: "UnconsumedBuildArg".to_owned(), message, place: None }).await;
        }
        if count > 0 && file.directives.check.error {
            return Err(Failure::invalid(format!(
                "{}: checks found {count} things, and `# check=error=true` makes them errors",
                self.text.name
            )));
        }
        Ok(())
    }
}

/// What the machine of a command is called unless an argument says otherwise: a result is not to depend on it (BuildKit's name).
const HOSTNAME: &str = "buildkitsandbox";

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// The time that stands for now, where one was given (reproducible-builds.org, SOURCE_DATE_EPOCH).
fn epoch(args: &BTreeMap<String, String>) -> Result<Option<i64>, Failure> {
    let Some(text) = args.get("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else { return Ok(None) };
    let number: Option<i64> = text.parse().ok();
    let wrong = |why| Failure::invalid(format!("SOURCE_DATE_EPOCH is `{text}`: {why}"));
    let seconds = number.ok_or_else(|| wrong("a number of seconds since 1970 is expected"))?;
    // Times are told in nanoseconds.
    match seconds.checked_mul(SECOND) {
        Some(_) => Ok(Some(seconds)),
        None => Err(wrong("a time between the years 1678 and 2262 is expected, in seconds since 1970")),
    }
}

/// The largest Dockerfile that is read.
const LARGEST: u64 = 4 << 20;

fn read_dockerfile(spec: &BuildSpec, supply: &Supply) -> Result<DockerfileText, Failure> {
    match &spec.dockerfile {
        DockerfileSource::Text { name, text } => Ok(DockerfileText { name: name.clone(), text: text.clone() }),
        DockerfileSource::InContext(path) => {
            let missing =
                || Failure::not_found(format!("the context has no file `{path}`: name the Dockerfile with --file, or `dockerfile:`"));
            let context = supply.context.as_ref().ok_or_else(missing)?;
            let read = crate::archive::look::read(context.root(), std::path::Path::new(path), LARGEST);
            let bytes = read.map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => missing(),
                _ => Failure::invalid(format!("cannot read `{path}` of the context: {error}")),
            })?;
            let text = dockerfile::decode(bytes).map_err(|problems| Failure::invalid(Problem::tell(path, &problems)))?;
            let failed = |error| Failure::internal(format!("cannot take `{path}` out of the context: {error}"));
            context.leave_out(&[path]).map_err(failed)?;
            Ok(DockerfileText { name: path.clone(), text })
        }
    }
}

/// The time of a step that is done now.
fn now(epoch: Option<i64>) -> Timestamp {
    // It was looked at when it came: it is not too large.
    epoch.map_or_else(clock::now, |epoch| Timestamp::from_nanos(epoch.saturating_mul(SECOND)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_cannot_be_told_is_refused_by_its_value() {
        let check = |text: &str| epoch(&BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), text.to_owned())]));
        assert_eq!(
            [check(""), check("0"), check("-1"), check("9223372036")],
            [Ok(None), Ok(Some(0)), Ok(Some(-1)), Ok(Some(9_223_372_036))]
        );
        for text in ["9223372037", "-9223372037", "9223372036854775807", "99999999999999999999", "1.5", "today"] {
            let refused = check(text).expect_err(text).message;
            assert!(refused.starts_with(&format!("SOURCE_DATE_EPOCH is `{text}`: a ")), "{refused}");
        }
    }
}
