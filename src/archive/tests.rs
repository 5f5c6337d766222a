//! Layers against the file system, as root.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::*;

/// One entry: kind, name, what it holds or links to.
type Spec<'a> = (tar::EntryType, &'a str, &'a [u8]);
use tar::EntryType::{Char, Directory, Fifo, Link, Regular, Symlink};

fn archive(entries: &[Spec<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, data) in entries {
        append(&mut builder, *kind, name, data);
    }
    builder.into_inner().expect("a finished archive")
}

fn append(builder: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, data: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_uid(12);
    header.set_gid(34);
    header.set_mtime(1_000_000);
    header.as_gnu_mut().expect("a GNU header").name[..name.len()].copy_from_slice(name.as_bytes());
    let linked = matches!(kind, Link | Symlink);
    if linked {
        header.as_gnu_mut().expect("a GNU header").linkname[..data.len()].copy_from_slice(data);
    }
    let data = if linked { b"" } else { data };
    header.set_size(data.len() as u64);
    if kind == Char {
        let [major, minor] = if name.ends_with("none") { [0, 0] } else { [1, 3] };
        header.set_device_major(major).expect("a number");
        header.set_device_minor(minor).expect("a number");
    }
    header.set_cksum();
    builder.append(&header, data).expect("an entry");
}

fn unpacked(entries: &[Spec<'_>]) -> (tempfile::TempDir, Result<u64, ExtractError>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a folder");
    let outcome = unpack_layer(&*archive(entries), &root);
    (folder, outcome)
}

fn opaque(path: &Path) -> bool {
    let mut value = [0_u8; 4];
    rustix::fs::lgetxattr(path, "trusted.overlay.opaque", &mut value).is_ok_and(|length| &value[..length] == b"y")
}

fn whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_char_device() && it.rdev() == 0)
}

#[test]
fn every_kind_keeps_what_it_has() {
    let (folder, outcome) = unpacked(&[
        (Directory, "./", b""),
        (Directory, "d/", b""),
        (Regular, "d/f", b"text"),
        (Link, "d/hard", b"d/f"),
        (Symlink, "d/soft", b"/d/f"),
        (Fifo, "d/pipe", b""),
        (Char, "d/null", b""),
        (Regular, "made/of/nothing", b"x"),
    ]);
    assert_eq!(outcome.expect("a good layer"), 5);
    let root = folder.path().join("root");
    let file = fs::symlink_metadata(root.join("d/f")).expect("the file");
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid(), file.mtime(), file.nlink()), (0o4755, 12, 34, 1_000_000, 2));
    let link = fs::symlink_metadata(root.join("d/soft")).expect("the link");
    assert_eq!((link.uid(), link.mtime()), (12, 1_000_000));
    assert_eq!(fs::read_link(root.join("d/soft")).expect("the link"), Path::new("/d/f"));
    let device = fs::symlink_metadata(root.join("d/null")).expect("the device");
    assert_eq!((device.rdev(), device.mode() & 0o7777), (rustix::fs::makedev(1, 3), 0o4755));
    assert!(fs::symlink_metadata(root.join("d/pipe")).expect("the pipe").file_type().is_fifo());
    assert_eq!(fs::metadata(root.join("d")).expect("the folder").mtime(), 1_000_000);
    assert_eq!(fs::metadata(&root).expect("the root").mode() & 0o7777, 0o4755);
    assert_eq!(fs::metadata(root.join("made/of")).expect("the folder").permissions().mode() & 0o7777, 0o755);
}

