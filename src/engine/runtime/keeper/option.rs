//! How a keeper is started: by a client in the background, by hand in the foreground, or by an engine whose keeper died.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::engine::root::Root;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::socket::{Address, Guard, group_id, without_repeats};
use crate::engine::settings::{Placed, Settings, TlsFiles, TlsSettings};
use crate::resource::truth;

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
    /// What keeps strangers from a TCP port.
    pub(super) guard: Guard,
    /// What TLS is made with at TCP ports.
    tls: Option<TlsFiles>,
}

impl Options {
    /// Reads the arguments after `gantry engine` or `gantry keeper`, and what of the configuration the keeper needs.
    pub(super) fn read(arguments: &[OsString], foreground: bool) -> Result<Self, KeeperError> {
        let Flags { hosts, is_insecure, configuration, group, tls } = Flags::read(arguments)?;
        let root = root()?;
        let settings = Settings::read(configuration.as_deref(), root.configuration())?;
        let tls = tls.over(settings.tls).files()?;
        let guard = Guard::of(tls.as_ref(), is_insecure);
        let addresses: Vec<Address> = match hosts.as_slice() {
            [] => settings.hosts.iter().map(|host| configured(host, guard)).collect::<Result<_, _>>()?,
            hosts => hosts.iter().map(|host| Address::parse(host, guard)).collect::<Result<_, _>>()?,
        };
        let group = group.or(settings.group).as_ref().map(group_of).transpose()?;
        let root = match settings.data_root {
            Some(data) => root.with_data(data),
            None => root,
        };
        // Its own socket it has in any case.
        let own = Address::Unix(root.socket());
        let addresses = without_repeats(addresses).into_iter().filter(|address| *address != own).collect();
        Ok(Self { root, foreground, configuration, addresses, group, guard, tls })
    }

    /// What a keeper goes by that takes over: the sockets are there, so the configuration is not asked. `arguments` are the engine's.
    pub(super) fn taken_over(arguments: &[OsString]) -> Result<Self, KeeperError> {
        let start = EngineArguments::read(arguments);
        let root = start.moved(root()?);
        let (configuration, tls) = (start.configuration, start.tls);
        let guard = Guard::of(tls.as_ref(), false);
        Ok(Self { root, foreground: false, configuration, addresses: Vec::new(), group: None, guard, tls })
    }

    /// What an engine is started with.
    pub(super) fn engine_arguments(&self) -> EngineArguments {
        EngineArguments { data: Some(self.root.data().to_owned()), configuration: self.configuration.clone(), tls: self.tls.clone() }
    }
}

/// The command line of `gantry engine`.
#[derive(Debug, Default)]
struct Flags {
    hosts: Vec<String>,
    is_insecure: bool,
    configuration: Option<PathBuf>,
    group: Option<Placed<String>>,
    tls: TlsSettings,
}

impl Flags {
    fn read(arguments: &[OsString]) -> Result<Self, KeeperError> {
        let mut flags = Self::default();
        let mut rest = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = rest.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            match name.as_str() {
                "--insecure" => flags.is_insecure = truth(&name, value.as_deref())?,
                "--tls" => flags.tls.enabled = Some(truth(&name, value.as_deref())?),
                "--tlsverify" => flags.tls.verify = Some(truth(&name, value.as_deref())?),
                "-H" | "--host" | "-G" | "--group" | "--config" | "--tlscacert" | "--tlscert" | "--tlskey" => {
                    let value = value.or_else(|| rest.next()).ok_or_else(|| KeeperError::Usage(format!("`{name}` needs a value")))?;
                    match name.as_str() {
                        "-H" | "--host" => flags.hosts.push(value),
                        "-G" | "--group" => flags.group = Some(Placed { value, place: name }),
                        "--config" => flags.configuration = Some(absolute(value.as_ref())?),
                        "--tlscacert" => flags.tls.authority = Some(absolute(value.as_ref())?),
                        "--tlscert" => flags.tls.certificate = Some(absolute(value.as_ref())?),
                        _ => flags.tls.key = Some(absolute(value.as_ref())?),
                    }
                }
                _ => return Err(KeeperError::Usage(format!("`gantry engine` has no argument `{name}`"))),
            }
        }
        Ok(flags)
    }
}

/// A flag that says yes unless it says something else, in the words of Docker's flags.
fn truth(name: &str, value: Option<&str>) -> Result<bool, KeeperError> {
    let Some(text) = value else { return Ok(true) };
    truth::parse(text).ok_or_else(|| KeeperError::Usage(format!("`{name}` is true or false, and not `{text}`")))
}

