//! Names of things that are not finished.

use std::fmt::Write as _;

/// Returns a name nobody has used before.
pub(super) fn name() -> String {
    let mut bytes = [0_u8; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            // Before the kernel's pool is filled at boot there is still the clock; `create_new` catches what is taken.
            Err(_) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                bytes = now.as_secs().wrapping_mul(1_000_000_007).wrapping_add(u64::from(now.subsec_nanos())).to_ne_bytes();
                break;
            }
        }
    }
    let mut name = String::with_capacity(16);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _written = write!(name, "{byte:02x}");
    }
    name
}
