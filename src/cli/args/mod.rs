//! What can be typed: flags and their help, nothing opened yet. A flag that is not here does not exist.

pub(crate) mod build;
pub(crate) mod connection;
pub(crate) mod engine;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod lifecycle;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod one_off;
pub(crate) mod shell;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::args::connection::ConnectionArgs;
use crate::cli::error::CommandError;
use crate::cli::output::progress::Style;
use crate::cli::output::terminal::Ansi;

const ABOUT: &str = "Gantry brings Compose projects up and down on an engine of its own.

`gantry up` reads compose.yaml in this folder, or the next one above that has one, starts what it \
describes, and shows what it writes. `gantry up -d --wait` returns once everything is really ready; \
`gantry down` leaves nothing behind but named volumes. Files, names, labels, output and exit codes are \
those of Docker Compose.

There is no service to install: the engine starts with the first command that needs it and leaves when \
nothing runs. It answers the Docker Engine API on /run/gantry/engine.sock, so the docker command line, \
Docker Compose and Testcontainers work with it, too; and with -H or DOCKER_HOST these commands drive any \
other engine that speaks that API.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "gantry",
    version,
    about = "Brings Compose projects up and down on an engine of its own",
    long_about = ABOUT,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    /// Flags before the command.
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags before the command.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// A Compose file; `-` is standard input. Repeat it to merge files, later ones over earlier ones
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The project's name, instead of the file's `name` or the folder's name
    #[arg(short = 'p', long, value_name = "NAME")]
    pub(crate) project_name: Option<String>,
    /// Enable a profile; `*` enables all. May be repeated
    #[arg(long = "profile", value_name = "PROFILE")]
    pub(crate) profiles: Vec<String>,
    /// Read variables from this file instead of `.env`. May be repeated
    #[arg(long = "env-file", value_name = "FILE")]
    pub(crate) env_files: Vec<PathBuf>,
    /// Where relative paths start from, instead of the first file's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) project_directory: Option<PathBuf>,
    /// Which engine is meant.
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// How to tell what is going on [default: tty on a terminal, else plain]
    #[arg(long, value_enum, value_name = "STYLE")]
    pub(crate) progress: Option<Style>,
    /// When to write colours and other control codes
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) ansi: Option<Ansi>,
    /// How many things may be changed at once; -1 is without limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) parallel: Option<i64>,
    /// Keep networks, volumes, secrets and configs that no service uses
    #[arg(long)]
    pub(crate) all_resources: bool,
    /// Separate the parts of containers' names by `_`, as Compose 1 did
    #[arg(long)]
    pub(crate) compatibility: bool,
    /// Say what would be done, and why, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Print the version
    #[arg(short = 'v', long, short_alias = 'V', action = clap::ArgAction::Version)]
    pub(crate) version: Option<bool>,
}

/// Words of an environment variable that are those of a flag.
pub(crate) struct Toggle;

impl Toggle {
    /// Reads a word as a flag would.
    pub(crate) fn parse<T: ValueEnum>(text: &str, variable: &str) -> Result<T, CommandError> {
        let words = || T::value_variants().iter().filter_map(|it| Some(it.to_possible_value()?.get_name().to_owned())).collect::<Vec<_>>();
        T::from_str(text, true)
            .map_err(|_| CommandError::local(format!("{variable} is `{text}`; one of {} is expected", words().join(", "))))
    }
}

/// The command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and start what the project describes
    Up(lifecycle::UpArgs),
    /// Stop and remove the project's containers and networks
    Down(lifecycle::DownArgs),
    /// Create containers, and start none
    Create(lifecycle::CreateArgs),
    /// Start containers that exist
    Start(lifecycle::StartArgs),
    /// Stop containers and keep them
    Stop(lifecycle::StopArgs),
    /// Restart containers
    Restart(lifecycle::RestartArgs),
    /// Send containers a signal
    Kill(lifecycle::KillArgs),
    /// Remove stopped containers
    Rm(lifecycle::RemoveArgs),
    /// Freeze containers
    Pause(lifecycle::ServiceArgs),
    /// Let frozen containers go on
    Unpause(lifecycle::ServiceArgs),
    /// Change how many containers services have
    Scale(lifecycle::ScaleArgs),
    /// Wait until containers have ended, and exit with the last one's code
    Wait(lifecycle::WaitArgs),
    /// Build the images of the project's services
    Build(Box<build::ServiceBuildArgs>),
    /// Pull the images of the project's services
    Pull(lifecycle::PullArgs),
    /// Push the images that the project's services build
    Push(lifecycle::PushArgs),
    /// List the project's containers
    Ps(inspect::PsArgs),
    /// Show what containers wrote
    Logs(inspect::LogsArgs),
    /// Run a command once, in a container of its own
    Run(one_off::RunArgs),
    /// Join the input and output of a container that runs
    Attach(one_off::AttachArgs),
    /// Run a command in a container that runs
    Exec(inspect::ExecArgs),
    /// List the projects that run
    Ls(list::LsArgs),
    /// List the images that the project's containers were made from
    Images(list::ImagesArgs),
    /// Show the processes of the project's containers
    Top(lifecycle::ServiceArgs),
    /// Show what the project's containers use
    Stats(list::StatsArgs),
    /// Tell what happens to the project's containers
    Events(list::EventsArgs),
    /// List the project's volumes
    Volumes(list::VolumesArgs),
    /// Copy files between this machine and a service's containers
    Cp(files::CopyArgs),
    /// Write a container's file system as a tar
    Export(files::ExportArgs),
    /// Print the project as it was understood, or check it
    Config(inspect::ConfigArgs),
    /// Print the address a container's port is published at
    Port(inspect::PortArgs),
    /// Log in to a registry
    Login(login::LoginArgs),
    /// Log out of a registry
    Logout(login::LogoutArgs),
    /// Work with the engine's images
    #[command(subcommand)]
    Image(engine::ImageCommand),
    /// Lead to the engine, for clients of other machines
    #[command(subcommand)]
    System(engine::SystemCommand),
    /// Run the engine in the foreground, or look after the one that runs
    Engine(engine::EngineArgs),
    /// Print what a shell needs to complete commands and names
    Completion(shell::CompletionArgs),
    /// Write the manual's pages into a folder
    Man(shell::ManArgs),
    /// Print versions, and the engine's
    Version(inspect::VersionArgs),
}
