//! Devices of the host in a container, and rules about which it may use.

use serde::{Deserialize, Serialize};

/// A device of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// `r`, `w` and `m`.
    pub permissions: String,
}

/// Which kind of devices a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Character devices.
    Character,
    /// Block devices.
    Block,
    /// Both.
    All,
}

/// What a container may do with devices of a number; absent parts stand for every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Their kind.
    pub kind: DeviceKind,
    /// The driver.
    pub major: Option<u32>,
    /// The device of the driver.
    pub minor: Option<u32>,
    /// Read.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Make a node.
    pub make: bool,
}

/// Whether these are permissions of a device: at least one of `r`, `w` and `m`.
pub fn are_permissions(text: &str) -> bool {
    !text.is_empty() && text.len() <= 3 && text.chars().all(|letter| "rwm".contains(letter))
}

impl std::str::FromStr for DeviceRule {
    type Err = String;

    /// Reads `c 1:3 rwm`; `*` stands for every number, `a` for both kinds.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("invalid device cgroup rule format: '{text}'");
        let number = |word: &str| match word {
            "*" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| wrong()),
        };
        let [kind, numbers, permissions] = text.split(' ').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
        if !are_permissions(permissions) {
            return Err(wrong());
        }
        Ok(Self {
            kind: match kind {
                "c" => DeviceKind::Character,
                "b" => DeviceKind::Block,
                "a" => DeviceKind::All,
                _ => return Err(wrong()),
            },
            major: number(major)?,
            minor: number(minor)?,
            read: permissions.contains('r'),
            write: permissions.contains('w'),
            make: permissions.contains('m'),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_docker_reads_them() {
        let rule = DeviceRule { kind: DeviceKind::Character, major: Some(1), minor: None, read: true, write: false, make: true };
        assert_eq!("c 1:* mr".parse(), Ok(rule));
        assert_eq!("a *:* w".parse::<DeviceRule>().map(|rule| rule.kind), Ok(DeviceKind::All));
        for text in ["", "c", "d 1:3 r", "c 1 r", "c 1:3", "c 1:3 x", "c x:3 r", "c 1:3 rwmr", "c 1:3 r "] {
            assert_eq!(text.parse::<DeviceRule>(), Err(format!("invalid device cgroup rule format: '{text}'")));
        }
    }
}