#[test]
fn whiteouts_speak_of_the_layers_below() {
    let (folder, outcome) = unpacked(&[
        (Regular, "a/.wh.gone", b""),
        (Regular, "b/.wh..wh..opq", b""),
        (Regular, "b/own", b"x"),
        (Regular, ".wh..wh.plnk", b""),
        (Regular, ".wh.again", b""),
        (Directory, "again/", b""),
        (Regular, ".wh.deep", b""),
        (Regular, "deep/er/file", b"x"),
        (Directory, "kept/", b""),
        (Regular, "kept/file", b"x"),
        (Regular, ".wh.kept", b""),
        (Regular, "file", b"x"),
        (Regular, ".wh.file", b""),
    ]);
    outcome.expect("a good layer");
    let root = folder.path().join("root");
    assert!(whiteout(&root.join("a/gone")) && !opaque(&root.join("a")));
    assert!(opaque(&root.join("b")) && root.join("b/own").exists());
    assert!(opaque(&root.join("again")) && opaque(&root.join("deep")) && !opaque(&root.join("deep/er")));
    assert!(opaque(&root.join("kept")) && root.join("kept/file").exists());
    assert!(root.join("file").is_file() && !root.join(".wh..wh.plnk").exists());
}

#[test]
fn later_entries_replace_earlier_ones() {
    let (folder, outcome) = unpacked(&[
        (Regular, "a/b/c", b"x"),
        (Regular, "a/b", b"now a file"),
        (Symlink, "s", b"a"),
        (Directory, "s/", b""),
        (Regular, "s/own", b"x"),
        (Regular, "f", b"old"),
        (Regular, "f", b"new"),
    ]);
    outcome.expect("a good layer");
    let root = folder.path().join("root");
    assert_eq!(fs::read(root.join("a/b")).expect("the file"), b"now a file");
    assert!(root.join("s/own").is_file() && !root.join("a/own").exists());
    assert_eq!(fs::read(root.join("f")).expect("the file"), b"new");
}

#[test]
fn nothing_reaches_the_host() {
    let (folder, outcome) =
        unpacked(&[(Symlink, "up", b"../../../../../../../../tmp"), (Regular, "up/inside", b"x"), (Directory, "tmp/", b"")]);
    // `..` at the root stays there, so the link leads to the layer's own folder, which does not exist yet.
    assert!(outcome.is_err());
    drop(folder);
    let (folder, outcome) = unpacked(&[
        (Directory, "tmp/", b""),
        (Symlink, "up", b"../../../../../../../../tmp"),
        (Symlink, "absolute", b"/tmp"),
        (Regular, "up/one", b"x"),
        (Regular, "absolute/two", b"x"),
        (Link, "three", b"absolute/two"),
    ]);
    outcome.expect("a layer that stays inside");
    let root = folder.path().join("root");
    for name in ["tmp/one", "tmp/two", "three"] {
        assert!(root.join(name).is_file(), "{name}");
    }
    let victim = folder.path().join("victim");
    fs::write(&victim, "host").expect("a file");
    for entries in [
        [(Regular, "../victim", &b"x"[..]), (Regular, "a", b"")],
        [(Link, "l", b"../victim"), (Regular, "l", b"x")],
        [(Regular, "a/.wh...", b""), (Regular, "a", b"")],
        [(Symlink, "./", b"/"), (Regular, "a", b"")],
        [(Link, "passwd", b"etc/passwd"), (Regular, "a", b"")],
        [(Symlink, "proc", b"/proc/self/root"), (Regular, "proc/victim", b"x")],
    ] {
        let (_folder, outcome) = unpacked(&entries);
        assert!(outcome.is_err(), "{entries:?}");
    }
    assert_eq!(fs::read(&victim).expect("the file"), b"host");
}

#[test]
fn what_overlay_takes_for_a_mark_hides_in_a_layer_and_is_refused_elsewhere() {
    let entries = [(Char, "none", &b""[..])];
    let (folder, outcome) = unpacked(&entries);
    assert!(outcome.is_ok() && whiteout(&folder.path().join("root/none")));
    let root = open_folder(folder.path()).expect("a folder");
    let error = unpack(&*archive(&entries), root.as_fd(), Path::new("/"), Rules::default()).expect_err("refused");
    assert!(error.to_string().contains("`none` is refused: a character device 0:0"), "{error}");
}

