//! `docker save`: an archive that `docker load` of any age reads, and that is an OCI layout as well.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::image::content::{Digester, Tee, digest_of};
use crate::engine::image::decompress;
use crate::engine::image::error::ImageError;
use crate::engine::image::handle::Shared;
use crate::engine::image::index::{Index, Name};
use crate::engine::image::layer::Layer;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::ImageReference;

/// An image on its way out.
struct Leaving {
    id: ImageId,
    layers: Vec<Layer>,
    tags: Vec<ImageReference>,
}

impl Shared {
    /// Writes images as one archive; returns which they were.
    pub(super) fn write_archive(self: &Arc<Self>, names: &[String], into: impl Write) -> Result<Vec<ImageId>, ImageError> {
        let images = self.leaving(names)?;
        let mut tar = tar::Builder::new(io::BufWriter::with_capacity(1 << 20, into));
        let mut manifest = Vec::new();
        let mut index = Vec::new();
        let mut repositories = serde_json::Map::new();
        let mut written = std::collections::BTreeSet::new();
        for image in &images {
            for layer in &image.layers {
                if written.insert(layer.diff) {
                    self.write_layer(&mut tar, layer)?;
                }
            }
            let config = self.content.document(&image.id)?;
            if written.insert(image.id) {
                append(&mut tar, &blob_name(&image.id), &config)?;
            }
            let document = oci_manifest(image, config.len() as u64);
            let digest = digest_of(&document);
            if written.insert(digest) {
                append(&mut tar, &blob_name(&digest), &document)?;
            }
            let described =
                json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest.to_string(), "size": document.len()});
            if image.tags.is_empty() {
                index.push(described.clone());
            }
            for tag in &image.tags {
                let mut described = described.clone();
                described["annotations"] = json!({"io.containerd.image.name": tag.to_string(), "org.opencontainers.image.ref.name": tag.tag().unwrap_or_default()});
                index.push(described);
                let tags = repositories.entry(tag.familiar_name()).or_insert_with(|| json!({}));
                // Docker before 25 names the topmost layer here; loaders of this age read it where `manifest.json` is missing only.
                tags[tag.tag().unwrap_or_default()] = json!(image.layers.last().map(|layer| layer.diff.hex()).unwrap_or_default());
            }
            let tags: Value = if image.tags.is_empty() { Value::Null } else { image.tags.iter().map(ImageReference::familiar).collect() };
            let layers: Vec<String> = image.layers.iter().map(|layer| blob_name(&layer.diff)).collect();
            manifest.push(json!({"Config": blob_name(&image.id), "RepoTags": tags, "Layers": layers}));
        }
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": index});
        append(&mut tar, "index.json", index.to_string().as_bytes())?;
        append(&mut tar, "manifest.json", Value::from(manifest).to_string().as_bytes())?;
        append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        if !repositories.is_empty() {
            append(&mut tar, "repositories", Value::Object(repositories).to_string().as_bytes())?;
        }
        tar.into_inner().and_then(|mut writer| writer.flush()).map_err(ImageError::WriteArchive)?;
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    /// Finds the images and what they are to be called: a repository without a tag stands for all its tags, an id for none.
    fn leaving(&self, names: &[String]) -> Result<Vec<Leaving>, ImageError> {
        let state = self.lock();
        let mut chosen: BTreeMap<ImageId, Vec<ImageReference>> = BTreeMap::new();
        let mut order = Vec::new();
        for name in names {
            for (id, tag) in select(&state.index, name)? {
                if !order.contains(&id) {
                    order.push(id);
                }
                let tags = chosen.entry(id).or_default();
                tags.extend(tag.filter(|tag| !tags.contains(tag)));
            }
        }
        let layer = |id: &ImageId, diff: &Digest| self.layers.known(diff).ok_or(ImageError::LostLayer { image: *id, layer: *diff });
        order
            .into_iter()
            .map(|id| {
                let image = state.index.image(&id).ok_or_else(|| ImageError::NotFound(id.to_string()))?;
                let layers = image.understood.layers.iter().map(|diff| layer(&id, diff)).collect::<Result<_, _>>()?;
                Ok(Leaving { id, layers, tags: chosen.remove(&id).unwrap_or_default() })
            })
            .collect()
    }

    /// Writes a layer's tar as it was, from the blob it came in.
    fn write_layer(&self, tar: &mut tar::Builder<impl Write>, layer: &Layer) -> Result<(), ImageError> {
        let (_, reader) = decompress::reader(self.content.blob(&layer.blob)?).map_err(ImageError::WriteArchive)?;
        let mut reader = Tee::new(reader, Digester::new());
        tar.append(&header(&blob_name(&layer.diff), layer.tar_size)?, (&mut reader).take(layer.tar_size))
            .map_err(ImageError::WriteArchive)?;
        let (found, _) = reader.into_copy().finish();
        if found != layer.diff {
            return Err(ImageError::WrongDigest { what: format!("the stored layer {}", layer.diff.short()), expected: layer.diff, found });
        }
        Ok(())
    }
}

fn select(index: &Index, name: &str) -> Result<Vec<(ImageId, Option<ImageReference>)>, ImageError> {
    let last = name.rsplit('/').next().unwrap_or_default();
    if !last.contains([':', '@'])
        && let Ok(reference) = name.parse::<ImageReference>()
    {
        let repository = format!("{}/{}", reference.registry(), reference.repository());
        let all: Vec<_> = index
            .images()
            .flat_map(|(id, _)| index.names_of(id).into_iter().map(|name| (*id, name)))
            .filter(|(_, name)| name.repository() == repository)
            .filter_map(|(id, name)| match name {
                Name::Tag(key) => Some((id, key.parse().ok())),
                Name::Digest(_) => None,
            })
            .collect();
        if !all.is_empty() {
            return Ok(all);
        }
    }
    // As in Docker it is named as it was asked for.
    let missing = |error| if matches!(error, ImageError::NotFound(_)) { ImageError::NotFound(name.to_owned()) } else { error };
    let (id, named) = index.find(name).map_err(missing)?;
    let tag = match named {
        Some(Name::Tag(key)) => key.parse().ok(),
        _ => None,
    };
    Ok(vec![(id, tag)])
}

fn oci_manifest(image: &Leaving, config_size: u64) -> Vec<u8> {
    let layers: Vec<Value> = image
        .layers
        .iter()
        .map(|layer| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.diff.to_string(), "size": layer.tar_size}))
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": image.id.to_string(), "size": config_size},
        "layers": layers,
    })
    .to_string()
    .into_bytes()
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn header(name: &str, size: u64) -> Result<tar::Header, ImageError> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).map_err(ImageError::WriteArchive)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, document: &[u8]) -> Result<(), ImageError> {
    tar.append(&header(name, document.len() as u64)?, document).map_err(ImageError::WriteArchive)
}
