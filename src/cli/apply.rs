//! Obeys the operations of a plan over the API, and tells what goes on. Nothing is decided here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::api::client::Client;
use crate::cli::await_container::Watch;
use crate::cli::build;
use crate::cli::error::{About, CommandError};
use crate::cli::hook::{self, Hook};
use crate::cli::output::build::Steps;
use crate::cli::output::build::failure::Warned;
use crate::cli::output::line::LinePrinter;
use crate::cli::output::progress::{Progress, Status};
use crate::compose::plan::{self, Plan, label};
use crate::resource::build::ImageBuild;
use crate::resource::container::{ContainerSpec, StopOptions, Stopped};
use crate::resource::failure::FailureKind;
use crate::resource::image::{ImageProgress, ImageReference};
use crate::resource::network::NetworkSpec;
use crate::resource::operation::{Condition, Operation};
use crate::resource::push::PushTarget;
use crate::trace::{self, Trace};

/// Applies operations of one plan; cheap to clone.
#[derive(Clone)]
pub(crate) struct Applier {
    client: Client,
    progress: Progress,
    watch: Option<Watch>,
    /// Containers that are replaced, and why: their ends are a part of that, and not told.
    replaced: Arc<BTreeMap<String, String>>,
    /// How many operations may go on at once.
    limit: Option<Arc<Semaphore>>,
    /// Starts are not told: what is started speaks for itself.
    attached: bool,
    quiet_pull: bool,
    hooks: Option<LinePrinter>,
    /// The steps of builds, where the plan has some.
    steps: Option<Steps>,
    applied: Arc<AtomicU64>,
    /// Containers that could not notice their stop signal.
    unheard: Arc<Mutex<BTreeSet<String>>>,
    /// By which builds of this plan know one another.
    made_for: Option<String>,
}

/// Failures that are only told, by image.
pub(crate) type Failures = BTreeMap<String, CommandError>;

/// How operations are applied.
#[derive(Clone, Default)]
pub(crate) struct ApplyOptions {
    /// How many operations may go on at once; without limit when absent.
    pub(crate) parallel: Option<usize>,
    /// Starts are not told.
    pub(crate) attached: bool,
    /// Layers of pulled images are not told.
    pub(crate) quiet_pull: bool,
    /// Steps of builds are not told.
    pub(crate) quiet_build: bool,
    /// Shows what hooks write; nobody looks when absent.
    pub(crate) hooks: Option<LinePrinter>,
}

impl Applier {
    /// Prepares for a plan; `watch` is needed if the plan waits.
    pub(crate) fn new(client: &Client, progress: &Progress, watch: Option<Watch>, plan: &Plan, options: ApplyOptions) -> Self {
        let replaced = plan.steps().iter().filter_map(|step| match &step.operation {
            Operation::CreateContainer { spec, .. } => Some((spec.labels.get(label::REPLACE)?.clone(), step.cause.to_string())),
            _ => None,
        });
        let builds = plan.steps().iter().any(|step| matches!(step.operation, Operation::BuildImage { .. }));
        Self {
            client: client.clone(),
            steps: builds.then(|| Steps::new(progress, options.quiet_build)),
            progress: progress.clone(),
            watch,
            replaced: Arc::new(replaced.collect()),
            limit: options.parallel.map(|limit| Arc::new(Semaphore::new(limit))),
            attached: options.attached,
            quiet_pull: options.quiet_pull,
            hooks: options.hooks,
            applied: Arc::default(),
            unheard: Arc::default(),
            made_for: build::word(),
        }
    }

    /// What people are told once about the stops that were applied, if there is something to tell.
    pub(crate) fn unheard(&self) -> Option<String> {
        let unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        let names = unheard.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let advice = "set `stop_grace_period` to have them waited for, or `init: true` to have the signal passed on";
        (!names.is_empty()).then(|| format!("not waited for, since nothing in them handles the stop signal: {names}; {advice}"))
    }

    /// What is no good in the Dockerfiles of what was built.
    pub(crate) fn build_warnings(&self) -> Vec<Warned> {
        self.steps.as_ref().map(Steps::warnings).unwrap_or_default()
    }

