//! Flags of `run` and `attach`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::cli::args::lifecycle::{BuildArgs, PullPolicy};
use crate::compose::project::flag;
use crate::resource::container::PortBinding;
use crate::resource::detach::DetachKeys;

/// `NAME=VALUE` of a label.
fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("label must be set as KEY=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The ports that one `-p` publishes.
#[derive(Clone, Debug)]
pub(crate) struct Published(pub(crate) Vec<PortBinding>);

fn parse_ports(text: &str) -> Result<Published, String> {
    flag::ports(text).map(Published)
}

/// A command line in words.
#[derive(Clone, Debug)]
pub(crate) struct Words(pub(crate) Vec<String>);

fn parse_words(text: &str) -> Result<Words, String> {
    flag::words(text).map(Words)
}

fn parse_keys(text: &str) -> Result<DetachKeys, String> {
    DetachKeys::parse(text).map_err(|failure| failure.message)
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// Add a capability. May be repeated
    #[arg(long, value_name = "CAPABILITY", value_parser = flag::capability)]
    pub(crate) cap_add: Vec<String>,
    /// Drop a capability. May be repeated
    #[arg(long, value_name = "CAPABILITY", value_parser = flag::capability)]
    pub(crate) cap_drop: Vec<String>,
    /// Print the container's id, and leave it running
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Replace the image's entry point; '' clears it
    #[arg(long, value_name = "COMMAND", value_parser = parse_words)]
    pub(crate) entrypoint: Option<Words>,
    /// A variable, NAME=VALUE, or NAME to pass on one's own. May be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// A file of variables. May be repeated; of one name the first file's counts
    #[arg(long = "env-from-file", value_name = "FILE")]
    pub(crate) env_files: Vec<PathBuf>,
    /// Pass standard input on; it is, unless `--interactive=false`
    #[arg(short, long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) interactive: bool,
    /// A label. May be repeated
    #[arg(short = 'l', long = "label", alias = "labels", value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) labels: Vec<(String, String)>,
    /// The container's name [default: PROJECT-SERVICE-run-…]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Do not start the services that this one depends on
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// No pseudo-terminal [default: none unless input and output are a terminal]
    #[arg(short = 'T', long, alias = "no-TTY", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "tty")]
    pub(crate) no_tty: Option<bool>,
    /// A pseudo-terminal; there is one on a terminal
    #[arg(short, long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) tty: Option<bool>,
    /// Publish a port, [[IP:]HOST:]CONTAINER[/PROTOCOL]. May be repeated
    #[arg(short, long, value_name = "PORT", value_parser = parse_ports, conflicts_with = "service_ports")]
    pub(crate) publish: Vec<Published>,
    /// Publish the service's own ports
    #[arg(short = 'P', long)]
    pub(crate) service_ports: bool,
    /// When to pull images
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) pull: Option<PullPolicy>,
    /// Tell nothing but what the command writes
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Do not tell of each layer
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Remove containers of services that the files no longer name
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub(crate) rm: bool,
    /// Answer to the service's names on its networks
    #[arg(long)]
    pub(crate) use_aliases: bool,
    /// The user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// Mount a volume or a path, [SOURCE:]TARGET[:OPTIONS]. May be repeated
    #[arg(short, long = "volume", alias = "volumes", value_name = "VOLUME")]
    pub(crate) volumes: Vec<String>,
    /// The working directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
    /// The command and its arguments, instead of the service's
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// Flags of `attach`.
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The keys that lead away from a terminal [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS", value_parser = parse_keys)]
    pub(crate) detach_keys: Option<DetachKeys>,
    /// The replica's number [default: the lowest that runs]
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) index: u32,
    /// Do not pass standard input on
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Pass signals on; they are, unless `--sig-proxy=false`
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) sig_proxy: bool,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
}
