//! Manifests: what an image is made of, or which images there are for which platform.

use oci_spec::image::{Descriptor as OciDescriptor, ImageIndex, ImageManifest};
use serde::Deserialize;

use crate::resource::id::Digest;
use crate::resource::image::Platform;

/// Manifests we understand, as they are asked for.
pub const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A blob or manifest, by digest and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The digest.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
    /// What it is.
    pub media_type: String,
    /// Other places it can be had from (Docker's foreign layers).
    pub urls: Vec<String>,
}

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One image.
    Image {
        /// Its configuration.
        config: Descriptor,
        /// Its layers, lowest first.
        layers: Vec<Descriptor>,
    },
    /// Images for several platforms.
    Index(Vec<IndexEntry>),
}

/// One image of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its manifest.
    pub manifest: Descriptor,
    /// What it is for; absent where nobody says.
    pub platform: Option<Platform>,
    /// `org.opencontainers.image.ref.name`, or containerd's full name.
    pub name: Option<String>,
}

/// Why a manifest is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Docker's first format, without digests of configurations. Docker itself gave it up.
    #[error("it is of Docker's schema 1, which is not read any more (Docker gave it up as well): push the image again with a current tool")]
    Schema1,
    /// Another kind of document.
    #[error("its type `{0}` is not that of an image")]
    Type(String),
    /// Not what it says it is.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// Digests are sha256.
    #[error("it uses the digest `{0}`, and only sha256 is understood")]
    Digest(String),
}

/// What tells the formats apart. All fields may be missing in one format or another.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Understands a manifest. The document says what it is; `content_type` (a registry's word) helps only where it does not.
    pub fn parse(document: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let malformed = |error: &dyn std::fmt::Display| ManifestError::Malformed(error.to_string());
        let head: Head = serde_json::from_slice(document).map_err(|error| malformed(&error))?;
        let said = head.media_type.as_deref().or(content_type).unwrap_or_default();
        if head.schema_version == 1 || said.contains("manifest.v1+") && said.contains("docker") {
            return Err(ManifestError::Schema1);
        }
        // A document that is an index to one reader and an image to another is an attack (OCI image-spec CVE-2021-41190).
        match (head.manifests.is_some(), head.layers.is_some() || head.config.is_some()) {
            (true, false) => {
                let index: ImageIndex = serde_json::from_slice(document).map_err(|error| malformed(&error))?;
                let entries = index.manifests().iter().filter_map(|entry| entry_of(entry).transpose());
                Ok(Self::Index(entries.collect::<Result<_, _>>()?))
            }
            (false, true) => {
                let image: ImageManifest = serde_json::from_slice(document).map_err(|error| malformed(&error))?;
                let layers = image.layers().iter().map(descriptor_of).collect::<Result<_, _>>()?;
                Ok(Self::Image { config: descriptor_of(image.config())?, layers })
            }
            (true, true) => Err(ManifestError::Malformed("it claims to be an image and an index at once".to_owned())),
            (false, false) => Err(ManifestError::Type(said.to_owned())),
        }
    }
}

fn descriptor_of(oci: &OciDescriptor) -> Result<Descriptor, ManifestError> {
    let digest = oci.digest().to_string();
    Ok(Descriptor {
        digest: digest.parse().map_err(|_| ManifestError::Digest(digest))?,
        size: oci.size(),
        media_type: oci.media_type().to_string(),
        urls: oci.urls().clone().unwrap_or_default(),
    })
}

/// An entry, unless it is something beside the images (attestations say `unknown/unknown`).
fn entry_of(oci: &OciDescriptor) -> Result<Option<IndexEntry>, ManifestError> {
    let platform = match oci.platform() {
        None => None,
        Some(it) => {
            let (os, architecture) = (it.os().to_string(), it.architecture().to_string());
            if os == "unknown" || architecture == "unknown" {
                return Ok(None);
            }
            let written = match it.variant() {
                Some(variant) if !variant.is_empty() => format!("{os}/{architecture}/{variant}"),
                _ => format!("{os}/{architecture}"),
            };
            // One spelling, so that what is asked for can be compared.
            Some(written.parse().map_err(|error: crate::resource::image::PlatformError| ManifestError::Malformed(error.to_string()))?)
        }
    };
    let name = |key: &str| oci.annotations().as_ref().and_then(|it| it.get(key)).cloned();
    Ok(Some(IndexEntry {
        manifest: descriptor_of(oci)?,
        platform,
        name: name("io.containerd.image.name").or_else(|| name("org.opencontainers.image.ref.name")),
    }))
}

