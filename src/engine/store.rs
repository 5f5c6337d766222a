//! Records on disk: plain JSON with a version and a checksum, one writer each, replaced by rename.
//!
//! A record is believed whole or not at all: one that was cut short or changed is set aside as `NAME.damaged` and counts as missing.
//! Nothing here waits for fsync; after a power failure the checksum tells a record that reached the disk from one that did not.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The version written. A reader of a later version keeps reading this one.
const VERSION: u32 = 1;

/// A record that could not be written or read for another reason than damage.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} `{}`", path.display())]
pub struct StoreError {
    /// What was tried.
    pub step: &'static str,
    /// The record.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: io::Error,
}

impl From<StoreError> for crate::resource::failure::Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(format!("{error}: {}", error.source))
    }
}

/// Why a text is no record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Damage {
    #[error("it is not a record: its head is missing")]
    Head,
    #[error("it is of version {0}, which this engine does not know")]
    Version(u32),
    #[error("its checksum does not match")]
    Checksum,
    #[error("its body cannot be understood: {0}")]
    Body(String),
}

/// Replaces the record at `path`; a reader sees the old one or the new one, never a part. The folder must exist.
pub fn replace<T: Serialize>(path: &Path, body: &T) -> Result<(), StoreError> {
    let failed = |step, source| StoreError { step, path: path.to_owned(), source };
    let text = encode(body).map_err(|source| failed("encode", io::Error::other(source)))?;
    let fresh = with_suffix(path, ".new");
    fs::write(&fresh, text).map_err(|source| failed("write", source))?;
    fs::rename(&fresh, path).map_err(|source| failed("replace", source))
}

/// Reads the record at `path`; `None` when there is none, or when it was damaged and has been set aside.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let failed = |step, source| StoreError { step, path: path.to_owned(), source };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(failed("read", error)),
    };
    match decode(&bytes) {
        Ok(body) => Ok(Some(body)),
        Err(damage) => {
            let aside = with_suffix(path, ".damaged");
            tracing::error!(record = %path.display(), aside = %aside.display(), %damage, "a record is damaged and was set aside");
            fs::rename(path, &aside).map_err(|source| failed("set aside", source))?;
            Ok(None)
        }
    }
}

/// Whether a record at `path` was once damaged, and is set aside.
pub fn was_set_aside(path: &Path) -> bool {
    with_suffix(path, ".damaged").exists()
}

/// Removes the record at `path`, if there is one.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(StoreError { step: "remove", path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

/// A body that is void once the machine was booted again.
#[derive(Serialize, Deserialize)]
struct Bound<T> {
    boot: String,
    body: T,
}

/// Replaces a record that is void after the next boot.
pub fn replace_until_reboot<T: Serialize>(path: &Path, body: &T) -> Result<(), StoreError> {
    replace(path, &Bound { boot: boot_id().to_owned(), body })
}

/// Reads a record of [`replace_until_reboot`]; one of another boot is removed and counts as missing.
pub fn read_until_reboot<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    match read::<Bound<T>>(path)? {
        Some(bound) if bound.boot == boot_id() => Ok(Some(bound.body)),
        Some(_) => remove(path).map(|()| None),
        None => Ok(None),
    }
}

/// The kernel's name for this boot; empty where /proc is not mounted.
pub fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// `{"version":1,"checksum":"…","body":…}`: the checksum is over the body's bytes as they stand, so the head has a fixed form.
fn encode<T: Serialize>(body: &T) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec(body)?;
    let mut text = format!("{{\"version\":{VERSION},\"checksum\":\"{}\",\"body\":", checksum(&body)).into_bytes();
    text.extend_from_slice(&body);
    text.extend_from_slice(b"}\n");
    Ok(text)
}

fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, Damage> {
    let rest = text.strip_prefix(b"{\"version\":").ok_or(Damage::Head)?;
    let comma = rest.iter().position(|&byte| byte == b',').ok_or(Damage::Head)?;
    let version = std::str::from_utf8(&rest[..comma]).ok().and_then(|digits| digits.parse().ok()).ok_or(Damage::Head)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let rest = rest[comma..].strip_prefix(b",\"checksum\":\"").ok_or(Damage::Head)?;
    let (sum, rest) = rest.split_at_checked(64).ok_or(Damage::Head)?;
    let body = rest.strip_prefix(b"\",\"body\":").and_then(|rest| rest.strip_suffix(b"}\n")).ok_or(Damage::Checksum)?;
    if checksum(body).as_bytes() != sum {
        return Err(Damage::Checksum);
    }
    serde_json::from_slice(body).map_err(|error| Damage::Body(error.to_string()))
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("record.json");
        assert_eq!(read::<Vec<String>>(&path).expect("readable"), None);
        replace(&path, &vec!["a".to_owned(), "},\"body\":".to_owned()]).expect("written");
        assert_eq!(read(&path).expect("readable"), Some(vec!["a".to_owned(), "},\"body\":".to_owned()]));
        remove(&path).expect("removed");
        remove(&path).expect("removing nothing is fine");
    }

    #[test]
    fn a_damaged_record_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("record.json");
        replace(&path, &"some text").expect("written");
        let whole = fs::read(&path).expect("readable");
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).expect("written");
            assert_eq!(read::<String>(&path).expect("readable"), None, "cut at {cut}");
            assert!(!path.exists() && with_suffix(&path, ".damaged").exists());
        }
        let mut changed = whole.clone();
        let last = whole.len() - 4;
        changed[last] ^= 1;
        assert_eq!(decode::<String>(&changed), Err(Damage::Checksum));
        assert_eq!(decode::<String>(b"{\"version\":9,"), Err(Damage::Version(9)));
        assert!(matches!(decode::<u32>(&whole), Err(Damage::Body(_))));
    }

    #[test]
    fn a_record_of_another_boot_is_void() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("record.json");
        replace_until_reboot(&path, &7).expect("written");
        assert_eq!(read_until_reboot(&path).expect("readable"), Some(7));
        replace(&path, &Bound { boot: "before".to_owned(), body: 7 }).expect("written");
        assert_eq!(read_until_reboot::<i32>(&path).expect("readable"), None);
        assert!(!path.exists());
    }
}
