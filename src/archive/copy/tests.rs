//! A copy among two trees, and through an overlay.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};

use super::*;
use crate::archive::open_folder;

/// Two trees, and what lies outside of them.
struct Trees {
    folder: tempfile::TempDir,
    from: OwnedFd,
    into: OwnedFd,
}

fn trees() -> Trees {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["from", "into", "outside"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    let open = |name: &str| open_folder(&folder.path().join(name)).expect("the tree");
    Trees { from: open("from"), into: open("into"), folder }
}

impl Trees {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    fn copy(&self, sources: &[&str], destination: &str, change: impl Fn(&mut CopyRequest<'_>)) -> Result<CopySize, CopyError> {
        self.choose(sources, destination, &|_, _| Choice::Take, change)
    }

    fn choose(
        &self,
        sources: &[&str],
        destination: &str,
        choose: &dyn Fn(&Path, bool) -> Choice,
        change: impl Fn(&mut CopyRequest<'_>),
    ) -> Result<CopySize, CopyError> {
        let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
        let selection = Selection { from: self.from.as_fd(), sources: &sources, keep_parents: false, sealed: false, choose };
        let mut request = CopyRequest {
            selection,
            into: self.into.as_fd(),
            destination: Path::new(destination),
            destination_is_folder: destination.ends_with('/'),
            owner: CopyOwner::Keep,
            folder_owner: None,
            mode: None,
            created: 5,
            upper: None,
        };
        change(&mut request);
        copy(&request)
    }

    /// All that lies in a tree: `folder/`, `file=text`, `link>target`.
    fn list(&self, name: &str) -> String {
        fn walk(top: &Path, folder: &Path, lines: &mut Vec<String>) {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(top).expect("inside").display().to_string();
                let kind = fs::symlink_metadata(&path).expect("it").file_type();
                if kind.is_dir() {
                    lines.push(format!("{name}/"));
                    walk(top, &path, lines);
                } else if kind.is_symlink() {
                    lines.push(format!("{name}>{}", fs::read_link(&path).expect("a link").display()));
                } else if kind.is_file() {
                    lines.push(format!("{name}={}", fs::read_to_string(&path).expect("text")));
                } else {
                    lines.push(format!("{name}!"));
                }
            }
        }
        let mut lines = Vec::new();
        walk(&self.at(name), &self.at(name), &mut lines);
        lines.sort();
        lines.join(" ")
    }

    fn exchange(&self, one: &str, other: &str) {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(CWD, self.at(one), CWD, self.at(other), flags).expect("exchanged");
    }
}

#[test]
fn sources_go_where_docker_puts_them() {
    let check = |sources: &[&str], destination: &str, expect: &str| {
        let trees = trees();
        for (name, text) in [("a.txt", "a"), ("b.txt", "b"), ("d/f", "f"), ("d/e/g", "g"), ("x1/in", "1"), ("x2/in", "2")] {
            trees.write(&format!("from/{name}"), text);
        }
        for (name, target) in [("to-file", "a.txt"), ("to-folder", "/d"), ("d/link", "/d/f"), ("away", "../../outside")] {
            symlink(target, trees.at("from").join(name)).expect("a link");
        }
        fs::create_dir(trees.at("into/there")).expect("a folder");
        symlink("/there", trees.at("into/linked")).expect("a link");
        symlink("/new/file", trees.at("into/dangling")).expect("a link");
        trees.write("into/file", "old");
        trees.write("outside/secret", "secret");
        let outcome = trees.copy(sources, destination, |_| ());
        let list = trees.list("into");
        let ours = ["there/", "linked>/there", "dangling>/new/file", "file=old"];
        let new: Vec<&str> = list.split(' ').filter(|line| !ours.contains(line)).collect();
        let text = outcome.map_or_else(|error| error.to_string(), |_| new.join(" "));
        assert_eq!(text, expect, "{sources:?} {destination}");
    };
    check(&["a.txt"], "/new", "new=a");
    check(&["a.txt"], "/new/", "new/ new/a.txt=a");
    check(&["a.txt"], "/there", "there/a.txt=a");
    check(&["a.txt"], "/linked", "there/a.txt=a");
    check(&["a.txt"], "/linked/deep/x", "there/deep/ there/deep/x=a");
    check(&["a.txt"], "/dangling", "new/ new/file=a");
    check(&["a.txt", "b.txt"], "/n/", "n/ n/a.txt=a n/b.txt=b");
    check(&["*.txt"], "n/", "n/ n/a.txt=a n/b.txt=b");
    check(&["d"], "/n", "n/ n/e/ n/e/g=g n/f=f n/link>/d/f");
    check(&["d/"], "/there/", "there/e/ there/e/g=g there/f=f there/link>/d/f");
    check(&["x?"], "/n", "n/ n/in=2");
    check(&["*/e/g"], "/n", "n=g");
    check(&["to-file"], "/n/", "n/ n/to-file=a");
    check(&["to-folder"], "/n", "n/ n/e/ n/e/g=g n/f=f n/link>/d/f");
    check(&["to-*"], "/n/", "n/ n/e/ n/e/g=g n/f=f n/link>/d/f n/to-file=a");
    check(&["../../a.txt"], "/n", "n=a");
    check(&["none*"], "/n", "");
    check(&["none"], "/n", "`/none` is not found");
    check(&["away/secret"], "/n", "`/away/secret` is not found");
    check(&["["], "/n", "`/[` is no pattern of names: it ends within `[` or after `\\`");
    check(&["d"], "/file", "cannot copy a folder to `/file`: what is there is no folder");
    check(&["a.txt"], "/file/x", "cannot find `/file/x`");
}

#[test]
fn what_is_there_makes_way_or_does_not() {
    let trees = trees();
    trees.write("from/d/f", "new");
    trees.write("outside/f", "outside");
    trees.write("into/d/other", "kept");
    trees.write("into/target", "target");
    symlink("/target", trees.at("into/d/f")).expect("a link");
    trees.copy(&["d"], "/d", |_| ()).expect("copied");
    assert_eq!(trees.list("into"), "d/ d/f=new d/other=kept target=target");
    // A link at the destination itself is followed, and what it leads to replaced.
    symlink("/target", trees.at("into/at")).expect("a link");
    trees.copy(&["d/f"], "/at", |_| ()).expect("copied");
    assert_eq!(trees.list("into"), "at>/target d/ d/f=new d/other=kept target=new");
    fs::create_dir_all(trees.at("into/e/f")).expect("a folder");
    let error = trees.copy(&["d"], "/e", |_| ()).expect_err("a folder is there");
    assert!(matches!(&error, CopyError::Folder { path } if path == "/e/f"), "{error}");
    fs::create_dir_all(trees.at("from/g/d")).expect("a folder");
    for make in [|path: &Path| fs::write(path, "").expect("a file"), |path: &Path| symlink("/e", path).expect("a link")] {
        fs::create_dir(trees.at("into/g")).expect("a folder");
        make(&trees.at("into/g/d"));
        let error = trees.copy(&["g"], "/g", |_| ()).expect_err("no folder is there");
        assert!(matches!(&error, CopyError::NoFolder { path } if path == "/g/d"), "{error}");
        fs::remove_dir_all(trees.at("into/g")).expect("removed");
    }
}

#[test]
fn what_overlay_takes_for_a_mark_is_not_copied() {
    let trees = trees();
    trees.write("from/d/file", "x");
    rustix::fs::mknodat(CWD, trees.at("from/d/gone"), FileType::CharacterDevice, Mode::from_raw_mode(0o600), 0).expect("a device");
    let error = trees.copy(&["d"], "/deep", |_| ()).expect_err("refused");
    assert!(matches!(&error, CopyError::Whiteout { path } if path == "/d/gone"), "{error}");
}

#[test]
fn copies_are_like_their_sources() {
    let trees = trees();
    trees.write("from/d/tool", "tool");
    trees.write("from/d/empty", "");
    fs::create_dir(trees.at("from/d/private")).expect("a folder");
    fs::set_permissions(trees.at("from/d/private"), fs::Permissions::from_mode(0o1700)).expect("a mode");
    fs::hard_link(trees.at("from/d/tool"), trees.at("from/d/twin")).expect("a link");
    symlink("/nowhere", trees.at("from/d/soft")).expect("a link");
    rustix::fs::mknodat(CWD, trees.at("from/d/pipe"), FileType::Fifo, Mode::from_raw_mode(0o620), 0).expect("a pipe");
    fs::set_permissions(trees.at("from/d/pipe"), fs::Permissions::from_mode(0o620)).expect("a mode");
    let device = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(CWD, trees.at("from/d/null"), FileType::CharacterDevice, Mode::from_raw_mode(0o600), device).expect("a device");
    let _socket = std::os::unix::net::UnixListener::bind(trees.at("from/d/socket")).expect("a socket");
    for name in ["tool", "private", "soft", "pipe", "null"] {
        std::os::unix::fs::lchown(trees.at("from/d").join(name), Some(12), Some(34)).expect("an owner");
    }
    let tool = trees.at("from/d/tool");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o4711)).expect("a mode");
    let capability = b"\x01\0\0\x02\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    for (name, value) in [("user.note", &b"kept"[..]), ("security.capability", capability), ("trusted.overlay.opaque", b"y")] {
        rustix::fs::setxattr(&tool, name, value, XattrFlags::empty()).expect("an attribute");
    }
    let old = Timespec { tv_sec: 1_000, tv_nsec: 7 };
    for name in ["from/d/tool", "from/d/private", "from/d", "into"] {
        rustix::fs::utimensat(CWD, trees.at(name), &both(old), NO_FOLLOW).expect("a time");
    }
    let size = trees.copy(&["d"], "/deep/er", |_| ()).expect("copied");
    assert_eq!(size, CopySize { entries: 8, bytes: 4 });
    let stat = |name: &str| fs::symlink_metadata(trees.at("into/deep/er").join(name)).expect("it");
    let seen = |name: &str| (stat(name).mode() & 0o7777, stat(name).uid(), stat(name).gid());
    assert_eq!(seen("tool"), (0o4711, 12, 34));
    assert_eq!(seen("private"), (0o1700, 12, 34));
    assert_eq!(seen("pipe"), (0o620, 12, 34));
    assert_eq!((seen("null"), stat("null").rdev()), ((0o600, 12, 34), device));
    assert_eq!((stat("soft").uid(), stat("tool").ino()), (12, stat("twin").ino()));
    assert!(stat("socket").is_file());
    let mut value = [0; 32];
    let copy = trees.at("into/deep/er/tool");
    assert_eq!(rustix::fs::getxattr(&copy, "user.note", &mut value), Ok(4));
    assert_eq!(rustix::fs::getxattr(&copy, "security.capability", &mut value), Ok(20));
    assert!(rustix::fs::getxattr(&copy, "trusted.overlay.opaque", &mut value).is_err());
    let time = |name: &str| (fs::metadata(trees.at(name)).expect("it").mtime(), fs::metadata(trees.at(name)).expect("it").mtime_nsec());
    for name in ["into", "into/deep/er", "into/deep/er/tool", "into/deep/er/private"] {
        assert_eq!(time(name), (1_000, 7), "{name}");
    }
    assert_eq!(time("into/deep"), (5, 0));
    // The source folder itself is not what is copied.
    assert_eq!(seen(""), (0o755, 0, 0));
}

