//! Seccomp: which system calls a container may make, compiled to a tree for the kernel's filter machine.

mod compile;
mod default;
mod json;
mod rule;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::engine::runtime::capability::CapabilitySet;

/// A compiled filter: one instruction of classic BPF in each number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program(Vec<u64>);

impl Program {
    /// The instructions, as the kernel takes them.
    pub(super) fn instructions(&self) -> &[u64] {
        &self.0
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Program({} instructions)", self.0.len())
    }
}

/// A profile that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seccomp profile cannot be used: {0}")]
pub struct ProfileError(pub String);

/// Docker's default filter for a container with these capabilities; compiled once for each set.
pub fn default_program(capabilities: CapabilitySet) -> Program {
    static COMPILED: Mutex<BTreeMap<CapabilitySet, Program>> = Mutex::new(BTreeMap::new());
    let make = || compile::compile(&default::rules(capabilities), default::OTHERWISE, [true; 3]);
    // A panic elsewhere leaves the map whole: entries are only ever added.
    let mut compiled = COMPILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    compiled.entry(capabilities).or_insert_with(make).clone()
}

/// The filter of a profile in Docker's JSON (`--security-opt seccomp=profile.json`; the client sends its text).
pub fn compile_json(text: &str, capabilities: CapabilitySet) -> Result<Program, ProfileError> {
    json::compile(text, capabilities)
}

#[cfg(test)]
mod tests;
