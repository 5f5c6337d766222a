//! As what the program was started: by its own name, as a link named `docker-compose`, or by `docker` as its plugin of that name.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::cli::environment::Environment;

/// The name of the link, by which `docker` finds its plugin, too.
const NAME: &str = "docker-compose";
/// The plugin's command in `docker`.
const COMMAND: &str = "compose";
/// What `docker` asks of every plugin it finds.
const METADATA: &str = "docker-cli-plugin-metadata";
/// A variable that `docker` sets for its plugins alone.
const BY_DOCKER: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";
/// The address that is there as long as `docker` wants its plugin to go on.
const SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";

/// Flags of `docker`, which stand before the plugin's command, that have a value.
const WITH_VALUE: [&str; 10] = ["-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey"];
/// Those that are about what `docker` tells of itself, and mean nothing to a plugin.
const OF_DOCKER: [&str; 4] = ["-D", "--debug", "-l", "--log-level"];

/// As what the program was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// By its own name, or any other.
    Gantry,
    /// As `docker-compose`.
    Standalone,
    /// As `docker compose`.
    Plugin,
}

impl Invocation {
    /// Tells, and takes out of the arguments what is meant for `docker`: its command, and flags of its own.
    pub(crate) fn of(arguments: &mut Vec<OsString>, environment: &Environment) -> Self {
        if !is_link(arguments) {
            return Self::Gantry;
        }
        match environment.get(BY_DOCKER).and_then(|_| of_plugin(arguments)) {
            Some(rest) => {
                *arguments = rest;
                Self::Plugin
            }
            None => Self::Standalone,
        }
    }

    /// The name that usage is told under, where it is not the program's.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Gantry | Self::Standalone => None,
            Self::Plugin => Some("docker compose"),
        }
    }

    /// The name that shells know it by; `docker`'s own completion asks plugins by itself.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Gantry | Self::Plugin => "gantry",
            Self::Standalone => NAME,
        }
    }
}

fn is_link(arguments: &[OsString]) -> bool {
    arguments.first().and_then(|program| Path::new(program).file_name()).is_some_and(|name| name == NAME)
}

/// What `docker` is told of its plugin, if it asks.
pub(crate) fn metadata(arguments: &[OsString]) -> Option<String> {
    let asked = is_link(arguments) && arguments.get(1).is_some_and(|argument| argument == METADATA);
    let metadata = json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "Gantry",
        "Version": concat!("v", env!("CARGO_PKG_VERSION")),
        "ShortDescription": "Docker Compose, by Gantry",
    });
    asked.then(|| format!("{metadata}\n"))
}

/// Takes the plugin's command out of the arguments, and the flags before it that are `docker`'s alone; nothing where there is no such command.
fn of_plugin(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (mut kept, mut rest) = (Vec::new(), arguments.iter());
    kept.extend(rest.next().cloned());
    while let Some(argument) = rest.next() {
        if argument == COMMAND {
            kept.extend(rest.cloned());
            return Some(kept);
        }
        let text = argument.to_str()?;
        let (flag, value) = text.split_once('=').map_or((text, None), |(flag, value)| (flag, Some(value)));
        // A completion is asked for in the first place.
        if !(flag.starts_with('-') || kept.len() == 1 && flag.starts_with("__complete")) {
            return None;
        }
        let value = if value.is_none() && WITH_VALUE.contains(&flag) { Some(rest.next()?) } else { None };
        if !OF_DOCKER.contains(&flag) {
            kept.push(argument.clone());
            kept.extend(value.cloned());
        }
    }
    None
}

/// Ends this process as a signal to terminate would, once `docker` hangs up: it does so when it is interrupted itself. Returns never, or where
/// there is no `docker` to listen to.
pub(crate) async fn obey_docker(environment: Environment) {
    let Some(stream) = environment.get(SOCKET).and_then(|address| connect(address.as_ref())) else { return };
    let Ok(mut stream) = tokio::net::UnixStream::from_std(stream) else { return };
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|count| count > 0) {}
    // Commands listen to it, each in its way.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
}

/// Connects to an address as Go writes it: `@` stands for a name that is no path.
fn connect(address: &OsStr) -> Option<UnixStream> {
    let address = match address.to_str()?.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(address).ok()?,
    };
    let stream = UnixStream::connect_addr(&address).ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn what_is_dockers_is_taken_out() {
        let environment = |by_docker: bool| {
            let variables = by_docker.then(|| (OsString::from(BY_DOCKER), OsString::from("docker")));
            Environment::new(variables.into_iter(), Ok("/here".into()))
        };
        let check = |line: &str, by_docker, expect, rest: &str| {
            let mut arguments = words(line);
            assert_eq!(Invocation::of(&mut arguments, &environment(by_docker)), expect, "{line}");
            assert_eq!(arguments, words(rest), "{line}");
        };
        check("gantry up", true, Invocation::Gantry, "gantry up");
        check("/x/docker-compose up", false, Invocation::Standalone, "/x/docker-compose up");
        check("docker-compose compose up", true, Invocation::Plugin, "docker-compose up");
        check("docker-compose -H tcp://h -D compose -f x up", true, Invocation::Plugin, "docker-compose -H tcp://h -f x up");
        check("docker-compose --log-level debug --context=c compose up", true, Invocation::Plugin, "docker-compose --context=c up");
        check("docker-compose -l=info --host compose compose ps", true, Invocation::Plugin, "docker-compose --host compose ps");
        check("docker-compose __complete compose up w", true, Invocation::Plugin, "docker-compose __complete up w");
        // Run by something that a plugin runs.
        check("docker-compose up compose", true, Invocation::Standalone, "docker-compose up compose");
        check("docker-compose", true, Invocation::Standalone, "docker-compose");
    }

    #[test]
    fn docker_is_told_what_it_found() {
        assert!(metadata(&words("/x/docker-compose docker-cli-plugin-metadata")).expect("told").contains(r#""SchemaVersion":"0.1.0""#));
        assert_eq!(metadata(&words("gantry docker-cli-plugin-metadata")), None);
        assert_eq!(metadata(&words("docker-compose up")), None);
    }
}
