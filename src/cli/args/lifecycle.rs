//! Flags of the commands that change a project.

use clap::{Args, ValueEnum};

use crate::compose::project::model;

/// Services by name; shell patterns are allowed.
#[derive(Debug, Default, Args)]
pub(crate) struct ServiceArgs {
    /// Services; all when none is named
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// When images are pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullPolicy {
    /// Even when they are here
    Always,
    /// When they are not here
    #[value(alias = "if_not_present")]
    Missing,
    /// Never; a missing image is an error
    Never,
    /// Never where an image can be built, which it is, even when it is here
    #[value(hide = true)]
    Build,
}

/// Which images `pull` pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RefreshPolicy {
    /// Even those that are here
    Always,
    /// Those that are not here, and those that are and have the tag `latest`
    #[value(alias = "if_not_present")]
    Missing,
}

impl From<RefreshPolicy> for model::PullPolicy {
    fn from(policy: RefreshPolicy) -> Self {
        match policy {
            RefreshPolicy::Always => Self::Always,
            RefreshPolicy::Missing => Self::Missing,
        }
    }
}

/// Flags about building, which every command that makes containers has.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct BuildArgs {
    /// Build images first, even those that are here
    #[arg(long, conflicts_with = "no_build")]
    pub(crate) build: bool,
    /// Build nothing, even where an image is missing
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Do not tell of the steps of builds
    #[arg(long)]
    pub(crate) quiet_build: bool,
}

impl From<PullPolicy> for model::PullPolicy {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::Always => Self::Always,
            PullPolicy::Missing => Self::Missing,
            PullPolicy::Never => Self::Never,
            PullPolicy::Build => Self::Build,
        }
    }
}

/// `SERVICE=N`.
pub(crate) fn parse_scale(text: &str) -> Result<(String, u32), String> {
    let (service, number) = text.split_once('=').ok_or_else(|| format!("`{text}` is not SERVICE=NUMBER"))?;
    let number = number.parse().map_err(|_| format!("`{number}` is not a number of containers"))?;
    Ok((service.to_owned(), number))
}

/// Flags of `up`.
#[derive(Debug, Default, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// Rebuild what changed while it runs
    #[arg(short, long, hide = true, conflicts_with_all = ["detach", "wait", "no_build"])]
    pub(crate) watch: bool,
    /// A bar of keys at the bottom of the terminal
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) menu: Option<bool>,
    /// Return once everything is started, and leave it running
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Return once everything is running, or healthy where there is a health check; implies -d
    #[arg(long, conflicts_with_all = ["abort_on_container_exit", "abort_on_container_failure", "exit_code_from", "attach", "attach_dependencies"])]
    pub(crate) wait: bool,
    /// Give up waiting after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait_timeout: u64,
    /// Create containers, but do not start them
    #[arg(long, conflicts_with = "wait")]
    pub(crate) no_start: bool,
    /// Leave out the services that the named ones depend on
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// How many containers of a service, instead of the file's number. May be repeated
    #[arg(long = "scale", value_name = "SERVICE=N", value_parser = parse_scale)]
    pub(crate) scale: Vec<(String, u32)>,
    /// Replace containers even if nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) force_recreate: bool,
    /// Replace the containers of dependencies, too
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) always_recreate_deps: bool,
    /// Keep containers that exist, whatever changed
    #[arg(long)]
    pub(crate) no_recreate: bool,
    /// Give containers new anonymous volumes instead of those of the ones they replace
    #[arg(short = 'V', long, conflicts_with = "no_recreate")]
    pub(crate) renew_anon_volumes: bool,
    /// Remove containers of services that the files no longer name
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// When to pull images
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) pull: Option<PullPolicy>,
    /// Do not tell of each layer
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Seconds from the stop signal to the kill, for containers that are replaced, and at the end
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Stop everything as soon as one container ends, and exit with its code
    #[arg(long, conflicts_with_all = ["abort_on_container_failure", "detach"])]
    pub(crate) abort_on_container_exit: bool,
    /// Stop everything as soon as one container fails, and exit with its code
    #[arg(long, conflicts_with = "detach")]
    pub(crate) abort_on_container_failure: bool,
    /// Exit with this service's code; implies --abort-on-container-exit
    #[arg(long, value_name = "SERVICE", conflicts_with = "detach")]
    pub(crate) exit_code_from: Option<String>,
    /// Show only what these services write. May be repeated
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["detach", "attach_dependencies"])]
    pub(crate) attach: Vec<String>,
    /// Show what dependencies of the named services write, too
    #[arg(long, conflicts_with = "detach")]
    pub(crate) attach_dependencies: bool,
    /// Do not show what these services write. May be repeated
    #[arg(long, value_name = "SERVICE")]
    pub(crate) no_attach: Vec<String>,
    /// Do not colour names
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Do not write a container's name before its lines
    #[arg(long)]
    pub(crate) no_log_prefix: bool,
    /// Write the time of arrival before each line
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Answer yes wherever something is asked
    #[arg(short, long, alias = "y")]
    pub(crate) yes: bool,
}

