//! How a container ended, as its shim wrote it down before it told anyone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::resource::container::ExitStatus;
use crate::resource::time::Timestamp;

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// How it ended.
    pub status: ExitStatus,
    /// When its command was executed.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// The record as it stands on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned<T> {
    version: u32,
    exit: T,
}

const VERSION: u32 = 1;

impl ExitRecord {
    /// Reads the record that a shim left at `path` (`LaunchSpec::exit_record`); `None` when there is none or it is damaged.
    pub fn read(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let record: Versioned<Self> = serde_json::from_slice(&bytes).ok()?;
        (record.version == VERSION).then_some(record.exit)
    }

    /// Puts the record in its place, whole: a reader sees the one before or this one.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        let bytes = serde_json::to_vec(&Versioned { version: VERSION, exit: self })?;
        File::create(&beside)?.write_all(&bytes)?;
        fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_half_of_one_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("exit.json");
        assert_eq!(ExitRecord::read(&path), None);
        let status = ExitStatus { code: 137, out_of_memory: true, error: String::new() };
        let record = ExitRecord { status, started_at: Timestamp::from_nanos(1), finished_at: Timestamp::from_nanos(2) };
        record.write(&path).expect("it is written");
        assert_eq!(ExitRecord::read(&path), Some(record));
        let bytes = fs::read(&path).expect("it is there");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("it is cut");
        assert_eq!(ExitRecord::read(&path), None);
    }
}
