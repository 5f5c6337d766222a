//! What a build context holds, as its owner lists it: names, kinds, modes, sizes and times.
//!
//! A listing is in the order of a walk: a folder, then all it holds, names compared byte by byte. [`check`] says whether it is one.

use std::cmp::Ordering;

/// The longest name in a folder, and the longest path (`NAME_MAX` and `PATH_MAX` of limits.h).
const NAME: usize = 255;
const PATH: usize = 4095;

/// What lies at a path of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Its bytes.
        size: u64,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, as it is written.
        target: Vec<u8>,
    },
    /// A named pipe.
    Pipe,
}

/// One thing in a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextEntry {
    /// Its path from the context's root: no `.`, no `..`, no slash at either end.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, set-id and sticky bits among them.
    pub mode: u32,
    /// When its content changed last, in nanoseconds since 1970.
    pub modified: i64,
    /// A number that is another one whenever something else may lie here: its owner makes it of all that the kernel tells of changes.
    pub changed: i64,
}

impl ContextEntry {
    /// Whether something else is there since. What a folder holds is listed itself, so its times do not count.
    pub fn is_changed_since(&self, before: &Self) -> bool {
        self.kind != before.kind || self.mode != before.mode || (self.kind != EntryKind::Folder && self.times() != before.times())
    }

    fn times(&self) -> (i64, i64) {
        (self.modified, self.changed)
    }
}

/// Why a listing is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the listing of the context is refused at `{}`: {reason}", String::from_utf8_lossy(path).escape_debug())]
pub struct ListingError {
    /// The entry.
    pub path: Vec<u8>,
    /// What is the matter.
    pub reason: &'static str,
}

/// The order of a listing: that of a walk through folders whose names are sorted.
pub fn order(one: &[u8], other: &[u8]) -> Ordering {
    // A slash comes before all that a name may hold.
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    match one.iter().zip(other).find(|(one, other)| one != other) {
        Some((one, other)) => rank(one).cmp(&rank(other)),
        None => one.len().cmp(&other.len()),
    }
}

/// Says whether entries are a listing: in order, each once, each in a folder that is listed, and nothing that leads elsewhere.
pub fn check(entries: &[ContextEntry]) -> Result<(), ListingError> {
    let mut folders: Vec<&[u8]> = Vec::new();
    let mut before: Option<&[u8]> = None;
    for entry in entries {
        let path = entry.path.as_slice();
        let refused = |reason| Err(ListingError { path: path.to_vec(), reason });
        if let Some(reason) = flaw(entry) {
            return refused(reason);
        }
        if before.is_some_and(|before| order(before, path) != Ordering::Less) {
            return refused("it is listed twice, or not in its place");
        }
        before = Some(path);
        let parent = path.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |end| &path[..end]);
        while folders.last().is_some_and(|folder| *folder != parent) {
            folders.pop();
        }
        if !parent.is_empty() && folders.is_empty() {
            return refused("it does not lie in a folder of the listing");
        }
        if entry.kind == EntryKind::Folder {
            folders.push(path);
        }
    }
    Ok(())
}

/// What is wrong with an entry by itself.
fn flaw(entry: &ContextEntry) -> Option<&'static str> {
    if entry.path.len() > PATH {
        return Some("its path is too long");
    }
    for name in entry.path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." | b".." => return Some("its path leads elsewhere"),
            name if name.contains(&0) => return Some("its path contains a NUL byte"),
            name if name.len() > NAME => return Some("its name is too long"),
            _ => {}
        }
    }
    if entry.mode & !0o7777 != 0 {
        return Some("its mode is no mode");
    }
    match &entry.kind {
        EntryKind::Link { target } if target.is_empty() || target.len() > PATH || target.contains(&0) => Some("it links to nothing"),
        _ => None,
    }
}

/// Bytes that are no listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the listing of the context is cut short, or is none")]
pub struct EncodingError;

/// Writes an entry behind others.
pub fn encode(entry: &ContextEntry, into: &mut Vec<u8>) {
    let (kind, size, target) = match &entry.kind {
        EntryKind::Folder => (0, 0, &[][..]),
        EntryKind::File { size } => (1, *size, &[][..]),
        EntryKind::Link { target } => (2, 0, target.as_slice()),
        EntryKind::Pipe => (3, 0, &[][..]),
    };
    into.push(kind);
    into.extend(entry.mode.to_be_bytes());
    into.extend(size.to_be_bytes());
    into.extend(entry.modified.to_be_bytes());
    into.extend(entry.changed.to_be_bytes());
    for text in [entry.path.as_slice(), target] {
        into.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        into.extend(text);
    }
}

