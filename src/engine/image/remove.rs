//! Removing names, images and what they alone needed, by Docker's rules (moby, daemon/images/image_delete.go).

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::engine::image::error::ImageError;
use crate::engine::image::handle::{ImageUse, Shared, State};
use crate::engine::image::index::Name;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::{ImageInfo, ImagePrune, ImageRemoval};

type InUse<'a> = &'a dyn Fn(&ImageId) -> Option<ImageUse>;

/// What became of an image, or of a name of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The image.
    pub image: ImageId,
    /// It was called by a name, and not by its id.
    pub by_name: bool,
    /// What went.
    pub steps: Vec<ImageRemoval>,
}

impl Shared {
    /// Removes a name, and with its last name the image.
    pub(super) fn remove(self: &Arc<Self>, name: &str, force: bool, in_use: InUse<'_>) -> Result<Removed, ImageError> {
        let mut state = self.lock();
        let (id, named) = state.index.find(name)?;
        let names = state.index.names_of(&id);
        let used = in_use(&id);
        let done = |steps| Ok(Removed { image: id, by_name: named.is_some(), steps });
        let mut removed = Vec::new();
        match &named {
            Some(given) => {
                if let (true, false, Some(used)) = (is_single_reference(&names), force, &used) {
                    return Err(ImageError::InUse(format!(
                        "unable to remove repository reference \"{name}\" (must force) - container {} is using its referenced image {}",
                        used.container,
                        id.short()
                    )));
                }
                for gone in with_orphaned_digests(&names, given) {
                    state.index.untag(&gone);
                    removed.push(ImageRemoval::Untagged(gone.familiar()));
                }
                // The name is gone, and that was what was asked for: an image that cannot go as well stays without a name.
                if !state.index.names_of(&id).is_empty() || used.is_some() || state.stake.holds(&id) {
                    self.save(&mut state)?;
                    return done(removed);
                }
            }
            None => {
                refuse_by_id(&state, &id, &names, force, used.as_ref())?;
                let mut names = names;
                // Docker's order: digests beside the tags of their repository.
                names.sort_by(|one, other| one.key().cmp(other.key()));
                for gone in &names {
                    state.index.untag(gone);
                    removed.push(ImageRemoval::Untagged(gone.familiar()));
                }
                // A stopped container starts again some day: its image loses its names only.
                if used.is_some() {
                    self.save(&mut state)?;
                    return done(removed);
                }
            }
        }
        removed.extend(self.forget(&mut state, &id)?);
        drop(state);
        self.collect();
        done(removed)
    }

    /// Removes images that nothing uses.
    pub(super) fn prune(self: &Arc<Self>, selects: &dyn Fn(&ImageInfo) -> bool, in_use: InUse<'_>) -> Result<ImagePrune, ImageError> {
        let mut state = self.lock();
        let ids: Vec<ImageId> = state
            .index
            .images()
            .filter(|(id, image)| selects(&self.info(&state.index, id, image)) && !state.stake.holds(id) && in_use(id).is_none())
            .map(|(id, _)| *id)
            .collect();
        let mut removed = Vec::new();
        for id in ids {
            removed.extend(state.index.names_of(&id).iter().map(|name| ImageRemoval::Untagged(name.familiar())));
            removed.extend(self.forget(&mut state, &id)?);
        }
        drop(state);
        Ok(ImagePrune { removed, reclaimed: self.collect() })
    }

    /// Takes an image off the index; tells which layers nobody needs any more, topmost first, by their chains as Docker does.
    fn forget(&self, state: &mut State, id: &ImageId) -> Result<Vec<ImageRemoval>, ImageError> {
        let layers = state.index.image(id).map(|image| image.understood.layers.clone()).unwrap_or_default();
        state.index.remove(id);
        self.save(state)?;
        let of_images = state.index.images().flat_map(|(_, image)| image.understood.layers.iter().copied());
        let needed: BTreeSet<Digest> = of_images.chain(self.steps.layers()).collect();
        let gone = layers.iter().zip(chains(&layers)).rev().filter(|(diff, _)| !needed.contains(diff));
        let mut removed = vec![ImageRemoval::Deleted(id.to_string())];
        removed.extend(gone.map(|(_, chain)| ImageRemoval::Deleted(chain.to_string())));
        Ok(removed)
    }
}

/// The name given; with the last tag of its repository also the digests of that repository, which nobody would think of.
fn with_orphaned_digests(names: &[Name], given: &Name) -> Vec<Name> {
    let mut gone = vec![given.clone()];
    let same = |name: &&Name| *name != given && name.repository() == given.repository();
    let tags_left = names.iter().filter(same).any(|name| matches!(name, Name::Tag(_)));
    if matches!(given, Name::Tag(_)) && !tags_left {
        gone.extend(names.iter().filter(same).cloned());
    }
    gone
}

/// Whether the names are at most one tag and digests of its own repository: with the last of them the image goes.
fn is_single_reference(names: &[Name]) -> bool {
    let repositories: BTreeSet<&str> = names.iter().map(Name::repository).collect();
    repositories.len() == 1 && names.iter().filter(|name| matches!(name, Name::Tag(_))).count() <= 1
}

fn refuse_by_id(state: &State, id: &ImageId, names: &[Name], force: bool, used: Option<&ImageUse>) -> Result<(), ImageError> {
    let short = id.short();
    let refuse = |reason: String| Err(ImageError::InUse(format!("unable to delete {short} {reason}")));
    if let Some(used) = used.filter(|used| used.running) {
        return refuse(format!("(cannot be forced) - image is being used by running container {}", used.container));
    }
    if state.stake.holds(id) {
        return refuse("(cannot be forced) - image is being used by a container that starts or runs".to_owned());
    }
    if !names.is_empty() && !is_single_reference(names) && !force {
        return refuse("(must be forced) - image is referenced in multiple repositories".to_owned());
    }
    match used {
        Some(used) if !force => refuse(format!("(must be forced) - image is being used by stopped container {}", used.container)),
        _ => Ok(()),
    }
}

/// The chain of each layer: what Docker calls a layer when it speaks of one (OCI image-spec, layer ChainID).
pub(super) fn chains(layers: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::with_capacity(layers.len());
    for diff in layers {
        chains.push(match chains.last() {
            None => *diff,
            Some(below) => Digest::from_bytes(Sha256::digest(format!("{below} {diff}")).into()),
        });
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_and_digests_of_its_repository_are_one_reference() {
        let digest = |repository: &str| Name::Digest(format!("docker.io/library/{repository}@sha256:00"));
        let tag = |text: &str| Name::Tag(format!("docker.io/library/{text}"));
        for (names, expect) in [
            (vec![tag("a:1")], true),
            (vec![digest("a")], true),
            (vec![tag("a:1"), digest("a")], true),
            (vec![tag("a:1"), tag("a:2")], false),
            (vec![tag("a:1"), digest("b")], false),
            (vec![], false),
        ] {
            assert_eq!(is_single_reference(&names), expect, "{names:?}");
        }
    }
}
