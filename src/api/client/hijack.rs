//! A connection that has become the streams of a process.

use crate::resource::failure::Failure;
use crate::resource::log::Stream;

/// The streams of a process; split it to read and write at the same time.
#[derive(Debug)]
pub struct Hijacked {
    reader: HijackedReader,
    writer: HijackedWriter,
}

impl Hijacked {
    /// Both directions, apart.
    pub fn split(self) -> (HijackedReader, HijackedWriter) {
        (self.reader, self.writer)
    }
}

/// What the process writes.
#[derive(Debug)]
pub struct HijackedReader {}

impl HijackedReader {
    /// Returns the next bytes and where they were written (a terminal has standard output only); `None` at the end.
    pub async fn next(&mut self) -> Option<Result<(Stream, Vec<u8>), Failure>> {
        todo!()
    }
}

/// What the process reads.
#[derive(Debug)]
pub struct HijackedWriter {}

impl HijackedWriter {
    /// Sends bytes to the process's standard input.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        todo!("{bytes:?}")
    }

    /// Closes the process's standard input.
    pub async fn close(&mut self) -> Result<(), Failure> {
        todo!()
    }
}
