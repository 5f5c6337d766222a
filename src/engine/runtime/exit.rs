//! How a container ended, as its shim wrote it down before it told anyone.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::store::{self, StoreError};
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

impl ExitRecord {
    /// Reads the record that a shim left at `path` (`LaunchSpec::exit_record`); `None` when there is none or it is damaged.
    pub fn read(path: &Path) -> Option<Self> {
        store::read(path).ok().flatten()
    }

    /// Puts the record in its place, whole: a reader sees the one before or this one.
    pub(super) fn write(&self, path: &Path) -> Result<(), StoreError> {
        store::replace(path, self)
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
        let bytes = std::fs::read(&path).expect("it is there");
        std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("it is cut");
        assert_eq!(ExitRecord::read(&path), None);
    }
}
