//! The client's verbs on builds.

use std::collections::BTreeMap;

use crate::api::client::build::{self, BuildRequest, Prepared};
use crate::api::client::call::{Call, segment};
use crate::api::client::{Client, apart};
use crate::api::wire::{extension, image};
use crate::resource::build::{BuildCache, BuildEvent, BuildPrune};
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ImageId;
use crate::resource::image::Credentials;

/// So often triggers that read from other images are looked after.
const ROUNDS: usize = 8;

impl Client {
    /// Builds an image, and tells what happens. Our own engine is sent what it has not got yet and the Dockerfile can read; another one
    /// gets all of it as an archive, and what its classic builder cannot do is refused. Dropped, the build ends.
    pub async fn build(&self, request: BuildRequest, mut events: impl FnMut(BuildEvent)) -> Result<ImageId, Failure> {
        let mut prepared = apart(move || Prepared::read(request)).await?;
        let connected = self.transport.upgrade(&Call::post(extension::BUILD)).await;
        let connection = match connected {
            Ok(connection) => Some(connection),
            // Another engine knows no such page.
            Err(failure) if failure.kind != FailureKind::Unavailable => None,
            Err(failure) => return Err(failure),
        };
        let version = self.version().await?;
        prepared.set_platforms(format!("{}/{}", version.os, version.architecture));
        let credentials = self.build_credentials(&prepared, &mut events).await?;
        let name = self.transport.name();
        match connection {
            Some((_, socket, rest)) => {
                self.find_reach(&mut prepared).await?;
                build::run(socket, &rest, &name, prepared, credentials, &mut events).await
            }
            None => build::build_classic(&self.transport, &name, prepared, &credentials, &mut events).await,
        }
    }

    /// Tells what could be better in a Dockerfile, or what is wrong with it; nothing is built. The variables of bases that the engine has
    /// are known, those of others are not looked for.
    pub async fn check(&self, request: BuildRequest) -> Result<Vec<BuildEvent>, Failure> {
        let mut prepared = apart(move || Prepared::read(request)).await?;
        let version = self.version().await?;
        prepared.set_platforms(format!("{}/{}", version.os, version.architecture));
        let mut environments = BTreeMap::new();
        for (base, image) in prepared.bases() {
            match self.image(&image).await {
                Ok(info) => drop(environments.insert(base, info.config.environment)),
                Err(failure) if matches!(failure.kind, FailureKind::NotFound | FailureKind::Invalid) => {}
                Err(failure) => return Err(failure),
            }
        }
        apart(move || build::check(&prepared, environments)).await
    }

    /// Returns what our own engine's builds have kept.
    pub async fn build_cache(&self) -> Result<Vec<BuildCache>, Failure> {
        let answer = match self.transport.send(&Call::get(extension::BUILD_CACHE)).await {
            Err(failure) if failure.kind == FailureKind::NotFound => {
                let name = self.transport.name();
                return Err(Failure::unsupported(format!(
                    "the engine at {name} is not one of Gantry's, and does not tell what it keeps in Gantry's terms: ask it by `docker system df -v`"
                )));
            }
            answered => answered?.json().await?,
        };
        serde_json::from_value(answer).map_err(|error| Failure::internal(format!("the engine's list cannot be read: {error}")))
    }

    /// Removes what builds have kept; returns what it was, and its bytes.
    pub async fn prune_build_cache(&self, prune: &BuildPrune) -> Result<(Vec<String>, u64), Failure> {
        let keep = prune.keep.map(|keep| keep.to_string());
        let call = Call::post("/build/prune").flag("all", prune.all).filters(&prune.filters);
        // The name of before 1.48 is the one that every engine understands.
        let call = call.option("keep-storage", keep.as_deref());
        Ok(image::build_prune_from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Finds out what the build reads: its Dockerfile says it, and the triggers of the images that it builds on.
    async fn find_reach(&self, prepared: &mut Prepared) -> Result<(), Failure> {
        for _ in 0..ROUNDS {
            let untold = prepared.reach();
            if untold.is_empty() {
                return Ok(());
            }
            for image in untold {
                match self.triggers(&image).await? {
                    Some(triggers) => prepared.tell_triggers(image, triggers),
                    None => {
                        prepared.reach_everything();
                        return Ok(());
                    }
                }
            }
        }
        prepared.reach_everything();
        Ok(())
    }

    /// The triggers of an image, if the engine has it.
    async fn triggers(&self, image: &str) -> Result<Option<Vec<String>>, Failure> {
        match self.transport.send(&Call::get(format!("/images/{}/json", segment(image)))).await {
            Ok(answer) => Ok(Some(image::triggers_of(&answer.json().await?))),
            Err(failure) if matches!(failure.kind, FailureKind::NotFound | FailureKind::Invalid) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// What Docker's configuration has for the registries that a build may ask. That it has nothing good only matters if one is asked.
    async fn build_credentials(
        &self,
        prepared: &Prepared,
        events: &mut impl FnMut(BuildEvent),
    ) -> Result<BTreeMap<String, Credentials>, Failure> {
        let mut found = BTreeMap::new();
        for registry in prepared.registries() {
            match self.stored_credentials(&registry).await {
                Ok(Some(credentials)) => drop(found.insert(registry, credentials)),
                Ok(None) => {}
                Err(failure) if failure.kind == FailureKind::Denied => {
                    events(BuildEvent::Warning { rule: "Credentials".to_owned(), message: failure.message, place: None });
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }
}
