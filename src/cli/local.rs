//! The rules by which `docker cp` names things: where a copy lands, and what it is called there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;

/// So many links are followed to a destination.
const LINKS: u32 = 10;

/// One end of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// Its path as it was written; a slash or `/.` at its end means something.
    pub(crate) path: String,
    /// Something is there.
    pub(crate) exists: bool,
    /// It is a folder.
    pub(crate) is_folder: bool,
}

/// Where the top of an archive lands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Landing {
    /// The folder it is unpacked in.
    pub(crate) folder: String,
    /// What it is called there, if not as in the archive.
    pub(crate) name: Option<String>,
}

/// The folder of a path and its last part, which is `.` where the path says so.
pub(crate) fn split(path: &str) -> (String, String) {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let clean = clean(path);
    if last == "." || path == "." {
        return (clean, ".".to_owned());
    }
    match clean.rsplit_once('/') {
        None => (".".to_owned(), clean),
        Some(("", "")) => ("/".to_owned(), "/".to_owned()),
        Some(("", name)) => ("/".to_owned(), name.to_owned()),
        Some((folder, name)) => (folder.to_owned(), name.to_owned()),
    }
}

/// Go's `path.Clean`.
fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => _ = parts.pop(),
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    match (absolute, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

/// The path is said to be a folder, whether it is there or not.
fn asserts_folder(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.") || path == "."
}

/// Decides where a source lands.
pub(crate) fn land(source: &End, destination: &End) -> Result<Landing, CommandError> {
    if destination.exists && destination.is_folder {
        return Ok(Landing { folder: destination.path.clone(), name: None });
    }
    if destination.exists && source.is_folder {
        return Err(CommandError::local(format!("cannot copy the directory `{}` onto the file `{}`", source.path, destination.path)));
    }
    if !source.is_folder && asserts_folder(&destination.path) {
        return Err(CommandError::local(format!("no such directory: {}", destination.path)));
    }
    let (folder, name) = split(&destination.path);
    Ok(Landing { folder, name: Some(name) })
}

/// What a link at the end of a path led to, and the name it had before, where that is another.
pub(crate) fn follow(path: &str, target: &str) -> (String, Option<String>) {
    let mut target = target.to_owned();
    let (last, target_last) = (split(path).1, split(&target).1);
    if last == "." && target_last != "." {
        target.push_str("/.");
    }
    if path.ends_with('/') && !target.ends_with('/') {
        target.push('/');
    }
    let renamed = split(&target).1 != last;
    (target, renamed.then_some(last))
}

/// Looks at a destination of this machine, links followed; its parent must be there.
pub(crate) fn destination(path: &Path, written: &str) -> Result<End, CommandError> {
    let failed = |path: &Path, error: io::Error| CommandError::local(format!("cannot copy to {}: {error}", path.display()));
    let asserts = asserts_folder(written);
    let mut path = PathBuf::from(clean(&path.to_string_lossy()));
    for _ in 0..=LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&path).map_err(|error| failed(&path, error))?;
                path = path.parent().unwrap_or(Path::new("/")).join(target);
            }
            Ok(found) => return Ok(End { path: text(&path, false), exists: true, is_folder: found.is_dir() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(Path::new("/"));
                let found = fs::metadata(parent).map_err(|error| failed(parent, error))?;
                if !found.is_dir() {
                    return Err(failed(parent, io::ErrorKind::NotADirectory.into()));
                }
                return Ok(End { path: text(&path, asserts), exists: false, is_folder: false });
            }
            Err(error) => return Err(failed(&path, error)),
        }
    }
    Err(CommandError::local(format!("cannot copy to {written}: too many links")))
}

fn text(path: &Path, asserts_folder: bool) -> String {
    let mut text = path.to_string_lossy().into_owned();
    if asserts_folder && !text.ends_with('/') {
        text.push('/');
    }
    text
}

