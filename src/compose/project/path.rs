//! Paths of a document: where they start from, and how they are printed.

use std::path::{Component, Path, PathBuf};

use crate::compose::project::load::Sources;

/// What the paths of a document are relative to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a> {
    /// The project's folder, or that of the file that is extended or included.
    pub folder: &'a Path,
    /// What `~` stands for.
    pub home: Option<&'a Path>,
    /// The project's folder where paths stay relative: those of its own files as they are written, those of others from there.
    pub shown_from: Option<&'a Path>,
    /// A text with a `$` in it may stand for anything, and stays as it is written.
    pub keep_templates: bool,
}

impl<'a> Base<'a> {
    /// That of a folder, in a project whose own folder is `project`.
    pub(crate) fn new(sources: &'a Sources, project: &'a Path, folder: &'a Path) -> Self {
        Self {
            folder,
            home: sources.home.as_deref(),
            shown_from: sources.keep_relative.then_some(project),
            keep_templates: sources.keep_templates,
        }
    }
}

/// Makes a relative path absolute and clean; `~` is the home directory.
pub(crate) fn absolute(path: &str, base: Base<'_>) -> String {
    let home = path.strip_prefix('~');
    match base.shown_from {
        _ if path.starts_with('/') => return path.to_owned(),
        Some(project) if project == base.folder => return path.to_owned(),
        _ => {}
    }
    // `~name` is below the caller's own home, too: Docker Compose knows no other.
    let full = match (home, base.home, base.shown_from) {
        (Some(rest), Some(home), _) => clean(&home.join(rest.trim_start_matches('/'))),
        (.., Some(project)) => relative(&clean(&base.folder.join(path)), project),
        (.., None) => clean(&base.folder.join(path)),
    };
    full.to_string_lossy().into_owned()
}

/// Takes `.`, `..` and doubled slashes out of a path, without looking at the disk.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if cleaned.parent().is_some() => {
                cleaned.pop();
            }
            Component::ParentDir if cleaned.has_root() => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// The way from a folder to a path; both are absolute and clean.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let shared = path.components().zip(folder.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(path.components().skip(shared)).collect();
    if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_one_folder_to_another() {
        for (path, folder, expect) in [("/a/b/c", "/a/b", "c"), ("/a/x", "/a/b/c", "../../x"), ("/a", "/a", "."), ("/b", "/", "b")] {
            assert_eq!(relative(Path::new(path), Path::new(folder)), Path::new(expect), "{path} from {folder}");
        }
    }
}