/// Flags of `create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// Replace containers even if nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) force_recreate: bool,
    /// Keep containers that exist, whatever changed
    #[arg(long)]
    pub(crate) no_recreate: bool,
    /// When to pull images
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) pull: Option<PullPolicy>,
    /// Do not tell of each layer
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Remove containers of services that the files no longer name
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// How many containers of a service, instead of the file's number. May be repeated
    #[arg(long = "scale", value_name = "SERVICE=N", value_parser = parse_scale)]
    pub(crate) scale: Vec<(String, u32)>,
    /// Answer yes wherever something is asked
    #[arg(short, long, alias = "y")]
    pub(crate) yes: bool,
}

/// Flags of `scale`.
#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    /// Services, and how many containers each is to have
    #[arg(value_name = "SERVICE=N", required = true, value_parser = parse_scale)]
    pub(crate) scale: Vec<(String, u32)>,
    /// Leave out the services that the named ones depend on
    #[arg(long)]
    pub(crate) no_deps: bool,
}

/// Flags of `wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Services
    #[arg(value_name = "SERVICE", required = true)]
    pub(crate) services: Vec<String>,
    /// Take the project down when they have ended
    #[arg(long)]
    pub(crate) down_project: bool,
}

/// Which images `down` removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImageRemoval {
    /// Those that were built for this project
    Local,
    /// Those, and every image that a service names
    All,
}

/// Flags of `down`.
#[derive(Debug, Default, Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Remove named and anonymous volumes, too
    #[arg(short, long, alias = "volume")]
    pub(crate) volumes: bool,
    /// Remove containers of services that the files no longer name, too
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Remove images, too
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) rmi: Option<ImageRemoval>,
    /// Seconds from the stop signal to the kill [default: each container's own]
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}

/// Flags of `start`.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Return once everything is running, or healthy where there is a health check
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give up waiting after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait_timeout: u64,
}

/// Flags of `stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Seconds from the stop signal to the kill [default: each container's own]
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}

/// Flags of `restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Seconds from the stop signal to the kill [default: each container's own]
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Do not restart services that want to restart with the named ones
    #[arg(long)]
    pub(crate) no_deps: bool,
}

/// Flags of `kill`.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// The signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "SIGKILL")]
    pub(crate) signal: String,
    /// Kill containers of services that the files no longer name, too
    #[arg(long)]
    pub(crate) remove_orphans: bool,
}

/// Flags of `rm`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Stop running containers first
    #[arg(short, long)]
    pub(crate) stop: bool,
    /// Remove anonymous volumes, too
    #[arg(short, long)]
    pub(crate) volumes: bool,
    /// Deprecated, without effect
    #[arg(short, long, hide = true)]
    pub(crate) all: bool,
}

/// Flags of `push`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Push the images of dependencies of the named services, too
    #[arg(long)]
    pub(crate) include_deps: bool,
    /// Go on when an image cannot be pushed
    #[arg(long)]
    pub(crate) ignore_push_failures: bool,
    /// Tell nothing
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `pull`.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// Pull the images of dependencies of the named services, too
    #[arg(long)]
    pub(crate) include_deps: bool,
    /// Go on when an image cannot be pulled
    #[arg(long)]
    pub(crate) ignore_pull_failures: bool,
    /// Leave out images that can be built
    #[arg(long)]
    pub(crate) ignore_buildable: bool,
    /// Which images to pull, whatever the files say
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) policy: Option<RefreshPolicy>,
    /// Tell nothing
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Deprecated, without effect
    #[arg(long = "parallel", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) deprecated_parallel: Option<bool>,
    /// Deprecated, without effect
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) no_parallel: Option<bool>,
}
