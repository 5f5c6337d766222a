//! Files that are read whole: a pipe that nobody writes to would be waited for without a word.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a file for reading, and nothing that is another thing; a folder's refusal is left to who reads it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::other("it is a pipe, a socket or a device, and no file"));
    }
    // One that has become a pipe since is not waited for either.
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// What is in it.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open(path)?, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").expect("a file");
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert_eq!(read(&at("file")).expect("read"), b"text");
        assert_eq!(read(&at("none")).expect_err("missing").kind(), io::ErrorKind::NotFound);
        for path in [at("pipe"), "/dev/zero".into()] {
            assert!(read(&path).expect_err("no file").to_string().contains("no file"), "{}", path.display());
        }
    }
}