/// An engine's command line: its keeper writes it, and it hands it on to a keeper that takes over. The data folder stays what it was when
/// the first engine started, whatever the configuration says meanwhile: containers must not lose theirs. So does what guards the TCP ports,
/// which are open already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine::runtime) struct EngineArguments {
    data: Option<PathBuf>,
    /// The configuration file, if one was named.
    pub(in crate::engine::runtime) configuration: Option<PathBuf>,
    /// What TLS is made with at TCP ports.
    pub(in crate::engine::runtime) tls: Option<TlsFiles>,
}

/// What stands before the paths of TLS; everything else begins with a slash.
const CERTIFICATE: &str = "tlscert=";
const KEY: &str = "tlskey=";
const AUTHORITY: &str = "tlscacert=";

impl EngineArguments {
    /// Reads what [`Self::written`] wrote.
    pub(in crate::engine::runtime) fn read(arguments: &[OsString]) -> Self {
        let after = |prefix: &str| {
            let rest = arguments.iter().find_map(|argument| argument.as_bytes().strip_prefix(prefix.as_bytes()))?;
            Some(PathBuf::from(OsStr::from_bytes(rest)))
        };
        let tls = match (after(CERTIFICATE), after(KEY)) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key, authority: after(AUTHORITY) }),
            _ => None,
        };
        let mut paths = arguments.iter().filter(|argument| argument.as_bytes().starts_with(b"/")).map(PathBuf::from);
        Self { data: paths.next(), configuration: paths.next(), tls }
    }

    /// Writes them.
    pub(super) fn written(&self) -> Vec<OsString> {
        let mut written: Vec<OsString> = [&self.data, &self.configuration].into_iter().flatten().map(OsString::from).collect();
        if let Some(TlsFiles { certificate, key, authority }) = &self.tls {
            let named = [(CERTIFICATE, Some(certificate)), (KEY, Some(key)), (AUTHORITY, authority.as_ref())];
            for (prefix, path) in named.into_iter().filter_map(|(prefix, path)| Some((prefix, path?))) {
                let mut argument = OsString::from(prefix);
                argument.push(path);
                written.push(argument);
            }
        }
        written
    }

    /// The root with the data where they are.
    pub(in crate::engine::runtime) fn moved(&self, root: Root) -> Root {
        match &self.data {
            Some(data) => root.with_data(data.clone()),
            None => root,
        }
    }
}

fn configured(host: &Placed<String>, guard: Guard) -> Result<Address, KeeperError> {
    Address::parse(&host.value, guard).map_err(|error| KeeperError::Configured { place: host.place.clone(), source: Box::new(error) })
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

    fn flags(line: &str) -> Result<Flags, String> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Flags::read(&arguments).map_err(|error| error.chain())
    }

    #[test]
    fn flags_are_read_in_dockers_spelling() {
        let read = flags("-H fd:// --host=tcp://0.0.0.0:2376 --tlsverify --tlscacert /ca --tlscert=/cert --tlskey /key -G daemon");
        let read = read.expect("good flags");
        assert_eq!(read.hosts, ["fd://", "tcp://0.0.0.0:2376"]);
        assert!(!read.is_insecure);
        assert_eq!(read.group.map(|group| group.value).as_deref(), Some("daemon"));
        let tls = TlsSettings {
            enabled: None,
            verify: Some(true),
            authority: Some("/ca".into()),
            certificate: Some("/cert".into()),
            key: Some("/key".into()),
        };
        assert_eq!(read.tls, tls);
        assert!(flags("--insecure").expect("good flags").is_insecure);
        assert!(!flags("--insecure=false").expect("good flags").is_insecure);
        assert_eq!(flags("--tls=0").expect("good flags").tls.enabled, Some(false));
        assert_eq!(flags("--tlsverify=yes").expect_err("a refusal"), "`--tlsverify` is true or false, and not `yes`");
        assert_eq!(flags("--tlskey").expect_err("a refusal"), "`--tlskey` needs a value");
        assert_eq!(flags("--tlsciphers=x").expect_err("a refusal"), "`gantry engine` has no argument `--tlsciphers`");
    }

    #[test]
    fn an_engines_arguments_are_read_as_they_were_written() {
        let data = Some(PathBuf::from("/data"));
        let files = TlsFiles { certificate: "/cert.pem".into(), key: "/key.pem".into(), authority: None };
        let mutual = TlsFiles { authority: Some("/a b/ca.pem".into()), ..files.clone() };
        for arguments in [
            EngineArguments { data: data.clone(), configuration: Some("/x.json".into()), tls: Some(mutual) },
            EngineArguments { data, configuration: None, tls: Some(files) },
            EngineArguments::default(),
        ] {
            assert_eq!(EngineArguments::read(&arguments.written()), arguments);
        }
    }
}
