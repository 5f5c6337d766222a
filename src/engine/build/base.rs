//! What stages build on and copy from: images, pulled when they are not here, and what their triggers bring with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::dockerfile::{Base, Dockerfile, Options, Place, Plan, Problem};
use crate::engine::build::Job;
use crate::engine::build::teller::ToldStep;
use crate::engine::image::document::{CarriedStep, Document};
use crate::engine::image::error::ImageError;
use crate::engine::image::step::StepRecord;
use crate::engine::image::workshop::Origin;
use crate::resource::build::{BuildEvent, NamedContext, StepEnd, StepFailure};
use crate::resource::failure::Failure;
use crate::resource::image::{ImageProgress, ImageReference, Platform, PlatformError};

/// An image that is looked for once.
type Sought = Arc<OnceCell<Result<Origin, Failure>>>;

/// Images that were found, by what the Dockerfile calls them and the platform.
#[derive(Debug, Default)]
pub(super) struct Found {
    images: Mutex<BTreeMap<(String, String), Sought>>,
}

/// A plan, and what it was made with.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) options: Options,
    /// The variables of what its stages build on.
    pub(super) environments: BTreeMap<Base, Vec<String>>,
}

impl Job {
    /// Makes a plan and finds what its stages build on. Triggers of images may bring stages and images of their own, until none does.
    pub(super) async fn plan(&self, file: &Dockerfile, mut options: Options) -> Result<Planned, Failure> {
        loop {
            let plan = file.plan(&options).map_err(|problem| self.text.refusal(&[problem]))?;
            self.check_platforms(&plan)?;
            self.check_names(&plan)?;
            let origins = plan.stages.iter().map(|stage| async {
                let Some(name) = self.image_of(&stage.base) else { return Ok(None) };
                let config = self.image(&name, stage.platform.as_deref(), Some(stage.place)).await?.document.config;
                Ok::<_, Failure>(Some((stage.base.clone(), config)))
            });
            let configs: BTreeMap<_, _> = futures_util::future::try_join_all(origins).await?.into_iter().flatten().collect();
            let triggers = configs.iter().filter(|(_, config)| !config.on_build.is_empty());
            let triggers: BTreeMap<_, _> = triggers.map(|(base, config)| (base.clone(), config.on_build.clone())).collect();
            if triggers == options.triggers {
                let environments = configs.into_iter().map(|(base, config)| (base, config.env)).collect();
                return Ok(Planned { plan, options, environments });
            }
            options.triggers = triggers;
        }
    }

    /// Refuses stages for machines that there are not.
    fn check_platforms(&self, plan: &Plan) -> Result<(), Failure> {
        let wrong = plan.stages.iter().filter_map(|stage| {
            let error = Platform::wanted(stage.platform.as_deref()?).err()?;
            Some(Problem { place: Some(stage.place), ..Problem::new(format!("--platform: {error}")) })
        });
        let wrong: Vec<Problem> = wrong.collect();
        if wrong.is_empty() { Ok(()) } else { Err(self.text.refusal(&wrong)) }
    }

    /// Refuses stages on what can be no image.
    fn check_names(&self, plan: &Plan) -> Result<(), Failure> {
        let wrong = plan.stages.iter().filter_map(|stage| {
            let name = self.image_of(&stage.base)?;
            let error = name.parse::<ImageReference>().err()?;
            // An id need not be a name.
            let is_here = self.workshop.origin(&name).is_ok();
            (!is_here).then(|| Problem { place: Some(stage.place), ..Problem::new(error.to_string()) })
        });
        let wrong: Vec<Problem> = wrong.collect();
        if wrong.is_empty() { Ok(()) } else { Err(self.text.refusal(&wrong)) }
    }

    /// The image that a stage builds on, if it is one.
    pub(super) fn image_of(&self, base: &Base) -> Option<String> {
        match base {
            Base::Image(name) => Some(name.clone()),
            Base::Context(name) => self.spec.contexts.get(name)?.image().map(str::to_owned),
            Base::Scratch | Base::Stage(_) => None,
        }
    }

    /// An image, looked for once. Where the Dockerfile asks for it is told of one that cannot be had.
    pub(super) async fn image(&self, name: &str, platform: Option<&str>, place: Option<Place>) -> Result<Origin, Failure> {
        let place = place.map(|place| self.text.place(place));
        self.image_or(name, platform, |message| StepEnd::Failed(StepFailure { message, code: None, place })).await
    }

    /// The same; how the step ends that looks for it in vain is said.
    async fn image_or(&self, name: &str, platform: Option<&str>, ends: impl FnOnce(String) -> StepEnd) -> Result<Origin, Failure> {
        let platform: Platform = match platform {
            Some(text) => text.parse().map_err(|error: PlatformError| Failure::invalid(error.to_string()))?,
            None => self.platform.clone(),
        };
        let cell = {
            let mut images = self.found.images.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(images.entry((name.to_owned(), platform.to_string())).or_default())
        };
        // A pull is large: what is around it need not be.
        cell.get_or_init(|| Box::pin(self.find(name, &platform, ends))).await.clone()
    }

