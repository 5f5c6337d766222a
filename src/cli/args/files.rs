//! Flags of the commands that take files in and out of containers.

use std::path::PathBuf;

use clap::Args;

/// Flags of `cp`.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// SERVICE:PATH, a path of this machine, or `-` for a tar on standard input
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    /// A path of this machine, SERVICE:PATH, or `-` for a tar on standard output
    #[arg(value_name = "DESTINATION")]
    pub(crate) destination: String,
    /// Containers of `run`, too
    #[arg(long)]
    pub(crate) all: bool,
    /// Keep owners: files taken out keep theirs, files put in become the container's user's
    #[arg(short, long)]
    pub(crate) archive: bool,
    /// Copy what a link leads to instead of the link
    #[arg(short = 'L', long)]
    pub(crate) follow_link: bool,
    /// The replica's number [default: the first when taking out, all when putting in]
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) index: u32,
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
    /// Write to this file [default: standard output, which must not be a terminal]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The replica's number [default: the lowest]
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) index: u32,
}