#[test]
fn owners_and_modes_are_changed() {
    let trees = trees();
    trees.write("from/d/e/f", "x");
    fs::set_permissions(trees.at("from/d/e/f"), fs::Permissions::from_mode(0o4640)).expect("a mode");
    let seen = |name: &str| {
        let stat = fs::symlink_metadata(trees.at("into").join(name)).expect("it");
        (stat.mode() & 0o7777, stat.uid(), stat.gid())
    };
    let octal = ModeChange::Octal(0o2710);
    trees
        .copy(&["d"], "/a/b", |request| {
            (request.owner, request.folder_owner) = (CopyOwner::Fixed(7, 8), Some((7, 8)));
            request.mode = Some(octal.clone());
        })
        .expect("copied");
    assert_eq!([seen("a"), seen("a/b")], [(0o710, 7, 8); 2]);
    assert_eq!([seen("a/b/e"), seen("a/b/e/f")], [(0o2710, 7, 8); 2]);
    let symbolic: ModeChange = "u-s,go=rX".parse().expect("a mode");
    trees.copy(&["d"], "/c", |request| request.mode = Some(symbolic.clone())).expect("copied");
    assert_eq!((seen("c"), seen("c/e"), seen("c/e/f")), ((0o755, 0, 0), (0o755, 0, 0), (0o644, 0, 0)));
    // What is there takes the mode and the owner of what comes, but for the top.
    fs::set_permissions(trees.at("into/c"), fs::Permissions::from_mode(0o700)).expect("a mode");
    fs::set_permissions(trees.at("into/c/e"), fs::Permissions::from_mode(0o700)).expect("a mode");
    trees.copy(&["d"], "/c", |request| request.owner = CopyOwner::Fixed(7, 8)).expect("copied");
    assert_eq!((seen("c"), seen("c/e"), seen("c/e/f")), ((0o700, 0, 0), (0o755, 7, 8), (0o4640, 7, 8)));
}

