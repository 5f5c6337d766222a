//! Images: references to them and what an engine tells of them.

mod platform;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::platform::{Platform, PlatformError};
use crate::resource::container::{ContainerPort, HealthCheck};
use crate::resource::id::{Digest, ImageId};
use crate::resource::time::Timestamp;

/// A text that is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid image reference `{text}`: {reason}")]
pub struct ReferenceError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// `[registry/]repository[:tag][@digest]`, with Docker Hub's short forms spelled out (distribution/reference grammar).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The registry of names without one.
pub const DOCKER_HUB: &str = "docker.io";

impl ImageReference {
    /// The registry's host and port: `docker.io`, `127.0.0.1:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry: `library/redis`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when neither tag nor digest was written.
    pub fn tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, None) => Some("latest"),
            (None, Some(_)) => None,
        }
    }

    /// The digest, if one was written.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The repository as people write it: without `docker.io/library/`.
    pub fn familiar_name(&self) -> String {
        if self.registry != DOCKER_HUB {
            return format!("{}/{}", self.registry, self.repository);
        }
        self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned()
    }

    /// The whole reference as people write it, with the tag or digest that counts.
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        if let Some(tag) = self.tag() {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = self.digest {
            text = format!("{text}@{digest}");
        }
        text
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = self.tag() {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |reason| ReferenceError { text: text.to_owned(), reason };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|_| wrong("the digest is not `sha256:` and 64 hexadecimal digits"))?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if let Some(tag) = tag {
            let head = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let valid = tag.bytes().next().is_some_and(head)
                && tag.len() <= 128
                && tag.bytes().all(|byte| head(byte) || matches!(byte, b'.' | b'-'));
            if !valid {
                return Err(wrong("the tag must be letters, digits, `_`, `.` and `-`, at most 128 of them"));
            }
        }
        let (registry, path) = match name.split_once('/') {
            Some((host, path))
                if host.contains(['.', ':']) || host == "localhost" || host.bytes().any(|byte| byte.is_ascii_uppercase()) =>
            {
                (host, path.to_owned())
            }
            Some(_) => (DOCKER_HUB, name.to_owned()),
            None => (DOCKER_HUB, format!("library/{name}")),
        };
        let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
        let path = if registry == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path };
        if !is_host(registry) {
            return Err(wrong("the registry is not a host name with an optional port"));
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) && path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong("the repository name must be lower case"));
        }
        if path.len() > 255 || !path.split('/').all(is_component) {
            return Err(wrong("the repository is not made of lower-case letters, digits and single separators"));
        }
        Ok(Self { registry: registry.to_owned(), repository: path, tag: tag.map(str::to_owned), digest })
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let named = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_good = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(named),
    };
    host_is_good && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().copied().is_some_and(plain) || !bytes.last().copied().is_some_and(plain) {
        return false;
    }
    let mut separator = String::new();
    for &byte in bytes {
        if plain(byte) {
            let good = separator.is_empty() || matches!(separator.as_str(), "." | "_" | "__") || separator.bytes().all(|it| it == b'-');
            if !good {
                return false;
            }
            separator.clear();
        } else if matches!(byte, b'.' | b'_' | b'-') {
            separator.push(char::from(byte));
        } else {
            return false;
        }
    }
    true
}

/// What a container of an image runs with unless told otherwise (OCI image-spec, configuration).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// `NAME=value`, in order.
    pub environment: Vec<String>,
    /// Entry point.
    pub entrypoint: Vec<String>,
    /// Command.
    pub command: Vec<String>,
    /// Working directory.
    pub working_dir: String,
    /// User.
    pub user: String,
    /// Exposed ports.
    pub exposed: BTreeSet<ContainerPort>,
    /// Paths that want a volume.
    pub volumes: BTreeSet<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Stop signal.
    pub stop_signal: Option<String>,
    /// Docker's health check.
    pub health: Option<HealthCheck>,
    /// Docker's default shell for shell forms.
    pub shell: Vec<String>,
    /// What images built on it do first, as lines of a Dockerfile.
    pub on_build: Vec<String>,
    /// Docker's mark that the command is written as the system takes it.
    pub args_escaped: bool,
}

