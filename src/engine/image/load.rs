//! `docker load`: the archives `docker save` writes, of any age, and OCI layouts. The archive is read once, from front to back; what it is
//! comes last in some.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use crate::archive::bounded::Bounded;
use crate::engine::image::config::{self, suits};
use crate::engine::image::content::DOCUMENT_LIMIT;
use crate::engine::image::decompress;
use crate::engine::image::error::ImageError;
use crate::engine::image::fetch::PACE;
use crate::engine::image::handle::Shared;
use crate::registry::manifest::{self, IndexEntry, Manifest};
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::{ImageProgress, ImageReference, LoadedImage, Platform};

/// Documents are kept in memory until the archive was read; all of them together are no larger.
const DOCUMENTS_LIMIT: u64 = 64 << 20;

type Progress<'a> = &'a (dyn Fn(ImageProgress) + Send + Sync);

/// What was in an archive.
#[derive(Default)]
struct Contents {
    documents: BTreeMap<PathBuf, Vec<u8>>,
    blobs: BTreeMap<PathBuf, Digest>,
    /// Old `docker save` links layers that several images have.
    links: BTreeMap<PathBuf, PathBuf>,
}

/// An entry of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: PathBuf,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<PathBuf>>,
}

/// An image to be made known.
struct Arriving {
    document: Vec<u8>,
    /// Digests of the layers' tars, and the blobs they came in.
    layers: Vec<(Digest, Digest)>,
    references: Vec<ImageReference>,
    platform: Platform,
}

impl Shared {
    /// Brings in the images of an archive.
    pub(super) fn load(
        self: &Arc<Self>,
        archive: impl Read,
        platform: Option<&Platform>,
        progress: Progress<'_>,
    ) -> Result<Vec<LoadedImage>, ImageError> {
        let contents = self.take_in(archive)?;
        let arriving = if let Some(document) = contents.documents.get(Path::new("manifest.json")) {
            self.of_docker(&contents, document)?
        } else if let Some(document) = contents.documents.get(Path::new("index.json")) {
            self.of_layout(document, platform)?
        } else {
            return Err(ImageError::Archive(
                "it has neither manifest.json nor index.json: it was not written by `docker save` (`docker import` takes a root file system)".to_owned(),
            ));
        };
        let mut loaded = Vec::new();
        for image in arriving {
            if platform.is_some_and(|wanted| !suits(&image.platform, wanted)) {
                continue;
            }
            self.unpack_all(&image.layers, progress)?;
            let before = |name: &String| self.lock().index.find(name).ok().map(|(id, _)| id);
            let names: Vec<String> = image.references.iter().map(ImageReference::familiar).collect();
            let replaced: Vec<Option<ImageId>> = names.iter().map(before).collect();
            let id = self.register(&image.document, &image.references)?;
            if names.is_empty() {
                loaded.push(LoadedImage { id, name: None, replaced: None });
            }
            let named = names.into_iter().zip(replaced);
            loaded.extend(named.map(|(name, old)| LoadedImage { id, name: Some(name), replaced: old.filter(|old| *old != id) }));
        }
        Ok(loaded)
    }

    /// Reads the archive: blobs go to the store, documents stay in memory.
    fn take_in(&self, archive: impl Read) -> Result<Contents, ImageError> {
        let (_, reader) = decompress::reader(archive).map_err(ImageError::ReadArchive)?;
        let (bounded, budget) = Bounded::new(reader);
        let mut archive = tar::Archive::new(bounded);
        let mut contents = Contents::default();
        let mut documents = 0;
        for entry in archive.entries().map_err(ImageError::ReadArchive)? {
            let mut entry = entry.map_err(ImageError::ReadArchive)?;
            budget.contents();
            let name = entry.path().map_err(ImageError::ReadArchive)?.into_owned();
            let path = plain(Path::new(""), &name).ok_or_else(|| outside(&name))?;
            let kind = entry.header().entry_type();
            if kind.is_symlink() || kind.is_hard_link() {
                let target = entry.link_name().map_err(ImageError::ReadArchive)?.unwrap_or_default().into_owned();
                let base = if kind.is_symlink() { path.parent().unwrap_or(Path::new("")) } else { Path::new("") };
                let target = plain(base, &target).ok_or_else(|| outside(&target))?;
                contents.links.insert(path, target);
            } else if kind.is_file() || kind.is_contiguous() {
                if is_document(&path) && entry.size() <= DOCUMENT_LIMIT {
                    documents += entry.size();
                    if documents > DOCUMENTS_LIMIT {
                        return Err(ImageError::Archive("its documents are larger than 64 MiB".to_owned()));
                    }
                    let mut document = Vec::new();
                    entry.read_to_end(&mut document).map_err(ImageError::ReadArchive)?;
                    contents.documents.insert(path, document);
                } else if ["manifest.json", "index.json"].iter().any(|name| path == Path::new(name)) {
                    return Err(ImageError::Archive(format!("its {} is larger than {} MiB", path.display(), DOCUMENT_LIMIT >> 20)));
                } else {
                    let digest = self.take_blob(&path, &mut entry)?;
                    contents.blobs.insert(path, digest);
                }
            }
            io::copy(&mut entry, &mut io::sink()).map_err(ImageError::ReadArchive)?;
            budget.headers();
        }
        Ok(contents)
    }

