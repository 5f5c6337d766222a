//! Contexts come, change, stay and go; and what is hostile in them is refused.

use std::fs;
use std::io::{self, Cursor};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::*;
use crate::resource::context::EntryKind;
use crate::resource::failure::Failure;

/// A client's folder: paths and what lies there. A path that ends in a slash is a folder's, a text that begins with `->` a link's.
type Folder<'a> = [(&'a str, &'a str)];

fn entry(path: &str, kind: EntryKind, mode: u32, changed: i64) -> ContextEntry {
    ContextEntry { path: path.into(), kind, mode, modified: 1_000_000_007, changed }
}

/// Lists a folder; what it holds tells when it changed.
fn listing(folder: &Folder<'_>) -> Vec<ContextEntry> {
    let of = |(path, text): &(&str, &str)| match (path.strip_suffix('/'), text.strip_prefix("->")) {
        (Some(path), _) => entry(path, EntryKind::Folder, 0o750, 0),
        (None, Some(target)) => entry(path, EntryKind::Link { target: target.into() }, 0o777, 0),
        (None, None) => {
            let changed = text.bytes().fold(0_i64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            entry(path, EntryKind::File { size: text.len() as u64 }, 0o640, changed)
        }
    };
    folder.iter().map(of).collect()
}

fn sent(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_be_bytes(), text.as_bytes()].concat()
}

struct Place {
    folder: tempfile::TempDir,
    contexts: Contexts,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let contexts = Contexts::with_limits(folder.path().join("contexts"), 3, 1000).expect("opened");
        Self { folder, contexts }
    }

    /// Another engine opens it.
    fn reopen(self) -> Self {
        let contexts = Contexts::with_limits(self.folder.path().join("contexts"), 3, 1000).expect("opened");
        Self { contexts, ..self }
    }

    async fn begin(&self, key: &str, folder: &Folder<'_>) -> Begun {
        self.contexts.begin(Digest::of(key.as_bytes()), listing(folder)).await.expect("a good listing")
    }

    /// Brings a folder; returns the snapshot and what had to be sent.
    async fn bring(&self, key: &str, folder: &Folder<'_>) -> (Arc<ContextTree>, Vec<String>) {
        match self.begin(key, folder).await {
            Begun::Same(tree) => (tree, vec!["nothing".to_owned()]),
            Begun::Changed(update) => {
                let wanted: Vec<_> = update.wanted().iter().map(|number| folder[*number as usize]).collect();
                let contents: Vec<u8> = wanted.iter().flat_map(|(_, text)| sent(text)).collect();
                let tree = update.finish(Cursor::new(contents)).expect("brought");
                check(&tree, folder);
                (tree, wanted.iter().map(|(path, _)| (*path).to_owned()).collect())
            }
        }
    }

    fn homes(&self) -> usize {
        fs::read_dir(self.folder.path().join("contexts")).expect("a folder").count()
    }
}

/// Says what really lies in a tree.
fn found(folder: &Path, prefix: &str, into: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().expect("a kind");
        let metadata = entry.metadata().expect("metadata");
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1, 7), "the time of {path}");
        if kind.is_dir() {
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o750, "the mode of {path}");
            into.push((format!("{path}/"), String::new()));
            found(&entry.path(), &format!("{path}/"), into);
        } else if kind.is_symlink() {
            into.push((path, format!("->{}", fs::read_link(entry.path()).expect("a link").display())));
        } else {
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o640, "the mode of {path}");
            into.push((path, fs::read_to_string(entry.path()).expect("a file")));
        }
    }
}

/// A tree holds a folder and nothing else, and knows its digests.
fn check(tree: &ContextTree, folder: &Folder<'_>) {
    let mut there = Vec::new();
    found(tree.folder(), "", &mut there);
    let expect: Vec<_> = folder.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    assert_eq!(there, expect);
    for (path, text) in folder {
        let is_file = !path.ends_with('/') && !text.starts_with("->");
        assert_eq!(tree.digest_of(Path::new(path.trim_end_matches('/'))), is_file.then(|| Digest::of(text.as_bytes())), "{path}");
    }
    assert_eq!(tree.digest_of(Path::new("nowhere")), None);
}

const FIRST: &Folder<'static> =
    &[("a", "one"), ("b/", ""), ("b/c", "two"), ("b/d/", ""), ("b/d/e", "three"), ("b-c", "four"), ("l", "->b/c")];

