//! What a container must not see or change of the kernel below `/proc` and `/sys`: Docker's two lists.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use rustix::mount::MountAttrFlags;

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::kernel::{MOUNT_READ_ONLY, MountChange, mount_setattr};
use crate::engine::runtime::launch::LaunchSpec;
use crate::engine::runtime::mount::Parameter::Value;
use crate::engine::runtime::{beneath, mount};

/// Hidden (moby, daemon/pkg/oci/defaults.go, Docker Engine 28).
pub(super) const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Readable only.
pub(super) const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Hides and protects what a spec says. `null` is the device of that name, which hides files; folders are hidden by an empty one.
pub(super) fn apply(root: BorrowedFd<'_>, null: &OwnedFd, spec: &LaunchSpec) -> Result<(), LaunchError> {
    let of_docker = |list: &[&str]| if spec.masked { list.iter().map(|path| (*path).to_owned()).collect() } else { Vec::new() };
    let read_only = spec.readonly_paths.clone().unwrap_or_else(|| of_docker(&READ_ONLY));
    let masked = spec.masked_paths.clone().unwrap_or_else(|| {
        let throttles = if spec.masked { thermal_throttles() } else { Vec::new() };
        [of_docker(&MASKED), throttles].concat()
    });
    for path in &read_only {
        found(path, beneath::open_plain(root, path, OFlags::PATH), |place| {
            let copy = mount::copy(&place, "", true)?;
            mount_setattr(copy.as_fd(), MountChange { set: MOUNT_READ_ONLY, recursive: true, ..MountChange::default() })?;
            mount::attach(copy, place)
        })?;
    }
    if masked.is_empty() {
        return Ok(());
    }
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let empty = mount::make("tmpfs", &[Value("nr_inodes", "1"), Value("mode", "755")], attributes)
        .map_err(|error| LaunchError::step("make an empty folder", error))?;
    let mut is_placed = false;
    for path in &masked {
        found(path, beneath::open_plain(root, path, OFlags::PATH), |place| {
            if beneath::file_type(&place)? != FileType::Directory {
                mount::attach(mount::copy(null, "", false)?, place)
            } else if is_placed {
                mount::attach(mount::copy(&empty, "", false)?, place)
            } else {
                // Kernels before 6.15 copy no mount that is not in the namespace yet (open_tree(2), EINVAL).
                is_placed = true;
                mount::attach(&empty, place)
            }
        })?;
    }
    Ok(())
}

/// One folder a processor: their counters tell what others on the machine do, as Docker 28 hides them.
fn thermal_throttles() -> Vec<String> {
    const CPUS: &str = "/sys/devices/system/cpu";
    let Ok(entries) = std::fs::read_dir(CPUS) else { return Vec::new() };
    let mut paths: Vec<_> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            name.strip_prefix("cpu").is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|name| format!("{CPUS}/{name}/thermal_throttle"))
        .collect();
    paths.sort();
    paths
}

/// What this kernel does not have needs no hiding.
fn found(path: &str, opened: Result<OwnedFd, Errno>, cover: impl FnOnce(OwnedFd) -> Result<(), Errno>) -> Result<(), LaunchError> {
    match opened {
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Ok(()),
        Err(error) => Err(error),
        Ok(place) => cover(place),
    }
    .map_err(|error| LaunchError::step(format!("mask {path}"), error))
}