/// What an engine tells of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// The digest of its configuration.
    pub id: ImageId,
    /// Its names, familiar, with tags.
    pub tags: Vec<String>,
    /// Its names with the digests they were pulled by.
    pub repo_digests: Vec<String>,
    /// When it was made, by its configuration.
    pub created: Option<Timestamp>,
    /// Bytes of its unpacked layers.
    pub size: u64,
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub architecture: String,
    /// Variant of the architecture.
    pub variant: Option<String>,
    /// Digests of its layers' tars, lowest first.
    pub layers: Vec<Digest>,
    /// What its containers run with.
    pub config: ImageConfig,
    /// Author.
    pub author: String,
    /// A remark of whoever made it, or of its last step.
    pub comment: String,
    /// The version of the Docker that made it, if one did.
    pub docker_version: String,
    /// Version of the operating system.
    pub os_version: String,
    /// The folders of its layers on the engine's disk, topmost first; none where one is not unpacked.
    pub folders: Vec<String>,
    /// When a name last came to point to it here.
    pub last_tagged: Option<Timestamp>,
}

/// Who shares an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageUsage {
    /// Containers that were made of it.
    pub containers: u64,
    /// Bytes of its layers that other images have, too; absent where nobody asked.
    pub shared_size: Option<u64>,
}

/// An image that a load brought in, under one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedImage {
    /// The image.
    pub id: ImageId,
    /// The name; absent where it has none.
    pub name: Option<String>,
    /// The image that had the name before.
    pub replaced: Option<ImageId>,
}

impl fmt::Display for LoadedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "{}", self.id),
        }
    }
}

/// How a tar of a root file system becomes an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The name it gets.
    pub reference: Option<ImageReference>,
    /// What it is for; the engine's own machine where nobody says.
    pub platform: Option<Platform>,
    /// Lines of a Dockerfile.
    pub changes: Vec<String>,
    /// A remark for its history.
    pub message: String,
}

/// One step of a pull, import or load, told while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageProgress {
    /// The layer's short id, or empty for the whole.
    pub id: String,
    /// `Pulling fs layer`, `Downloading`, `Extracting`, `Pull complete`, `Already exists`, `Status: …`.
    pub status: String,
    /// Bytes done, when that is known.
    pub current: Option<u64>,
    /// Bytes in all, when that is known.
    pub total: Option<u64>,
}

/// How a caller proves to a registry who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user's name and password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token, to be exchanged for an access token.
    IdentityToken(String),
    /// An access token, sent as it is.
    RegistryToken(String),
}

impl fmt::Debug for Credentials {
    /// Keeps secrets out of logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(…)")
    }
}

/// One effect of the removal of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageRemoval {
    /// A name no longer points to it.
    Untagged(String),
    /// It, or a layer of it, is gone: the digest.
    Deleted(String),
}

/// What a prune of images removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImagePrune {
    /// What went, in order.
    pub removed: Vec<ImageRemoval>,
    /// Bytes given back.
    pub reclaimed: u64,
}

/// One step of an image's history, as its configuration tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryEntry {
    /// When the step was made.
    pub created: Option<Timestamp>,
    /// The command that made it.
    pub created_by: String,
    /// The author's comment.
    pub comment: String,
    /// It changed nothing but the configuration.
    pub empty_layer: bool,
    /// Bytes of its layer.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, full: &str, familiar: &str) {
        let reference: ImageReference = text.parse().expect("a good reference");
        assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (full, familiar));
        assert_eq!(full.parse(), Ok(ImageReference { tag: reference.tag().map(str::to_owned), ..reference }));
    }

    #[test]
    fn short_forms_are_spelled_out_and_back() {
        check("redis", "docker.io/library/redis:latest", "redis:latest");
        check("docker.io/redis:7", "docker.io/library/redis:7", "redis:7");
        check("team/app", "docker.io/team/app:latest", "team/app:latest");
        check("127.0.0.1:5000/a/b:x", "127.0.0.1:5000/a/b:x", "127.0.0.1:5000/a/b:x");
        check("localhost/app", "localhost/app:latest", "localhost/app:latest");
        let digest = format!("sha256:{}", "0".repeat(64));
        check(&format!("redis@{digest}"), &format!("docker.io/library/redis@{digest}"), &format!("redis@{digest}"));
    }

    #[test]
    fn bad_references_are_refused() {
        for text in
            ["", ":x", "Redis", "a//b", "a/b/", "redis:", "redis:-x", "redis@sha256:12", "-a.b/c", "a..b", "a___b", "ex ample", "a:b:c"]
        {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