#[tokio::test]
async fn only_what_changed_is_sent() {
    let place = Place::new();
    let (first, sent) = place.bring("x", FIRST).await;
    assert_eq!(sent, ["a", "b/c", "b/d/e", "b-c"]);
    let (same, sent) = place.bring("x", FIRST).await;
    assert!(Arc::ptr_eq(&first, &same) && sent == ["nothing"]);
    drop((first, same));
    // Nobody uses it: it is changed where it lies.
    let second: &Folder<'_> = &[("a", "one"), ("b/", ""), ("b/c", "other"), ("b/n", "new"), ("l", "->a")];
    let (second_tree, sent) = place.bring("x", second).await;
    assert_eq!((sent, place.homes()), (vec!["b/c".to_owned(), "b/n".to_owned()], 1));
    // Somebody uses it: the next one has what stayed by hard links, and each stays what it is.
    let third: &Folder<'_> = &[("a/", ""), ("a/x", "deep"), ("b", "->a"), ("b2/", ""), ("b2/n", "new"), ("l", "file")];
    let (third_tree, sent) = place.bring("x", third).await;
    assert_eq!(sent, ["a/x", "b2/n", "l"]);
    check(&second_tree, second);
    assert_eq!(place.homes(), 2);
    drop(second_tree);
    let fourth: &Folder<'_> = &[("a/", ""), ("a/x", "deep"), ("l", "file"), ("m", "more")];
    let (fourth_tree, sent) = place.bring("x", fourth).await;
    assert_eq!(sent, ["m"]);
    let inode = |tree: &ContextTree| fs::metadata(tree.folder().join("a/x")).expect("there").ino();
    assert_eq!(inode(&third_tree), inode(&fourth_tree));
    check(&third_tree, third);
}

#[tokio::test]
async fn a_mode_alone_sends_no_folder() {
    let place = Place::new();
    drop(place.bring("x", FIRST).await);
    let mut changed = listing(FIRST);
    changed[1].mode = 0o700;
    changed[2].modified = 5;
    let Begun::Changed(update) = place.contexts.begin(Digest::of(b"x"), changed).await.expect("good") else { panic!("it changed") };
    assert_eq!(update.wanted(), [2]);
    let tree = update.finish(Cursor::new(sent("two"))).expect("brought");
    assert_eq!(fs::metadata(tree.folder().join("b")).expect("there").permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(tree.folder().join("b/c")).expect("there").mtime_nsec(), 5);
}

#[tokio::test]
async fn a_snapshot_outlives_its_engine_only_when_it_is_whole() {
    let mut place = Place::new();
    drop(place.bring("x", FIRST).await);
    place = place.reopen();
    let (tree, sent) = place.bring("x", FIRST).await;
    assert_eq!(sent, ["nothing"]);
    check(&tree, FIRST);
    // Killed in the middle of a change: the index is gone, and so is the rest.
    fs::remove_file(tree.folder().with_file_name("index")).expect("removed");
    drop(tree);
    place = place.reopen();
    assert_eq!(place.homes(), 0);
    assert_eq!(place.bring("x", FIRST).await.1.len(), 4);
    // A damaged index is found out when it is read.
    let index =
        fs::read_dir(place.folder.path().join("contexts")).expect("a folder").next().expect("one").expect("read").path().join("index");
    let mut text = fs::read(&index).expect("the index");
    let last = text.len() - 40;
    text[last] ^= 1;
    fs::write(&index, text).expect("written");
    place = place.reopen();
    assert_eq!(place.bring("x", FIRST).await.1.len(), 4);
    assert_eq!(place.homes(), 1);
}