    fn take_blob(&self, path: &Path, entry: &mut impl Read) -> Result<Digest, ImageError> {
        // In an OCI layout the name is the digest; one that we have need not be written again.
        let hex = path.strip_prefix("blobs/sha256").ok().and_then(Path::to_str);
        let expected = hex.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
        if let Some(digest) = expected.filter(|digest| self.content.has(digest)) {
            return Ok(digest);
        }
        let mut writer = self.content.create()?;
        io::copy(entry, &mut writer).map_err(ImageError::ReadArchive)?;
        match writer.finish(expected.as_ref()) {
            Ok((digest, _)) => Ok(digest),
            Err(ImageError::WrongDigest { expected, found, .. }) => {
                Err(ImageError::WrongDigest { what: format!("the archive's entry {}", path.display()), expected, found })
            }
            Err(error) => Err(error),
        }
    }

    /// Understands `manifest.json`.
    fn of_docker(&self, contents: &Contents, document: &[u8]) -> Result<Vec<Arriving>, ImageError> {
        let saved: Vec<Saved> =
            serde_json::from_slice(document).map_err(|error| ImageError::Archive(format!("manifest.json is malformed: {error}")))?;
        saved
            .into_iter()
            .map(|image| {
                let document = match contents.documents.get(&contents.follow(&image.config)?) {
                    Some(document) => document.clone(),
                    None => self.content.document(&contents.blob(&image.config)?)?,
                };
                let blobs = image.layers.iter().flatten().map(|path| contents.blob(path)).collect::<Result<Vec<_>, _>>()?;
                let references = image.repo_tags.iter().flatten().map(|tag| tagged(tag)).collect::<Result<_, _>>()?;
                arriving(document, &blobs, references, &image.config.display().to_string())
            })
            .collect()
    }

    /// Understands `index.json` of an OCI layout.
    fn of_layout(&self, document: &[u8], platform: Option<&Platform>) -> Result<Vec<Arriving>, ImageError> {
        let wrong = |error| ImageError::Archive(format!("index.json: {error}"));
        let Manifest::Index(entries) = Manifest::parse(document, None).map_err(wrong)? else {
            return Err(ImageError::Archive("index.json is not an index".to_owned()));
        };
        let mut by_manifest: BTreeMap<Digest, (IndexEntry, Vec<ImageReference>)> = BTreeMap::new();
        for entry in entries {
            // A name that is a tag alone belongs to no repository.
            let reference = entry.name.as_deref().filter(|name| name.contains([':', '/'])).and_then(|name| name.parse().ok());
            by_manifest.entry(entry.manifest.digest).or_insert_with(|| (entry, Vec::new())).1.extend(reference);
        }
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let images = by_manifest.into_values();
        images.map(|(entry, references)| self.of_manifest(&entry.manifest.digest, references, &wanted, 0)).collect()
    }

