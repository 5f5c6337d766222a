//! Kernel parameters of a container's namespaces.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;

use crate::engine::runtime::beneath;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::resource::sysctl::path_of;

/// Writes them into a `/proc/sys` that nothing has been mounted over (a covered file would swallow them, CVE-2025-52881).
pub(super) fn apply(parameters: BorrowedFd<'_>, sysctls: &BTreeMap<String, String>) -> Result<(), LaunchError> {
    for (name, value) in sysctls {
        write(parameters, name, value)
            .map_err(|error| LaunchError::step(format!("set the kernel parameter {name} to `{value}`"), error))?;
    }
    Ok(())
}

fn write(parameters: BorrowedFd<'_>, name: &str, value: &str) -> Result<(), Errno> {
    let file = beneath::open_plain(parameters, path_of(name), OFlags::WRONLY)?;
    rustix::io::write(&file, value.as_bytes())?;
    Ok(())
}
