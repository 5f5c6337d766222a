//! What a copy takes of a tree: sources by name or by pattern, and of the folders among them all that is not left out.
//!
//! Whoever lives in the tree may change it meanwhile: what was seen is what is opened, and below a source no link is followed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::archive::glob::{Glob, is_pattern};
use crate::archive::look::{entries, look, names, real_path};
use crate::archive::pack::DEEPEST;
use crate::archive::tree::open_beneath;
use crate::archive::{NO_FOLLOW, printable};

/// Why a copy cannot be made, or its digest.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A source that is not there.
    #[error("`{path}` is not found")]
    Missing {
        /// Its path, as it was given.
        path: String,
    },
    /// A source that is no pattern.
    #[error("`{path}` is no pattern of names: it ends within `[` or after `\\`")]
    Pattern {
        /// The source.
        path: String,
    },
    /// A folder where something else is.
    #[error("cannot copy a folder to `{path}`: what is there is no folder")]
    NoFolder {
        /// The destination.
        path: String,
    },
    /// Something else where a folder is.
    #[error("cannot copy a file to `{path}`: a folder is there")]
    Folder {
        /// The destination.
        path: String,
    },
    /// A device that overlay takes for the mark of something that is gone.
    #[error("cannot copy `{path}`: a character device 0:0 is how an overlay says that a file is gone; leave it out")]
    Whiteout {
        /// The source.
        path: String,
    },
    /// Folders too deep within each other.
    #[error("`{path}` lies in more than {DEEPEST} folders")]
    Deep {
        /// The source.
        path: String,
    },
    /// A step that failed.
    #[error("cannot {step} `{path}`")]
    Step {
        /// What was tried.
        step: &'static str,
        /// With what.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What becomes of something in a folder that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is copied; what a folder holds is asked about.
    Take,
    /// A folder is copied only if something in it is, which is asked about; anything else is left.
    Descend,
    /// It is left, a folder with all it holds.
    Leave,
}

/// What a copy takes of a tree.
#[derive(Clone, Copy)]
pub struct Selection<'a> {
    /// The root of the tree; links that lead to a source are followed in it.
    pub from: BorrowedFd<'a>,
    /// The sources, seen from the root; each may be a pattern (Go's `filepath.Match`). Of a folder it is what it holds.
    pub sources: &'a [PathBuf],
    /// Sources come with the folders they lie in: those after `/./`, or all; and `**` in them stands for any folders. The links that
    /// are followed are those before `/./`.
    pub keep_parents: bool,
    /// Nobody changes the tree, and it holds folders, files, links and pipes without attributes: it need not be looked at twice.
    pub sealed: bool,
    /// What becomes of what lies in a source, by its path in there and whether it is a folder. The sources themselves are always taken.
    pub choose: &'a dyn Fn(&Path, bool) -> Choice,
}

/// What of something that is copied is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It, only named.
    Named,
    /// It, for reading: it is a file.
    Open,
    /// The folder it lies in, in which nothing changes: it is a file, and was only looked at.
    Folder,
}

/// Something that is copied.
pub(super) struct Item<'a> {
    /// It, or its folder: what it is was seen here.
    pub(super) opened: &'a OwnedFd,
    pub(super) hold: Hold,
    pub(super) stat: &'a Stat,
    /// Its last part; of a source, as it was given.
    pub(super) name: &'a OsStr,
    /// Its path in the source that it is part of; empty for the source itself.
    pub(super) path: &'a Path,
    /// Its path in the tree, without links.
    pub(super) real: &'a Path,
    /// It is a folder that is only copied for something in it.
    pub(super) waited: bool,
}

