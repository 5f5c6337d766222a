//! Names inside an archive: taken apart once, refused when they point anywhere but downwards.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Marks a name as a whiteout (OCI image-spec, layer): `.wh.name` hides `name` of the layers below.
pub(super) const WHITEOUT: &[u8] = b".wh.";
/// Hides everything the layers below have in its folder.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";
/// What AUFS kept for itself; old archives have some, and Docker passes over them.
const AUFS: &[u8] = b".wh..wh.";

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// `..`
    #[error("its name leads out of the archive")]
    Traversal,
    /// A NUL byte.
    #[error("its name contains a NUL byte")]
    Nul,
    /// `.wh.`, `.wh..`, `.wh...`
    #[error("it is a whiteout of nothing")]
    Whiteout,
}

/// A name inside an archive, without leading `/` or `./` and without `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryPath {
    path: PathBuf,
}

impl EntryPath {
    /// Takes a name apart. An absolute one is taken from the archive's root, as `tar` without `-P` does.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        if bytes.contains(&0) {
            return Err(NameError::Nul);
        }
        let mut path = PathBuf::new();
        for part in bytes.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(NameError::Traversal),
                _ => path.push(OsStr::from_bytes(part)),
            }
        }
        Ok(Self { path })
    }

    /// The name with another first part, where it has the one that is meant.
    pub(super) fn renamed(self, from: &OsStr, to: &OsStr) -> Self {
        match self.path.strip_prefix(from) {
            // Without the slash that `join` leaves behind a name of its own.
            Ok(rest) => Self { path: Path::new(to).join(rest).components().collect() },
            Err(_) => self,
        }
    }

    /// Whether it is the root of the archive itself.
    pub(super) fn is_root(&self) -> bool {
        self.path.as_os_str().is_empty()
    }

    /// The folder it lies in; empty for the root.
    pub(super) fn parent(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Its last part; empty for the root.
    pub(super) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// The whole.
    pub(super) fn as_path(&self) -> &Path {
        &self.path
    }

    /// What its last part says of the layers below.
    pub(super) fn marker(&self) -> Result<Marker<'_>, NameError> {
        let name = self.name().as_bytes();
        if name == OPAQUE {
            return Ok(Marker::Opaque);
        }
        if name.starts_with(AUFS) {
            return Ok(Marker::Aufs);
        }
        match name.strip_prefix(WHITEOUT) {
            None => Ok(Marker::None),
            Some(b"" | b"." | b"..") => Err(NameError::Whiteout),
            Some(hidden) => Ok(Marker::Whiteout(OsStr::from_bytes(hidden))),
        }
    }
}

/// What a name says of the layers below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker<'a> {
    /// Nothing: it is a file, a folder, …
    None,
    /// They have no such name.
    Whiteout(&'a OsStr),
    /// They have nothing in this folder.
    Opaque,
    /// A leftover of AUFS, without meaning.
    Aufs,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_taken_from_the_root() {
        let check = |text: &str, expect: &str| assert_eq!(EntryPath::parse(text.as_bytes()).map(|it| it.path), Ok(PathBuf::from(expect)));
        check("a/b", "a/b");
        check("./a//b/", "a/b");
        check("/etc/passwd", "etc/passwd");
        check("./", "");
        check("a/.../b", "a/.../b");
        for text in ["..", "../a", "a/../b", "a/..", "/../x"] {
            assert_eq!(EntryPath::parse(text.as_bytes()), Err(NameError::Traversal), "{text}");
        }
        assert_eq!(EntryPath::parse(b"a\0b"), Err(NameError::Nul));
    }

    #[test]
    fn the_first_part_may_become_another() {
        let check = |name: &str, from: &str, to: &str, expect: &str| {
            let renamed = EntryPath::parse(name.as_bytes()).expect("a good name").renamed(OsStr::new(from), OsStr::new(to));
            assert_eq!(renamed.as_path(), Path::new(expect), "{name}");
        };
        check("etc", "etc", "copy", "copy");
        check("etc/hosts", "etc", "copy", "copy/hosts");
        check("etc/hosts", "etc", "", "hosts");
        check("etc/", "etc", "", "");
        check("/", "", "all", "all");
        check("/etc/hosts", "", "all", "all/etc/hosts");
        check("etcetera", "etc", "copy", "etcetera");
    }

    #[test]
    fn markers_are_told_from_files() {
        let check = |text: &str, expect: Result<Marker<'_>, NameError>| {
            assert_eq!(EntryPath::parse(text.as_bytes()).expect("a good name").marker(), expect, "{text}");
        };
        check("a/b", Ok(Marker::None));
        check("a/.wh.b", Ok(Marker::Whiteout(OsStr::new("b"))));
        check("a/.wh..b", Ok(Marker::Whiteout(OsStr::new(".b"))));
        check(".wh..wh..opq", Ok(Marker::Opaque));
        check(".wh..wh.plnk", Ok(Marker::Aufs));
        for text in [".wh.", "a/.wh..", "a/.wh..."] {
            check(text, Err(NameError::Whiteout));
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_upwards(bytes in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..64)) {
            if let Ok(path) = EntryPath::parse(&bytes) {
                prop_assert!(path.as_path().components().all(|part| matches!(part, std::path::Component::Normal(_))));
                if let Ok(Marker::Whiteout(hidden)) = path.marker() {
                    prop_assert!(!hidden.is_empty() && hidden != "." && hidden != ".." && !hidden.as_bytes().contains(&b'/'));
                }
            }
        }
    }
}