    /// Takes the steps that the images of `cache_from` carry. One that cannot be had is told of, and stands in no way: the first build of a
    /// project has none.
    pub(super) async fn borrow_steps(&mut self) {
        for name in self.spec.cache_from.clone() {
            let document = match self.image_or(&name, None, |_| StepEnd::Cancelled).await {
                Ok(origin) => origin.document,
                Err(failure) => {
                    self.note("CacheFrom", format!("no step is taken from {name}: {}", failure.message)).await;
                    continue;
                }
            };
            if document.steps.is_empty() {
                self.note("CacheFrom", format!("no step is taken from {name}: it was not built by this program, and carries none")).await;
            }
            let own = document.steps.into_iter().filter(|step| document.rootfs.diff_ids.contains(&step.layer));
            let records = own.map(|CarriedStep { key, layer, content, created }| {
                (
                    key,
                    StepRecord {
                        layer: Some(layer),
                        content,
                        created,
                        used: crate::engine::clock::now(),
                        name: String::new(),
                        made_for: None,
                    },
                )
            });
            self.borrowed.extend(records);
        }
    }

    pub(super) async fn note(&self, rule: &str, message: String) {
        self.teller.say(BuildEvent::Warning { rule: rule.to_owned(), message, place: None }).await;
    }

    /// An image: the one that is here if it is for the right platform and has lost no layer, else what its registry has.
    async fn find(&self, name: &str, platform: &Platform, ends: impl FnOnce(String) -> StepEnd) -> Result<Origin, Failure> {
        let here = match self.workshop.origin(name) {
            Ok(origin) if !(self.spec.pull && self.is_elsewhere(name)) && fits(&origin, platform) && self.workshop.is_whole(&origin) => {
                return Ok(origin);
            }
            Ok(origin) => Some(origin).filter(|origin| !fits(origin, platform) || !self.workshop.is_whole(origin)),
            Err(ImageError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if !self.is_elsewhere(name) {
            // Whoever has such a name in a registry is a stranger.
            return Err(Failure::not_found(format!(
                "{name}, which was to be built before, is not here for {platform}: build it again first"
            )));
        }
        let told = self.teller.begin(&format!("[internal] pull {name}")).await;
        let pulled = self.pull(name, platform, &told).await;
        match pulled {
            Ok(origin) => {
                told.end(StepEnd::Done).await;
                Ok(origin)
            }
            Err(failure) => {
                let failure = match here {
                    None => failure,
                    Some(other) if fits(&other, platform) => Failure {
                        message: format!(
                            "{name} has lost layers (a power failure may have taken them), and cannot be pulled: {}; pull, load or build it again \
                             first",
                            failure.message
                        ),
                        ..failure
                    },
                    Some(other) => Failure {
                        message: format!(
                            "{name} is here for {}, and {platform} is asked for, which cannot be had: {}; build or load it for {platform} first, or \
                             ask for {0}",
                            platform_of(&other.document),
                            failure.message
                        ),
                        ..failure
                    },
                };
                told.end(ends(failure.message.clone())).await;
                Err(failure)
            }
        }
    }

    /// Whether a registry may have it: what was built just before has none.
    fn is_elsewhere(&self, name: &str) -> bool {
        !self.spec.contexts.values().any(|context| matches!(context, NamedContext::Built(image) if image == name))
    }

    async fn pull(&self, name: &str, platform: &Platform, told: &ToldStep) -> Result<Origin, Failure> {
        let reference: ImageReference = name.parse().map_err(|error| Failure::invalid(format!("{error}")))?;
        let credentials = self.supply.credentials.get(reference.registry()).cloned();
        let told = told.clone();
        let progress = move |step: ImageProgress| {
            if let (Some(current), false) = (step.current, step.id.is_empty()) {
                told.progress(&step.id, current, step.total);
            }
        };
        let platform_text = platform.to_string();
        let id = self.engine.pull_image(&reference, Some(&platform_text), credentials, progress).await?;
        Ok(self.workshop.origin(&id.to_string())?)
    }
}

fn platform_of(document: &Document) -> String {
    let variant = document.variant.iter().map(|it| format!("/{it}")).collect::<String>();
    format!("{}/{}{variant}", document.os, document.architecture)
}

fn fits(origin: &Origin, platform: &Platform) -> bool {
    platform_of(&origin.document).parse::<Platform>().is_ok_and(|own| {
        own.os == platform.os
            && own.architecture == platform.architecture
            && (own.variant.is_none() || platform.variant.is_none() || own.variant == platform.variant)
    })
}
