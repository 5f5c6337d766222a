//! Lines that a container wrote.

use crate::resource::time::Timestamp;

/// Which of a process's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line, or a part of one longer than 16 KiB as Docker splits them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When the engine read it.
    pub time: Timestamp,
    /// Where the container wrote it.
    pub stream: Stream,
    /// The bytes, with the newline that ended them, if one did.
    pub text: Vec<u8>,
}

/// Which lines a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Lines of standard output.
    pub stdout: bool,
    /// Lines of standard error.
    pub stderr: bool,
    /// Goes on until the container ends.
    pub follow: bool,
    /// Prefixes each line with its time.
    pub timestamps: bool,
    /// Only so many lines from the end; all when absent.
    pub tail: Option<u64>,
    /// Only lines at or after this instant.
    pub since: Option<Timestamp>,
    /// Only lines before this instant.
    pub until: Option<Timestamp>,
}
