//! Capabilities: a set of them, Docker's default, and what a container adds and drops.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::resource::capability::{NAMES, number};

/// What a container has unless it says otherwise (moby, oci/caps/defaults.go).
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A name that is no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a capability")]
pub struct UnknownCapability(pub String);

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// The one that nearly everything of a kernel's setup needs.
    pub(super) const SYS_ADMIN: Self = Self(1 << 21);

    /// Not one.
    pub const EMPTY: Self = Self(0);

    /// Those Docker gives.
    pub fn docker_default() -> Self {
        DEFAULT.iter().filter_map(|name| number(name)).fold(Self::EMPTY, Self::with)
    }

    /// Those this process could pass on: its bounding set. What a container is given can be no more.
    pub fn available() -> Self {
        // SAFETY: PR_CAPBSET_READ takes a number and touches no memory; an unknown number is an error, thus not 1.
        (0..64).filter(|&number| unsafe { libc::prctl(libc::PR_CAPBSET_READ, u64::from(number)) } == 1).fold(Self::EMPTY, Self::with)
    }

    /// What a container has that adds and drops these, without `CAP_` or with it, in any case; `ALL` stands for every one.
    /// A name that is both added and dropped is dropped, unless it is dropped by `ALL` (as Docker's TweakCapabilities does).
    pub fn resolve(add: &BTreeSet<String>, drop: &BTreeSet<String>, privileged: bool) -> Result<Self, UnknownCapability> {
        let named = |names: &BTreeSet<String>| -> Result<(Self, bool), UnknownCapability> {
            names.iter().try_fold((Self::EMPTY, false), |(set, all), name| match Self::parse(name)? {
                Some(number) => Ok((set.with(number), all)),
                None => Ok((set, true)),
            })
        };
        let (added, all_added) = named(add)?;
        let (dropped, all_dropped) = named(drop)?;
        let everything = Self::available();
        if privileged {
            return Ok(everything);
        }
        Ok(match (all_added, all_dropped) {
            (true, _) => everything.without(dropped),
            (false, true) => added,
            (false, false) => Self(Self::docker_default().0 | added.0).without(dropped),
        })
    }

    /// The number of a name, or `None` for `ALL`.
    fn parse(name: &str) -> Result<Option<u32>, UnknownCapability> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if bare == "ALL" {
            return Ok(None);
        }
        number(bare).map(Some).ok_or_else(|| UnknownCapability(name.to_owned()))
    }

    /// This set and one more.
    #[must_use]
    const fn with(self, number: u32) -> Self {
        Self(self.0 | 1 << number)
    }

    /// This set without those of another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the capability of this name, without `CAP_`, is in it.
    pub fn has(self, name: &str) -> bool {
        number(name).is_some_and(|number| self.0 & 1 << number != 0)
    }

    /// As the kernel writes it: bit n is capability n.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The names, with `CAP_`.
    pub fn names(self) -> Vec<String> {
        NAMES.iter().zip(0..).filter(|(_, number)| self.0 & 1 << number != 0).map(|(name, _)| format!("CAP_{name}")).collect()
    }
}