/// Chooses what runs on `wanted`: the same, else the nearest older variant. An index of one entry without a platform is that entry.
pub fn choose<'a>(entries: &'a [IndexEntry], wanted: &Platform) -> Result<&'a IndexEntry, String> {
    if let [only @ IndexEntry { platform: None, .. }] = entries {
        return Ok(only);
    }
    for acceptable in acceptable(wanted) {
        if let Some(found) = entries.iter().find(|entry| entry.platform.as_ref() == Some(&acceptable)) {
            return Ok(found);
        }
    }
    let mut has: Vec<String> = entries.iter().filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string).collect();
    has.dedup();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    Err(format!("no matching manifest for {wanted} in the manifest list entries; there are: {has}"))
}

/// What runs on a platform, best first (containerd's `platforms.Only`, without the 32-bit fallback of arm64).
pub fn acceptable(wanted: &Platform) -> Vec<Platform> {
    let with = |variant: Option<String>| Platform { variant, ..wanted.clone() };
    let number = wanted.variant.as_deref().and_then(|variant| variant.strip_prefix('v')).and_then(|number| number.parse::<u8>().ok());
    match (wanted.architecture.as_str(), number) {
        ("arm", Some(number)) => (5..=number).rev().map(|it| with(Some(format!("v{it}")))).collect(),
        ("amd64", Some(number)) => (2..=number).rev().map(|it| with(Some(format!("v{it}")))).chain([with(None)]).collect(),
        ("arm64", Some(_)) => vec![wanted.clone(), with(None)],
        _ => vec![wanted.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(platform: Option<&str>, number: u8) -> IndexEntry {
        let digest = Digest::from_bytes([number; 32]);
        let manifest = Descriptor { digest, size: 1, media_type: String::new(), urls: Vec::new() };
        IndexEntry { manifest, platform: platform.map(|it| it.parse().expect("a platform")), name: None }
    }

    #[test]
    fn the_nearest_platform_is_chosen() {
        let entries = [
            entry(Some("linux/amd64"), 0),
            entry(Some("linux/arm/v5"), 1),
            entry(Some("linux/arm/v7"), 2),
            entry(Some("linux/arm64/v8"), 3),
            entry(Some("windows/amd64"), 4),
        ];
        let check = |wanted: &str, expect: Option<usize>| {
            let found = choose(&entries, &wanted.parse().expect("a platform"));
            assert_eq!(found.ok(), expect.map(|index| &entries[index]), "{wanted}");
        };
        check("linux/amd64", Some(0));
        check("linux/amd64/v3", Some(0));
        check("linux/arm", Some(2));
        check("linux/arm/v6", Some(1));
        check("linux/arm64", Some(3));
        check("linux/riscv64", None);
        let message = choose(&entries, &"linux/riscv64".parse().expect("a platform")).expect_err("no such platform");
        assert!(
            message.starts_with("no matching manifest for linux/riscv64 in the manifest list entries; there are: linux/amd64, "),
            "{message}"
        );
        assert!(choose(&[entry(None, 0)], &Platform::host()).is_ok());
        assert!(choose(&[], &Platform::host()).is_err());
    }

    #[test]
    fn documents_say_what_they_are() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let config = format!(r#"{{"mediaType":"x/y","digest":"{digest}","size":3}}"#);
        let image = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{config}]}}"#);
        assert!(matches!(Manifest::parse(image.as_bytes(), None), Ok(Manifest::Image { layers, .. }) if layers.len() == 1));
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[
            {{"mediaType":"x/y","digest":"{digest}","size":3,"platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}},
            {{"mediaType":"x/y","digest":"{digest}","size":3,"platform":{{"os":"unknown","architecture":"unknown"}}}}]}}"#
        );
        let Ok(Manifest::Index(entries)) = Manifest::parse(index.as_bytes(), None) else { panic!("an index") };
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].platform.as_ref().map(ToString::to_string).as_deref(), Some("linux/arm64"));
        let check = |text: &str, expect: fn(&ManifestError) -> bool| {
            let error = Manifest::parse(text.as_bytes(), None).expect_err(text);
            assert!(expect(&error), "{text}: {error}");
        };
        check(r#"{"schemaVersion":1,"fsLayers":[]}"#, |it| matches!(it, ManifestError::Schema1));
        check(r#"{"schemaVersion":2,"mediaType":"application/x"}"#, |it| matches!(it, ManifestError::Type(_)));
        check("[", |it| matches!(it, ManifestError::Malformed(_)));
        check(&image.replace(r#""layers""#, r#""manifests":[],"layers""#), |it| matches!(it, ManifestError::Malformed(_)));
        check(&image.replace("sha256", "sha512"), |it| matches!(it, ManifestError::Digest(_) | ManifestError::Malformed(_)));
    }
}
