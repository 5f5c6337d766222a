//! Process limits.

use std::collections::BTreeMap;

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::kernel;
use crate::resource::container::Ulimit;

/// What a container gets that asks for nothing: constants, as under Docker's unit file, and never what the engine happens to have. Where
/// they cannot be had, as much of them as can.
const DEFAULT: [(&str, i64); 3] = [("core", -1), ("nofile", 1 << 20), ("nproc", -1)];

/// Sets the limits asked for, and the default of those that are not.
pub(super) fn apply(ulimits: &BTreeMap<String, Ulimit>) -> Result<(), LaunchError> {
    for (name, value) in DEFAULT {
        if !ulimits.contains_key(name)
            && let Some(resource) = number(name)
        {
            set_default(resource, bytes(value)).map_err(|error| LaunchError::step(format!("set the default limit of {name}"), error))?;
        }
    }
    for (name, ulimit) in ulimits {
        let resource = number(name).ok_or_else(|| LaunchError::Invalid(format!("`{name}` is not a process limit")))?;
        set(resource, name, *ulimit)?;
    }
    Ok(())
}

fn number(name: &str) -> Option<u32> {
    Ulimit::NAMES.iter().zip(0..).find(|(known, _)| **known == name).map(|(_, number)| number)
}

/// -1 is without limit, which the kernel writes as all ones.
const fn bytes(value: i64) -> u64 {
    value.cast_unsigned()
}

fn set_default(resource: u32, wanted: u64) -> Result<(), Errno> {
    match kernel::set_limit(resource, wanted, wanted) {
        Err(Errno(libc::EPERM)) => {
            let (_, hard) = kernel::limit(resource)?;
            kernel::set_limit(resource, hard.min(wanted), hard)
        }
        result => result,
    }
}

fn set(resource: u32, name: &str, ulimit: Ulimit) -> Result<(), LaunchError> {
    let (soft, hard) = (bytes(ulimit.soft), bytes(ulimit.hard));
    if soft > hard {
        return Err(LaunchError::Invalid(format!("ulimit {name}: the soft limit is above the hard limit {}", ulimit.hard)));
    }
    kernel::set_limit(resource, soft, hard).map_err(|error| match error {
        Errno(libc::EPERM) => LaunchError::Unavailable {
            what: format!("a hard limit of {} for {name}", ulimit.hard),
            reason: "it is above this engine's own, or the kernel's, and raising it needs CAP_SYS_RESOURCE".to_owned(),
        },
        error => LaunchError::step(format!("set the limit of {name}"), error),
    })
}
