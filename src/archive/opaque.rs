//! The mark by which overlay has a folder hide what lies below it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::archive::layer::attribute;
use crate::archive::pack::PackError;

const MARK: &str = "trusted.overlay.opaque";
/// Nothing of the layers below is seen.
const HIDES: &[u8] = b"y";

/// What overlay noted on a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opacity {
    None,
    /// Nothing of the layers below is seen in it.
    Opaque,
    /// Some files in it are whiteouts.
    Marked,
}

/// What overlay noted on a folder (fs/overlayfs: `y` hides all below it, `x` says that whiteouts in it may be files).
pub(super) fn opacity(opened: &OwnedFd, at: &[u8]) -> Result<Opacity, PackError> {
    Ok(match attribute(opened, MARK, at)?.as_deref() {
        Some(HIDES) => Opacity::Opaque,
        Some(b"x") => Opacity::Marked,
        _ => Opacity::None,
    })
}

/// Makes overlay hide all that the layers below have in this folder.
pub(super) fn hide_below(folder: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fsetxattr(folder, MARK, HIDES, XattrFlags::empty())
}

/// Makes overlay show in the folders of an upper folder what lies below them.
pub fn show_below(upper: &Path) -> io::Result<()> {
    Ok(opaque_folders(upper)?.iter().try_for_each(|folder| rustix::fs::lremovexattr(upper.join(folder), MARK))?)
}

/// Returns the folders of an upper folder that hide what lies below them, in order.
pub fn opaque_folders(upper: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut open, mut opaque) = (vec![PathBuf::new()], Vec::new());
    while let Some(folder) = open.pop() {
        let mut value = [0; 8];
        if matches!(rustix::fs::lgetxattr(upper.join(&folder), MARK, &mut value), Ok(length) if &value[..length] == HIDES) {
            opaque.push(folder.clone());
        }
        for entry in std::fs::read_dir(upper.join(&folder))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(folder.join(entry.file_name()));
            }
        }
    }
    opaque.sort();
    Ok(opaque)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::archive::open_folder;

    #[test]
    fn what_was_hidden_is_shown_again() {
        let upper = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(upper.path().join("a/b/c")).expect("folders");
        for name in ["a/b", "a"] {
            hide_below(open_folder(&upper.path().join(name)).expect("a folder").as_fd()).expect("a mark");
        }
        assert_eq!(opaque_folders(upper.path()).expect("a list"), [Path::new("a"), Path::new("a/b")]);
        let top = open_folder(&upper.path().join("a")).expect("a folder");
        assert!(opacity(&top, b"a").expect("a mark") == Opacity::Opaque);
        show_below(upper.path()).expect("shown");
        assert!(opaque_folders(upper.path()).expect("a list").is_empty() && opacity(&top, b"a").expect("none") == Opacity::None);
    }
}
