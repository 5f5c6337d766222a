//! What a container wrote, as it comes.

use crate::resource::failure::Failure;
use crate::resource::log::LogLine;

/// What a container wrote.
#[derive(Debug)]
pub struct LogStream {}

impl LogStream {
    /// Returns the next line; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<LogLine, Failure>> {
        todo!()
    }
}