    fn of_manifest(&self, digest: &Digest, references: Vec<ImageReference>, wanted: &Platform, depth: u8) -> Result<Arriving, ImageError> {
        let missing = |digest: &Digest| ImageError::Archive(format!("the blob {digest} is missing"));
        let document = |digest: &Digest| if self.content.has(digest) { self.content.document(digest) } else { Err(missing(digest)) };
        let wrong = |error| ImageError::Archive(format!("manifest {}: {error}", digest.short()));
        match Manifest::parse(&document(digest)?, None).map_err(wrong)? {
            Manifest::Index(entries) if depth == 0 => {
                let chosen = manifest::choose(&entries, wanted).map_err(ImageError::Platform)?;
                self.of_manifest(&chosen.manifest.digest, references, wanted, depth + 1)
            }
            Manifest::Index(_) => Err(ImageError::Archive("an index lies within an index within an index".to_owned())),
            Manifest::Image { config, layers } => {
                let blobs: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
                if let Some(lost) = blobs.iter().find(|blob| !self.content.has(blob)) {
                    return Err(missing(lost));
                }
                arriving(document(&config.digest)?, &blobs, references, &config.digest.short())
            }
        }
    }

    /// Unpacks layers, as many at once as there are processors.
    fn unpack_all(self: &Arc<Self>, layers: &[(Digest, Digest)], progress: Progress<'_>) -> Result<(), ImageError> {
        let waiting = Mutex::new(layers.iter());
        let failed: Mutex<Option<ImageError>> = Mutex::new(None);
        let next = || {
            let over = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            if over { None } else { waiting.lock().unwrap_or_else(PoisonError::into_inner).next() }
        };
        let work = || {
            while let Some((diff, blob)) = next() {
                let told: Mutex<Option<Instant>> = Mutex::new(None);
                let tell = |current: u64, total: u64| {
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    if current == total || told.is_none_or(|at| at.elapsed() >= PACE) {
                        let (current, total) = (Some(current), Some(total));
                        progress(ImageProgress { id: diff.short(), status: "Loading layer".to_owned(), current, total });
                        *told = Some(Instant::now());
                    }
                };
                let _turn = self.layers.reserve_blocking(diff);
                if let Err(error) = self.unpack_blob_telling(diff, blob, &tell) {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(layers.len());
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

impl Contents {
    /// Follows links, of which an honest archive has one at most.
    fn follow(&self, path: &Path) -> Result<PathBuf, ImageError> {
        let mut path = plain(Path::new(""), path).ok_or_else(|| outside(path))?;
        for _ in 0..4 {
            match self.links.get(&path) {
                Some(target) => path = target.clone(),
                None => return Ok(path),
            }
        }
        Err(ImageError::Archive(format!("{} links in a circle", path.display())))
    }

    fn blob(&self, path: &Path) -> Result<Digest, ImageError> {
        let path = self.follow(path)?;
        self.blobs.get(&path).copied().ok_or_else(|| ImageError::Archive(format!("{} is missing", path.display())))
    }
}

/// A name of `manifest.json`, which is one with a tag: a digest is not for an archive to promise.
fn tagged(name: &str) -> Result<ImageReference, ImageError> {
    let reference: ImageReference = name.parse()?;
    let is_tagged = reference.digest().is_none() && name.ends_with(&reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default());
    if is_tagged { Ok(reference) } else { Err(ImageError::Archive(format!("invalid tag \"{name}\""))) }
}

/// Joins a configuration with the blobs of its layers.
fn arriving(document: Vec<u8>, blobs: &[Digest], references: Vec<ImageReference>, name: &str) -> Result<Arriving, ImageError> {
    let understood = config::parse(&document, name)?;
    if understood.platform.os == "windows" {
        return Err(ImageError::Archive(format!("cannot load {} image on linux", understood.platform.os)));
    }
    if understood.layers.len() != blobs.len() {
        let reason = format!("it has {} layers, and there are {} of them", understood.layers.len(), blobs.len());
        return Err(ImageError::Config { image: name.to_owned(), reason });
    }
    let layers = understood.layers.into_iter().zip(blobs.iter().copied()).collect();
    Ok(Arriving { document, layers, references, platform: understood.platform })
}

/// Whether an entry is a document rather than a layer, by where it lies.
fn is_document(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    !path.starts_with("blobs")
        && (path.extension().is_some_and(|it| it == "json")
            || ["json", "VERSION", "repositories", "oci-layout"].iter().any(|it| name == *it))
}

/// A path without `.` and `..`; `None` when it leads out of the archive.
fn plain(base: &Path, path: &Path) -> Option<PathBuf> {
    let mut result = base.to_owned();
    for part in path.components() {
        match part {
            Component::Normal(part) => result.push(part),
            Component::ParentDir => {
                if !result.pop() {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(result)
}

fn outside(path: &Path) -> ImageError {
    ImageError::Archive(format!("`{}` leads out of the archive", path.display()))
}
