//! What a snapshot holds, written down beside it: the listing, and the digest of every file.
//!
//! The first line and the bytes of all files, the boot, so many entries, and a checksum over it all. Nothing waits for the disk, so an index
//! of another boot is not believed.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::engine::build::context::error::ContextError;
use crate::engine::store::boot_id;
use crate::resource::context::{self, ContextEntry};
use crate::resource::id::Digest;

const HEAD: &[u8] = b"gantry build context 1\n";
const NAME: &str = "index";
/// The boot's name is a UUID, or empty.
const BOOT: usize = 36;

/// An entry, and what a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Indexed {
    pub(super) entry: ContextEntry,
    pub(super) digest: Option<Digest>,
}

/// Says that the tree in a home is whole.
pub(super) fn write(home: &Path, bytes: u64, entries: &[Indexed]) -> Result<(), ContextError> {
    let mut text = Vec::with_capacity(entries.len() * 128 + 128);
    text.extend(HEAD);
    text.extend(bytes.to_be_bytes());
    text.extend(boot());
    text.extend((entries.len() as u64).to_be_bytes());
    for Indexed { entry, digest } in entries {
        context::encode(entry, &mut text);
        text.push(digest.is_some().into());
        text.extend(digest.iter().flat_map(Digest::as_bytes));
    }
    let checksum = Sha256::digest(&text);
    text.extend(checksum);
    let (fresh, path) = (home.join("index.new"), home.join(NAME));
    fs::write(&fresh, text).map_err(ContextError::disk("write", &fresh))?;
    fs::rename(&fresh, &path).map_err(ContextError::disk("replace", &path))
}

/// Says that the tree in a home is whole no longer.
pub(super) fn remove(home: &Path) -> Result<(), ContextError> {
    let path = home.join(NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ContextError::disk("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// Notes that a snapshot was used.
pub(super) fn touch(home: &Path) {
    // It only decides which one goes first.
    let _ = fs::File::options().append(true).open(home.join(NAME)).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Whether there is an index of this boot: when it was written or used last, and the bytes of the tree.
pub(super) fn look(home: &Path) -> Option<(SystemTime, u64)> {
    let mut file = fs::File::open(home.join(NAME)).ok()?;
    let mut head = [0; HEAD.len() + 8 + BOOT];
    file.read_exact(&mut head).ok()?;
    let rest = head.strip_prefix(HEAD)?;
    let (bytes, written) = rest.split_at(8);
    (written == boot()).then_some(())?;
    Some((file.metadata().ok()?.modified().ok()?, u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// Reads the index of a home.
pub(super) fn read(home: &Path) -> Result<(u64, Vec<Indexed>), ContextError> {
    let path = home.join(NAME);
    let text = fs::read(&path).map_err(ContextError::disk("read", &path))?;
    let short = || ContextError::Index("it is cut short");
    let (body, checksum) = text.split_at_checked(text.len().saturating_sub(32)).ok_or_else(short)?;
    if Sha256::digest(body).as_slice() != checksum {
        return Err(ContextError::Index("its checksum does not match"));
    }
    let mut rest = body.strip_prefix(HEAD).ok_or_else(short)?;
    let mut take = |length: usize| -> Result<&[u8], ContextError> {
        let (head, tail) = rest.split_at_checked(length).ok_or_else(short)?;
        rest = tail;
        Ok(head)
    };
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| short());
    let bytes = number(take(8)?)?;
    if take(BOOT)? != boot() {
        return Err(ContextError::Index("it is of another boot"));
    }
    let count = number(take(8)?)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = context::decode(&mut rest)?;
        let (flag, tail) = rest.split_first().ok_or_else(short)?;
        rest = tail;
        let digest = match flag {
            0 => None,
            _ => {
                let (digest, tail) = rest.split_at_checked(32).ok_or_else(short)?;
                rest = tail;
                Some(Digest::from_bytes(digest.try_into().map_err(|_| short())?))
            }
        };
        entries.push(Indexed { entry, digest });
    }
    Ok((bytes, entries))
}

fn boot() -> [u8; BOOT] {
    let mut boot = [b' '; BOOT];
    boot.iter_mut().zip(boot_id().bytes()).for_each(|(place, byte)| *place = byte);
    boot
}