#[test]
fn attributes_come_from_the_pax_header_but_not_overlays_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut builder = tar::Builder::new(Vec::new());
    let records: [(&str, &[u8]); 4] = [
        ("mtime", b"5.25"),
        ("SCHILY.xattr.user.note", b"hello"),
        ("SCHILY.xattr.security.capability", b"\x01\0\0\x02\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
    ];
    builder.append_pax_extensions(records).expect("records");
    append(&mut builder, Regular, "f", b"x");
    unpack_layer(&*builder.into_inner().expect("an archive"), folder.path()).expect("a good layer");
    let file = folder.path().join("f");
    let metadata = fs::metadata(&file).expect("the file");
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (5, 250_000_000));
    let mut value = [0_u8; 32];
    assert_eq!(rustix::fs::getxattr(&file, "user.note", &mut value), Ok(5));
    assert_eq!(rustix::fs::getxattr(&file, "security.capability", &mut value), Ok(20));
    assert!(!opaque(&file));
}

#[test]
fn a_bomb_of_headers_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut builder = tar::Builder::new(Vec::new());
    let long = vec![b'a'; 8 << 20];
    append(&mut builder, tar::EntryType::GNULongName, "././@LongLink", &long);
    append(&mut builder, Regular, "f", b"x");
    let outcome = unpack_layer(&*builder.into_inner().expect("an archive"), folder.path());
    assert!(matches!(outcome, Err(ExtractError::Read(_))), "{outcome:?}");
}

#[test]
fn what_is_no_archive_is_not_quoted_at_length_nor_raw() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let noise: Vec<u8> = (0..4096_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 1).collect();
    let Err(ExtractError::Read(error)) = unpack_layer(&*noise, folder.path()) else { panic!("it is no archive") };
    let text = error.to_string();
    assert!(text.chars().count() < 80 && !text.contains(char::is_control), "{text:?}");
}

#[test]
fn a_torn_archive_is_refused() {
    let whole = archive(&[(Regular, "f", &[7; 2000])]);
    for length in [100, 700, 1500] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(unpack_layer(&whole[..length], folder.path()).is_err(), "{length}");
    }
}

#[test]
fn a_folder_of_a_tree_takes_an_archive() {
    use std::os::fd::AsFd as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("root/real/inner")).expect("folders");
    fs::write(at("root/real/file"), "old").expect("a file");
    std::os::unix::fs::symlink("/real", at("root/link")).expect("a link");
    let root = open_folder(&at("root")).expect("the tree");
    let put = |entries: &[Spec<'_>], into: &str, rules: Rules| unpack(&*archive(entries), root.as_fd(), Path::new(into), rules);
    let own = Rules { owner: Owner::Own, ..Rules::default() };
    put(&[(Directory, "./", b""), (Regular, ".wh.x", b"1"), (Regular, "inner/new", b"2")], "/link", own.clone()).expect("unpacked");
    assert!(at("root/real/.wh.x").is_file() && at("root/real/inner/new").is_file());
    // The folder itself is somebody's already.
    assert_eq!(fs::metadata(at("root/real")).expect("the folder").permissions().mode() & 0o4000, 0);
    let kept = Rules { keep_kinds: true, ..own.clone() };
    assert!(put(&[(Regular, "inner", b"x")], "real", kept.clone()).is_err() && at("root/real/inner").is_dir());
    assert!(put(&[(Directory, "file/", b"")], "real", kept).is_err() && at("root/real/file").is_file());
    put(&[(Regular, "inner", b"x")], "real", own.clone()).expect("replaced");
    assert!(at("root/real/inner").is_file());
    let renamed = Rules { rename: Some(("a".into(), "b".into())), ..own.clone() };
    put(&[(Directory, "a/", b""), (Regular, "a/f", b"x"), (Link, "a/g", b"a/f")], "/real", renamed).expect("unpacked");
    assert_eq!(fs::metadata(at("root/real/b/f")).expect("it").ino(), fs::metadata(at("root/real/b/g")).expect("it").ino());
    for entries in [[(Regular, "../out", &b"x"[..])], [(Symlink, ".", b"/etc")]] {
        assert!(put(&entries, "real", own.clone()).is_err());
    }
    put(&[(Symlink, "away", b"/../../../.."), (Regular, "away/passwd", b"x")], "real", own).expect("inside");
    assert!(at("root/passwd").is_file() && !at("passwd").exists());
}

