//! Reading what a container wrote: Docker's json-file lines, from the end, by time, and as they come.

use crate::resource::failure::Failure;
use crate::resource::log::LogLine;

/// A reader of a container's log.
#[derive(Debug)]
pub struct LogReader {}

impl LogReader {
    /// Returns the next line; `None` at the end, or with `follow` once the container has ended and all was read.
    pub async fn next(&mut self) -> Option<Result<LogLine, Failure>> {
        todo!()
    }
}
