//! Extended attributes that travel with a file: what a program may do, and what users noted. The others belong to the place.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

const TRAVELLING: [&[u8]; 2] = [b"security.capability", b"user."];
/// Overlay's own, where it is mounted without root's rights.
const OVERLAY: &[u8] = b"user.overlay.";
/// The most that the kernel allows, of names and of each value (xattr(7)).
const LARGEST: usize = 64 << 10;
/// What overlay's own fit in: a letter, or a path that is looked at no closer.
const SHORT: usize = 256;
/// What nearly all of them fit in.
const USUAL: usize = 1 << 10;

/// The attributes of an open file, or of what a descriptor only names, in the order of their names.
pub(super) fn travelling(opened: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>, Errno> {
    let list = match fitting(|buffer| rustix::fs::flistxattr(opened, buffer)) {
        // It only names something, and its path leads there; our own descriptor, so the magic link is safe.
        Err(Errno::BADF) => fitting(|buffer| rustix::fs::listxattr(path(opened), buffer)),
        list => list,
    };
    let list = match list {
        Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => return Ok(Vec::new()),
        list => list?,
    };
    let mut found = Vec::new();
    for key in list.split_inclusive(|byte| *byte == 0) {
        let Ok(key) = CStr::from_bytes_with_nul(key) else { continue };
        let bytes = key.to_bytes();
        if !TRAVELLING.iter().any(|prefix| bytes.starts_with(prefix)) || bytes.starts_with(OVERLAY) {
            continue;
        }
        match fitting(|buffer| rustix::fs::getxattr(path(opened), key, buffer)) {
            Ok(value) => found.push((key.to_owned(), value)),
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort();
    Ok(found)
}

/// One attribute, which is short, of an open file or of what a descriptor only names.
pub(super) fn attribute(opened: BorrowedFd<'_>, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0_u8; SHORT];
    let length = match rustix::fs::fgetxattr(opened, name, &mut value[..]) {
        Err(Errno::BADF) => rustix::fs::getxattr(path(opened), name, &mut value[..]),
        length => length,
    };
    match length {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::RANGE) => Ok(Some(Vec::new())),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path that leads to what a descriptor names.
fn path(opened: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", opened.as_raw_fd())
}

fn fitting(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0_u8; USUAL];
    let length = match read(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(LARGEST, 0);
            read(&mut buffer)?
        }
        length => length?,
    };
    buffer.truncate(length);
    Ok(buffer)
}
