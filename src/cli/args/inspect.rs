//! Flags of the commands that only look, and of `exec`.

use clap::{Args, ValueEnum};

use crate::cli::args::lifecycle::ServiceArgs;
use crate::resource::container::Protocol;

/// A container's state, in Docker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusWord {
    Paused,
    Restarting,
    Removing,
    Running,
    Dead,
    Created,
    Exited,
}

/// Flags of `ps`.
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Stopped containers and those of `run`, too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// `status=WORD`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Option<String>,
    /// `table`, `table TEMPLATE`, `json`, or a Go template such as `{{.Name}}: {{.State}}`
    #[arg(long, default_value = "table")]
    pub(crate) format: String,
    /// Do not shorten
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Containers of services that the files do not name
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) orphans: bool,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Only the names of services
    #[arg(long = "services")]
    pub(crate) only_services: bool,
    /// Only containers in this state. May be repeated
    #[arg(long, value_enum, value_name = "WORD")]
    pub(crate) status: Vec<StatusWord>,
}

/// Flags of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Go on with what is written from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The replica's number; one service must be named
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) index: u32,
    /// Only the last lines of each container; a number or `all`
    #[arg(short = 'n', long, default_value = "all", value_name = "N")]
    pub(crate) tail: String,
    /// Write the time before each line
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// Only lines since then: a time (2026-01-31T12:00:00Z) or an age (42m)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only lines before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Do not colour names
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Do not write a container's name before its lines
    #[arg(long)]
    pub(crate) no_log_prefix: bool,
}

/// Flags of `exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Return at once and leave the command running
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// A variable, NAME=VALUE, or NAME to pass on one's own. May be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// The replica's number [default: the lowest that runs]
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) index: u32,
    /// No pseudo-terminal [default: none unless input and output are a terminal]
    #[arg(short = 'T', long, alias = "no-TTY")]
    pub(crate) no_tty: bool,
    /// Pass standard input on; it is, unless `--interactive=false`
    #[arg(short, long, hide = true, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) interactive: bool,
    /// A pseudo-terminal; there is one on a terminal, unless `--tty=false`
    #[arg(short, long, hide = true, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) tty: bool,
    /// Every capability
    #[arg(long)]
    pub(crate) privileged: bool,
    /// The user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// The working directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// How `config` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigFormat {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

/// Flags of `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// How to print [default: yaml, a table for --variables]
    #[arg(long, value_enum)]
    pub(crate) format: Option<ConfigFormat>,
    /// Print nothing; only check
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the names of services, a line each
    #[arg(long = "services", group = "what")]
    pub(crate) only_services: bool,
    /// Print the images, a line each
    #[arg(long, group = "what")]
    pub(crate) images: bool,
    /// Print the names of volumes, a line each
    #[arg(long, group = "what")]
    pub(crate) volumes: bool,
    /// Print the names of networks, a line each
    #[arg(long, group = "what")]
    pub(crate) networks: bool,
    /// Print the models, a line each
    #[arg(long, group = "what")]
    pub(crate) models: bool,
    /// Print the names of profiles, a line each
    #[arg(long = "profiles", group = "what")]
    pub(crate) only_profiles: bool,
    /// Print the variables that files are interpolated with
    #[arg(long, group = "what")]
    pub(crate) environment: bool,
    /// Print the variables that the files name, with their defaults
    #[arg(long, group = "what")]
    pub(crate) variables: bool,
    /// Print the digest of a service's configuration; names with commas between, or `*`
    #[arg(long, group = "what", value_name = "SERVICES")]
    pub(crate) hash: Option<String>,
    /// Leave `${NAME}` as it is written; services that are named do not count
    #[arg(long, conflicts_with = "what")]
    pub(crate) no_interpolate: bool,
    /// Leave `env_file` as it is written instead of reading it into `environment`
    #[arg(long)]
    pub(crate) no_env_resolution: bool,
    /// Leave relative paths as they are written
    #[arg(long)]
    pub(crate) no_path_resolution: bool,
    /// Leave out what is implied: names, the default network, dependencies, the folder to build in
    #[arg(long)]
    pub(crate) no_normalize: bool,
    /// Do not look whether services refer to what is there
    #[arg(long)]
    pub(crate) no_consistency: bool,
    /// Not supported: registries are not asked for digests
    #[arg(long, hide = true)]
    pub(crate) resolve_image_digests: bool,
    /// Not supported: registries are not asked for digests
    #[arg(long, hide = true)]
    pub(crate) lock_image_digests: bool,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<std::path::PathBuf>,
}

/// Flags of `port`.
#[derive(Debug, Args)]
pub(crate) struct PortArgs {
    /// The service
    pub(crate) service: String,
    /// The port inside
    pub(crate) private_port: u16,
    /// The replica's number
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) index: u32,
    /// The protocol
    #[arg(long, default_value = "tcp", value_parser = parse_protocol)]
    pub(crate) protocol: Protocol,
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    all.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| "tcp, udp or sctp is expected".to_owned())
}

/// How `version` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VersionFormat {
    /// For people
    Pretty,
    /// JSON
    Json,
}

/// Flags of `version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value = "pretty")]
    pub(crate) format: VersionFormat,
    /// Only the number
    #[arg(long)]
    pub(crate) short: bool,
}