#[test]
fn what_is_left_out_or_kept_with_its_folders() {
    let trees = trees();
    for name in ["a/b/one.c", "a/b/two.h", "a/x/three.c", "top.c"] {
        trees.write(&format!("from/{name}"), "");
    }
    fs::create_dir(trees.at("from/a/none")).expect("a folder");
    symlink("a", trees.at("from/l")).expect("a link");
    fs::set_permissions(trees.at("from/a/b"), fs::Permissions::from_mode(0o750)).expect("a mode");
    let choose = |path: &Path, is_folder: bool| match path.extension() {
        Some(extension) if extension == "h" => Choice::Leave,
        _ if path.ends_with("x") => Choice::Leave,
        _ if is_folder => Choice::Descend,
        _ => Choice::Take,
    };
    trees.choose(&["."], "/chosen", &choose, |_| ()).expect("copied");
    assert_eq!(trees.list("into/chosen"), "a/ a/b/ a/b/one.c= l>a top.c=");
    assert_eq!(fs::metadata(trees.at("into/chosen/a/b")).expect("it").mode() & 0o7777, 0o750);
    let check = |source: &str, expect: &str| {
        let outcome = trees.copy(&[source], "/kept/", |request| request.selection.keep_parents = true);
        let text = outcome.map_or_else(|error| error.to_string(), |_| trees.list("into/kept"));
        assert_eq!(text, expect, "{source}");
        let _ = fs::remove_dir_all(trees.at("into/kept"));
    };
    check("a/b/one.c", "a/ a/b/ a/b/one.c=");
    check("a/./b/one.c", "b/ b/one.c=");
    check("/a/b", "a/ a/b/ a/b/one.c= a/b/two.h=");
    check("l/./x", "x/ x/three.c=");
    check("**/*.c", "a/ a/b/ a/b/one.c= a/x/ a/x/three.c= top.c=");
    check("a/*/./*.c", "one.c= three.c=");
    check("a/none", "a/ a/none/");
    check("no*", "");
    check("a/./none.c", "`a/./none.c` is not found");
}