/// Looks at a source of this machine; with `follow_link`, a link at its end is followed. Returns also what its top is called.
pub(crate) fn source(path: &Path, written: &str, follow_link: bool) -> Result<(End, String), CommandError> {
    let failed = |error: io::Error| CommandError::local(format!("cannot copy {written}: {error}"));
    let whole = path.to_string_lossy().into_owned();
    let name = split(&whole).1;
    let ends = |text: String| if name == "." { format!("{text}/.") } else { text };
    let found = fs::symlink_metadata(path).map_err(failed)?;
    // `path/` and `path/.` are followed by whoever opens them.
    let path = if follow_link && found.is_symlink() {
        let real = fs::canonicalize(path).map_err(failed)?;
        ends(real.to_string_lossy().into_owned())
    } else {
        whole
    };
    let is_folder = fs::symlink_metadata(&path).map_err(failed)?.is_dir();
    if !is_folder && asserts_folder(written) {
        return Err(CommandError::local(format!("cannot copy {written}: it is not a directory")));
    }
    Ok((End { path, exists: true, is_folder }, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(path: &str, kind: &str) -> End {
        End { path: path.to_owned(), exists: kind != "none", is_folder: kind == "folder" }
    }

    #[test]
    fn a_copy_lands_as_with_docker() {
        let check = |source: (&str, &str), destination: (&str, &str), expect: Result<(&str, Option<&str>), &str>| {
            let landed = land(&end(source.0, source.1), &end(destination.0, destination.1));
            match (landed, expect) {
                (Ok(landed), Ok((folder, name))) => assert_eq!((landed.folder.as_str(), landed.name.as_deref()), (folder, name)),
                (Err(error), Err(words)) => assert!(error.message().contains(words), "{error:?}"),
                (landed, expect) => panic!("{source:?} {destination:?}: {landed:?} instead of {expect:?}"),
            }
        };
        check(("/a/f", "file"), ("/dst", "folder"), Ok(("/dst", None)));
        check(("/a/f", "file"), ("/dst/g", "none"), Ok(("/dst", Some("g"))));
        check(("/a/f", "file"), ("/dst/g", "file"), Ok(("/dst", Some("g"))));
        check(("/a/f", "file"), ("/dst/g/", "none"), Err("no such directory"));
        check(("/a/d", "folder"), ("/dst", "folder"), Ok(("/dst", None)));
        check(("/a/d", "folder"), ("/dst/new", "none"), Ok(("/dst", Some("new"))));
        check(("/a/d", "folder"), ("/dst/new/", "none"), Ok(("/dst", Some("new"))));
        check(("/a/d/.", "folder"), ("/dst/new", "none"), Ok(("/dst", Some("new"))));
        check(("/a/d", "folder"), ("/dst/f", "file"), Err("cannot copy the directory"));
        check(("f", "file"), ("g", "none"), Ok((".", Some("g"))));
        check(("f", "file"), ("/g", "none"), Ok(("/", Some("g"))));
    }

    #[test]
    fn paths_are_taken_apart_as_go_does() {
        for (path, folder, name) in [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a/b/.", "/a/b", "."),
            ("/a/../b", "/", "b"),
            ("/", "/", "/"),
            ("a", ".", "a"),
            (".", ".", "."),
            ("/..", "/", "/"),
            ("../x", "..", "x"),
        ] {
            assert_eq!(split(path), (folder.to_owned(), name.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_followed_link_keeps_its_name() {
        assert_eq!(follow("/link", "/etc/hosts"), ("/etc/hosts".to_owned(), Some("link".to_owned())));
        assert_eq!(follow("/x/hosts", "/etc/hosts"), ("/etc/hosts".to_owned(), None));
        assert_eq!(follow("/link/", "/etc"), ("/etc/".to_owned(), Some("link".to_owned())));
    }

    #[test]
    fn ends_of_this_machine_are_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "x").expect("written");
        fs::create_dir(at("dir")).expect("made");
        std::os::unix::fs::symlink("file", at("link")).expect("made");
        std::os::unix::fs::symlink("new", at("dangling")).expect("made");
        let there = |name: &str| destination(&at(name), name).expect("a place");
        assert!(there("dir").is_folder && there("dir/").exists && there("file").exists && !there("file").is_folder);
        assert_eq!(there("link").path, at("file").display().to_string());
        assert_eq!((there("dangling").path, there("dangling").exists), (at("new").display().to_string(), false));
        assert_eq!(there("made/").path, format!("{}/", at("made").display()));
        assert!(destination(&at("missing/deep"), "missing/deep").is_err() && destination(&at("file/x"), "file/x").is_err());
        let of = |name: &str, follow| source(&at(name), name, follow);
        assert_eq!(of("link", true).expect("there").0.path, fs::canonicalize(at("file")).expect("real").display().to_string());
        assert_eq!(of("link", true).expect("there").1, "link");
        assert!(of("dir/.", false).expect("there").0.is_folder && of("dir/.", false).expect("there").1 == ".");
        assert!(of("missing", false).is_err() && of("file/", false).is_err());
    }
}
