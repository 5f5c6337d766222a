//! A layer's tar becomes a folder that overlay can use: whiteouts, opaque folders, attributes, links, devices, owners, modes and times.
//!
//! `tar` only takes the archive apart; its own `unpack` knows neither whiteouts nor hostile names.

mod entry;
pub mod path;
mod pax;
mod sparse;
mod tree;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use crate::engine::image::extract::entry::Placer;
use crate::engine::image::extract::path::NameError;

/// Headers and extensions of one entry must fit in here: `tar` keeps them in memory, and a bomb would fill it.
const HEADER_LIMIT: u64 = 4 << 20;

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The archive itself is broken, or what it comes from.
    #[error("cannot read the layer's archive")]
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
    /// A name that no layer may have.
    #[error("the layer's entry `{entry}` is refused")]
    Name {
        /// The entry.
        entry: String,
        /// Why.
        #[source]
        source: NameError,
    },
    /// An entry that means nothing, or nothing good.
    #[error("the layer's entry `{entry}` is refused: {reason}")]
    Refused {
        /// The entry.
        entry: String,
        /// Why.
        reason: &'static str,
    },
    /// An entry that the file system did not take.
    #[error("cannot {step} the layer's entry `{entry}`")]
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

/// Unpacks a tar into an empty folder, reading it to its last byte; returns the bytes of its files.
pub fn unpack(archive: impl Read, into: &Path) -> Result<u64, ExtractError> {
    let budget = Rc::new(Cell::new(u64::MAX));
    let mut archive = tar::Archive::new(Bounded { inner: archive, budget: Rc::clone(&budget) });
    let mut placer = Placer::open(into)?;
    budget.set(HEADER_LIMIT);
    let mut entries = archive.entries().map_err(ExtractError::Read)?;
    while let Some(entry) = entries.next() {
        let mut entry = entry.map_err(ExtractError::Read)?;
        budget.set(u64::MAX);
        placer.place(&mut entry)?;
        // What an entry without contents carries is passed over here, so that only headers count below.
        io::copy(&mut entry, &mut io::sink()).map_err(ExtractError::Read)?;
        budget.set(HEADER_LIMIT);
    }
    budget.set(u64::MAX);
    // The digest covers what follows the archive's end, too.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(ExtractError::Read)?;
    placer.finish()
}

/// A reader that gives no more than it may.
struct Bounded<R> {
    inner: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.get();
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the headers of one entry are larger than 4 MiB"));
        }
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..length])?;
        if left != u64::MAX {
            self.budget.set(left - read as u64);
        }
        Ok(read)
    }
}

/// Sets the times of folders, once nothing more is written into them.
fn set_folder_times(tree: &tree::Tree, folders: &[(std::path::PathBuf, Timespec)]) -> Result<(), ExtractError> {
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

/// Flags of `fchmodat` and `fchownat` for a name that was just made.
const NO_FOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;

/// The permission bits of a header, set-id and sticky bits among them.
fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}