/// Copies by paths, as one would without thinking.
fn copy_naively(from: &Path, into: &Path, top: &Path, choose: &dyn Fn(&Path, bool) -> Choice) -> std::io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(from)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    for name in names {
        let (path, target) = (from.join(&name), into.join(&name));
        let is_folder = fs::symlink_metadata(&path)?.is_dir();
        choose(path.strip_prefix(top).unwrap_or(&path), is_folder);
        if is_folder {
            match fs::create_dir(&target) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
                _ => copy_naively(&path, &target, top, choose)?,
            }
        } else {
            fs::write(target, fs::read(path)?)?;
        }
    }
    Ok(())
}

#[test]
fn a_folder_that_becomes_a_link_leads_nowhere() {
    let prepared = || {
        let trees = trees();
        trees.write("from/d/f", "inside");
        trees.write("outside/f", "secret");
        for name in ["from/link", "into/link"] {
            symlink(trees.at("outside"), trees.at(name)).expect("a link");
        }
        trees
    };
    type Copy<'a> = &'a dyn Fn(&Trees, &dyn Fn(&Path, bool) -> Choice);
    // The folder was looked at, and is exchanged before it is opened.
    let attack_source = |copy: Copy<'_>| {
        let trees = prepared();
        fs::remove_file(trees.at("into/link")).expect("a link");
        copy(&trees, &|path, _| {
            if path == Path::new("d") {
                trees.exchange("from/d", "from/link");
            }
            Choice::Take
        });
        trees.list("into")
    };
    // The folder was made, and is exchanged before something is put into it.
    let attack_destination = |copy: Copy<'_>| {
        let trees = prepared();
        fs::remove_file(trees.at("from/link")).expect("a link");
        copy(&trees, &|path, _| {
            if path == Path::new("d/f") {
                trees.exchange("into/d", "into/link");
            }
            Choice::Take
        });
        trees.list("outside")
    };
    let naive = |trees: &Trees, choose: &dyn Fn(&Path, bool) -> Choice| {
        // What becomes of the link itself does not matter.
        let _ = copy_naively(&trees.at("from"), &trees.at("into"), &trees.at("from"), choose);
    };
    let ours = |trees: &Trees, choose: &dyn Fn(&Path, bool) -> Choice| {
        trees.choose(&["."], "/", choose, |_| ()).expect("copied");
    };
    assert!(attack_source(&naive).contains("=secret"));
    assert_eq!(attack_destination(&naive), "f=inside");
    assert!(attack_source(&ours).contains("d/f=inside"));
    assert_eq!(attack_destination(&ours), "f=secret");
}