    /// Applies a plan of pulls or pushes. What may fail (told by the image) keeps nothing else from coming: its failure is returned beside.
    pub(crate) async fn apply_forgiving(&self, plan: &Plan, may_fail: impl Fn(&str) -> bool) -> (Result<(), CommandError>, Failures) {
        let failures = RefCell::new(Failures::new());
        let result = plan::execute(plan, |operation| {
            let (applier, failures) = (self.clone(), &failures);
            let image = match &operation {
                Operation::PullImage { image, .. } | Operation::PushImage { image } => image.clone(),
                _ => String::new(),
            };
            let may_fail = may_fail(&image);
            async move {
                match applier.apply(operation).await {
                    Err(error) if may_fail => {
                        failures.borrow_mut().insert(image, error);
                        Ok(())
                    }
                    outcome => outcome,
                }
            }
        })
        .await;
        (result, failures.into_inner())
    }

    /// Applies one operation.
    pub(crate) async fn apply(self, operation: Operation) -> Result<(), CommandError> {
        // Operations go on side by side: each has a row of its own in a trace.
        let row = self.applied.fetch_add(1, Ordering::Relaxed);
        Trace::current().row(row).scope(self.apply_in_row(operation)).await
    }

    async fn apply_in_row(self, operation: Operation) -> Result<(), CommandError> {
        let waits = matches!(operation, Operation::AwaitContainer { .. });
        let _permit = match &self.limit {
            Some(limit) if !waits => limit.acquire().await.ok(),
            _ => None,
        };
        let task = self.task(&operation);
        let _span = task.as_ref().and_then(|(id, working, _)| trace::span(format!("{working} {id}")));
        if let Some((id, working, _)) = &task {
            self.progress.tell_more(id, Status::Working, working, self.why(&operation), None);
        }
        let about = about(&operation);
        let outcome = self.obey(operation).await.map_err(|error| match about {
            Some(about) => error.about(about),
            None => error,
        });
        if let Some((id, _, done)) = &task {
            match &outcome {
                Ok(Outcome::Done) if done.is_empty() => {}
                Ok(Outcome::Done) => self.progress.tell(id, Status::Done, done),
                Ok(Outcome::Otherwise(text)) => self.progress.tell_more(id, Status::Warning, "Warning", text, None),
                Err(error) => self.progress.tell_more(id, Status::Error, "Error", error.message(), None),
            }
        }
        outcome.map(|_| ())
    }

    /// The id of the task an operation belongs to, and Docker Compose's words for it while it goes on and when it is done.
    fn task(&self, operation: &Operation) -> Option<(String, &'static str, &'static str)> {
        let container = |name: &str| format!("Container {name}");
        Some(match operation {
            Operation::PullImage { image, .. } => (format!("Image {image}"), "Pulling", "Pulled"),
            // Docker Compose calls it by its name alone.
            Operation::PushImage { image } => (image.clone(), "Pushing", "Pushed"),
            Operation::BuildImage { image, build } if build.check => (format!("Image {image}"), "Checking", "Checked"),
            Operation::BuildImage { image, .. } => (format!("Image {image}"), "Building", "Built"),
            Operation::CreateNetwork { name, .. } => (format!("Network {name}"), "Creating", "Created"),
            Operation::RemoveNetwork { name } => (format!("Network {name}"), "Removing", "Removed"),
            Operation::CreateVolume { name, .. } => (format!("Volume {name}"), "Creating", "Created"),
            Operation::RemoveVolume { name } => (format!("Volume {name}"), "Removing", "Removed"),
            Operation::RemoveImage { name } => (format!("Image {name}"), "Removing", "Removed"),
            // What runs in it speaks for itself.
            Operation::CreateContainer { spec, .. } if spec.labels.get(label::ONE_OFF).is_some_and(|it| it == "True") => return None,
            Operation::CreateContainer { name, spec, .. } => match spec.labels.get(label::REPLACE) {
                Some(old) => (container(old), "Recreate", ""),
                None => (container(name.as_str()), "Creating", "Created"),
            },
            Operation::RenameContainer { to, .. } => (container(to.as_str()), "Recreate", "Recreated"),
            Operation::StopContainer { name, .. } | Operation::RemoveContainer { name, .. } if self.replaced.contains_key(name) => {
                return None;
            }
            Operation::StopContainer { name, .. } => (container(name), "Stopping", "Stopped"),
            Operation::RemoveContainer { name, .. } => (container(name), "Removing", "Removed"),
            Operation::StartContainer { .. } | Operation::AwaitContainer { .. } if self.attached => return None,
            Operation::StartContainer { name } => (container(name.as_str()), "Starting", "Started"),
            Operation::UnpauseContainer { name } => (container(name.as_str()), "Unpausing", "Unpaused"),
            Operation::AwaitContainer { name, condition: Condition::Completed, .. } => (container(name.as_str()), "Waiting", "Exited"),
            Operation::AwaitContainer { name, .. } => (container(name.as_str()), "Waiting", "Healthy"),
            Operation::RunPreStart { name, .. } => (container(name.as_str()), "Running", "Exited"),
            Operation::ConnectNetwork { .. } | Operation::DisconnectNetwork { .. } | Operation::RunHook { .. } => return None,
        })
    }

