//! What lies at a path in a container: a header in base64, with the mode in Go's own bits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::time;
use crate::resource::path::PathStat;
use crate::resource::time::Timestamp;

/// The header that carries it.
pub const HEADER: &str = "x-docker-container-path-stat";

/// Kinds: the kernel's bits and those of Go's `fs.FileMode`.
const KINDS: [(u32, u32); 7] = [
    (0o040_000, 1 << 31),
    (0o120_000, 1 << 27),
    (0o060_000, 1 << 26),
    (0o020_000, 1 << 26 | 1 << 21),
    (0o010_000, 1 << 25),
    (0o140_000, 1 << 24),
    (0o100_000, 0),
];
/// Bits above the permissions, in the same two ways: set-user-id, set-group-id, sticky.
const SPECIAL: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
const KIND: u32 = 0o170_000;
/// Every bit of Go's that tells a kind.
const GO_KIND: u32 = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21;

fn to_go(mode: u32) -> u32 {
    let kind = KINDS.iter().find(|(bits, _)| mode & KIND == *bits).map_or(0, |(_, go)| *go);
    SPECIAL.iter().filter(|(bit, _)| mode & bit != 0).fold(kind | mode & 0o777, |all, (_, go)| all | go)
}

fn from_go(mode: u32) -> u32 {
    let kind = KINDS.iter().find(|(_, go)| mode & GO_KIND == *go).map_or(0, |(bits, _)| *bits);
    SPECIAL.iter().filter(|(_, go)| mode & go != 0).fold(kind | mode & 0o777, |all, (bit, _)| all | bit)
}

/// Writes it as a header's value.
pub fn to_header(stat: &PathStat) -> String {
    let value = json!({
        "name": stat.name,
        "size": stat.size,
        "mode": to_go(stat.mode),
        "mtime": stat.modified.to_string(),
        "linkTarget": stat.link_target,
    });
    STANDARD.encode(value.to_string())
}

/// Reads a header's value.
pub fn from_header(text: &str) -> Result<PathStat, WireError> {
    let wrong = || WireError::malformed("X-Docker-Container-Path-Stat", "JSON in base64");
    let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    let mut fields = Fields::of("", value, Mood::Answer)?;
    Ok(PathStat {
        name: fields.text("name")?.unwrap_or_default(),
        size: fields.unsigned("size")?.unwrap_or_default(),
        mode: from_go(fields.get("mode", "a number")?.unwrap_or_default()),
        modified: time::from_text(&fields.text("mtime")?.unwrap_or_default()).unwrap_or(Timestamp::from_nanos(0)),
        link_target: fields.text("linkTarget")?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos_and_come_back() {
        for (mode, go) in [
            (0o100_644, 0o644),
            (0o040_755, 0x8000_01ed),
            (0o120_777, 0x0800_01ff),
            (0o020_666, 0x0420_01b6),
            (0o104_755, 0x0080_01ed),
            (0o041_777, 0x8010_01ff),
        ] {
            assert_eq!((to_go(mode), from_go(go)), (go, mode), "{mode:o}");
        }
        let stat = PathStat {
            name: "link".to_owned(),
            size: 5,
            mode: 0o120_777,
            modified: Timestamp::from_nanos(1_500_000_000_000_000_001),
            link_target: "/etc/hosts".to_owned(),
        };
        assert_eq!(from_header(&to_header(&stat)).expect("good"), stat);
        assert!(from_header("%").is_err() && from_header("YQ==").is_err());
    }
}