#[test]
fn folders_that_are_exchanged_all_the_time_lead_nowhere() {
    let trees = trees();
    for name in ["from/d/e/f", "into/d/e/f"] {
        trees.write(name, "inside");
    }
    trees.write("outside/e/f", "secret");
    for name in ["from/link", "into/link"] {
        symlink("../outside", trees.at(name)).expect("a link");
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                trees.exchange("from/d", "from/link");
                trees.exchange("into/d", "into/link");
            }
        });
        let copies = Cell::new(0);
        for _ in 0..400 {
            for (source, destination) in [("d/e/f", "/got"), ("d", "/all"), ("d/e/f", "/d/e/f"), ("d", "/d")] {
                // What is a link just now is not found, or no folder.
                if trees.copy(&[source], destination, |_| ()).is_ok() {
                    copies.set(copies.get() + 1);
                }
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(copies.get() > 0);
    });
    assert_eq!(trees.list("outside"), "e/ e/f=secret");
    assert!(!trees.list("into").contains("secret"), "{}", trees.list("into"));
}

/// What `into` is in the end, seen from `root` when the overlay is mounted anew: names, and which of them are one file.
fn copied_over_overlay(uses_upper: bool) -> String {
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("no peers");
        let trees = trees();
        // Overlay does not lie on overlay, where this test may run.
        mount("none", trees.folder.path(), "tmpfs", MountFlags::empty(), None).expect("a mount");
        for name in ["from/d/old", "from/d/new/deep", "from/e", "lower/to/old", "lower/to/e", "upper", "work", "root"] {
            fs::create_dir_all(trees.at(name)).expect("folders");
        }
        for (name, text) in [("from/d/old/a", "a"), ("from/d/new/c", "c"), ("from/e/c", "another"), ("lower/to/old/kept", "kept")] {
            trees.write(name, text);
        }
        // The first name is met in a folder that is made, the second in one that was there, and the other way round.
        for (one, other) in [("old/a", "new/deep/a"), ("new/x", "old/x"), ("new/y", "new/deep/y")] {
            trees.write(&format!("from/d/{one}"), one);
            fs::hard_link(trees.at("from/d").join(one), trees.at("from/d").join(other)).expect("a link");
        }
        let top = trees.folder.path().display();
        let options = std::ffi::CString::new(format!("lowerdir={top}/lower,upperdir={top}/upper,workdir={top}/work")).expect("text");
        let overlay = || mount("overlay", trees.at("root"), "overlay", MountFlags::empty(), Some(options.as_c_str())).expect("an overlay");
        overlay();
        let open = |name: &str| open_folder(&trees.at(name)).expect("the tree");
        let (from, root, upper) = (open("from"), open("root"), open("upper"));
        let sources = ["d", "e", "d/new"].map(PathBuf::from);
        let selection =
            Selection { from: from.as_fd(), sources: &sources, keep_parents: false, sealed: false, choose: &|_, _| Choice::Take };
        let request = CopyRequest {
            selection,
            into: root.as_fd(),
            destination: Path::new("/to/"),
            destination_is_folder: true,
            owner: CopyOwner::Fixed(0, 0),
            folder_owner: None,
            mode: None,
            created: 5,
            upper: uses_upper.then_some(upper.as_fd()),
        };
        copy(&request).expect("copied");
        drop((root, upper));
        unmount(trees.at("root"), UnmountFlags::empty()).expect("unmounted");
        overlay();
        let inode = |name: &str| fs::symlink_metadata(trees.at("root/to").join(name)).expect("it").ino();
        let linked = [("old/a", "new/deep/a"), ("new/x", "old/x"), ("new/y", "new/deep/y")].map(|(one, other)| inode(one) == inode(other));
        let list = format!("{} {linked:?}", trees.list("root"));
        unmount(trees.at("root"), UnmountFlags::empty()).expect("unmounted");
        unmount(trees.folder.path(), UnmountFlags::DETACH).expect("unmounted");
        list
    });
    thread.join().expect("all of it holds")
}

#[test]
fn folders_that_are_made_are_filled_below_overlay_with_the_same_result() {
    let expect = "to/ to/c=c to/deep/ to/deep/a=old/a to/deep/y=new/y to/e/ to/new/ to/new/c=c to/new/deep/ to/new/deep/a=old/a \
                  to/new/deep/y=new/y to/new/x=new/x to/new/y=new/y to/old/ to/old/a=old/a to/old/kept=kept to/old/x=new/x to/x=new/x to/y=new/y \
                  [true, true, true]";
    for uses_upper in [false, true] {
        assert_eq!(copied_over_overlay(uses_upper), expect, "{uses_upper}");
    }
}
