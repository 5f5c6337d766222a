//! How a keeper is started: by a client in the background, by hand in the foreground, or by an engine whose keeper died.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::root::Root;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::socket::{Address, group_id};
use crate::engine::settings::{Placed, Settings};

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
        let root = root()?;
        let settings = Settings::read(configuration.as_deref(), root.configuration())?;
        let addresses = match hosts.as_slice() {
            [] => settings.hosts.iter().map(|host| configured(host, insecure)).collect::<Result<_, _>>()?,
            hosts => hosts.iter().map(|host| Address::parse(host, insecure)).collect::<Result<_, _>>()?,
        };
        let group = settings.group.as_ref().map(group_of).transpose()?;
        let root = match settings.data_root {
            Some(data) => root.with_data(data),
            None => root,
        };
        Ok(Self { root, foreground, configuration, addresses, group })
    }

    /// What a keeper goes by that takes over: the sockets are there, so the configuration is not asked. `arguments` are the engine's.
    pub(super) fn taken_over(arguments: &[OsString]) -> Result<Self, KeeperError> {
        let start = EngineArguments::read(arguments);
        let root = start.moved(root()?);
        Ok(Self { root, foreground: false, configuration: start.configuration, addresses: Vec::new(), group: None })
    }

    /// What an engine is started with.
    pub(super) fn engine_arguments(&self) -> EngineArguments {
        EngineArguments { data: Some(self.root.data().to_owned()), configuration: self.configuration.clone() }
    }
}

/// An engine's command line: its keeper writes it, and it hands it on to a keeper that takes over. The data folder stays what it was when
/// the first engine started, whatever the configuration says meanwhile: containers must not lose theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine::runtime) struct EngineArguments {
    data: Option<PathBuf>,
    /// The configuration file, if one was named.
    pub(in crate::engine::runtime) configuration: Option<PathBuf>,
}

impl EngineArguments {
    /// Reads what [`Self::written`] wrote.
    pub(in crate::engine::runtime) fn read(arguments: &[OsString]) -> Self {
        let mut paths = arguments.iter().map(PathBuf::from);
        Self { data: paths.next(), configuration: paths.next() }
    }

    /// Writes them.
    pub(super) fn written(&self) -> impl Iterator<Item = &Path> {
        [&self.data, &self.configuration].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The root with the data where they are.
    pub(in crate::engine::runtime) fn moved(&self, root: Root) -> Root {
        match &self.data {
            Some(data) => root.with_data(data.clone()),
            None => root,
        }
    }
}

fn configured(host: &Placed<String>, insecure: bool) -> Result<Address, KeeperError> {
    Address::parse(&host.value, insecure).map_err(|error| KeeperError::Configured { place: host.place.clone(), source: Box::new(error) })
}

fn group_of(group: &Placed<String>) -> Result<u32, KeeperError> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let missing = || KeeperError::Group { place: group.place.clone(), group: group.value.clone() };
    group_id(&groups, &group.value).ok_or_else(missing)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engines_arguments_are_read_as_they_were_written() {
        let data = Some(PathBuf::from("/data"));
        for arguments in [
            EngineArguments { data: data.clone(), configuration: Some("/x.json".into()) },
            EngineArguments { data, configuration: None },
            EngineArguments::default(),
        ] {
            let written: Vec<OsString> = arguments.written().map(OsString::from).collect();
            assert_eq!(EngineArguments::read(&written), arguments);
        }
    }
}
