//! Flags of the commands that list what there is, and what it does.

use clap::{Args, ValueEnum};

use crate::cli::args::lifecycle::ServiceArgs;

/// How a list prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people
    Table,
    /// JSON
    Json,
}

/// Flags of `ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Projects of which nothing runs, too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// `name=PATTERN`, a regular expression. May be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ListFormat,
    /// Only names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `images`.
#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ListFormat,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `volumes`.
#[derive(Debug, Args)]
pub(crate) struct VolumesArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// `table`, `table TEMPLATE`, `json`, or a Go template such as `{{.Name}}`
    #[arg(long, default_value = "table")]
    pub(crate) format: String,
    /// Only names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// The service [default: all]
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// Containers that do not run, too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// `table`, `table TEMPLATE`, `json`, or a Go template such as `{{.Name}}: {{.CPUPerc}}`
    #[arg(long, default_value = "table")]
    pub(crate) format: String,
    /// Look once
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Do not shorten
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

/// Flags of `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// A JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Also what happened since then: a time (2026-01-31T12:00:00Z) or an age (42m)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only until then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}
