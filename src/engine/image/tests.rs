//! Images in and out of a root of their own.

use std::io::Cursor;
use std::sync::Mutex as StdMutex;

use super::error::ImageError;
use super::handle::{ImageUse, Images};
use super::remove::Removed;
use crate::engine::root::Root;
use crate::registry::config::RegistryConfig;
use crate::resource::id::ImageId;
use crate::resource::image::{ImageReference, ImageRemoval, ImportOptions};

/// A root in a temporary folder.
struct Bench {
    folder: tempfile::TempDir,
    images: Images,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let images = open(&folder);
        Self { folder, images }
    }

    fn reopen(&mut self) {
        self.images = open(&self.folder);
    }

    async fn import(&self, name: &str, content: &str) -> ImageId {
        let reference: ImageReference = name.parse().expect("a reference");
        let changes = vec!["CMD [\"/bin/x\"]".to_owned(), "EXPOSE 80".to_owned()];
        let options = ImportOptions { reference: Some(reference), changes, ..ImportOptions::default() };
        self.images.import(Cursor::new(archive(content)), options).await.expect("an image")
    }

    fn blobs(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("data/content/sha256")).expect("the blobs").count()
    }
}

fn open(folder: &tempfile::TempDir) -> Images {
    Images::open(&Root::new(Some(folder.path())), RegistryConfig::default()).expect("a store")
}

fn archive(content: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    builder.append_data(&mut header, "bin/x", content.as_bytes()).expect("an entry");
    builder.into_inner().expect("an archive")
}

/// A writer that others can look into.
#[derive(Clone, Default)]
struct Sink(std::sync::Arc<StdMutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn nobody(_: &ImageId) -> Option<ImageUse> {
    None
}

#[tokio::test]
async fn an_import_is_an_image_with_a_root() {
    let mut bench = Bench::new();
    let id = bench.import("app:1", "one").await;
    bench.reopen();
    let info = bench.images.get("app:1").expect("the image");
    assert_eq!((info.id, info.tags.as_slice(), info.size), (id, &["app:1".to_owned()][..], 3));
    assert_eq!((info.config.command.as_slice(), info.config.exposed.len()), (&["/bin/x".to_owned()][..], 1));
    let root = bench.images.rootfs(&id).await.expect("a root");
    assert_eq!(root.dirs.len(), 2);
    assert_eq!(std::fs::read(root.dirs[0].join("bin/x")).expect("the file"), b"one");
    assert!(root.dirs[1].join("etc/resolv.conf").is_file());
    let history = bench.images.history("app:1").expect("a history");
    assert_eq!((history.len(), history[0].comment.as_str(), history[0].size), (1, "Imported from -", 3));
}

#[tokio::test]
async fn what_is_saved_can_be_loaded_elsewhere() {
    let bench = Bench::new();
    let id = bench.import("app:1", "one").await;
    bench.images.tag("app:1", &"127.0.0.1:5000/team/app:x".parse().expect("a reference")).expect("a tag");
    let other = bench.import("other", "two").await;
    let sink = Sink::default();
    let names = ["app", "127.0.0.1:5000/team/app:x", "other"].map(str::to_owned);
    bench.images.save(&names, sink.clone()).await.expect("an archive");
    let bytes = sink.0.lock().expect("no writer panics").clone();
    for without in [None, Some("manifest.json")] {
        let bytes = match without {
            None => zstd::encode_all(&*bytes, 1).expect("an encoder"),
            Some(name) => leave_out(&bytes, name),
        };
        let there = Bench::new();
        let loaded = there.images.load(Cursor::new(bytes), None, |_| {}).await.expect("images");
        let mut loaded: Vec<String> = loaded.iter().map(ToString::to_string).collect();
        loaded.sort();
        assert_eq!(loaded, ["127.0.0.1:5000/team/app:x", "app:1", "other:latest"], "{without:?}");
        assert_eq!(there.images.get("app:1").expect("the image").id, id);
        let root = there.images.rootfs(&other).await.expect("a root");
        assert_eq!(std::fs::read(root.dirs[0].join("bin/x")).expect("the file"), b"two");
    }
    let sink = Sink::default();
    bench.images.save(&[id.to_string()], sink.clone()).await.expect("an archive");
    let there = Bench::new();
    let bytes = sink.0.lock().expect("no writer panics").clone();
    let loaded = there.images.load(Cursor::new(bytes), None, |_| {}).await.expect("images");
    assert_eq!((loaded.len(), loaded[0].to_string()), (1, id.to_string()));
}

/// Copies an archive but for one entry.
fn leave_out(bytes: &[u8], name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        if entry.path().expect("a name").to_str() != Some(name) {
            let header = entry.header().clone();
            builder.append(&header, &mut entry).expect("an entry");
        }
    }
    builder.into_inner().expect("an archive")
}

