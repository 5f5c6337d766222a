//! Trees of files become tars and tars become trees: attributes, links, devices, owners, modes and times; and with a layer's whiteouts
//! and opaque folders, a folder that overlay can use, and back. Parts of trees are copied, and have digests.
//!
//! `tar` only takes the archive apart; its own `unpack` knows neither whiteouts nor hostile names. Every name is looked up by the kernel
//! as if the tree's root were the root of everything, whatever an archive or whoever else writes into the tree has in store.

mod attribute;
pub mod bounded;
mod contents;
pub mod copy;
pub mod difference;
pub mod digest;
pub mod discard;
mod entry;
mod glob;
pub mod kept;
pub mod layer;
pub mod look;
pub mod mode;
pub mod opaque;
pub mod pack;
pub mod path;
mod pax;
pub mod select;
mod sparse;
mod tree;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use crate::archive::bounded::Bounded;
use crate::archive::entry::Placer;
use crate::archive::path::NameError;
use crate::archive::tree::Tree;

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The archive itself is broken, or what it comes from.
    #[error("cannot read the archive as a tar")]
    Read(#[source] io::Error),
    /// The folder to unpack into cannot be used.
    #[error("cannot use {path}")]
    Root {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name that no archive may have.
    #[error("the archive's entry `{entry}` is refused")]
    Name {
        /// The entry.
        entry: String,
        /// Why.
        #[source]
        source: NameError,
    },
    /// An entry that means nothing, or nothing good.
    #[error("the archive's entry `{entry}` is refused: {reason}")]
    Refused {
        /// The entry.
        entry: String,
        /// Why.
        reason: &'static str,
    },
    /// An entry that the file system did not take.
    #[error("cannot {step} the archive's entry `{entry}`")]
    Step {
        /// What was tried.
        step: &'static str,
        /// The entry.
        entry: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What becomes of an archive's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whose the files are.
    pub owner: Owner,
    /// A folder does not make way for something else, nor something else for a folder.
    pub keep_kinds: bool,
    /// The first part of every name, and what it becomes.
    pub rename: Option<(OsString, OsString)>,
}

/// Whose unpacked files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// As the archive says.
    #[default]
    Archive,
    /// One user's and one group's.
    Fixed(u32, u32),
    /// Of whoever unpacks.
    Own,
}

/// Unpacks an image's layer into an empty folder, reading it to its last byte; returns the bytes of its files.
pub fn unpack_layer(archive: impl Read, into: &Path) -> Result<u64, ExtractError> {
    let root = open_folder(into)?;
    place_all(archive, Placer::new(Tree::new(root, PathBuf::new(), true), Rules::default()))
}

/// Unpacks a tar into a folder of the tree at `root`, which is there; returns the bytes of its files. Links lead anywhere in the tree,
/// also those of the archive: where they may not lead out of the folder, it is opened (`look::folder`) and is itself the root.
pub fn unpack(archive: impl Read, root: BorrowedFd<'_>, folder: &Path, rules: Rules) -> Result<u64, ExtractError> {
    let wrong = |source| ExtractError::Root { path: folder.display().to_string(), source };
    let root = root.try_clone_to_owned().map_err(wrong)?;
    place_all(archive, Placer::new(Tree::new(root, folder.to_owned(), false), rules))
}

/// Opens a folder of the host's as the root of a tree.
pub fn open_folder(path: &Path) -> Result<OwnedFd, ExtractError> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| ExtractError::Root { path: path.display().to_string(), source: error.into() })
}

fn place_all(archive: impl Read, mut placer: Placer) -> Result<u64, ExtractError> {
    let (bounded, budget) = Bounded::new(archive);
    let mut archive = tar::Archive::new(bounded);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        budget.contents();
        placer.place(&mut entry)?;
        // What an entry without contents carries is passed over here, so that only headers count below.
        io::copy(&mut entry, &mut io::sink()).map_err(unreadable)?;
        budget.headers();
    }
    budget.contents();
    // A digest covers what follows the archive's end, too.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(unreadable)?;
    placer.finish()
}

/// Sets the times of folders, once nothing more is written into them.
fn set_folder_times(tree: &Tree, folders: &[(PathBuf, Timespec)]) -> Result<(), ExtractError> {
    for (path, time) in folders {
        let times = Timestamps { last_access: *time, last_modification: *time };
        // A later entry may have put something else in its place.
        let Ok(folder) = tree.look_up(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) else { continue };
        rustix::fs::futimens(&folder, &times).map_err(|error| step("set the time of", path.as_os_str().as_encoded_bytes(), error))?;
    }
    Ok(())
}

fn step(step: &'static str, entry: &[u8], error: rustix::io::Errno) -> ExtractError {
    ExtractError::Step { step, entry: printable(entry), source: error.into() }
}

fn printable(entry: &[u8]) -> String {
    String::from_utf8_lossy(entry).chars().flat_map(|letter| if letter.is_control() { vec!['?'] } else { vec![letter] }).collect()
}

/// An archive that cannot be read; what is no archive at all is quoted by its reader, and is not for a terminal.
fn unreadable(error: io::Error) -> ExtractError {
    const SHOWN: usize = 60;
    let text = error.to_string();
    if !text.contains(|letter: char| letter.is_control() || letter == char::REPLACEMENT_CHARACTER) {
        return ExtractError::Read(error);
    }
    let shown: String = printable(text.as_bytes()).chars().take(SHOWN).chain(['…']).collect();
    ExtractError::Read(io::Error::new(error.kind(), shown))
}

/// Flags of `fchmodat` and `fchownat` for a name that was just made.
const NO_FOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;

/// The permission bits of a header, set-id and sticky bits among them.
fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}
