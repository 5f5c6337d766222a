//! Commands run in a container beside its own.

use serde::{Deserialize, Serialize};

use crate::resource::id::{ContainerId, ExecId};

/// What to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `NAME=value` beside the container's own environment.
    pub environment: Vec<String>,
    /// The working directory; the container's when absent.
    pub working_dir: Option<String>,
    /// `user[:group]`; the container's when absent.
    pub user: Option<String>,
    /// A pseudo-terminal.
    pub tty: bool,
    /// Every capability.
    pub privileged: bool,
    /// The client sends standard input.
    pub stdin: bool,
    /// The client wants standard output.
    pub stdout: bool,
    /// The client wants standard error.
    pub stderr: bool,
    /// Keys that detach, in Docker's spelling.
    pub detach_keys: Option<String>,
    /// Rows and columns of the terminal from its first moment.
    pub size: Option<TerminalSize>,
}

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// What an engine tells of an exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecInfo {
    /// Its id.
    pub id: ExecId,
    /// The container.
    pub container: ContainerId,
    /// What was asked.
    pub spec: ExecSpec,
    /// It runs.
    pub running: bool,
    /// How it ended.
    pub exit_code: Option<i32>,
    /// Its process while it runs.
    pub pid: Option<i32>,
}
