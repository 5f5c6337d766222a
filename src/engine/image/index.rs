//! Which images there are, and what they are called: `images.json`. What an image is stands in its configuration, a blob.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::image::config::Understood;
use crate::engine::image::error::ImageError;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::ImageReference;
use crate::resource::time::Timestamp;

/// The record on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct IndexRecord {
    /// When a name last came to point to an image here.
    pub(super) images: BTreeMap<ImageId, Option<Timestamp>>,
    /// `registry/repository:tag`, spelled out.
    pub(super) names: BTreeMap<String, ImageId>,
    /// `registry/repository@digest`: what was pulled by that digest.
    pub(super) digests: BTreeMap<String, ImageId>,
}

/// An image with its configuration understood.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) understood: Understood,
    pub(super) last_tagged: Option<Timestamp>,
}

/// The images by id and by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    images: BTreeMap<ImageId, Arc<Image>>,
    names: BTreeMap<String, ImageId>,
    digests: BTreeMap<String, ImageId>,
}

impl Index {
    /// Takes up a record; an image that `understand` gives up is left out with its names.
    pub(super) fn of(record: IndexRecord, understand: impl Fn(&ImageId) -> Option<Understood>) -> Self {
        let images: BTreeMap<_, _> = record
            .images
            .into_iter()
            .filter_map(|(id, last_tagged)| Some((id, Arc::new(Image { understood: understand(&id)?, last_tagged }))))
            .collect();
        let known = |names: BTreeMap<String, ImageId>| names.into_iter().filter(|(_, id)| images.contains_key(id)).collect();
        let (names, digests) = (known(record.names), known(record.digests));
        Self { images, names, digests }
    }

    /// What goes to disk.
    pub(super) fn record(&self) -> IndexRecord {
        IndexRecord {
            images: self.images.iter().map(|(id, image)| (*id, image.last_tagged)).collect(),
            names: self.names.clone(),
            digests: self.digests.clone(),
        }
    }

    /// An image.
    pub(super) fn image(&self, id: &ImageId) -> Option<&Image> {
        self.images.get(id).map(Arc::as_ref)
    }

    /// All images, by id.
    pub(super) fn images(&self) -> impl Iterator<Item = (&ImageId, &Image)> {
        self.images.iter().map(|(id, image)| (id, image.as_ref()))
    }

    /// Adds an image; one that is there stays.
    pub(super) fn add(&mut self, id: ImageId, understood: Understood) {
        self.images.entry(id).or_insert_with(|| Arc::new(Image { understood, last_tagged: None }));
    }

    /// Whether nothing is in it that is not in another: what goes to disk is no larger.
    pub(super) fn is_part_of(&self, other: &Self) -> bool {
        let has = |mine: &BTreeMap<String, ImageId>, others: &BTreeMap<String, ImageId>| mine.keys().all(|name| others.contains_key(name));
        self.images.keys().all(|id| other.images.contains_key(id)) && has(&self.names, &other.names) && has(&self.digests, &other.digests)
    }

    /// Removes an image with all its names.
    pub(super) fn remove(&mut self, id: &ImageId) {
        self.images.remove(id);
        self.names.retain(|_, it| it != id);
        self.digests.retain(|_, it| it != id);
    }

    /// Points a name to an image.
    pub(super) fn tag(&mut self, reference: &ImageReference, id: ImageId, now: Timestamp) {
        if let Some(name) = tag_key(reference) {
            self.names.insert(name, id);
        }
        if let Some(image) = self.images.get_mut(&id) {
            Arc::make_mut(image).last_tagged = Some(now);
        }
    }

    /// Records by which digest an image was pulled.
    pub(super) fn pulled_by(&mut self, reference: &ImageReference, digest: &Digest, id: ImageId) {
        self.digests.insert(digest_key(reference, digest), id);
    }

    /// Takes a name, or a digest, away.
    pub(super) fn untag(&mut self, name: &Name) {
        match name {
            Name::Tag(key) => self.names.remove(key),
            Name::Digest(key) => self.digests.remove(key),
        };
    }

    /// The names of an image, tags first.
    pub(super) fn names_of(&self, id: &ImageId) -> Vec<Name> {
        let tags = self.names.iter().filter(|(_, it)| *it == id).map(|(key, _)| Name::Tag(key.clone()));
        tags.chain(self.digests.iter().filter(|(_, it)| *it == id).map(|(key, _)| Name::Digest(key.clone()))).collect()
    }

    /// Every name in a repository.
    pub(super) fn names_in(&self, reference: &ImageReference) -> Vec<(Name, ImageId)> {
        let repository = format!("{}/{}", reference.registry(), reference.repository());
        let tags = self.names.iter().map(|(key, id)| (Name::Tag(key.clone()), *id));
        let digests = self.digests.iter().map(|(key, id)| (Name::Digest(key.clone()), *id));
        tags.chain(digests).filter(|(name, _)| name.repository() == repository).collect()
    }

    /// The other repositories of a registry that images with this layer were pulled from or pushed to.
    pub(super) fn others_with(&self, reference: &ImageReference, layer: &Digest) -> BTreeSet<String> {
        let has = |id: &ImageId| self.images.get(id).is_some_and(|image| image.understood.layers.contains(layer));
        let there = self.digests.iter().filter(|(_, id)| has(id)).filter_map(|(key, _)| key.parse::<ImageReference>().ok());
        let others = there.filter(|it| it.registry() == reference.registry() && it.repository() != reference.repository());
        others.map(|it| it.repository().to_owned()).collect()
    }

