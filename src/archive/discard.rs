//! Trees that go, however deep: what runs in a container makes folders in folders until a recursion runs out of stack or descriptors.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Folders that lie deeper than this are moved up before they are emptied. So many names of the longest kind fit in a path.
const DEEPEST: usize = 8;

/// Removes a folder with all in it, and follows no link.
pub fn remove_all(folder: &Path) -> io::Result<()> {
    let mut moved = 0;
    loop {
        empty(folder, folder, 0, &mut moved)?;
        match fs::remove_dir(folder) {
            // What was moved up meanwhile.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            removed => return removed,
        }
    }
}

fn empty(top: &Path, folder: &Path, depth: usize, moved: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            gone(fs::remove_file(&path))?;
        } else if depth == DEEPEST {
            move_up(top, &path, moved)?;
        } else {
            empty(top, &path, depth + 1, moved)?;
            gone(fs::remove_dir(&path))?;
        }
    }
    Ok(())
}

/// Gives a folder a name of its own at the top.
fn move_up(top: &Path, path: &Path, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        match fs::rename(path, top.join(format!("moved-{moved}"))) {
            // Somebody has thought of this name, too.
            Err(error)
                if [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::NotADirectory, io::ErrorKind::AlreadyExists]
                    .contains(&error.kind()) => {}
            renamed => return renamed,
        }
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The bytes that a tree takes, once by what its files hold and once on the disk. What cannot be read counts as nothing, nor does what
/// lies deeper than a path reaches.
pub fn sizes_of(folder: &Path) -> (u64, u64) {
    let (mut held, mut taken) = (0, 0);
    let mut pending = vec![PathBuf::from(folder)];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            // Not what a link leads to.
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                Ok(metadata) => {
                    held += metadata.len();
                    taken += metadata.blocks() * 512;
                }
                Err(_) => {}
            }
        }
    }
    (held, taken)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

    use super::*;

    /// Makes folders in folders, with a file beside each.
    fn dig(folder: &Path, name: &str, depth: usize) {
        let open = |at, name: &Path| openat(at, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("a folder");
        let mut at = open(CWD, folder);
        for _ in 0..depth {
            mkdirat(&at, name, Mode::from_raw_mode(0o700)).expect("a folder");
            drop(openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600)).expect("a file"));
            at = openat(&at, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("a folder");
        }
    }

    #[test]
    fn a_tree_of_any_depth_goes_and_nothing_else() {
        for (name, depth) in [("d", 10_000), (&*"n".repeat(255), 40), ("moved-1", 40), ("moved-2", 3)] {
            let place = tempfile::tempdir().expect("a folder");
            let folder = place.path().join("folder");
            fs::create_dir(&folder).expect("a folder");
            dig(&folder, name, depth);
            fs::create_dir_all(folder.join("moved-3/x")).expect("a folder");
            fs::write(folder.join("moved-4"), "").expect("a file");
            fs::write(place.path().join("kept"), "kept").expect("a file");
            std::os::unix::fs::symlink("../kept", folder.join("link")).expect("a link");
            std::os::unix::fs::symlink(place.path(), folder.join("way")).expect("a link");
            remove_all(&folder).expect("removed");
            assert!(!folder.exists() && fs::read(place.path().join("kept")).expect("kept") == b"kept", "{name}");
        }
        let missing = remove_all(Path::new("/nowhere/at/all")).expect_err("nothing is there");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn sizes_are_added_up_however_deep() {
        let place = tempfile::tempdir().expect("a folder");
        dig(place.path(), "d", 5_000);
        fs::create_dir(place.path().join("e")).expect("a folder");
        fs::write(place.path().join("e/f"), [0; 5000]).expect("a file");
        std::os::unix::fs::symlink("f", place.path().join("e/l")).expect("a link");
        let (held, taken) = sizes_of(place.path());
        assert!(held == 5001 && taken >= 4096, "{held} {taken}");
        remove_all(place.path()).expect("removed");
        assert_eq!(sizes_of(place.path()), (0, 0));
    }
}
