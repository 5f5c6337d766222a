//! The contents of a file become those of another: shared where the file system can, copied by the kernel where it will, holes kept.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{SeekFrom, Stat};
use rustix::io::Errno;

/// So many bytes are copied at once where the kernel does not.
const CHUNK: usize = 128 << 10;

/// Copies contents, and remembers what these file systems cannot do.
pub(super) struct Contents {
    shares: bool,
    copies: bool,
    buffer: Vec<u8>,
    /// The buffer begins with all that the file holds that was copied last: so many bytes.
    whole: Option<usize>,
}

impl Contents {
    /// Everything is worth a try.
    pub(super) fn new() -> Self {
        Self { shares: true, copies: true, buffer: Vec::new(), whole: None }
    }

    /// What the file holds that was copied last, if it was read at once and has no holes.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.buffer.get(..self.whole?)
    }

    /// Copies what a file holds, which is as long as was seen, into an empty one; returns its length.
    pub(super) fn copy(&mut self, from: &OwnedFd, into: &OwnedFd, seen: &Stat) -> io::Result<u64> {
        let size = u64::try_from(seen.st_size).unwrap_or(0);
        self.whole = (size == 0).then_some(0);
        if size == 0 {
            return Ok(0);
        }
        if self.shares {
            match rustix::fs::ioctl_ficlone(into, from) {
                Ok(()) => return Ok(rustix::fs::seek(into, SeekFrom::End(0))?),
                Err(_) => self.shares = false,
            }
        }
        let sparse = u64::try_from(seen.st_blocks).unwrap_or(0).saturating_mul(512) < size;
        if !sparse {
            let at_once = self.range(from, into, 0, size)?;
            self.whole = usize::try_from(size).ok().filter(|_| at_once);
            return Ok(size);
        }
        rustix::fs::ftruncate(into, size)?;
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
                // The rest is a hole.
                Err(Errno::NXIO) => break,
                start => start?,
            };
            let end = rustix::fs::seek(from, SeekFrom::Hole(start))?.min(size);
            if start >= end {
                break;
            }
            self.range(from, into, start, end)?;
            at = end;
        }
        Ok(size)
    }

    /// Copies a part; whether the buffer has all of it.
    fn range(&mut self, from: &OwnedFd, into: &OwnedFd, start: u64, end: u64) -> io::Result<bool> {
        let (mut source, mut target) = (start, start);
        // For a small file the kernel's own way costs more than it saves.
        while self.copies && end - start > CHUNK as u64 && source < end {
            let length = usize::try_from(end - source).unwrap_or(usize::MAX).min(1 << 30);
            match rustix::fs::copy_file_range(from, Some(&mut source), into, Some(&mut target), length) {
                Ok(0) => return Err(shorter()),
                Ok(_) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::IO) if source == start => {
                    self.copies = false;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if source == end {
            return Ok(false);
        }
        let (mut pieces, whole) = (0, source == start);
        self.buffer.resize(CHUNK, 0);
        while source < end {
            let length = self.buffer.len().min(usize::try_from(end - source).unwrap_or(usize::MAX));
            let read = match rustix::io::pread(from, &mut self.buffer[..length], source) {
                Err(Errno::INTR) => continue,
                read => read?,
            };
            if read == 0 {
                return Err(shorter());
            }
            let mut left = &self.buffer[..read];
            while !left.is_empty() {
                match rustix::io::pwrite(into, left, target) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        left = &left[written..];
                        target += written as u64;
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            source += read as u64;
            pieces += 1;
        }
        Ok(whole && pieces == 1)
    }
}

fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn copied(contents: &mut Contents, data: &[u8], holes: bool) -> (Vec<u8>, u64) {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, into) = (folder.path().join("from"), folder.path().join("into"));
        let mut file = File::create(&from).expect("a file");
        if holes {
            file.set_len(1 << 20).expect("a hole");
        }
        io::Seek::seek(&mut file, io::SeekFrom::End(0)).expect("the end");
        file.write_all(data).expect("written");
        let source = OwnedFd::from(File::open(&from).expect("the file"));
        let target = OwnedFd::from(File::create(&into).expect("a file"));
        let seen = rustix::fs::fstat(&source).expect("it");
        let length = contents.copy(&source, &target, &seen).expect("copied");
        let result = std::fs::read(&into).expect("the copy");
        assert_eq!(length, result.len() as u64);
        (result, std::fs::metadata(&into).expect("it").blocks() * 512)
    }

    #[test]
    fn contents_are_the_same_in_every_way() {
        let data: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0] | 1).collect();
        for (shares, copies) in [(true, true), (false, true), (false, false)] {
            let mut contents = Contents { shares, copies, buffer: Vec::new(), whole: None };
            assert_eq!(copied(&mut contents, &data, false).0, data);
            assert_eq!(contents.whole(), None);
            assert_eq!(copied(&mut contents, &data[..9_000], false).0, data[..9_000]);
            assert!(contents.whole().map_or(contents.shares, |whole| *whole == data[..9_000]));
            assert_eq!(copied(&mut contents, b"", false).0, b"");
            assert_eq!(contents.whole(), Some(&b""[..]));
            let (sparse, blocks) = copied(&mut contents, &data, true);
            assert_eq!(contents.whole(), None);
            assert!(sparse[..1 << 20].iter().all(|byte| *byte == 0) && sparse[1 << 20..] == data && blocks < 1 << 20, "{blocks}");
        }
    }

    #[test]
    fn what_became_shorter_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, into) = (folder.path().join("from"), folder.path().join("into"));
        for copies in [true, false] {
            std::fs::write(&from, [1; 9_000]).expect("a file");
            let source = OwnedFd::from(File::open(&from).expect("the file"));
            let seen = rustix::fs::fstat(&source).expect("it");
            std::fs::write(&from, "x").expect("shorter");
            let target = OwnedFd::from(File::create(&into).expect("a file"));
            let mut contents = Contents { shares: false, copies, buffer: Vec::new(), whole: None };
            assert!(contents.copy(&source, &target, &seen).is_err());
        }
    }
}
