//! Flags of `build` and `image build`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::lifecycle::ServiceArgs;
use crate::cli::output::progress::Style;
use crate::compose::project::flag;
use crate::compose::project::scalar;
use crate::resource::build::BuildNetwork;
use crate::resource::container::Ulimit;
use crate::resource::csv;

/// `NAME=VALUE`, or a name whose value is in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// The name.
    pub(crate) name: String,
    /// The value, if it was given.
    pub(crate) value: Option<String>,
}

fn parse_argument(text: &str) -> Result<Argument, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
    if name.is_empty() {
        return Err(format!("`{text}` has no name: NAME=VALUE is expected"));
    }
    Ok(Argument { name: name.to_owned(), value })
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

/// A label; one without a value has an empty one.
fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() { Err(format!("`{text}` has no name")) } else { Ok((name.to_owned(), value.to_owned())) }
}

/// An agent: `default`, or `ID=SOCKET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    /// The id that the Dockerfile knows.
    pub(crate) id: String,
    /// Its socket; that of the environment when absent.
    pub(crate) socket: Option<PathBuf>,
}

fn parse_agent(text: &str) -> Result<Agent, String> {
    let (id, socket) = text.split_once('=').map_or((text, None), |(id, path)| (id, Some(PathBuf::from(path))));
    match (id, &socket) {
        ("", _) => Err(format!("`{text}` has no id: `default` or ID=SOCKET is expected")),
        (id, None) if id != "default" => Err(format!("invalid ssh key \"{id}\": it has no path; write `{id}=SOCKET`, or `default`")),
        _ => Ok(Agent { id: id.to_owned(), socket: socket.filter(|path| !path.as_os_str().is_empty()) }),
    }
}

/// Where a secret comes from: what was said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretFlag {
    /// The id that the Dockerfile knows.
    pub(crate) id: String,
    /// A file.
    pub(crate) file: Option<PathBuf>,
    /// A variable of the environment.
    pub(crate) variable: Option<String>,
}

fn parse_secret(text: &str) -> Result<SecretFlag, String> {
    let mut secret = SecretFlag::default();
    let mut kind = None;
    let fields = csv::split(text).map_err(|error| format!("`{text}` cannot be read: {error}"))?;
    for field in &fields {
        match field.split_once('=') {
            Some(("id", value)) => value.clone_into(&mut secret.id),
            Some(("src" | "source", value)) => secret.file = Some(PathBuf::from(value)),
            Some(("env", value)) => secret.variable = Some(value.to_owned()),
            Some(("type", value @ ("file" | "env"))) => kind = Some(value),
            Some(("type", value)) => return Err(format!("`{value}` is no kind of secret; there are file and env")),
            _ => return Err(format!("`{field}` is unknown; id=ID,src=FILE or id=ID,env=NAME is expected")),
        }
    }
    if kind == Some("env") && secret.variable.is_none() {
        // So Docker's: what is named as the source is a variable then.
        secret.variable = secret.file.take().map(|path| path.to_string_lossy().into_owned());
    }
    match &secret {
        SecretFlag { id, .. } if id.is_empty() => Err("a secret needs an id: id=ID,src=FILE or id=ID,env=NAME".to_owned()),
        SecretFlag { file: Some(_), variable: Some(_), .. } => {
            Err("a secret comes from a file or from a variable, and not from both".to_owned())
        }
        _ => Ok(secret),
    }
}

fn parse_ulimit(text: &str) -> Result<(String, Ulimit), String> {
    let wrong = || format!("`{text}` is not NAME=SOFT[:HARD]");
    let (name, limits) = text.split_once('=').ok_or_else(wrong)?;
    if !Ulimit::NAMES.contains(&name) {
        return Err(format!("there is no process limit `{name}`; there are {}", Ulimit::NAMES.join(", ")));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard) = (soft.parse().map_err(|_| wrong())?, hard.parse().map_err(|_| wrong())?);
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!("the soft limit of `{name}` is above the hard limit {hard}"));
    }
    Ok((name.to_owned(), Ulimit { soft, hard }))
}

