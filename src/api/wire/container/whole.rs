//! A list of containers between our own two ends: everything in one answer, and in our own types, which costs a tenth of Docker's JSON
//! to write and to read. An `up` with nothing to do consists of little else.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::resource::container::ContainerInfo;
use crate::resource::id::{ContainerId, Digest};

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "Id")]
    id: ContainerId,
    #[serde(rename = "Gantry")]
    info: &'a ContainerInfo,
}

#[derive(Deserialize)]
struct Read {
    #[serde(rename = "Gantry")]
    info: ContainerInfo,
}

/// Writes a list, without what is in files.
pub fn to_json<'a>(infos: impl Iterator<Item = &'a ContainerInfo>) -> Vec<u8> {
    let withheld = |info: &'a ContainerInfo| {
        let mut info = Cow::Borrowed(info);
        if !info.spec.files.is_empty() {
            withhold_files(info.to_mut());
        }
        info
    };
    let infos: Vec<Cow<'a, ContainerInfo>> = infos.map(withheld).collect();
    let lines: Vec<Line<'_>> = infos.iter().map(|info| Line { id: info.id, info }).collect();
    // Invariant: plain data with string keys, which JSON can always hold.
    serde_json::to_vec(&lines).expect("containers are plain data")
}

/// Reads a list; `None` when another engine wrote it, or another version of ours, whose lines have the id alone in common.
pub fn from_json(bytes: &[u8]) -> Option<Vec<ContainerInfo>> {
    let lines: Vec<Read> = serde_json::from_slice(bytes).ok()?;
    Some(lines.into_iter().map(|line| line.info).collect())
}

/// What is in injected files stays with the engine; digests tell our command line whether it changed, and nobody else, since an inspect,
/// which people show to others, has none.
pub fn withhold_files(info: &mut ContainerInfo) {
    info.file_digests = info.spec.files.iter().map(|file| (file.target.clone(), Digest::of(&file.content))).collect();
    info.spec.files.iter_mut().for_each(|file| file.content = Vec::new());
}
