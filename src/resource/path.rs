//! What lies at a path in a container.

use crate::resource::time::Timestamp;

/// What lies at a path in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStat {
    /// The last part of the path as it was asked for; `/` for the root.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Kind and permission bits, as the kernel has them (inode(7)).
    pub mode: u32,
    /// When it was last changed.
    pub modified: Timestamp,
    /// Where a link leads, in the container; empty for anything else.
    pub link_target: String,
}

/// The bits of the mode that tell what it is.
const KIND: u32 = 0o170_000;

impl PathStat {
    /// Whether it is a folder.
    pub const fn is_folder(&self) -> bool {
        self.mode & KIND == 0o040_000
    }

    /// Whether it is a symbolic link.
    pub const fn is_link(&self) -> bool {
        self.mode & KIND == 0o120_000
    }
}

/// What became of a path of a container's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathChangeKind {
    /// It is not what it was, or something in it is not.
    Modified,
    /// It was not there.
    Added,
    /// It is gone.
    Deleted,
}

/// A path at which a container's root is not its image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathChange {
    /// From the root.
    pub path: String,
    /// What became of it.
    pub kind: PathChangeKind,
}

/// How an archive is unpacked in a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnpackOptions {
    /// A folder does not make way for something else, nor something else for a folder.
    pub keep_kinds: bool,
    /// Files are the container's user's, where it has one, instead of whose the archive says.
    pub own: bool,
}