fn parse_size(text: &str) -> Result<u64, String> {
    scalar::bytes(text).ok_or_else(|| format!("`{text}` is no size; write one as in 64m"))
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`; the former is what builds are told.
fn parse_host(text: &str) -> Result<String, String> {
    flag::host(text).map(|host| host.replacen('=', ":", 1))
}

fn parse_network(text: &str) -> Result<BuildNetwork, String> {
    Ok(match text {
        "" | "default" => BuildNetwork::Default,
        "host" => BuildNetwork::Host,
        "none" => BuildNetwork::None,
        name => BuildNetwork::Named(name.to_owned()),
    })
}

fn parse_progress(text: &str) -> Result<Style, String> {
    match text {
        "auto" => Ok(Style::Auto),
        "plain" => Ok(Style::Plain),
        "tty" => Ok(Style::Tty),
        "quiet" | "none" => Ok(Style::Quiet),
        "rawjson" => {
            Err("rawjson is BuildKit's own record of its steps, which this is not; `gantry --progress json image build` writes ours"
                .to_owned())
        }
        _ => Err("there are auto, plain, tty and quiet".to_owned()),
    }
}

/// Flags of `build`.
#[derive(Debug, Args)]
pub(crate) struct ServiceBuildArgs {
    #[command(flatten)]
    pub(crate) services: ServiceArgs,
    /// A build argument, NAME=VALUE, or NAME to pass on one's own. May be repeated
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]", value_parser = parse_argument)]
    pub(crate) args: Vec<Argument>,
    /// The builder; there is `default`
    #[arg(long, value_name = "BUILDER", hide = true)]
    pub(crate) builder: Option<String>,
    /// Say what is wrong with the Dockerfiles, and build nothing; the code is 1 where something is
    #[arg(long)]
    pub(crate) check: bool,
    /// A limit of memory, which no builder heeds any more
    #[arg(short, long, value_name = "BYTES", hide = true)]
    pub(crate) memory: Option<String>,
    /// Do every step anew
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print the file that `docker buildx bake` would need, and build nothing
    #[arg(long)]
    pub(crate) print: bool,
    /// Whether images say how they were built
    #[arg(long, value_name = "SETTING", hide = true)]
    pub(crate) provenance: Option<String>,
    /// Pull the images that are built on, even when they are here
    #[arg(long)]
    pub(crate) pull: bool,
    /// Push what was built
    #[arg(long)]
    pub(crate) push: bool,
    /// Tell nothing but failures
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Whether images say what they are made of
    #[arg(long, value_name = "SETTING", hide = true)]
    pub(crate) sbom: Option<String>,
    /// An agent that builds may ask, `default` or ID=SOCKET. May be repeated
    #[arg(long, value_name = "AGENT", value_parser = parse_agent)]
    pub(crate) ssh: Vec<Agent>,
    /// Build what the named services depend on, too
    #[arg(long)]
    pub(crate) with_dependencies: bool,
    /// Deprecated, without effect
    #[arg(long, hide = true)]
    pub(crate) compress: bool,
    /// Deprecated, without effect
    #[arg(long, hide = true)]
    pub(crate) force_rm: bool,
    /// Deprecated, without effect
    #[arg(long, hide = true)]
    pub(crate) no_rm: bool,
    /// Deprecated, without effect
    #[arg(long = "parallel", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) deprecated_parallel: Option<bool>,
    /// Deprecated: it is a flag before the command
    #[arg(long = "progress", hide = true, value_enum, value_name = "STYLE")]
    pub(crate) deprecated_progress: Option<Style>,
}

/// Flags of `image build`.
#[derive(Debug, Args)]
pub(crate) struct ImageBuildArgs {
    /// The folder to build in; `-` reads an archive of one, or a Dockerfile, from standard input
    #[arg(value_name = "PATH|-")]
    pub(crate) context: PathBuf,
    /// The Dockerfile [default: PATH/Dockerfile]; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A name of the image. May be repeated
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    pub(crate) tags: Vec<String>,
    /// A build argument, NAME=VALUE, or NAME to pass on one's own. May be repeated
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]", value_parser = parse_argument)]
    pub(crate) args: Vec<Argument>,
    /// The stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// A label of the image. May be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Do every step anew
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Do every step of this stage anew. May be repeated
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Pull the images that are built on, even when they are here
    #[arg(long)]
    pub(crate) pull: bool,
    /// The platform to build for, os/arch[/variant] [default: the engine's own]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// The network of RUN commands: default, host, none, or a name
    #[arg(long, value_name = "NETWORK", default_value = "default", value_parser = parse_network)]
    pub(crate) network: BuildNetwork,
    /// A name and its address for RUN commands. May be repeated
    #[arg(long = "add-host", value_name = "NAME:ADDRESS", value_parser = parse_host)]
    pub(crate) hosts: Vec<String>,
    /// The size of /dev/shm, as in 64m
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) shm_size: Option<u64>,
    /// A limit of processes. May be repeated
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]", value_parser = parse_ulimit)]
    pub(crate) ulimits: Vec<(String, Ulimit)>,
    /// A secret the build may read, id=ID,src=FILE or id=ID,env=NAME. May be repeated
    #[arg(long = "secret", value_name = "SECRET", value_parser = parse_secret)]
    pub(crate) secrets: Vec<SecretFlag>,
    /// An agent the build may ask, `default` or ID=SOCKET. May be repeated
    #[arg(long, value_name = "AGENT", value_parser = parse_agent)]
    pub(crate) ssh: Vec<Agent>,
    /// A further folder, or docker-image://NAME, by name. May be repeated
    #[arg(long = "build-context", value_name = "NAME=PATH", value_parser = parse_pair)]
    pub(crate) contexts: Vec<(String, String)>,
    /// An image that steps may come from. May be repeated
    #[arg(long, value_name = "IMAGE")]
    pub(crate) cache_from: Vec<String>,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Tell nothing but the image's id
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// How to tell what is going on: auto, plain, tty or quiet
    #[arg(long, value_name = "STYLE", value_parser = parse_progress)]
    pub(crate) progress: Option<Style>,
    /// Where a step fails, open a shell in the state before it
    #[arg(long)]
    pub(crate) debug_shell: bool,
    /// Say what is wrong with the Dockerfile, and build nothing; the code is 1 where something is
    #[arg(long, conflicts_with_all = ["debug_shell", "iidfile"])]
    pub(crate) check: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_as_dockers() {
        let read = |text: &str| {
            parse_secret(text).map(|it| format!("{} {:?} {:?}", it.id, it.file.map(|path| path.display().to_string()), it.variable))
        };
        for (text, expect) in [
            ("id=a,src=./k", Ok("a Some(\"./k\") None")),
            ("type=file,source=/k,id=a", Ok("a Some(\"/k\") None")),
            ("id=a,env=B", Ok("a None Some(\"B\")")),
            ("id=a,type=env,src=B", Ok("a None Some(\"B\")")),
            ("id=a", Ok("a None None")),
            ("src=k", Err("a secret needs an id: id=ID,src=FILE or id=ID,env=NAME")),
            ("id=a,src=k,env=B", Err("a secret comes from a file or from a variable, and not from both")),
            ("id=a,type=vault", Err("`vault` is no kind of secret; there are file and env")),
            ("a", Err("`a` is unknown; id=ID,src=FILE or id=ID,env=NAME is expected")),
        ] {
            assert_eq!(read(text).as_deref().map_err(String::as_str), expect, "{text}");
        }
    }

    #[test]
    fn agents_and_limits_are_read() {
        assert_eq!(parse_agent("default").map(|agent| agent.socket), Ok(None));
        assert_eq!(parse_agent("x=/s").map(|agent| agent.socket), Ok(Some(PathBuf::from("/s"))));
        assert!(parse_agent("x").is_err() && parse_agent("=y").is_err());
        assert_eq!(parse_ulimit("nofile=10:20"), Ok(("nofile".to_owned(), Ulimit { soft: 10, hard: 20 })));
        assert_eq!(parse_ulimit("nproc=5"), Ok(("nproc".to_owned(), Ulimit { soft: 5, hard: 5 })));
        for wrong in ["nofile", "nofile=x", "nofiles=1", "nofile=20:10", "nofile=-1:10"] {
            assert!(parse_ulimit(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_host("h=::1").as_deref(), Ok("h:::1"));
        assert_eq!(parse_size("64m"), Ok(64 << 20));
    }
}
