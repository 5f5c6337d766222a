//! What a registry has under a name.

use crate::resource::id::Digest;

/// What lies there: an image, or an index of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteImage {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it is for, as it is written there.
    pub platforms: Vec<RemotePlatform>,
}

/// A platform as a registry has it written; what is not written is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemotePlatform {
    /// Architecture.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Version of the operating system.
    pub os_version: String,
    /// What of the operating system is needed.
    pub os_features: Vec<String>,
    /// Variant of the architecture.
    pub variant: String,
}

impl RemotePlatform {
    /// Whether it says anything of what runs it.
    pub fn is_known(&self) -> bool {
        !self.os.is_empty() || !self.architecture.is_empty()
    }
}