/// Reads the entry that bytes begin with, and takes it off them.
pub fn decode(bytes: &mut &[u8]) -> Result<ContextEntry, EncodingError> {
    let kind = take(bytes, 1)?[0];
    let mode = u32::from_be_bytes(number(bytes)?);
    let size = u64::from_be_bytes(number(bytes)?);
    let modified = i64::from_be_bytes(number(bytes)?);
    let changed = i64::from_be_bytes(number(bytes)?);
    let path = text(bytes)?;
    let target = text(bytes)?;
    let kind = match kind {
        0 => EntryKind::Folder,
        1 => EntryKind::File { size },
        2 => EntryKind::Link { target },
        3 => EntryKind::Pipe,
        _ => return Err(EncodingError),
    };
    Ok(ContextEntry { path, kind, mode, modified, changed })
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], EncodingError> {
    let (head, rest) = bytes.split_at_checked(length).ok_or(EncodingError)?;
    *bytes = rest;
    Ok(head)
}

fn number<const SIZE: usize>(bytes: &mut &[u8]) -> Result<[u8; SIZE], EncodingError> {
    take(bytes, SIZE)?.try_into().map_err(|_| EncodingError)
}

fn text(bytes: &mut &[u8]) -> Result<Vec<u8>, EncodingError> {
    let length = u32::from_be_bytes(number(bytes)?);
    Ok(take(bytes, usize::try_from(length).map_err(|_| EncodingError)?)?.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &str, kind: EntryKind) -> ContextEntry {
        ContextEntry { path: path.into(), kind, mode: 0o644, modified: 1, changed: 2 }
    }

    fn listing(names: &[&str]) -> Vec<ContextEntry> {
        // A name that ends in a slash is a folder's.
        let of = |name: &&str| match name.strip_suffix('/') {
            Some(folder) if !folder.is_empty() => entry(folder, EntryKind::Folder),
            _ => entry(name, EntryKind::File { size: 3 }),
        };
        names.iter().map(of).collect()
    }

    #[test]
    fn a_listing_is_a_walk() {
        let check = |names: &[&str], expect: Option<&str>| {
            let found = check(&listing(names)).err().map(|error| error.reason);
            assert_eq!(found.unwrap_or_default().contains(expect.unwrap_or("\0")), expect.is_some(), "{names:?}: {found:?}");
        };
        check(&[], None);
        check(&["a/", "a/b", "a/c/", "a/c/d", "a-b", "b"], None);
        check(&["a/", "a-b", "a/b"], Some("not in its place"));
        check(&["b", "a"], Some("not in its place"));
        check(&["a", "a"], Some("listed twice"));
        check(&["a/", "a"], Some("listed twice"));
        check(&["a", "a/b"], Some("does not lie in a folder"));
        check(&["a/b"], Some("does not lie in a folder"));
        check(&["a/", "b/c"], Some("does not lie in a folder"));
        for name in ["..", "../x", "/etc", "a//b", "./a", "a/..", "", "/"] {
            check(&[name], Some("leads elsewhere"));
        }
        check(&["a\0b"], Some("NUL"));
        check(&[&"n".repeat(256)], Some("too long"));
        check(&[&"n/".repeat(2050)], Some("too long"));
    }

    #[test]
    fn links_and_modes_are_looked_at() {
        let link = |target: &[u8]| check(&[entry("a", EntryKind::Link { target: target.to_vec() })]).is_ok();
        assert!(link(b"../../etc/passwd") && !link(b"") && !link(b"a\0") && !link(&[b'x'; 5000]));
        assert!(check(&[ContextEntry { mode: 0o10644, ..entry("a", EntryKind::Pipe) }]).is_err());
    }

    #[test]
    fn times_of_folders_do_not_count() {
        let later = |entry: &ContextEntry| ContextEntry { modified: 9, ..entry.clone() };
        let (folder, file) = (entry("a", EntryKind::Folder), entry("a", EntryKind::Pipe));
        assert!(!later(&folder).is_changed_since(&folder) && later(&file).is_changed_since(&file) && file.is_changed_since(&folder));
        assert!(ContextEntry { changed: 9, ..file.clone() }.is_changed_since(&file));
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_walk(one in "[a/!-]{1,6}", other in "[a/!-]{1,6}") {
            prop_assert_eq!(order(one.as_bytes(), other.as_bytes()), one.split('/').cmp(other.split('/')));
        }

        #[test]
        fn entries_survive_and_nonsense_is_refused(paths in proptest::collection::vec(any::<Vec<u8>>(), 0..8), cut in any::<usize>()) {
            let entries: Vec<ContextEntry> = paths
                .into_iter()
                .map(|path| ContextEntry { kind: EntryKind::Link { target: path.clone() }, path, mode: 7, modified: -5, changed: i64::MAX })
                .collect();
            let mut bytes = Vec::new();
            entries.iter().for_each(|entry| encode(entry, &mut bytes));
            let mut rest = bytes.as_slice();
            for entry in &entries {
                prop_assert_eq!(&decode(&mut rest).expect("an entry"), entry);
            }
            prop_assert!(rest.is_empty());
            let mut rest = &bytes[..cut % (bytes.len() + 1)];
            while let Ok(entry) = decode(&mut rest) {
                prop_assert!(entries.contains(&entry));
            }
        }
    }
}