#[tokio::test]
async fn archives_that_are_none_are_refused_and_leave_nothing() {
    let bench = Bench::new();
    let before = bench.blobs();
    let check = |bytes: Vec<u8>| async { bench.images.load(Cursor::new(bytes), None, |_| {}).await.expect_err("no image") };
    assert!(matches!(check(archive("x")).await, ImageError::Archive(_)));
    assert!(matches!(check(b"nonsense".to_vec()).await, ImageError::ReadArchive(_)));
    assert!(matches!(check(b"\xfd7zXZ\0\0".to_vec()).await, ImageError::ReadArchive(_)));
    let id = bench.import("app", "one").await;
    let sink = Sink::default();
    bench.images.save(&["app".to_owned()], sink.clone()).await.expect("an archive");
    bench.images.remove("app", false, nobody).expect("a removal");
    let mut bytes = sink.0.lock().expect("no writer panics").clone();
    let at = bytes.windows(3).position(|it| it == b"one").expect("the content");
    bytes[at] = b'O';
    assert!(matches!(check(bytes).await, ImageError::WrongDigest { .. }));
    assert_eq!(bench.blobs(), before);
    assert!(matches!(bench.images.get(&id.to_string()), Err(ImageError::NotFound(_))));
}

#[tokio::test]
async fn the_last_name_takes_the_image_with_it() {
    let bench = Bench::new();
    let id = bench.import("app:1", "one").await;
    bench.images.tag("app:1", &"app:2".parse().expect("a reference")).expect("a tag");
    let untagged = |name: &str| ImageRemoval::Untagged(name.to_owned());
    assert_eq!(bench.images.remove("app:1", false, nobody).expect("a removal").steps, [untagged("app:1")]);
    let removed = bench.images.remove("app:2", false, nobody).expect("a removal").steps;
    assert_eq!(removed[..2], [untagged("app:2"), ImageRemoval::Deleted(id.to_string())]);
    assert_eq!((removed.len(), bench.blobs(), bench.images.list().len()), (3, 0, 0));
}

#[tokio::test]
async fn a_name_may_look_like_the_start_of_an_id() {
    let bench = Bench::new();
    let id = bench.import("app:1", "one").await;
    let start = &id.hex()[..4];
    bench.images.tag("app:1", &start.parse().expect("a reference")).expect("a tag");
    let called = |name: &str, by_name| {
        let removed = bench.images.remove(name, false, nobody).expect("a removal");
        assert_eq!((removed.image, removed.by_name), (id, by_name), "{name}");
    };
    called(start, true);
    called(start, false);
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let bench = Bench::new();
    let id = bench.import("app:1", "one").await;
    let used = |running| move |_: &ImageId| Some(ImageUse { container: "c0ffee".to_owned(), running });
    let refused = |outcome: Result<Removed, ImageError>, part: &str| {
        let message = outcome.expect_err(part).to_string();
        assert!(message.starts_with("conflict: ") && message.contains(part), "{message}");
    };
    refused(bench.images.remove("app:1", false, used(false)), "(must force) - container c0ffee is using its referenced image");
    refused(bench.images.remove(&id.short(), false, used(false)), "(must be forced) - image is being used by stopped container c0ffee");
    refused(bench.images.remove(&id.short(), true, used(true)), "(cannot be forced) - image is being used by running container c0ffee");
    bench.images.tag("app:1", &"other".parse().expect("a reference")).expect("a tag");
    refused(bench.images.remove(&id.short(), false, nobody), "(must be forced) - image is referenced in multiple repositories");
    let root = bench.images.rootfs(&id).await.expect("a root");
    refused(bench.images.remove(&id.short(), true, nobody), "(cannot be forced)");
    assert_eq!(bench.images.prune(|_| true, nobody).expect("a prune").removed, []);
    drop(root);
    assert_eq!(bench.images.remove("app:1", true, used(true)).expect("a removal").steps.len(), 1);
    assert_eq!(
        bench.images.remove(&id.short(), true, used(false)).expect("a removal").steps,
        [ImageRemoval::Untagged("other:latest".to_owned())]
    );
    assert!(bench.images.get(&id.to_string()).expect("the image").tags.is_empty());
    let pruned = bench.images.prune(|info| info.tags.is_empty(), nobody).expect("a prune");
    assert!(pruned.reclaimed > 0 && bench.images.list().is_empty() && bench.blobs() == 0);
}

#[tokio::test]
async fn what_cannot_be_written_down_has_not_happened() {
    let mut bench = Bench::new();
    let id = bench.import("app:1", "one").await;
    let obstacle = bench.folder.path().join("data/images.json.new");
    std::fs::create_dir(&obstacle).expect("an obstacle");
    let tagged = bench.images.tag("app:1", &"other".parse().expect("a reference"));
    assert!(matches!(tagged, Err(ImageError::Record(_))) && bench.images.get("other").is_err());
    let removed = bench.images.remove("app:1", false, nobody);
    assert!(matches!(removed, Err(ImageError::Record(_))), "{removed:?}");
    assert_eq!(bench.images.get("app:1").expect("the image").id, id);
    std::fs::remove_dir(&obstacle).expect("no obstacle");
    bench.images.remove("app:1", false, nobody).expect("a removal");
    bench.reopen();
    assert!(bench.images.list().is_empty() && bench.blobs() == 0);
}

