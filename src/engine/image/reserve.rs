//! Room kept on the disk of the images. Where nothing else is free, an image can be removed all the same: that is written down before anything goes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Enough for the record of some thousand images.
const SIZE: u64 = 1 << 20;

/// The room: a file that has its blocks, and nothing in them.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Opens what is kept below a data folder.
    pub(super) fn open(data: &Path) -> Self {
        let reserve = Self { path: data.join("reserve") };
        reserve.fill();
        reserve
    }

    /// Keeps what is not kept yet. On a full disk there is nothing to keep.
    pub(super) fn fill(&self) {
        if fs::metadata(&self.path).is_ok_and(|it| it.len() == SIZE) {
            return;
        }
        let kept = File::create(&self.path).and_then(|mut file| match fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
            // Some file systems give no room without bytes.
            Err(Errno::OPNOTSUPP) => io::copy(&mut io::repeat(1).take(SIZE), &mut file).map(drop),
            kept => Ok(kept?),
        });
        if let Err(error) = kept {
            tracing::debug!(path = %self.path.display(), %error, "nothing is kept back for removals");
            // What was written of it is of use to others.
            self.give_up();
        }
    }

    /// Gives the room away; says whether there was any.
    pub(super) fn give_up(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_away_is_kept_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reserve = Reserve::open(folder.path());
        assert!(reserve.give_up() && !reserve.give_up());
        reserve.fill();
        assert_eq!(fs::metadata(folder.path().join("reserve")).expect("the room").len(), SIZE);
    }
}
