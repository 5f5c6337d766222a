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

use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use crate::engine::image::bounded::Bounded;
use crate::engine::image::extract::entry::Placer;
use crate::engine::image::extract::path::NameError;

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The archive itself is broken, or what it comes from.
    #[error("cannot read the layer's archive as a tar")]
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
    let (bounded, budget) = Bounded::new(archive);
    let mut archive = tar::Archive::new(bounded);
    let mut placer = Placer::open(into)?;
    for entry in archive.entries().map_err(ExtractError::Read)? {
        let mut entry = entry.map_err(ExtractError::Read)?;
        budget.contents();
        placer.place(&mut entry)?;
        // What an entry without contents carries is passed over here, so that only headers count below.
        io::copy(&mut entry, &mut io::sink()).map_err(ExtractError::Read)?;
        budget.headers();
    }
    budget.contents();
    // The digest covers what follows the archive's end, too.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(ExtractError::Read)?;
    placer.finish()
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