#[tokio::test]
async fn a_damaged_index_costs_images_their_names_only() {
    let mut bench = Bench::new();
    let ids = [bench.import("app:1", "one").await, bench.import("app:2", "two").await];
    let index = bench.folder.path().join("data/images.json");
    std::fs::OpenOptions::new().write(true).open(&index).and_then(|file| file.set_len(100)).expect("a shorter index");
    assert!(!bench.images.is_nameless());
    for _ in 0..2 {
        bench.reopen();
        assert!(bench.images.is_nameless());
        let mut found: Vec<_> = bench.images.list().into_iter().map(|it| (it.id, it.tags)).collect();
        found.sort();
        let mut expect: Vec<_> = ids.map(|id| (id, Vec::new())).into();
        expect.sort();
        assert_eq!(found, expect);
        for id in &ids {
            bench.images.rootfs(id).await.expect("a root");
        }
    }
}

#[tokio::test]
async fn a_layer_that_is_gone_is_unpacked_again() {
    let mut bench = Bench::new();
    let id = bench.import("app:1", "one").await;
    let folder = bench.images.rootfs(&id).await.expect("a root").dirs[0].clone();
    std::fs::remove_dir_all(&folder).expect("the folder");
    bench.reopen();
    let root = bench.images.rootfs(&id).await.expect("a root");
    assert_eq!(std::fs::read(root.dirs[0].join("bin/x")).expect("the file"), b"one");
    drop(root);
    // Of one whose record is gone too, its tar is found by its name.
    std::fs::remove_file(folder.with_extension("json")).expect("the record");
    bench.reopen();
    let workshop = bench.images.workshop();
    assert!(workshop.is_whole(&workshop.origin("app:1").expect("the image")));
    let root = bench.images.rootfs(&id).await.expect("a root");
    assert_eq!(std::fs::read(root.dirs[0].join("bin/x")).expect("the file"), b"one");
    drop((root, workshop));
    let folder = bench.images.rootfs(&id).await.expect("a root").dirs[0].clone();
    std::fs::remove_dir_all(&folder).expect("the folder");
    let blob = std::fs::read_dir(bench.folder.path().join("data/content/sha256")).expect("the blobs");
    for blob in blob.map(|it| it.expect("a blob").path()).filter(|it| !it.ends_with(id.hex())) {
        std::fs::write(blob, archive("0ne")).expect("a spoiled blob");
    }
    bench.reopen();
    assert!(matches!(bench.images.rootfs(&id).await, Err(ImageError::WrongDigest { .. })));
    let other = bench.import("app:2", "two").await;
    let folder = bench.images.rootfs(&other).await.expect("a root").dirs[0].clone();
    std::fs::remove_file(folder.with_extension("json")).expect("the record");
    std::fs::remove_dir_all(folder).expect("the folder");
    let blobs = std::fs::read_dir(bench.folder.path().join("data/content/sha256")).expect("the blobs");
    for blob in blobs.map(|it| it.expect("a blob").path()).filter(|it| !it.ends_with(other.hex())) {
        std::fs::remove_file(blob).expect("the blob");
    }
    bench.reopen();
    let workshop = bench.images.workshop();
    assert!(!workshop.is_whole(&workshop.origin("app:2").expect("the image")));
    let lost = bench.images.rootfs(&other).await.expect_err("nothing is left of it").to_string();
    assert!(lost.ends_with("pull or load the image again"), "{lost}");
}

/// An archive as `docker save` writes it, of an image without layers.
fn saved(tag: &str, os: &str, padding: usize) -> Vec<u8> {
    let manifest = format!(r#"[{{"Config":"c.json","RepoTags":["{tag}"],"Layers":[]}}]{}"#, " ".repeat(padding));
    let document = format!(r#"{{"architecture":"amd64","os":"{os}","config":{{}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#);
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in [("c.json", document), ("manifest.json", manifest)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).expect("an entry");
    }
    builder.into_inner().expect("an archive")
}

#[tokio::test]
async fn what_docker_does_not_load_is_not_loaded() {
    let bench = Bench::new();
    let load = |bytes: Vec<u8>| bench.images.load(Cursor::new(bytes), None, |_| {});
    let digest = format!("ld@sha256:{}", "0".repeat(64));
    for (bytes, expect) in [
        (saved(&digest, "linux", 0), format!("invalid tag \"{digest}\"")),
        (saved("ld", "linux", 0), "invalid tag \"ld\"".to_owned()),
        (saved("ld:1", "windows", 0), "cannot load windows image on linux".to_owned()),
        (saved("ld:1", "linux", 5 << 20), "its manifest.json is larger than 4 MiB".to_owned()),
    ] {
        let refused = load(bytes).await.expect_err("refused").to_string();
        assert!(refused.ends_with(&expect), "{refused}");
        assert!(bench.images.list().is_empty(), "{expect}");
    }
    let loaded = load(saved("ld:1", "linux", 0)).await.expect("an image");
    assert_eq!(loaded.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ld:1"]);
}
