//! What an engine cannot do without, checked by name before anything is touched.

use rustix::process::geteuid;
use rustix::system::uname;
use rustix::thread::{CapabilitySet, capabilities};

use crate::engine::runtime::keeper::error::{KeeperError, call};

const OLDEST_KERNEL: (u32, u32) = (5, 15);

/// Each is used in the start of every container.
const CAPABILITIES: [(CapabilitySet, &str); 11] = [
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::SYS_CHROOT, "CAP_SYS_CHROOT"),
    (CapabilitySet::CHOWN, "CAP_CHOWN"),
    (CapabilitySet::DAC_OVERRIDE, "CAP_DAC_OVERRIDE"),
    (CapabilitySet::FOWNER, "CAP_FOWNER"),
    (CapabilitySet::KILL, "CAP_KILL"),
    (CapabilitySet::MKNOD, "CAP_MKNOD"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SETPCAP, "CAP_SETPCAP"),
];

/// Returns the first requirement that this process does not meet.
pub(super) fn check() -> Result<(), KeeperError> {
    let name = uname();
    let release = name.release().to_string_lossy();
    if !is_new_enough(&release) {
        return Err(KeeperError::Kernel { found: release.into_owned() });
    }
    if !geteuid().is_root() {
        return Err(KeeperError::NotRoot);
    }
    let held = capabilities(None).map_err(call("read the capabilities of this process"))?.effective;
    let missing: Vec<&str> = CAPABILITIES.iter().filter(|(bit, _)| !held.contains(*bit)).map(|&(_, name)| name).collect();
    if missing.is_empty() { Ok(()) } else { Err(KeeperError::Capability { missing: missing.join(", ") }) }
}

/// Whether a release, `6.1.0-18-amd64`, is the oldest supported one or newer; what cannot be read is taken for new.
fn is_new_enough(release: &str) -> bool {
    let mut parts = release.split(|character: char| !character.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST_KERNEL,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, expect) in [
            ("5.15.0", true),
            ("5.14.21-150500", false),
            ("5.4.0-100-generic", false),
            ("6.1.0-18-amd64", true),
            ("10.0-rc1", true),
            ("4.19.112+", false),
            ("odd", true),
        ] {
            assert_eq!(is_new_enough(release), expect, "{release}");
        }
    }
}
