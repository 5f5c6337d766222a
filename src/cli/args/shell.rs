//! Flags of the commands that make Gantry known to shells and to `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A shell that can be told what to complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// source <(gantry completion bash)
    Bash,
    /// source <(gantry completion zsh)
    Zsh,
    /// gantry completion fish | source
    Fish,
}

/// Flags of `completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; it is made where it is not there
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
