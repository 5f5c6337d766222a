//! What a copy has put into a folder, remembered: whoever packs the folder next need not open every file once more.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, Stat};

/// A file that is larger is read again: to open it costs little beside what it holds.
const LARGEST: usize = 32 << 10;
/// No more bytes than these are remembered.
const ROOM: usize = 32 << 20;

/// Files that were copied into a folder, by their paths in it, and what they hold. They are small, have one name and no attributes, and
/// nobody has changed them since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    files: BTreeMap<Vec<u8>, KeptFile>,
    contents: Vec<u8>,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptFile {
    /// Its permission bits.
    pub(super) mode: u32,
    pub(super) user: u32,
    pub(super) group: u32,
    /// When it was changed last, in seconds since the epoch.
    pub(super) time: i64,
    place: Range<usize>,
}

impl Kept {
    /// Remembers a file that was just written, if there is room.
    pub(super) fn keep(&mut self, path: &Path, (user, group): (u32, u32), mode: Mode, source: &Stat, contents: &[u8]) {
        if contents.len() > LARGEST || self.contents.len() + contents.len() > ROOM {
            return;
        }
        let start = self.contents.len();
        self.contents.extend_from_slice(contents);
        let file = KeptFile { mode: mode.bits(), user, group, time: source.st_mtime, place: start..self.contents.len() };
        self.files.insert(key(path).to_vec(), file);
    }

    /// Forgets what has a name, which is something else now.
    pub(super) fn forget(&mut self, path: &Path) {
        self.files.remove(key(path));
    }

    /// What is known of a path, and what it holds.
    pub(super) fn get(&self, path: &[u8]) -> Option<(&KeptFile, &[u8])> {
        let file = self.files.get(path)?;
        Some((file, self.contents.get(file.place.clone())?))
    }
}

/// A path as a layer has it: from its root.
fn key(path: &Path) -> &[u8] {
    let bytes = path.as_os_str().as_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;
    use crate::archive::copy::{Choice, CopyOwner, CopyRequest, copy_and_keep};
    use crate::archive::layer::{LayerRules, pack_layer};
    use crate::archive::open_folder;
    use crate::archive::select::Selection;

    #[test]
    fn what_was_copied_is_packed_without_being_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("from/d/e")).expect("folders");
        fs::create_dir(at("upper")).expect("a folder");
        for (name, text) in [("a", "one"), ("d/b", "two"), ("d/e/empty", ""), ("z", "three")] {
            fs::write(at("from").join(name), text).expect("a file");
        }
        fs::write(at("from/d/large"), vec![1; LARGEST + 1]).expect("a file");
        fs::hard_link(at("from/z"), at("from/d/z")).expect("a link");
        fs::set_permissions(at("from/a"), fs::Permissions::from_mode(0o4755)).expect("a mode");
        let (from, upper) = (open_folder(&at("from")).expect("a tree"), open_folder(&at("upper")).expect("a tree"));
        let mut kept = Kept::default();
        let mut copy = |source: &str, destination: &str| {
            let sources = [PathBuf::from(source)];
            let request = CopyRequest {
                selection: Selection {
                    from: from.as_fd(),
                    sources: &sources,
                    keep_parents: false,
                    sealed: true,
                    choose: &|_, _| Choice::Take,
                },
                into: upper.as_fd(),
                destination: Path::new(destination),
                destination_is_folder: false,
                owner: CopyOwner::Fixed(7, 8),
                folder_owner: None,
                mode: None,
                created: 5,
                upper: None,
            };
            copy_and_keep(&request, &mut kept).expect("copied");
        };
        copy("/", "/to");
        copy("/a", "/to/d/b");
        copy("/d/large", "/to/d/e/empty");
        let known: Vec<String> = kept.files.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
        assert_eq!(known, ["to/a", "to/d/b"]);
        let packed = |kept: &Kept, newest: Option<i64>| {
            let mut archive = Vec::new();
            let rules = LayerRules { newest, sealed: true, kept: kept.clone(), ..LayerRules::default() };
            let size = pack_layer(&at("upper"), &mut archive, rules).expect("packed");
            (archive, size)
        };
        let read = [None, Some(77)].map(|newest| packed(&Kept::default(), newest));
        assert!([None, Some(77)].map(|newest| packed(&kept, newest)) == read, "the archives are the same");
        fs::write(at("upper/to/a"), "ONE").expect("a file");
        fs::write(at("upper/to/d/b"), "ONE").expect("a file");
        assert!(packed(&kept, None) == read[0], "they are not read");
    }

    #[test]
    fn there_is_room_for_so_much() {
        let stat = rustix::fs::stat("/").expect("it");
        let mut kept = Kept::default();
        let mut keep = |name: &str, contents: &[u8]| {
            kept.keep(Path::new(name), (1, 2), Mode::from_raw_mode(0o640), &stat, contents);
            kept.get(name.trim_start_matches('/').as_bytes()).map(|(file, contents)| (file.mode, file.user, file.group, contents.len()))
        };
        assert_eq!(keep("/d/f", b"text"), Some((0o640, 1, 2, 4)));
        assert_eq!(keep("/d/large", &[0; LARGEST + 1]), None);
        let further = (0..ROOM / LARGEST).filter(|number| keep(&format!("/{number}"), &[0; LARGEST]).is_some());
        assert_eq!(further.count(), ROOM / LARGEST - 1);
        kept.forget(Path::new("/d/f"));
        assert_eq!(kept.get(b"d/f"), None);
    }
}
