//! The work of a copy: sources of a tree, files of the Dockerfile and of URLs, archives, all put in their place.

use std::io::{self, Read};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::archive::copy::{Choice, CopyOwner, CopyRequest};
use crate::archive::kept::Kept;
use crate::archive::mode::ModeChange;
use crate::archive::select::{CopyError, Selection};
use crate::archive::{self, Owner, Rules, look, open_folder};
use crate::dockerfile::{Copy, Ignore};
use crate::engine::build::stage::StepError;
use crate::engine::image::decompress;
use crate::engine::image::workshop::Scratch;
use crate::engine::runtime::view;
use crate::resource::failure::Failure;
use crate::resource::id::Digest;

/// What is copied, in the order of the sources.
pub(super) enum Part {
    /// Paths in the tree.
    Paths(Vec<PathBuf>),
    /// One file in a scratch folder of its own, by its name there.
    File { scratch: Arc<Scratch>, name: String, digest: Digest },
    /// A file that is still to be fetched, and has to have this digest.
    Remote { url: String, digest: Digest },
}

/// A copy that is all prepared.
pub(super) struct Placing {
    pub(super) copy: Copy,
    pub(super) parts: Vec<Part>,
    /// Sources come from a context, and are root's.
    pub(super) from_context: bool,
    /// See [`Selection::sealed`].
    pub(super) sealed: bool,
    /// The time of folders that are made, in seconds since 1970.
    pub(super) created: i64,
    /// What is written to the stage's root.
    pub(super) upper: OwnedFd,
    /// Somebody wants it as long as the other end is there: the work of a build that is given up ends soon.
    pub(super) wanted: Weak<()>,
}

impl Placing {
    /// Does it, from the root of the tree into the root of the stage; returns what is known of files that were put there.
    pub(super) fn place(&self, from: BorrowedFd<'_>, into: BorrowedFd<'_>) -> Result<Kept, StepError> {
        let copy = &self.copy;
        let mode = copy.chmod.as_deref().map(str::parse::<ModeChange>).transpose();
        let mode = mode.map_err(|error| Failure::invalid(format!("--chmod={}: {error}", copy.chmod.as_deref().unwrap_or_default())))?;
        let owner = copy.chown.as_deref().map(|text| owner_in(into, text)).transpose()?;
        let (exclude, folder_owner) = (exclusions(copy)?, owner);
        let copied = |selection: Selection<'_>, owner, kept: &mut Kept| {
            let request = CopyRequest {
                selection,
                into,
                destination: Path::new(&copy.destination),
                destination_is_folder: copy.destination.ends_with('/'),
                owner,
                folder_owner,
                mode: mode.clone(),
                created: self.created,
                upper: Some(self.upper.as_fd()),
            };
            archive::copy::copy_and_keep(&request, kept)
        };
        let mut kept = Kept::default();
        for part in &self.parts {
            if self.is_given_up() {
                break;
            }
            match part {
                Part::Paths(paths) => {
                    let (owner, unpacked_owner) = match owner {
                        Some((user, group)) => (CopyOwner::Fixed(user, group), Owner::Fixed(user, group)),
                        None if self.from_context => (CopyOwner::Fixed(0, 0), Owner::Archive),
                        None => (CopyOwner::Keep, Owner::Archive),
                    };
                    let unpacks = copy.add && copy.unpack != Some(false);
                    let choose = |path: &Path, is_folder: bool| match self.is_given_up() {
                        true => Choice::Leave,
                        false => choose(&exclude, path, is_folder),
                    };
                    for (is_archive, paths) in if unpacks { runs(from, paths)? } else { vec![(false, paths.clone())] } {
                        if is_archive {
                            paths.iter().try_for_each(|path| self.unpack(from, path, into, unpacked_owner))?;
                            // They may hold anything that was there.
                            kept = Kept::default();
                        } else {
                            let (keep_parents, sealed) = (copy.parents, self.sealed);
                            copied(Selection { from, sources: &paths, keep_parents, sealed, choose: &choose }, owner, &mut kept)?;
                        }
                    }
                }
                Part::File { scratch, name, .. } => {
                    let folder = open_folder(&scratch.upper()).map_err(|error| Failure::internal(error.to_string()))?;
                    let (user, group) = owner.unwrap_or((0, 0));
                    if copy.unpack == Some(true) {
                        let owner = owner.map_or(Owner::Archive, |(user, group)| Owner::Fixed(user, group));
                        self.unpack(folder.as_fd(), Path::new(name), into, owner)?;
                        kept = Kept::default();
                        continue;
                    }
                    let sources = [Path::new("/").join(name)];
                    let selection = Selection {
                        from: folder.as_fd(),
                        sources: &sources,
                        keep_parents: false,
                        sealed: true,
                        choose: &|_, _| Choice::Take,
                    };
                    copied(selection, CopyOwner::Fixed(user, group), &mut kept)?;
                }
                Part::Remote { url, .. } => return Err(Failure::internal(format!("{url} was not fetched")).into()),
            }
        }
        Ok(kept)
    }

    fn is_given_up(&self) -> bool {
        self.wanted.strong_count() == 0
    }

    /// Unpacks an archive into the destination, which none of its names leads out of.
    fn unpack(&self, from: BorrowedFd<'_>, path: &Path, into: BorrowedFd<'_>, owner: Owner) -> Result<(), StepError> {
        let shown = path.display();
        let unread = |error: std::io::Error| Failure::invalid(format!("the archive {shown} cannot be read: {error}"));
        let destination = Path::new(&self.copy.destination);
        let whose = match owner {
            Owner::Fixed(user, group) => Some((user, group)),
            _ => None,
        };
        look::make_folders(into, destination, whose, 0o755)
            .map_err(|error| Failure::invalid(format!("{} cannot be made: {error}", destination.display())))?;
        let folder = look::folder(into, destination)
            .map_err(|error| Failure::invalid(format!("{} is no folder to unpack into: {error}", destination.display())))?;
        let (_, tar) = decompress::reader(look::open(from, path).map_err(unread)?).map_err(unread)?;
        let tar = AsLongAsWanted { placing: self, tar };
        let rules = Rules { owner, ..Rules::default() };
        archive::unpack(tar, folder.as_fd(), Path::new(""), rules).map(drop).map_err(|error| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Failure::invalid(format!("{shown}: {error}{source}")).into()
        })
    }
}