    /// Why a container is made anew; nothing else needs a reason.
    fn why(&self, operation: &Operation) -> &str {
        let Operation::CreateContainer { spec, .. } = operation else { return "" };
        spec.labels.get(label::REPLACE).and_then(|old| self.replaced.get(old)).map_or("", String::as_str)
    }

    async fn obey(&self, operation: Operation) -> Result<Outcome, CommandError> {
        let client = &self.client;
        match operation {
            // What is large and rare is boxed: a plan has one of these for each of its operations.
            Operation::PullImage { image, platform } => Box::pin(self.pull(&image, platform.as_deref())).await?,
            Operation::PushImage { image } => Box::pin(self.push(&image)).await?,
            Operation::BuildImage { image, build } => Box::pin(self.build(image, *build)).await?,
            Operation::CreateNetwork { name, spec } => match client.create_network(name.as_str(), &spec).await {
                // The engine was still obeying a client that was killed, or another one beside this.
                Err(failure) if failure.kind == FailureKind::Conflict && self.has_network(name.as_str(), &spec).await => {}
                Err(failure) => return Err(CommandError::from(failure).during(&format!("cannot create network {name}"))),
                Ok(_) => {}
            },
            Operation::RemoveNetwork { name } => return in_use(client.remove_network(&name).await),
            Operation::CreateVolume { name, spec } => {
                let failed = |failure| CommandError::from(failure).during(&format!("cannot create volume {name}"));
                client.create_volume(Some(name.as_str()), &spec).await.map_err(failed)?;
            }
            Operation::RemoveVolume { name } => return in_use(client.remove_volume(&name, false).await),
            Operation::RemoveImage { name } => return in_use(client.remove_image(&name, false).await.map(drop)),
            Operation::CreateContainer { name, spec, .. } => self.create(name.as_str(), *spec).await?,
            Operation::RenameContainer { from, to } => client.rename_container(&from, to.as_str()).await?,
            Operation::ConnectNetwork { network, container, endpoint } => {
                client.connect_network(network.as_str(), container.as_str(), &endpoint).await?;
            }
            Operation::DisconnectNetwork { network, container } => {
                match client.disconnect_network(&network, container.as_str(), true).await {
                    // With its own `--rm` it was gone when it was stopped.
                    Err(failure) if failure.kind != FailureKind::NotFound => return Err(failure.into()),
                    _ => {}
                }
            }
            Operation::UnpauseContainer { name } => client.unpause_container(name.as_str()).await?,
            Operation::StartContainer { name } => match client.start_container(name.as_str()).await {
                Err(failure) if failure.kind != FailureKind::NotModified => {
                    return Err(CommandError::from(failure).during(&format!("cannot start container {name}")));
                }
                _ => {}
            },
            Operation::RunHook { container, service, kind, index, exec } => {
                Box::pin(hook::run(client, self.hooks.as_ref(), &container, Hook::exec(&service, kind, index), &exec)).await?;
            }
            Operation::RunPreStart { name, service, index, spec } => {
                Box::pin(hook::run_container(client, self.hooks.as_ref(), &name, Hook::pre_start(&service, index), &spec)).await?;
            }
            Operation::StopContainer { name, timeout, patient } => {
                match client.stop_container(&name, &StopOptions { timeout, skip_deaf: !patient, ..StopOptions::default() }).await {
                    Err(failure) if !matches!(failure.kind, FailureKind::NotModified | FailureKind::NotFound) => return Err(failure.into()),
                    Ok(Stopped::Unheard) => drop(self.unheard.lock().unwrap_or_else(PoisonError::into_inner).insert(name)),
                    _ => {}
                }
            }
            Operation::RemoveContainer { name, volumes } => match client.remove_container(&name, true, volumes).await {
                // Somebody else, or its own `--rm`, was faster.
                Err(failure) if failure.kind != FailureKind::NotFound => return Err(failure.into()),
                _ => {}
            },
            Operation::AwaitContainer { name, condition, required, waiter } => {
                let watch = self.watch.as_ref().ok_or_else(|| CommandError::new("a plan that waits was applied without a subscription"))?;
                match watch.container(name.as_str(), condition, &waiter).await {
                    Err(error) if !required => return Ok(Outcome::Otherwise(format!("optional {}", error.message()))),
                    outcome => outcome?,
                }
            }
        }
        Ok(Outcome::Done)
    }

