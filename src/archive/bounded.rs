//! A bound on what an archive's headers may take: `tar` keeps long names and PAX records in memory, and a bomb would fill it.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// The headers and extensions of one entry must fit in here.
const LIMIT: u64 = 4 << 20;

/// A reader that gives no more than it may.
pub struct Bounded<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

/// Says how much the reader may give.
pub struct Budget(Rc<Cell<u64>>);

impl<R: Read> Bounded<R> {
    /// Binds a reader; at first only headers may come.
    pub fn new(inner: R) -> (Self, Budget) {
        let left = Rc::new(Cell::new(LIMIT));
        (Self { inner, left: Rc::clone(&left) }, Budget(left))
    }
}

impl Budget {
    /// The headers of one entry come next.
    pub fn headers(&self) {
        self.0.set(LIMIT);
    }

    /// The contents of an entry come next: as long as they are.
    pub fn contents(&self) {
        self.0.set(u64::MAX);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the headers of one entry are larger than 4 MiB"));
        }
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..length])?;
        if left != u64::MAX {
            self.left.set(left - read as u64);
        }
        Ok(read)
    }
}