#[test]
fn an_archive_that_is_added_stays_in_its_folder() {
    let hostile: &[&[Spec<'_>]] = &[
        &[(Regular, "../out", b"x")],
        &[(Regular, "/../../out", b"x")],
        &[(Regular, "a/../../out", b"x")],
        &[(Regular, "/out", b"x")],
        &[(Symlink, "l", b".."), (Regular, "l/out", b"x")],
        &[(Symlink, "l", b"/"), (Regular, "l/out", b"x")],
        &[(Symlink, "l", b"../../.."), (Symlink, "m", b"l"), (Regular, "m/out", b"x")],
        &[(Link, "l", b"../secret"), (Regular, "l", b"x")],
        &[(Symlink, "l", b"/.."), (Link, "h", b"l/secret")],
        &[(Symlink, "l", b".."), (Directory, "l/", b""), (Regular, "l/out", b"x")],
        &[(Symlink, "there", b".."), (Regular, "there/out", b"x")],
        &[(Symlink, "up/out", b"x"), (Regular, "up/out", b"x")],
        &[(Symlink, "l", b"/proc/self/root"), (Regular, "l/out", b"x")],
        &[(Symlink, "l", b"/proc/self/cwd/.."), (Link, "h", b"l/secret")],
    ];
    for entries in hostile {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("root/app/there")).expect("folders");
        for name in ["secret", "root/secret"] {
            fs::write(at(name), "secret").expect("a file");
        }
        std::os::unix::fs::symlink("..", at("root/app/up")).expect("a link");
        let root = open_folder(&at("root")).expect("the tree");
        // The folder is the root of all that is in the archive.
        let app = look::folder(root.as_fd(), Path::new("/app")).expect("the folder");
        let _ = unpack(&*archive(entries), app.as_fd(), Path::new(""), Rules::default());
        let names = |name: &str| look::names(open_folder(&at(name)).expect("a folder").as_fd(), Path::new(".")).expect("names");
        assert_eq!((names(""), names("root")), (vec!["root".into(), "secret".into()], vec!["app".into(), "secret".into()]), "{entries:?}");
        for name in ["secret", "root/secret"] {
            let stat = fs::metadata(at(name)).expect("it");
            assert_eq!((fs::read(at(name)).expect("it"), stat.nlink()), (b"secret".to_vec(), 1), "{entries:?}");
        }
    }
}

#[test]
fn what_is_mounted_below_a_folder_is_not_emptied_for_a_file() {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    let thread = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("no peers");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let deep = folder.path().join("etc/a/b");
        fs::create_dir_all(&deep).expect("folders");
        fs::write(folder.path().join("etc/file"), "before").expect("a file");
        mount("none", &deep, "tmpfs", MountFlags::empty(), None).expect("a mount");
        fs::write(deep.join("kept"), "").expect("a file");
        let root = open_folder(folder.path()).expect("the root");
        let put = || unpack(&*archive(&[(Regular, "etc", b"after")]), root.as_fd(), Path::new(""), Rules::default());
        let refused = put().expect_err("a mount is in the way").to_string();
        assert!(refused.contains("etc"), "{refused}");
        assert!(deep.join("kept").exists() && folder.path().join("etc/file").exists());
        rustix::mount::unmount(&deep, rustix::mount::UnmountFlags::DETACH).expect("unmounted");
        put().expect("nothing is in the way");
        assert_eq!(fs::read(folder.path().join("etc")).expect("the file"), b"after");
    });
    thread.join().expect("all of it holds");
}
