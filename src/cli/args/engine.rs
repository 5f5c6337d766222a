//! Flags of the commands that speak of the engine and its images.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::build::ImageBuildArgs;

/// `gantry image …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Build an image of a Dockerfile
    Build(Box<ImageBuildArgs>),
    /// List and remove what builds keep: results of steps, and cache mounts
    #[command(subcommand)]
    Cache(CacheCommand),
    /// List images
    #[command(alias = "list")]
    Ls(ImageListArgs),
    /// Make an image of a tar of its root file system
    Import(ImageImportArgs),
    /// Bring in images of a `docker save` archive or an OCI layout
    Load(ImageLoadArgs),
    /// Remove images that nothing uses
    Prune(ImagePruneArgs),
    /// Pull images from their registries
    Pull(ImagePullArgs),
    /// Push images to their registries
    Push(ImagePushArgs),
    /// Remove images
    Rm(ImageRemoveArgs),
    /// Write images as one `docker save` archive
    Save(ImageSaveArgs),
    /// Give an image another name
    Tag(ImageTagArgs),
}

/// Flags of `image ls`.
#[derive(Debug, Args)]
pub(crate) struct ImageListArgs {
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// `table`, `json`, or a Go template such as `{{.Repository}}:{{.Tag}}`
    #[arg(long, default_value = "table")]
    pub(crate) format: String,
    /// Do not shorten ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

/// Flags of `image import`.
#[derive(Debug, Args)]
pub(crate) struct ImageImportArgs {
    /// The tar, plain or compressed; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) name: Option<String>,
    /// An instruction of a Dockerfile, such as `CMD ["sh"]`. May be repeated
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// A remark for the image's history
    #[arg(short, long, default_value = "")]
    pub(crate) message: String,
}

/// Flags of `image load`.
#[derive(Debug, Args)]
pub(crate) struct ImageLoadArgs {
    /// The archive [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Tell only the names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `image pull`.
#[derive(Debug, Args)]
pub(crate) struct ImagePullArgs {
    /// The images
    #[arg(value_name = "NAME[:TAG|@DIGEST]", required = true)]
    pub(crate) names: Vec<String>,
    /// The platform, os/arch[/variant]
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// Do not tell of each layer
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `image push`.
#[derive(Debug, Args)]
pub(crate) struct ImagePushArgs {
    /// The images
    #[arg(value_name = "NAME[:TAG]", required = true)]
    pub(crate) names: Vec<String>,
    /// Every tag of each, instead of the one named
    #[arg(short, long)]
    pub(crate) all_tags: bool,
    /// Do not tell of each layer
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Flags of `image rm`.
#[derive(Debug, Args)]
pub(crate) struct ImageRemoveArgs {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) names: Vec<String>,
    /// Even if a stopped container uses it
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Flags of `image save`.
#[derive(Debug, Args)]
pub(crate) struct ImageSaveArgs {
    /// Names or ids; a name without a tag stands for all its tags
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) names: Vec<String>,
    /// Write to this file [default: standard output, which must not be a terminal]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Flags of `image prune`.
#[derive(Debug, Args)]
pub(crate) struct ImagePruneArgs {
    /// Those with a name, too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// `label=KEY[=VALUE]`, `label!=…` or `until=TIME`. May be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}

/// What is done with what builds keep.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List it, what was needed last at the end
    #[command(alias = "list")]
    Ls {
        /// `table`, `json`, or a Go template such as `{{.ID}} {{.Size}}`
        #[arg(long, default_value = "table")]
        format: String,
    },
    /// Remove what no image has
    Prune(CachePruneArgs),
}

/// Flags of `image cache prune`.
#[derive(Debug, Args)]
pub(crate) struct CachePruneArgs {
    /// What images have, too: the next build makes it anew
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// `id=ID`, `type=regular|exec.cachemount`, `inuse=true|false` or `until=TIME`. May be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}

/// Flags of `image tag`.
#[derive(Debug, Args)]
pub(crate) struct ImageTagArgs {
    /// A name or id
    #[arg(value_name = "IMAGE")]
    pub(crate) source: String,
    /// The other name
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) target: String,
}

/// What `main` and the keeper read, before there is a command line.
const FOREGROUND: &str = "\
Flags of the engine in the foreground, `gantry engine [FLAGS]`:
  -H, --host <ADDRESS>      Serve there, too: unix:///path, tcp://address:port, fd:// (sockets that systemd passes), fd://3. May be repeated
  -G, --group <GROUP>       Open unix sockets to a group
      --config <FILE>       Read this configuration instead of /etc/gantry/engine.json
      --tlsverify           Speak TLS at TCP ports, and have clients show a certificate
      --tlscacert <FILE>    The certificates of those who may vouch for clients
      --tlscert <FILE>      The engine's own certificate
      --tlskey <FILE>       The key to it
      --tls                 Speak TLS; with --tlsverify=false no client shows a certificate
      --insecure            Serve TCP on loopback to clients that show no certificate";

/// `gantry engine …`; without a subcommand the engine runs in the foreground, which `main` sees to.
#[derive(Debug, Args)]
#[command(after_help = FOREGROUND)]
pub(crate) struct EngineArgs {
    /// What to do with the engine that runs.
    #[command(subcommand)]
    pub(crate) command: Option<EngineCommand>,
}

/// What to do with the engine that runs.
#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// Say whether it runs, and what it has
    Status,
    /// Show what it wrote down of itself
    Logs,
    /// Stop its containers, and it
    Stop,
}

/// `gantry system …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SystemCommand {
    /// Carry standard input to the engine's socket, and what comes from there to standard output
    ///
    /// It is what `gantry -H ssh://…`, and a `docker` that finds it under that name, run on the engine's machine. Gantry's own engine is
    /// started if it does not run, unless GANTRY_NO_START is set: then the code is 69. It ends when the engine closes the connection; the end of standard input is passed on.
    DialStdio,
}
