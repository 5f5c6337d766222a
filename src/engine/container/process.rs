//! The processes of a container, as `top` shows them.

/// A table of processes in the form of `ps -ef`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessList {
    /// The names of the columns.
    pub titles: Vec<String>,
    /// A row for each process.
    pub rows: Vec<Vec<String>>,
}
