//! The client's verbs on images.

use std::collections::BTreeMap;
use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::HeaderName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::api::client::answer::Lines;
use crate::api::client::call::{ARCHIVE, Call, Payload, segment};
use crate::api::client::client_archive::ArchiveStream;
use crate::api::client::{Client, credential};
use crate::api::wire::progress::{self, Line};
use crate::api::wire::{extension, image, system};
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ImageId;
use crate::resource::image::{Credentials, HistoryEntry, ImageInfo, ImageProgress, ImagePrune, ImageReference, ImageRemoval};
use crate::resource::push::{PushTarget, PushedTag};

/// What a `docker load` says of each image it brought in, by name or without one.
const LOADED: [&str; 2] = ["Loaded image: ", "Loaded image ID: "];

impl Client {
    /// Returns the images that filters (`reference`, `label`, `dangling`, `before`, `since`) select, newest first.
    pub async fn images(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<ImageInfo>, Failure> {
        let call = Call::get("/images/json").flag(extension::WHOLE, true).filters(filters);
        let lines = self.transport.send(&call).await?.list().await?;
        let infos = stream::iter(lines.into_iter().map(|line| self.listed_image(line))).buffered(self.transport.breadth());
        infos.try_filter_map(async |info| Ok(info)).try_collect().await
    }

    /// A line of a list, whole; `None` where the image went meanwhile.
    async fn listed_image(&self, line: Value) -> Result<Option<ImageInfo>, Failure> {
        if extension::is_whole(&line) {
            return Ok(Some(image::from_json(line)?));
        }
        let id = image::id_of_summary(&line).ok_or_else(|| Failure::internal("a line of the list of images has no id"))?;
        match self.image(&id.to_string()).await {
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
            info => info.map(Some),
        }
    }

    /// Returns an image by reference, id or unambiguous start of an id.
    pub async fn image(&self, name: &str) -> Result<ImageInfo, Failure> {
        Ok(image::from_json(self.transport.send(&Call::get(format!("/images/{}/json", segment(name)))).await?.json().await?)?)
    }

    /// Returns the steps an image was made in, newest first.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryEntry>, Failure> {
        let call = Call::get(format!("/images/{}/history", segment(name)));
        Ok(image::history_from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Brings an image in from its registry. Without credentials, those of `~/.docker/config.json` are sent along.
    pub async fn pull_image(
        &self,
        reference: &ImageReference,
        platform: Option<&str>,
        credentials: Option<Credentials>,
        mut progress: impl FnMut(ImageProgress),
    ) -> Result<(), Failure> {
        let which = reference.digest().map(|digest| digest.to_string());
        let mut call = Call::post("/images/create")
            .query("fromImage", &reference.familiar_name())
            .option("tag", which.as_deref().or(reference.tag()))
            .option("platform", platform);
        let credentials = match credentials {
            Some(credentials) => Some(credentials),
            None => self.stored_credentials(reference.registry()).await?,
        };
        if let Some(credentials) = credentials {
            let value = system::credentials_to_header(&credentials, reference.registry());
            call = call.header(HeaderName::from_static("x-registry-auth"), &value)?;
        }
        let mut lines = self.transport.send(&call).await?.lines();
        while let Some(step) = next_step(&mut lines).await? {
            if let Line::Step(step) = step {
                progress(step);
            }
        }
        Ok(())
    }

    /// Brings an image, or every tag of a repository, to its registry; returns the tags as they are there now. Without credentials, those of
    /// `~/.docker/config.json` are sent along.
    pub async fn push_image(
        &self,
        target: &PushTarget,
        credentials: Option<Credentials>,
        mut progress: impl FnMut(ImageProgress),
    ) -> Result<Vec<PushedTag>, Failure> {
        let reference = &target.reference;
        let mut call = Call::post(format!("/images/{}/push", segment(&reference.familiar_name())));
        if !target.all {
            call = call.option("tag", reference.tag());
        }
        let credentials = match credentials {
            Some(credentials) => Some(credentials),
            None => self.stored_credentials(reference.registry()).await?,
        };
        // dockerd insists on the header, even if it says nothing.
        let value =
            credentials.map_or_else(system::no_credentials_to_header, |it| system::credentials_to_header(&it, reference.registry()));
        call = call.header(HeaderName::from_static("x-registry-auth"), &value)?;
        let mut lines = self.transport.send(&call).await?.lines();
        let mut pushed = Vec::new();
        while let Some(step) = next_step(&mut lines).await? {
            match step {
                Line::Step(step) => progress(step),
                Line::Pushed(tag) => pushed.push(tag),
                Line::Text(_) | Line::Failed(_) => {}
            }
        }
        Ok(pushed)
    }

    /// The credentials that Docker's configuration has for a registry.
    pub(super) async fn stored_credentials(&self, registry: &str) -> Result<Option<Credentials>, Failure> {
        let Some(folder) = self.docker_config.clone() else { return Ok(None) };
        let registry = registry.to_owned();
        // A helper may ask for a password, and takes its time.
        let found = tokio::task::spawn_blocking(move || credential::find(&folder, &registry)).await;
        found.map_err(|error| Failure::internal(format!("the search for credentials broke off: {error}")))?
    }

    /// Makes an image of a tar of its root file system; `changes` are lines of a Dockerfile.
    pub async fn import_image(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        reference: Option<&ImageReference>,
        changes: &[String],
        message: &str,
    ) -> Result<ImageId, Failure> {
        let mut call = Call::post("/images/create").query("fromSrc", "-");
        if let Some(reference) = reference {
            call = call.query("repo", &reference.familiar_name()).option("tag", reference.tag());
        }
        call = call.option("message", Some(message).filter(|message| !message.is_empty()));
        for change in changes {
            call = call.query("changes", change);
        }
        let mut lines = self.transport.send_body(&call, ARCHIVE, payload(archive)).await?.lines();
        let mut id = None;
        while let Some(step) = next_step(&mut lines).await? {
            if let Line::Step(step) = step {
                id = step.status.parse().ok().or(id);
            }
        }
        id.ok_or_else(|| Failure::internal("the engine did not tell the id of the imported image"))
    }

    /// Brings in the images of a `docker save` archive or an OCI layout; returns their names, or ids where they have none.
    pub async fn load_image(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        mut progress: impl FnMut(ImageProgress),
    ) -> Result<Vec<String>, Failure> {
        let mut lines = self.transport.send_body(&Call::post("/images/load").query("quiet", "0"), ARCHIVE, payload(archive)).await?.lines();
        let mut loaded = Vec::new();
        while let Some(step) = next_step(&mut lines).await? {
            match step {
                Line::Step(step) => progress(step),
                Line::Text(text) => {
                    let name = |line: &str| LOADED.iter().find_map(|words| line.strip_prefix(words)).map(|name| name.trim().to_owned());
                    loaded.extend(text.lines().filter_map(name));
                }
                Line::Failed(failure) => return Err(failure),
                Line::Pushed(_) => {}
            }
        }
        Ok(loaded)
    }

    /// Returns images as one `docker save` archive.
    pub async fn save_image(&self, names: &[String]) -> Result<ArchiveStream, Failure> {
        let call = names.iter().fold(Call::get("/images/get"), |call, name| call.query("names", name));
        Ok(ArchiveStream::new(self.transport.send(&call).await?.stream()))
    }

    /// Gives an image another name.
    pub async fn tag_image(&self, name: &str, reference: &ImageReference) -> Result<(), Failure> {
        let call = Call::post(format!("/images/{}/tag", segment(name))).query("repo", &reference.familiar_name());
        self.change(call.option("tag", reference.tag())).await
    }

    /// Removes a name of an image, and the image with its last name; `force` removes one that a stopped container uses.
    pub async fn remove_image(&self, name: &str, force: bool) -> Result<Vec<ImageRemoval>, Failure> {
        let call = Call::delete(format!("/images/{}", segment(name))).flag("force", force);
        Ok(image::removals_from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Removes images that nothing uses: those without a name, or with `dangling=false` all.
    pub async fn prune_images(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<ImagePrune, Failure> {
        let body = self.transport.send(&Call::post("/images/prune").filters(filters)).await?.json().await?;
        Ok(image::prune_from_json(body)?)
    }
}

/// The next step of a pull, import or load; a failure ends them all.
async fn next_step(lines: &mut Lines) -> Result<Option<Line>, Failure> {
    match lines.next().await {
        None => Ok(None),
        Some(line) => match progress::from_json(&line?) {
            Line::Failed(failure) => Err(failure),
            line => Ok(Some(line)),
        },
    }
}

/// A body that is sent as it is read.
pub(super) fn payload(reader: impl AsyncRead + Send + Unpin + 'static) -> Payload {
    const PIECE: usize = 256 << 10;
    let pieces = stream::unfold((reader, BytesMut::new()), async |(mut reader, mut buffer)| {
        buffer.reserve(PIECE);
        let piece = match reader.read_buf(&mut buffer).await {
            Ok(0) => return None,
            Ok(_) => Ok::<_, io::Error>(Frame::<Bytes>::data(buffer.split().freeze())),
            Err(error) => Err(error),
        };
        Some((piece, (reader, buffer)))
    });
    StreamBody::new(Box::pin(pieces)).boxed_unsync()
}