#[tokio::test]
async fn what_breaks_off_leaves_nothing() {
    let place = Place::new();
    let whole: Vec<u8> = ["one", "two", "three", "four"].iter().flat_map(|text| sent(text)).collect();
    for end in 0..whole.len() {
        let Begun::Changed(update) = place.begin("x", FIRST).await else { panic!("nothing is there") };
        assert!(update.finish(Cursor::new(&whole[..end])).is_err(), "{end}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    let large = [u64::MAX.to_be_bytes().as_slice(), b"one"].concat();
    for wrong in [longer, large, sent("more than three")] {
        let Begun::Changed(update) = place.begin("x", FIRST).await else { panic!("nothing is there") };
        assert!(matches!(update.finish(Cursor::new(wrong)), Err(ContextError::Content { .. })));
    }
    // Even from a snapshot that was whole; and a later one is.
    drop(place.bring("x", FIRST).await);
    let Begun::Changed(update) = place.begin("x", &[("new", "text")]).await else { panic!("it changed") };
    assert!(update.finish(io::empty()).is_err());
    let (tree, sent) = place.bring("x", FIRST).await;
    assert_eq!(sent.len(), 4);
    drop(tree);
    place.contexts.prune();
    settle(&place, 0).await;
}

/// Waits until so many homes are left: the last ones are removed apart.
async fn settle(place: &Place, homes: usize) {
    for _ in 0..100_000 {
        if place.homes() == homes {
            return;
        }
        tokio::task::yield_now().await;
        drop(tokio::task::spawn_blocking(|| ()).await);
    }
    panic!("{} homes are left instead of {homes}", place.homes());
}

#[tokio::test]
async fn a_file_that_shrank_is_asked_for_again() {
    let place = Place::new();
    let Begun::Changed(update) = place.begin("x", &[("a", "long text")]).await else { panic!("nothing is there") };
    let tree = update.finish(Cursor::new(sent("long"))).expect("brought");
    assert_eq!(tree.digest_of(Path::new("/a")), Some(Digest::of(b"long")));
    assert!(matches!(place.begin("x", &[("a", "long text")]).await, Begun::Changed(_)));
}

#[tokio::test]
async fn hostile_listings_are_refused() {
    let place = Place::new();
    let file = |path: &str| entry(path, EntryKind::File { size: 1 }, 0o644, 0);
    let link = |path: &str| entry(path, EntryKind::Link { target: b"/".to_vec() }, 0o777, 0);
    for wrong in
        [vec![file("../x")], vec![file("/x")], vec![link("a"), file("a/x")], vec![file("a"), file("a")], vec![file("b"), file("a")]]
    {
        assert!(matches!(place.contexts.begin(Digest::of(b"x"), wrong).await, Err(ContextError::Listing(_))));
    }
    assert_eq!(place.homes(), 0);
}

#[tokio::test]
async fn the_least_used_make_room_and_a_prune_spares_what_is_used() {
    let place = Place::new();
    for key in ["a", "b", "c"] {
        drop(place.bring(key, &[("f", key)]).await);
    }
    drop(place.bring("a", &[("f", "a")]).await);
    let (held, _) = place.bring("d", &[("f", "d")]).await;
    settle(&place, 3).await;
    assert_eq!(place.bring("a", &[("f", "a")]).await.1, ["nothing"]);
    assert_eq!(place.bring("b", &[("f", "b")]).await.1, ["f"]);
    // So many bytes push others out, and one that is held goes with its holder.
    let large = "x".repeat(999);
    let (kept, _) = place.bring("e", &[("f", &large)]).await;
    settle(&place, 3).await;
    assert_eq!(place.contexts.prune(), [(Digest::of(b"b"), 1)]);
    settle(&place, 2).await;
    check(&held, &[("f", "d")]);
    drop(held);
    settle(&place, 1).await;
    check(&kept, &[("f", &large)]);
}

#[tokio::test]
async fn two_clients_of_one_key_come_one_after_the_other() {
    let place = Place::new();
    let Begun::Changed(update) = place.begin("x", &[("f", "x")]).await else { panic!("nothing is there") };
    let mut second = Box::pin(place.begin("x", &[("f", "x")]));
    assert!(futures_util::poll!(&mut second).is_pending());
    assert!(matches!(place.begin("y", &[("f", "x")]).await, Begun::Changed(_)));
    let tree = update.finish(Cursor::new(sent("x"))).expect("brought");
    let Begun::Same(same) = second.await else { panic!("it is there") };
    assert!(Arc::ptr_eq(&tree, &same));
}

/// An archive of files and links, its names as they are.
fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("GNU").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o4755);
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_mtime(1);
        match text.strip_prefix("->") {
            Some(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                header.set_link_name(target).expect("a target");
                header.set_cksum();
                builder.append(&header, io::empty()).expect("appended");
            }
            None => {
                header.set_size(text.len() as u64);
                header.set_cksum();
                builder.append(&header, text.as_bytes()).expect("appended");
            }
        }
    }
    builder.into_inner().expect("an archive")
}

#[test]
fn an_archive_lives_as_long_as_it_is_used() {
    let place = Place::new();
    let tar = archive(&[("Dockerfile", "FROM x"), ("d/f", "text"), ("l", "->d/f")]);
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, &tar).expect("written");
        encoder.finish().expect("the end")
    };
    for bytes in [tar.clone(), gzip, zstd::encode_all(tar.as_slice(), 1).expect("encoded")] {
        let tree = place.contexts.unpack(bytes.as_slice(), ArchiveEnd::Whole).expect("unpacked");
        let file = fs::metadata(tree.folder().join("d/f")).expect("there");
        assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (0, 0, 0o4755));
        assert_eq!(fs::read_to_string(tree.folder().join("l")).expect("read"), "text");
        assert_eq!((tree.digest_of(Path::new("d/f")), place.homes()), (None, 1));
        drop(tree);
        assert_eq!(place.homes(), 0);
    }
    let refused = place.contexts.unpack(&b"PK\x03\x04...."[..], ArchiveEnd::Whole).expect_err("zip is not read");
    assert!(Failure::from(refused).message.contains("zip"));
}

#[test]
fn a_hostile_archive_leaves_nothing() {
    let place = Place::new();
    let outside = place.folder.path().join("outside");
    fs::create_dir(&outside).expect("a folder");
    let link = format!("->{}", outside.display());
    for entries in [&[("../outside/x", "text")][..], &[("a/../../outside/x", "text")]] {
        assert!(place.contexts.unpack(archive(entries).as_slice(), ArchiveEnd::Whole).is_err());
    }
    // A link that leads out is looked up in the tree, where it leads nowhere.
    for entries in [&[("l", link.as_str()), ("l/x", "text")][..], &[("l", "->../../../outside"), ("l/x", "text")]] {
        drop(place.contexts.unpack(archive(entries).as_slice(), ArchiveEnd::Whole));
    }
    let torn = archive(&[("f", "text")]);
    assert!(place.contexts.unpack(&torn[..600], ArchiveEnd::Whole).is_err());
    assert_eq!((place.homes(), fs::read_dir(&outside).expect("a folder").count()), (0, 0));
    assert!(outside.as_os_str().as_bytes().len() < 100, "the name of the link fits into a header");
}
