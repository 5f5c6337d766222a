//! `docker pull`: what an image is comes first, then its layers, several at once; each is downloaded, verified, inflated and unpacked as it
//! comes. Nothing has a name before all of it is there.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::image::config::{self, Understood};
use crate::engine::image::error::ImageError;
use crate::engine::image::fetch::{Fetch, Teller};
use crate::engine::image::handle::{Shared, now};
use crate::registry::error::RegistryError;
use crate::registry::manifest::{self, Descriptor, Manifest, ManifestError};
use crate::registry::session::Session;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::{Credentials, ImageProgress, ImageReference, Platform};

/// So many layers of one image come at once at least (Docker's `max-concurrent-downloads`); with more processors, more.
const AT_ONCE: usize = 3;

/// Who is told.
pub(super) type Progress = Arc<dyn Fn(ImageProgress) + Send + Sync>;

/// An image as a registry has it.
struct Found {
    /// The digest of the manifest that was asked for: of the index, if it was one.
    digest: Digest,
    config: Descriptor,
    document: Vec<u8>,
    understood: Understood,
    layers: Vec<Descriptor>,
}

impl Shared {
    /// Brings in an image, and gives it the name it was asked for by.
    pub(super) async fn pull(
        self: &Arc<Self>,
        reference: &ImageReference,
        platform: Option<&Platform>,
        credentials: Option<Credentials>,
        progress: Progress,
    ) -> Result<ImageId, ImageError> {
        // As long as it lives, nothing of what comes in is collected.
        let work = self.work();
        let session = Arc::new(self.registries.session(reference, credentials).await?);
        let asked = reference.digest().map_or_else(|| reference.tag().unwrap_or_default().to_owned(), |digest| digest.to_string());
        let whole = Teller::new("", &progress);
        Teller::new(&asked, &progress).say(format!("Pulling from {}", reference.repository()));
        let found = self.find_out(&session, reference, platform).await?;
        let id = found.config.digest;
        let before = self.lock().index.find(&reference.familiar()).ok().map(|(id, _)| id);
        self.fetch_layers(&session, &found, &progress).await?;
        self.register_pulled(&found, reference)?;
        drop(work);
        whole.say(format!("Digest: {}", found.digest));
        let news = if before == Some(id) { "Image is up to date" } else { "Downloaded newer image" };
        whole.say(format!("Status: {news} for {}", reference.familiar()));
        Ok(id)
    }

    /// Reads the manifest, the one for the platform, and the configuration; all of them verified and consistent.
    async fn find_out(&self, session: &Session, reference: &ImageReference, platform: Option<&Platform>) -> Result<Found, ImageError> {
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let unusable = |source| RegistryError::Manifest { reference: reference.familiar(), source };
        let top = session.manifest().await?;
        let digest = top.digest;
        let (config, layers) = match top.manifest {
            Manifest::Image { config, layers } => (config, layers),
            Manifest::Index(entries) => {
                let chosen = manifest::choose(&entries, &wanted).map_err(ImageError::Platform)?;
                match session.manifest_of(&chosen.manifest.digest).await?.manifest {
                    Manifest::Image { config, layers } => (config, layers),
                    Manifest::Index(_) => {
                        return Err(unusable(ManifestError::Malformed("an index lies within an index".to_owned())).into());
                    }
                }
            }
        };
        let document =
            if self.content.has(&config.digest) { self.content.document(&config.digest)? } else { session.document_blob(&config).await? };
        let understood = config::parse(&document, &reference.familiar())?;
        if understood.layers.len() != layers.len() {
            let reason = format!("it names {} layers, and the manifest {}", understood.layers.len(), layers.len());
            return Err(ImageError::Config { image: reference.familiar(), reason });
        }
        refuse_other_platform(&understood.platform, platform, reference)?;
        Ok(Found { digest, config, document, understood, layers })
    }

    /// Brings in what is missing of the layers. Whatever fails first stops all others.
    async fn fetch_layers(self: &Arc<Self>, session: &Arc<Session>, found: &Found, progress: &Progress) -> Result<(), ImageError> {
        let pairs = || found.understood.layers.iter().copied().zip(found.layers.iter().cloned());
        // An image that is here already is told of in two lines, as Docker does.
        let is_here = self.lock().index.image(&found.config.digest).is_some();
        if is_here && pairs().all(|(diff, _)| self.layers.unpacked(&diff).is_some()) {
            return Ok(());
        }
        let mut waiting = Vec::new();
        for (diff, blob) in pairs() {
            let teller = Teller::new(&blob.digest.short(), progress);
            if self.layers.unpacked(&diff).is_some() {
                teller.say("Already exists");
            } else {
                teller.say("Pulling fs layer");
                waiting.push(Fetch { diff, blob, session: Arc::clone(session), teller });
            }
        }
        let limit = std::thread::available_parallelism().map_or(AT_ONCE, |count| count.get().max(AT_ONCE));
        let (stop, stopped) = watch::channel(false);
        let mut waiting = waiting.into_iter();
        let mut running = JoinSet::new();
        let mut failed = None;
        loop {
            while failed.is_none()
                && running.len() < limit
                && let Some(fetch) = waiting.next()
            {
                running.spawn(fetch.run(self.work(), stopped.clone()));
            }
            let outcome = match running.join_next().await {
                None => return failed.map_or(Ok(()), Err),
                Some(Ok(outcome)) => outcome,
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Err(ImageError::GivenUp(found.config.digest.short())),
                },
            };
            if let Err(error) = outcome {
                // The others clean up after themselves before the failure is told.
                stop.send_replace(true);
                failed.get_or_insert(error);
            }
        }
    }

    /// Makes an image known whose layers are all there, with its name and the digest it was pulled by.
    fn register_pulled(&self, found: &Found, reference: &ImageReference) -> Result<(), ImageError> {
        let id = self.content.put(&found.document)?;
        let mut state = self.lock();
        state.index.add(id, found.understood.clone());
        // A digest counts alone, whatever tag stands before it.
        if reference.digest().is_none() {
            state.index.tag(reference, id, now());
        }
        state.index.pulled_by(reference, &found.digest, id);
        self.save(&state.index)
    }
}

/// Refuses what was not asked for, and what cannot run on any machine of ours.
fn refuse_other_platform(found: &Platform, asked: Option<&Platform>, reference: &ImageReference) -> Result<(), ImageError> {
    // One spelling, so that both can be compared.
    let found: Platform = found.to_string().parse().unwrap_or_else(|_| found.clone());
    match asked {
        Some(asked) if !manifest::acceptable(asked).contains(&found) => Err(ImageError::Platform(format!(
            "image with reference {} was found but its platform ({found}) does not match the specified platform ({asked})",
            reference.familiar()
        ))),
        None if found.os != "linux" => {
            Err(ImageError::Platform(format!("image operating system \"{}\" cannot be used on this platform", found.os)))
        }
        _ => Ok(()),
    }
}
