//! A manifest as it is written for a registry: Docker's where every layer is one that Docker has a name for, else OCI's.

use serde::Serialize;

use crate::registry::manifest::Descriptor;
use crate::resource::id::Digest;

/// How a layer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// gzip.
    Gzip,
    /// Zstandard, which Docker's own manifests have no name for.
    Zstd,
}

/// A manifest, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestText {
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A layer for a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedLayer {
    /// The digest of what is sent.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How it is packed.
    pub packing: Packing,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Part<'a>,
    layers: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    media_type: &'a str,
    size: u64,
    digest: Digest,
}

impl ManifestText {
    /// Writes the manifest of an image byte for byte as Docker does, so that the same layers have the same digest wherever they are pushed from.
    pub fn new(config: &Descriptor, layers: &[PackedLayer]) -> Self {
        let is_dockers = layers.iter().all(|layer| layer.packing == Packing::Gzip);
        let (media_type, config_type) = if is_dockers {
            ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json")
        } else {
            ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json")
        };
        let name = |packing| match packing {
            Packing::Gzip if is_dockers => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        let part = |layer: &PackedLayer| Part { media_type: name(layer.packing), size: layer.size, digest: layer.digest };
        let text = Text {
            schema_version: 2,
            media_type,
            config: Part { media_type: config_type, size: config.size, digest: config.digest },
            layers: layers.iter().map(part).collect(),
        };
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, serde_json::ser::PrettyFormatter::with_indent(b"   "));
        text.serialize(&mut serializer).expect("texts and numbers are JSON");
        Self { media_type, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::test_server::descriptor;

    #[test]
    fn a_manifest_is_dockers_to_the_byte_unless_a_layer_is_not() {
        let config = Descriptor { size: 870, ..descriptor(b"config") };
        let layer = |packing| PackedLayer { digest: Digest::from_bytes([7; 32]), size: 5, packing };
        let docker = ManifestText::new(&config, &[layer(Packing::Gzip)]);
        let expect = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"application/vnd.docker.distribution.manifest.v2+json\",\n   \"config\": {{\n      \
             \"mediaType\": \"application/vnd.docker.container.image.v1+json\",\n      \"size\": 870,\n      \"digest\": \"{}\"\n   }},\n   \
             \"layers\": [\n      {{\n         \"mediaType\": \"application/vnd.docker.image.rootfs.diff.tar.gzip\",\n         \"size\": 5,\n         \
             \"digest\": \"sha256:{}\"\n      }}\n   ]\n}}",
            config.digest,
            "07".repeat(32)
        );
        assert_eq!(String::from_utf8(docker.bytes).expect("text"), expect);
        let oci = ManifestText::new(&config, &[layer(Packing::Gzip), layer(Packing::Zstd)]);
        assert_eq!(oci.media_type, "application/vnd.oci.image.manifest.v1+json");
        let text = String::from_utf8(oci.bytes).expect("text");
        for name in ["oci.image.config.v1+json", "oci.image.layer.v1.tar+gzip", "oci.image.layer.v1.tar+zstd"] {
            assert!(text.contains(name), "{text}");
        }
    }
}
