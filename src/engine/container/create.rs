//! Making a container: everything is decided, nothing runs.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::archive::discard::remove_all;
use crate::engine::container::entry::{Container, Life};
use crate::engine::container::record::{ResolvedMount, SpecRecord};
use crate::engine::container::{check, effective, foreign, generated_name, membership, mount_plan};
use crate::engine::image::error::ImageError;
use crate::engine::{Engine, clock};
use crate::resource::container::{ContainerSpec, IpcMode, Mount, MountSource, NamespaceMode, NetworkMode};
use crate::resource::event::EventKind;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ContainerId;
use crate::resource::image::{ImageInfo, ImageReference, Platform};
use crate::resource::name::ContainerName;
use crate::resource::volume::VolumeSpec;

/// Which volumes without a name go with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Anonymous {
    /// None.
    Stay,
    /// Those made for it: what it was given of another may be all that is left of that one.
    Own,
    /// Those it was given by the container it replaced, too.
    All,
}

/// So many generated names are tried.
const ATTEMPTS: u8 = 64;

impl Engine {
    /// Makes a container.
    pub(in crate::engine) async fn make_container(&self, name: Option<&str>, spec: &ContainerSpec) -> Result<ContainerId, Failure> {
        check::spec(spec)?;
        let image = self.image_of(spec)?;
        // Until the container is known and counts itself as a user, this keeps the image from being removed.
        let _held = self.shared.images.rootfs(&image.id).await?;
        let id = ContainerId::from_bytes(random()?);
        let name = self.name_for(name, id).await?;
        let folder = self.shared.containers.folder().join(id.to_string());
        // A client that is told of something missing pulls the image, which is not what is missing.
        let made = self.make_in(id, &name, spec, &image, folder.clone()).map_err(|failure| match failure.kind {
            FailureKind::NotFound => Failure::invalid(failure.message),
            _ => failure,
        });
        match made {
            Ok(container) => {
                self.shared.containers.insert(Arc::clone(&container));
                self.tell(&container, "create", &[]);
                Ok(id)
            }
            Err(failure) => {
                self.shared.containers.give_back_name(&name);
                self.shared.volumes.forget(id);
                if let Err(error) = remove_all(&folder)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, folder = %folder.display(), "what is left of a container that could not be made stays until the next start");
                }
                Err(failure)
            }
        }
    }

    fn make_in(
        &self,
        id: ContainerId,
        name: &ContainerName,
        spec: &ContainerSpec,
        image: &ImageInfo,
        folder: PathBuf,
    ) -> Result<Arc<Container>, Failure> {
        let mut spec = spec.clone();
        spec.log = self.shared.defaults.complete(&spec.log);
        spec.log.check().map_err(|error| Failure::invalid(error.to_string()))?;
        self.pin_shared(&mut spec)?;
        let effective = effective::merge(&spec, &image.config, &self.default_hostname(&spec, id)?)?;
        let networks = membership::wanted(&spec, &self.shared.networks)?;
        let mounts = self.with_others(&spec)?;
        let planned = mount_plan::plan(&mounts, &image.config.volumes)?;
        for mount in &planned {
            if let MountSource::Bind { path, create, .. } = &mount.source {
                mount_plan::check_bind(path, *create)?;
            }
        }
        for part in ["upper", "work"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(|error| Failure::internal(format!("cannot make {}: {error}", path.display())))?;
        }
        let mounts = self.resolve_mounts(id, name, planned)?;
        let record = SpecRecord { id, name: name.clone(), created: clock::now(), spec, image: image.id, effective, networks, mounts };
        // Last: a folder without it is what is left of an interrupted creation.
        let written = record.write(&folder);
        if let Err(error) = written {
            self.remove_anonymous(&record.mounts, Anonymous::Own);
            return Err(error.into());
        }
        let life = Life { endpoints: membership::at_rest(&record.networks, &self.shared.networks), ..Life::new() };
        Ok(Arc::new(Container::new(folder, record, life)))
    }

    /// The image a spec names, if it is here and of the platform asked for.
    fn image_of(&self, spec: &ContainerSpec) -> Result<ImageInfo, Failure> {
        let familiar = || spec.image.parse::<ImageReference>().map_or_else(|_| spec.image.clone(), |reference| reference.familiar());
        let image = match self.shared.images.get(&spec.image) {
            Err(ImageError::NotFound(_)) => return Err(Failure::not_found(format!("No such image: {}", familiar()))),
            found => found?,
        };
        if let Some(text) = &spec.platform {
            let wanted: Platform = text.parse().map_err(|error| Failure::invalid(format!("{error}")))?;
            let has = Platform { os: image.os.clone(), architecture: image.architecture.clone(), variant: image.variant.clone() };
            let same = has.os == wanted.os
                && has.architecture == wanted.architecture
                && (wanted.variant.is_none() || has.variant.is_none() || has.variant == wanted.variant);
            if !same {
                return Err(Failure::not_found(format!(
                    "image with reference {} was found but its platform ({has}) does not match the specified platform ({wanted})",
                    familiar()
                )));
            }
        }
        Ok(image)
    }

    /// dockerd's warning of an image for another machine, for whoever did not ask for one.
    pub(in crate::engine) fn foreign_image(&self, spec: &ContainerSpec) -> Option<String> {
        if spec.platform.is_some() {
            return None;
        }
        foreign::warning(&self.image_of(spec).ok()?)
    }

    /// Takes the name asked for, or a free one.
    async fn name_for(&self, wanted: Option<&str>, id: ContainerId) -> Result<ContainerName, Failure> {
        if let Some(text) = wanted.filter(|text| !text.is_empty()) {
            let name = parse_name(text)?;
            self.shared.containers.take_name_once_free(&name, id).await?;
            return Ok(name);
        }
        for attempt in 0..ATTEMPTS {
            let name = parse_name(&generated_name::from_bytes(random()?, attempt))?;
            if self.shared.containers.take_name(&name, id).is_ok() {
                return Ok(name);
            }
        }
        let name = parse_name(&id.short())?;
        self.shared.containers.take_name(&name, id)?;
        Ok(name)
    }

    /// Replaces names of containers whose namespaces are shared by ids: a later name of theirs changes nothing.
    fn pin_shared(&self, spec: &mut ContainerSpec) -> Result<(), Failure> {
        let pin = |name: &mut String| -> Result<(), Failure> {
            *name = self.shared.containers.find(name)?.id().to_string();
            Ok(())
        };
        if let NetworkMode::Container(name) = &mut spec.network {
            pin(name).map_err(|failure| failure.within("joining network namespace of container"))?;
        }
        if let NamespaceMode::Container(name) = &mut spec.pid {
            pin(name)?;
        }
        let IpcMode::Container(name) = &mut spec.ipc else { return Ok(()) };
        pin(name)?;
        match self.shared.containers.find(name)?.record().spec.ipc {
            IpcMode::Shareable | IpcMode::Container(_) | IpcMode::Host => Ok(()),
            // Docker's words.
            IpcMode::Private | IpcMode::None => Err(Failure::invalid(format!(
                "cannot join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                self.shared.containers.find(name)?.name()
            ))),
        }
    }

    /// The mounts of a spec, and those of the containers it names for theirs, wherever it mounts nothing itself.
    fn with_others(&self, spec: &ContainerSpec) -> Result<Vec<Mount>, Failure> {
        let mut others: Vec<Mount> = Vec::new();
        for from in &spec.volumes_from {
            let (name, read_only) = match from.rsplit_once(':') {
                None => (from.as_str(), false),
                Some((name, "ro")) => (name, true),
                Some((name, "rw")) => (name, false),
                Some((_, mode)) => return Err(Failure::invalid(format!("invalid mode: {mode} in VolumesFrom `{from}`"))),
            };
            for ResolvedMount { mount, .. } in &self.shared.containers.find(name)?.record().mounts {
                let source = match &mount.source {
                    // Memory is nobody else's (moby, registerMountPoints).
                    MountSource::Tmpfs { .. } => continue,
                    MountSource::Volume { name, subpath, labels, .. } => {
                        MountSource::Volume { name: name.clone(), no_copy: true, subpath: subpath.clone(), labels: labels.clone() }
                    }
                    bind @ MountSource::Bind { .. } => bind.clone(),
                };
                others.retain(|known| known.target != mount.target);
                others.push(Mount { target: mount.target.clone(), read_only: mount.read_only || read_only, source });
            }
        }
        others.retain(|other| !spec.mounts.iter().any(|own| own.target == other.target));
        Ok(spec.mounts.iter().cloned().chain(others).collect())
    }

    fn default_hostname(&self, spec: &ContainerSpec, id: ContainerId) -> Result<String, Failure> {
        let of_host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(match &spec.network {
            NetworkMode::Host => of_host(),
            NetworkMode::Container(other) => self.shared.containers.find(other)?.info().effective.hostname.clone(),
            _ if spec.uts == NamespaceMode::Host => of_host(),
            _ => id.short(),
        })
    }

    /// Makes the volumes that are missing and notes the container as a user of all of them.
    fn resolve_mounts(&self, id: ContainerId, name: &ContainerName, planned: Vec<Mount>) -> Result<Vec<ResolvedMount>, Failure> {
        let mut resolved = Vec::with_capacity(planned.len());
        for mount in planned {
            match self.resolve_mount(id, name, mount) {
                Ok(mount) => resolved.push(mount),
                Err(failure) => {
                    self.shared.volumes.forget(id);
                    self.remove_anonymous(&resolved, Anonymous::Own);
                    return Err(failure);
                }
            }
        }
        Ok(resolved)
    }

    fn resolve_mount(&self, id: ContainerId, container: &ContainerName, mut mount: Mount) -> Result<ResolvedMount, Failure> {
        let (source, anonymous, own) = match &mut mount.source {
            MountSource::Bind { path, .. } => (path.clone(), false, false),
            MountSource::Tmpfs { .. } => (PathBuf::new(), false, false),
            MountSource::Volume { name, labels, .. } => {
                let fresh = name.is_none();
                let mut labels = labels.clone();
                if fresh {
                    labels.insert(ANONYMOUS.to_owned(), String::new());
                }
                let volume = match name {
                    Some(name) => name.clone(),
                    None => ContainerId::from_bytes(random()?).to_string(),
                };
                let spec = VolumeSpec { labels, ..VolumeSpec::default() };
                let (info, new) = self.shared.volumes.create(&volume, &spec, fresh)?;
                // Between the two a removal may come; then the creation reports what it found, and the caller asks again.
                self.shared.volumes.uses(&volume, id, container.as_str())?;
                if new {
                    let attributes = [("driver".to_owned(), "local".to_owned())].into();
                    self.shared.ring.emit(EventKind::Volume, "create", &volume, attributes);
                }
                *name = Some(volume);
                // One that passes from a container to its successor goes with the last of them; Docker forgets it.
                (info.mountpoint, info.spec.labels.contains_key(ANONYMOUS), fresh)
            }
        };
        Ok(ResolvedMount { mount, source, anonymous, own })
    }

    /// Removes the volumes that were made for one container, unless another uses them.
    pub(super) fn remove_anonymous(&self, mounts: &[ResolvedMount], which: Anonymous) {
        let goes = |mount: &&ResolvedMount| mount.own || mount.anonymous && which == Anonymous::All;
        for mount in mounts.iter().filter(goes) {
            let MountSource::Volume { name: Some(name), .. } = &mount.mount.source else { continue };
            match self.shared.volumes.remove(name) {
                Ok(()) => self.shared.ring.emit(EventKind::Volume, "destroy", name, [("driver".to_owned(), "local".to_owned())].into()),
                Err(error) => tracing::debug!(volume = %name, %error, "an anonymous volume stays"),
            }
        }
    }
}

/// Docker's mark of a volume without a name of its own.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A name as Docker takes it: a slash before it is no part of it.
pub(super) fn parse_name(text: &str) -> Result<ContainerName, Failure> {
    let bare = text.strip_prefix('/').unwrap_or(text);
    bare.parse().map_err(|_| Failure::invalid(format!("Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")))
}

fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|error| Failure::internal(format!("cannot draw random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_in_dockers_words() {
        assert_eq!(parse_name("/web").map(|name| name.to_string()), Ok("web".to_owned()));
        let refused = parse_name("we b").expect_err("a space");
        assert_eq!(refused.message, "Invalid container name (we b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    }
}