/// An archive that ends with an error once nobody wants it.
struct AsLongAsWanted<'a, R> {
    placing: &'a Placing,
    tar: R,
}

impl<R: Read> Read for AsLongAsWanted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.placing.is_given_up() {
            true => Err(io::Error::other("the build was given up")),
            false => self.tar.read(buffer),
        }
    }
}

/// Sources in their order, in runs of what is to be unpacked and of what is to be copied: what comes later lies over what came before.
fn runs(from: BorrowedFd<'_>, paths: &[PathBuf]) -> Result<Vec<(bool, Vec<PathBuf>)>, StepError> {
    let mut runs: Vec<(bool, Vec<PathBuf>)> = Vec::new();
    for source in paths {
        for path in archive::copy::expand(from, source)? {
            let is_folder = look::is_folder(from, &path).map_err(|_| CopyError::Missing { path: path.display().to_string() })?;
            let is_archive = !is_folder && look::open(from, &path).is_ok_and(decompress::is_archive);
            match runs.last_mut() {
                Some((last, run)) if *last == is_archive => run.push(path),
                _ => runs.push((is_archive, vec![path])),
            }
        }
    }
    Ok(runs)
}

/// What a copy leaves out.
pub(super) fn exclusions(copy: &Copy) -> Result<Ignore, Failure> {
    Ignore::of(&copy.exclude).map_err(|problem| Failure::invalid(format!("--exclude: {problem}")))
}

/// What becomes of something in a source.
pub(super) fn choose(exclude: &Ignore, path: &Path, is_folder: bool) -> Choice {
    let path = path.to_string_lossy();
    let path = path.trim_start_matches('/');
    match (exclude.matches(path), is_folder) {
        (false, _) => Choice::Take,
        (true, true) if !exclude.can_skip(path) => Choice::Descend,
        (true, _) => Choice::Leave,
    }
}

/// Who `--chown` or a user names: a number stands for itself, as user and as group; a name is looked for in the files of the root.
pub(super) fn owner_in(root: BorrowedFd<'_>, text: &str) -> Result<(u32, u32), Failure> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let number = |text: &str| match text {
        "root" => Some(0),
        text => text.parse::<u32>().ok().filter(|number| *number <= i32::MAX.cast_unsigned()),
    };
    let (uid, gid) = match (user, number(user)) {
        ("", _) => (0, 0),
        (_, Some(number)) => (number, number),
        (user, None) => view::user_in(root, user).map_err(Failure::from)?,
    };
    let gid = match group {
        None => gid,
        // As BuildKit has it: a group that is not named is root's, where one could be.
        Some("") => 0,
        Some(group) => match number(group) {
            Some(number) => number,
            None => view::user_in(root, &format!(":{group}")).map_err(Failure::from)?.1,
        },
    };
    Ok((uid, gid))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dockerfile::Source;

    #[test]
    fn what_nobody_wants_is_not_copied_to_its_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("from/sub")).expect("folders");
        std::fs::write(at("from/sub/file"), "x").expect("a file");
        let mut tar = tar::Builder::new(std::fs::File::create(at("from/archive.tar")).expect("an archive"));
        tar.append_path_with_name(at("from/sub/file"), "unpacked").expect("an entry");
        tar.finish().expect("an archive");
        let place = |into: &str, wanted: Weak<()>| {
            std::fs::create_dir(at(into)).expect("a folder");
            let copy = Copy { add: true, ..Copy::of_all(Source::Context) };
            let parts = vec![Part::Paths(vec!["/archive.tar".into(), "/sub".into()])];
            let open = |name: &str| open_folder(&at(name)).expect("a folder");
            let placing = Placing { copy, parts, from_context: true, sealed: false, created: 0, upper: open(into), wanted };
            let (from, to) = (open("from"), open(into));
            // What it says is heard by nobody.
            let _ = placing.place(from.as_fd(), to.as_fd());
            let _ = placing.unpack(from.as_fd(), Path::new("/archive.tar"), to.as_fd(), Owner::Archive);
            let left = Path::new("unpacked");
            [at(into).join(left).exists(), at(into).join("file").exists()]
        };
        let wanted = Arc::new(());
        assert_eq!(place("wanted", Arc::downgrade(&wanted)), [true, true]);
        assert_eq!(place("given-up", Weak::new()), [false, false]);
    }
}
