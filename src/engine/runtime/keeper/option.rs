//! How a keeper is started: by a client in the background, by hand in the foreground, or by an engine whose keeper died.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::engine::root::Root;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::socket::{Address, group_id};

/// Where the configuration lies unless `--config` says otherwise.
const CONFIGURATION: &str = "/etc/gantry/engine.json";

/// What a keeper is told.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) root: Root,
    /// `gantry engine`: on the caller's terminal, and for good.
    pub(super) foreground: bool,
    /// The engine's configuration file, if one was named.
    pub(super) configuration: Option<PathBuf>,
    /// Beside the root's own socket.
    pub(super) addresses: Vec<Address>,
    /// Whom the sockets are opened to.
    pub(super) group: Option<u32>,
}

impl Options {
    /// Reads the arguments after `gantry engine` or `gantry keeper`, and what of the configuration the keeper needs.
    pub(super) fn read(arguments: &[OsString], foreground: bool) -> Result<Self, KeeperError> {
        let mut hosts = Vec::new();
        let mut insecure = false;
        let mut configuration = None;
        let mut rest = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = rest.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut take = || value.clone().or_else(|| rest.next()).ok_or_else(|| KeeperError::Usage(format!("`{name}` needs a value")));
            match name.as_str() {
                "-H" | "--host" => hosts.push(take()?),
                "--config" => configuration = Some(absolute(take()?.as_ref())?),
                "--insecure" => insecure = true,
                _ => return Err(KeeperError::Usage(format!("`gantry engine` has no argument `{name}`"))),
            }
        }
        let settings = settings(configuration.as_deref())?;
        if hosts.is_empty() {
            hosts = settings.hosts;
        }
        let addresses = hosts.iter().map(|host| Address::parse(host, insecure)).collect::<Result<_, _>>()?;
        let group = match settings.group {
            None => None,
            Some(group) => {
                let groups = fs::read_to_string("/etc/group").unwrap_or_default();
                Some(group_id(&groups, &group).ok_or(KeeperError::Group { group })?)
            }
        };
        Ok(Self { root: root()?, foreground, configuration, addresses, group })
    }
}

/// The root of this process, by `GANTRY_ROOT`.
#[expect(clippy::disallowed_methods, reason = "a keeper is told its root by the environment, as every other role is by its keeper")]
pub(super) fn root() -> Result<Root, KeeperError> {
    match std::env::var_os("GANTRY_ROOT").filter(|value| !value.is_empty()) {
        Some(moved) => Ok(Root::new(Some(&absolute(moved.as_ref())?))),
        None => Ok(Root::new(None)),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, KeeperError> {
    std::path::absolute(path).map_err(|source| KeeperError::Path { step: "resolve", path: path.to_owned(), source })
}

#[derive(Debug, Default, PartialEq)]
struct Settings {
    hosts: Vec<String>,
    group: Option<String>,
}

/// The two keys of the configuration that are the keeper's: `hosts` and `group`, as in Docker's daemon.json. The engine reads the rest.
fn settings(named: Option<&Path>) -> Result<Settings, KeeperError> {
    let path = named.unwrap_or(Path::new(CONFIGURATION));
    let text = match fs::read_to_string(path) {
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(source) => return Err(KeeperError::Path { step: "read", path: path.to_owned(), source }),
        Ok(text) => text,
    };
    parse_settings(&text).map_err(|reason| KeeperError::Configuration { path: path.to_owned(), reason })
}

fn parse_settings(text: &str) -> Result<Settings, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(map) = value else { return Err("an object is expected".to_owned()) };
    let group = match map.get("group") {
        None | Some(Value::Null) => None,
        Some(Value::String(group)) => Some(group.clone()),
        Some(_) => return Err("`group` is to be a text".to_owned()),
    };
    let hosts = match map.get("hosts") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(hosts)) => {
            let texts: Option<Vec<_>> = hosts.iter().map(|host| host.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| "`hosts` is to be a list of texts".to_owned())?
        }
        Some(_) => return Err("`hosts` is to be a list of texts".to_owned()),
    };
    Ok(Settings { hosts, group })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keepers_keys_are_read() {
        let hosts = vec!["fd://".to_owned()];
        for (text, expect) in [
            ("{}", Some(Settings::default())),
            (r#"{"group": "gantry", "debug": true}"#, Some(Settings { group: Some("gantry".to_owned()), hosts: Vec::new() })),
            (r#"{"hosts": ["fd://"]}"#, Some(Settings { group: None, hosts })),
            (r#"{"hosts": "fd://"}"#, None),
            (r#"{"group": 7}"#, None),
            ("[]", None),
            ("{", None),
        ] {
            assert_eq!(parse_settings(text).ok(), expect, "{text}");
        }
    }
}