impl Item<'_> {
    /// What kind of file it is.
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// Is shown all that is copied, in order: each source, and what folders hold between `enter` and `leave`.
pub(super) trait Visit {
    /// It seldom asks what a file holds: files of a sealed tree are not opened for it.
    const LOOKS: bool;
    /// A source; of a folder, what it holds comes next, and then `leave`.
    fn source(&mut self, item: &Item<'_>) -> Result<(), CopyError>;
    /// A folder in a source.
    fn enter(&mut self, item: &Item<'_>) -> Result<(), CopyError>;
    /// The end of a folder.
    fn leave(&mut self) -> Result<(), CopyError>;
    /// Anything else in a source.
    fn place(&mut self, item: &Item<'_>) -> Result<(), CopyError>;
}

/// The paths that a source names, in order: itself, or all that fit where it is a pattern, which may be none. The first that a
/// pattern fits are taken and not what they hold.
pub fn expand(from: BorrowedFd<'_>, source: &Path) -> Result<Vec<PathBuf>, CopyError> {
    let source = clean(source);
    let parts: Vec<&OsStr> = source.iter().skip(1).collect();
    let Some(first) = parts.iter().position(|part| is_pattern(part.as_bytes())) else { return Ok(vec![source]) };
    let globs = parts[first..].iter().map(|part| Glob::parse(part.as_bytes(), false)).collect::<Result<Vec<_>, _>>();
    let globs = globs.map_err(|_| CopyError::Pattern { path: shown(&source) })?;
    let base: PathBuf = [OsStr::new("/")].into_iter().chain(parts[..first].iter().copied()).collect();
    let wrong = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => CopyError::Missing { path: shown(&base) },
        _ => failed("list", &base)(error),
    };
    let mut found = Vec::new();
    let base = real_path(from, &base).map_err(wrong)?;
    look(from, &base).map_err(wrong)?;
    fit(from, &base, &globs, &mut found)?;
    Ok(found)
}

fn fit(from: BorrowedFd<'_>, folder: &Path, globs: &[Glob], found: &mut Vec<PathBuf>) -> Result<(), CopyError> {
    let Some((glob, rest)) = globs.split_first() else { return Ok(()) };
    for name in names(from, folder).map_err(failed("list", folder))? {
        if !glob.matches(name.as_bytes()) {
            continue;
        }
        let path = folder.join(name);
        if rest.is_empty() {
            found.push(path);
            continue;
        }
        match open_beneath(from, &path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
            Ok(_) => fit(from, &path, rest, found)?,
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => {}
            Err(error) => return Err(failed("open", &path)(error.into())),
        }
    }
    Ok(())
}

/// Shows all that a selection takes.
pub(super) fn walk(selection: &Selection<'_>, visit: &mut impl Visit) -> Result<(), CopyError> {
    for source in selection.sources {
        let (top, wanted) = if selection.keep_parents { pivot(source)? } else { (source.clone(), None) };
        for path in expand(selection.from, &top)? {
            let mut walker = Walker { selection, wanted: wanted.as_ref(), levels: Vec::new(), found: false };
            walker.source(&path, visit)?;
            if !walker.found && wanted.as_ref().is_some_and(|wanted| wanted.required) && !is_pattern(top.as_os_str().as_bytes()) {
                return Err(CopyError::Missing { path: shown(source) });
            }
        }
    }
    Ok(())
}

/// What is taken with the folders it lies in.
struct Wanted {
    glob: Glob,
    /// It is a name, so it must be there.
    required: bool,
}

/// Takes a source apart where the folders begin that are kept.
fn pivot(source: &Path) -> Result<(PathBuf, Option<Wanted>), CopyError> {
    let bytes = source.as_os_str().as_bytes();
    let (top, pattern) = match bytes.windows(3).position(|part| part == b"/./") {
        Some(at) => (Path::new(OsStr::from_bytes(&bytes[..at])), OsStr::from_bytes(&bytes[at + 3..])),
        None => (Path::new("/"), source.as_os_str()),
    };
    let pattern = clean(Path::new(pattern));
    let pattern = &pattern.as_os_str().as_bytes()[1..];
    if pattern.is_empty() {
        return Ok((top.to_owned(), None));
    }
    let glob = Glob::parse(pattern, true).map_err(|_| CopyError::Pattern { path: shown(source) })?;
    Ok((top.to_owned(), Some(Wanted { glob, required: !is_pattern(pattern) })))
}

struct Walker<'a> {
    selection: &'a Selection<'a>,
    wanted: Option<&'a Wanted>,
    levels: Vec<Level>,
    found: bool,
}

/// A folder that is gone through.
struct Level {
    folder: Arc<OwnedFd>,
    names: std::vec::IntoIter<(OsString, FileType)>,
    path: PathBuf,
    real: PathBuf,
    /// Itself, while nothing in it has called for it.
    waiting: Option<(Arc<OwnedFd>, Stat)>,
    /// All in it is wanted, because it is.
    wanted: bool,
}

impl Walker<'_> {
    fn source(&mut self, path: &Path, visit: &mut impl Visit) -> Result<(), CopyError> {
        let from = self.selection.from;
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => CopyError::Missing { path: shown(path) },
            _ => failed("find", path)(error),
        };
        let real = real_path(from, path).map_err(missing)?;
        let opened = open_beneath(from, &real, OFlags::PATH | OFlags::NOFOLLOW).map_err(|error| missing(error.into()))?;
        let stat = rustix::fs::fstat(&opened).map_err(|error| missing(error.into()))?;
        let name = path.file_name().unwrap_or_default();
        let item = Item { opened: &opened, stat: &stat, name, path: Path::new(""), real: &real, waited: false, hold: Hold::Named };
        let is_folder = item.kind() == FileType::Directory;
        // The links are resolved: it became one meanwhile.
        if item.kind() == FileType::Symlink {
            return Err(CopyError::Missing { path: shown(path) });
        }
        if self.wanted.is_some() && !is_folder {
            return Err(CopyError::Missing { path: shown(path) });
        }
        visit.source(&item)?;
        if is_folder {
            let level = self.level(&opened, PathBuf::new(), real, self.wanted.is_none())?;
            self.levels.push(level);
            self.folders(visit)?;
        }
        Ok(())
    }

    fn level(&self, opened: &OwnedFd, path: PathBuf, real: PathBuf, wanted: bool) -> Result<Level, CopyError> {
        if self.levels.len() == DEEPEST {
            return Err(CopyError::Deep { path: shown(&real) });
        }
        let folder = rustix::fs::openat(opened, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = folder.map_err(|error| failed("open", &real)(error.into()))?;
        let names = entries(folder.as_fd()).map_err(failed("list", &real))?.into_iter();
        Ok(Level { folder: Arc::new(folder), names, path, real, waiting: None, wanted })
    }

    fn folders<V: Visit>(&mut self, visit: &mut V) -> Result<(), CopyError> {
        while let Some(level) = self.levels.last_mut() {
            let Some((name, hint)) = level.names.next() else {
                let shown = self.levels.pop().is_some_and(|level| level.waiting.is_none());
                if shown {
                    visit.leave()?;
                }
                continue;
            };
            let (path, real) = (level.path.join(&name), level.real.join(&name));
            let hold = match self.selection.sealed && hint == FileType::RegularFile {
                true if V::LOOKS => Hold::Folder,
                true => Hold::Open,
                false => Hold::Named,
            };
            let (opened, stat) = match look_at(&level.folder, &name, hold) {
                // It went away since the folder was listed.
                Err((_, Errno::NOENT)) => continue,
                seen => seen.map_err(|(step, error)| failed(step, &real)(error.into()))?,
            };
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let wanted = level.wanted || self.wanted.is_some_and(|wanted| wanted.glob.matches(path.as_os_str().as_bytes()));
            let leads_to_it = || is_folder && self.wanted.is_some_and(|it| it.glob.may_match_below(&path));
            if !(wanted || leads_to_it()) {
                continue;
            }
            let choice = match (self.selection.choose)(&path, is_folder) {
                Choice::Take if !wanted => Choice::Descend,
                choice => choice,
            };
            self.found |= wanted;
            match choice {
                Choice::Leave => {}
                Choice::Take => {
                    self.announce(visit)?;
                    let item = Item { opened: &opened, stat: &stat, name: &name, path: &path, real: &real, waited: false, hold };
                    if is_folder {
                        visit.enter(&item)?;
                        let level = self.level(&opened, path, real, wanted)?;
                        self.levels.push(level);
                    } else {
                        visit.place(&item)?;
                    }
                }
                Choice::Descend if is_folder => {
                    let level = self.level(&opened, path, real, wanted)?;
                    self.levels.push(Level { waiting: Some((opened, stat)), ..level });
                }
                Choice::Descend => {}
            }
        }
        Ok(())
    }

    /// Shows the folders that one is in, where they were not yet.
    fn announce(&mut self, visit: &mut impl Visit) -> Result<(), CopyError> {
        for level in &mut self.levels {
            if let Some((opened, stat)) = level.waiting.take() {
                let name = level.path.file_name().unwrap_or_default();
                visit.enter(&Item {
                    opened: &opened,
                    stat: &stat,
                    name,
                    path: &level.path,
                    real: &level.real,
                    waited: true,
                    hold: Hold::Named,
                })?;
            }
        }
        Ok(())
    }
}

/// What has a name in a folder: whatever is to be held of it, and what it is; or the step that failed.
fn look_at(folder: &Arc<OwnedFd>, name: &OsStr, hold: Hold) -> Result<(Arc<OwnedFd>, Stat), (&'static str, Errno)> {
    if hold == Hold::Folder {
        let stat = rustix::fs::statat(folder, name, NO_FOLLOW).map_err(|error| ("look at", error))?;
        return Ok((Arc::clone(folder), stat));
    }
    let flags = if hold == Hold::Open { OFlags::RDONLY } else { OFlags::PATH } | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(|error| ("open", error))?;
    let stat = rustix::fs::fstat(&opened).map_err(|error| ("look at", error))?;
    Ok((Arc::new(opened), stat))
}

/// A path seen from the root, without `.` and `..`, before any link in it is looked at: as Docker reads sources.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// A step that failed.
pub(super) fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> CopyError {
    let path = shown(path);
    move |source| CopyError::Step { step, path: path.clone(), source }
}

/// A path as people may see it.
pub(super) fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}