    /// Whether the network has been made meanwhile, for the same project and just so.
    async fn has_network(&self, name: &str, spec: &NetworkSpec) -> bool {
        self.client.network(name).await.is_ok_and(|found| found.spec.labels == spec.labels)
    }

    /// Whether the container has been made meanwhile, just so.
    async fn has_container(&self, name: &str, spec: &ContainerSpec) -> bool {
        let found = self.client.container(name).await;
        found.is_ok_and(|found| found.spec.labels.get(label::CONFIG_HASH) == spec.labels.get(label::CONFIG_HASH))
    }

    async fn create(&self, name: &str, mut spec: ContainerSpec) -> Result<(), CommandError> {
        if !spec.labels.contains_key(label::IMAGE) {
            // The image came in after the plan was made.
            let image = self.client.image(&spec.image).await?;
            spec.labels.insert(label::IMAGE.to_owned(), image.id.to_string());
        }
        match self.client.create_container(Some(name), &spec).await {
            Err(failure) if failure.kind == FailureKind::Conflict && self.has_container(name, &spec).await => Ok(()),
            Ok(_) => Ok(()),
            Err(failure) => {
                let error = CommandError::from(failure).during(&format!("cannot create container {name}"));
                let bare = error.message().ends_with("no command specified");
                Err(if bare { error.hint("write `command:`, since the image brings none") } else { error })
            }
        }
    }

    async fn build(&self, image: String, mut asked: ImageBuild) -> Result<(), CommandError> {
        asked.spec.made_for = self.made_for.clone();
        let steps = self.steps.clone().unwrap_or_else(|| Steps::new(&self.progress, true));
        let teller = steps.teller(asked.spec.labels.get(label::SERVICE).map(String::as_str), &format!("Image {image}"));
        let built = build::run(&self.client, asked, None, teller, None, &format!("image {image}")).await;
        built.map(drop)
    }

    async fn push(&self, image: &str) -> Result<(), CommandError> {
        let reference: ImageReference = image.parse().map_err(|error| CommandError::local(format!("{error}")))?;
        let target = PushTarget { reference, all: false };
        match self.client.push_image(&target, None, |step| self.progress.layer(&step)).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(CommandError::from(failure).during(&format!("cannot push image {image}"))),
        }
    }

    async fn pull(&self, image: &str, platform: Option<&str>) -> Result<(), CommandError> {
        let reference: ImageReference = image.parse().map_err(|error| CommandError::local(format!("{error}")))?;
        let layers = |step: ImageProgress| {
            if !self.quiet_pull {
                self.progress.layer(&step);
            }
        };
        match self.client.pull_image(&reference, platform, None, layers).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(CommandError::from(failure).during(&format!("cannot pull image {image}"))),
        }
    }
}

/// What of a project an operation's failure is about.
fn about(operation: &Operation) -> Option<About> {
    Some(match operation {
        Operation::PullImage { image, .. } | Operation::PushImage { image } => About::Image(image.clone()),
        Operation::BuildImage { build, .. } => About::Build(build.spec.labels.get(label::SERVICE)?.clone()),
        Operation::CreateContainer { name, spec, .. } => {
            About::Container(spec.labels.get(label::REPLACE).unwrap_or(&name.to_string()).clone())
        }
        Operation::CreateNetwork { name, .. } | Operation::ConnectNetwork { network: name, .. } => About::Network(name.to_string()),
        Operation::CreateVolume { name, .. } => About::Volume(name.to_string()),
        Operation::AwaitContainer { name, condition: Condition::Healthy, .. } => About::Health(name.to_string()),
        Operation::StartContainer { name } | Operation::UnpauseContainer { name } | Operation::AwaitContainer { name, .. } => {
            About::Container(name.to_string())
        }
        _ => return None,
    })
}

enum Outcome {
    Done,
    /// Done, not quite as wished.
    Otherwise(String),
}

/// A network or volume that others use stays, with Docker Compose's words; one that is gone is what was wanted.
fn in_use(removed: Result<(), crate::resource::failure::Failure>) -> Result<Outcome, CommandError> {
    match removed {
        Err(failure) if failure.kind == FailureKind::Conflict => Ok(Outcome::Otherwise("Resource is still in use".to_owned())),
        Err(failure) if failure.kind == FailureKind::Denied => Ok(Outcome::Otherwise("Resource is still in use".to_owned())),
        Err(failure) if failure.kind != FailureKind::NotFound => Err(failure.into()),
        _ => Ok(Outcome::Done),
    }
}
