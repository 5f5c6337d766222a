//! Whether a container that exists is the one that is wanted, and what differs if it is not.

use crate::compose::plan::attribute::Origin;
use crate::compose::plan::cause::Divergence;
use crate::compose::plan::diff::{self, FieldChange};
use crate::compose::plan::observed::Replica;
use crate::compose::plan::{hook, label};
use crate::compose::project::model::{FileWay, Service};
use crate::resource::container::{ContainerSpec, MountSource};
use crate::resource::id::{Digest, ImageId};
use crate::resource::name::ContainerName;

/// Why the container is not what is wanted, in the order of compose.md §4.4; `image` is what the reference means now.
pub(super) fn divergence(
    replica: &Replica,
    name: &ContainerName,
    origin: Origin<'_>,
    wanted: &ContainerSpec,
    image: Option<ImageId>,
) -> Option<Divergence> {
    if replica.info.name != *name {
        let quoted = |name: &ContainerName| Some(format!("{:?}", name.as_str()));
        let change = FieldChange { field: "container_name".to_owned(), from: quoted(&replica.info.name), to: quoted(name) };
        return Some(Divergence::Spec(vec![change]));
    }
    spec(replica, wanted, origin)
        .or_else(|| hooks(replica, wanted))
        .or_else(|| changed_image(replica, image))
        .or_else(|| attachments(replica, wanted))
        .or_else(|| files(replica, origin.service))
}

fn spec(replica: &Replica, wanted: &ContainerSpec, origin: Origin<'_>) -> Option<Divergence> {
    // Both as the files want them: what a container refers to has a name or an id by the time it is made.
    let label = |key: &str| wanted.labels.get(key).map(String::as_str);
    if let Some(kept) = replica.label(label::SPEC) {
        if label(label::SPEC) == Some(kept) {
            return None;
        }
        let read = |text: &str| serde_json::from_str::<ContainerSpec>(text).ok();
        if let (Some(kept), Some(wanted)) = (read(kept), label(label::SPEC).and_then(read)) {
            if kept == wanted {
                return None;
            }
            let changes = diff::changes(&kept, &wanted, origin);
            return Some(if changes.is_empty() { Divergence::Hash } else { Divergence::Spec(changes) });
        }
    }
    (replica.label(label::CONFIG_HASH) != label(label::CONFIG_HASH)).then_some(Divergence::Hash)
}

/// Hooks are no part of a specification, but of what the container was made for.
fn hooks(replica: &Replica, wanted: &ContainerSpec) -> Option<Divergence> {
    let changed = hook::changed(replica.label(label::HOOKS), wanted.labels.get(label::HOOKS).map(String::as_str));
    let changes: Vec<FieldChange> = changed.into_iter().map(|field| FieldChange { field, from: None, to: None }).collect();
    (!changes.is_empty()).then_some(Divergence::Spec(changes))
}

fn changed_image(replica: &Replica, image: Option<ImageId>) -> Option<Divergence> {
    let to = image?;
    let from = replica.info.image;
    (from != to).then_some(Divergence::Image { from, to })
}

/// A running container that lacks a network, or any that lacks a volume.
fn attachments(replica: &Replica, wanted: &ContainerSpec) -> Option<Divergence> {
    if replica.info.state.is_running()
        && let Some(missing) = wanted.endpoints.keys().find(|network| !replica.is_on(network))
    {
        return Some(Divergence::Network(missing.clone()));
    }
    let missing = wanted.mounts.iter().find(|mount| {
        let MountSource::Volume { name: Some(name), .. } = &mount.source else { return false };
        !replica.info.mounts.iter().any(|it| it.target == mount.target && it.name.as_ref() == Some(name))
    });
    missing.map(|mount| Divergence::Volume(mount.target.clone()))
}

/// Secrets and configs whose content is another one now. Only an engine of ours can tell: neither the content nor a digest of it is in a
/// label, where whoever reads labels could try guesses against it.
fn files(replica: &Replica, service: &Service) -> Option<Divergence> {
    let changed = service.files.iter().filter(|file| {
        let FileWay::Written { content: Ok(content), .. } = &file.way else { return false };
        replica.info.file_digests.get(&file.target).is_some_and(|digest| *digest != Digest::of(&content.0))
    });
    let targets: Vec<String> = changed.map(|file| file.target.clone()).collect();
    (!targets.is_empty()).then_some(Divergence::Files(targets))
}