    /// Finds an image by name, id, unambiguous start of an id, or digest. The name is told where one was given.
    pub(super) fn find(&self, text: &str) -> Result<(ImageId, Option<Name>), ImageError> {
        // Docker names what it looked for.
        let missing = || ImageError::NotFound(text.parse().map_or_else(|_| text.to_owned(), |it: ImageReference| it.familiar()));
        if let Ok(id) = text.parse::<ImageId>().or_else(|_| format!("sha256:{text}").parse()) {
            return self.images.contains_key(&id).then_some((id, None)).ok_or_else(|| ImageError::NotFound(id.to_string()));
        }
        if let Ok(reference) = text.parse::<ImageReference>() {
            let name = match reference.digest() {
                // A digest counts alone, whatever tag stands before it.
                Some(digest) => Name::Digest(digest_key(&reference, &digest)),
                None => Name::Tag(tag_key(&reference).ok_or_else(missing)?),
            };
            let (Name::Tag(key) | Name::Digest(key)) = &name;
            let found = if reference.digest().is_some() { self.digests.get(key) } else { self.names.get(key) };
            if let Some(id) = found {
                return Ok((*id, Some(name)));
            }
            // What a digest names may be an image of ours that never saw that registry.
            if let Some(id) = reference.digest().filter(|id| self.images.contains_key(id)) {
                return Ok((id, None));
            }
        }
        let start = text.strip_prefix("sha256:").unwrap_or(text);
        if start.is_empty() || start.len() > 64 || !start.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return match text.parse::<ImageReference>() {
                Ok(_) => Err(missing()),
                Err(error) => Err(error.into()),
            };
        }
        let mut candidates = self.images.keys().filter(|id| id.hex().starts_with(start));
        match (candidates.next(), candidates.next()) {
            (Some(id), None) => Ok((*id, None)),
            (Some(_), Some(_)) => Err(ImageError::Ambiguous(text.to_owned())),
            (None, _) => Err(missing()),
        }
    }
}

/// One name of an image, spelled out as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// `registry/repository:tag`
    Tag(String),
    /// `registry/repository@digest`
    Digest(String),
}

impl Name {
    /// As it is stored.
    pub(super) fn key(&self) -> &str {
        let (Self::Tag(key) | Self::Digest(key)) = self;
        key
    }

    /// As people write it.
    pub(super) fn familiar(&self) -> String {
        let key = self.key();
        key.parse::<ImageReference>().map_or_else(|_| key.to_owned(), |it| it.familiar())
    }

    /// `registry/repository`.
    pub(super) fn repository(&self) -> &str {
        match self {
            Self::Tag(key) => key.rsplit_once(':').map_or(key, |(name, _)| name),
            Self::Digest(key) => key.split_once('@').map_or(key, |(name, _)| name),
        }
    }
}

/// A reference without its digest; `None` where it names no tag.
fn tag_key(reference: &ImageReference) -> Option<String> {
    let tag = reference.tag()?;
    Some(format!("{}/{}:{tag}", reference.registry(), reference.repository()))
}

fn digest_key(reference: &ImageReference, digest: &Digest) -> String {
    format!("{}/{}@{digest}", reference.registry(), reference.repository())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::image::config;

    fn index() -> Index {
        let document = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let mut index = Index::default();
        for (number, name) in [(0xab, Some("redis:7")), (0xac, Some("127.0.0.1:5000/app")), (0xcd, None)] {
            let id = ImageId::from_bytes([number; 32]);
            index.add(id, config::parse(document, "x").expect("a document"));
            if let Some(name) = name {
                index.tag(&name.parse().expect("a reference"), id, Timestamp::from_nanos(1));
            }
        }
        let reference = "redis:7".parse().expect("a reference");
        index.pulled_by(&reference, &Digest::from_bytes([1; 32]), ImageId::from_bytes([0xab; 32]));
        index
    }

    #[test]
    fn images_are_found_by_every_name_people_use() {
        let index = index();
        let check = |text: &str, expect: u8| {
            assert_eq!(index.find(text).map(|(id, _)| id).ok(), Some(ImageId::from_bytes([expect; 32])), "{text}");
        };
        check("redis:7", 0xab);
        check("docker.io/library/redis:7", 0xab);
        check(&format!("redis@sha256:{}", "01".repeat(32)), 0xab);
        check(&format!("redis:any@sha256:{}", "01".repeat(32)), 0xab);
        check("127.0.0.1:5000/app", 0xac);
        check("cdcd", 0xcd);
        check("sha256:cdcdcd", 0xcd);
        check(&"cd".repeat(32), 0xcd);
        check(&format!("sha256:{}", "ab".repeat(32)), 0xab);
        assert!(matches!(index.find("a"), Err(ImageError::Ambiguous(_))));
        for text in ["redis", "redis:8", "ef", &"ef".repeat(32)] {
            assert!(matches!(index.find(text), Err(ImageError::NotFound(_))), "{text}");
        }
        assert!(matches!(index.find("Not A Name"), Err(ImageError::Reference(_))));
    }

    #[test]
    fn what_goes_to_disk_comes_back() {
        let index = index();
        let record = index.record();
        let again = Index::of(record.clone(), |id| index.image(id).map(|it| it.understood.clone()));
        assert_eq!(again.names_of(&ImageId::from_bytes([0xab; 32])).len(), 2);
        let without = Index::of(record, |_| None);
        assert!(without.names.is_empty() && without.digests.is_empty());
    }

    #[test]
    fn names_are_told_as_people_write_them() {
        let names = index().names_of(&ImageId::from_bytes([0xab; 32]));
        assert_eq!(names[0].familiar(), "redis:7");
        assert_eq!(names[0].repository(), "docker.io/library/redis");
        assert_eq!(names[1].repository(), "docker.io/library/redis");
    }
}
