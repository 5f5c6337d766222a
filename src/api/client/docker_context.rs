//! Contexts of Docker's configuration: engines that were given a name.
//!
//! Below the folder of the configuration, `contexts/meta/ID/meta.json` says where the engine listens and `contexts/tls/ID/docker` has the files
//! of TLS; the id is the SHA-256 of the name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::api::client::docker_configuration::{ConfigurationError, DockerConfiguration, field};
use crate::api::client::plain_file;
use crate::api::client::target::{DOCKERS_SOCKET, Target, TargetError};
use crate::api::client::tls::TlsFiles;

/// The context that is no context: what the flags and variables say.
pub const DEFAULT: &str = "default";

/// Why a context names no engine.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is none of that name.
    #[error("there is no context `{name}` in {}: {}", .folder.display(), listed(.others))]
    Missing {
        /// The name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// Those that are there.
        others: Vec<String>,
    },
    /// A file that cannot be read.
    #[error("the context `{name}` cannot be read from {}", .path.display())]
    Unreadable {
        /// The name of the context.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("the context `{name}` cannot be read: {} is not JSON as Docker writes it", .path.display())]
    Malformed {
        /// The name of the context.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The configuration, which may name the current one, cannot be read.
    #[error("the current context cannot be read from {}: {reason}", .path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An engine of some other kind.
    #[error("the context `{name}` names no engine that speaks Docker's API: it has {}", listed(.kinds))]
    NoEngine {
        /// The name of the context.
        name: String,
        /// What it has.
        kinds: Vec<String>,
    },
    /// An address that cannot be used.
    #[error("the context `{name}`: {source}")]
    Target {
        /// The name of the context.
        name: String,
        /// What is wrong with the address.
        source: TargetError,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The contexts of one folder of Docker's configuration.
#[derive(Clone, Debug)]
pub struct ContextStore {
    folder: PathBuf,
}

impl ContextStore {
    /// Those below a folder of Docker's configuration.
    pub fn new(configuration: &Path) -> Self {
        Self { folder: configuration.join("contexts") }
    }

    /// Returns the engine of a context.
    pub fn target(&self, name: &str) -> Result<Target, ContextError> {
        let id = id_of(name);
        let path = self.metadata().join(&id).join("meta.json");
        let text = match plain_file::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ContextError::Missing { name: name.to_owned(), folder: self.metadata(), others: self.names() });
            }
            Err(source) => return Err(ContextError::Unreadable { name: name.to_owned(), path, source }),
        };
        let malformed = || ContextError::Malformed { name: name.to_owned(), path: path.clone() };
        let metadata: Value = serde_json::from_slice(&text).map_err(|_| malformed())?;
        let none = serde_json::Map::new();
        let endpoints = match field(&metadata, "Endpoints") {
            None | Some(Value::Null) => &none,
            Some(value) => value.as_object().ok_or_else(malformed)?,
        };
        let Some(endpoint) = endpoints.get("docker") else {
            return Err(ContextError::NoEngine { name: name.to_owned(), kinds: endpoints.keys().cloned().collect() });
        };
        let host = match field(endpoint, "Host") {
            None | Some(Value::Null) => "",
            Some(value) => value.as_str().ok_or_else(malformed)?,
        };
        let skip = match field(endpoint, "SkipTLSVerify") {
            None | Some(Value::Null) => false,
            Some(value) => value.as_bool().ok_or_else(malformed)?,
        };
        if host.is_empty() {
            return Ok(Target::Unix(DOCKERS_SOCKET.into()));
        }
        let tls = self.tls(&id, skip).map_err(|(path, source)| ContextError::Unreadable { name: name.to_owned(), path, source })?;
        Target::parse(host, tls).map_err(|source| ContextError::Target { name: name.to_owned(), source })
    }

    /// Without files, and with nothing to be careless about, there is no TLS. A file that may be there and cannot be looked at is an error:
    /// the engine would be spoken to in the clear.
    fn tls(&self, id: &str, skip: bool) -> Result<Option<TlsFiles>, (PathBuf, io::Error)> {
        let folder = self.folder.join("tls").join(id).join("docker");
        let file = |name: &str| {
            let path = folder.join(name);
            match path.try_exists() {
                Ok(is_there) => Ok(is_there.then_some(path)),
                Err(error) => Err((path, error)),
            }
        };
        let (authority, certificate, key) = (file("ca.pem")?, file("cert.pem")?, file("key.pem")?);
        let is_bare = authority.is_none() && certificate.is_none() && key.is_none();
        Ok((!is_bare || skip).then_some(TlsFiles { authority, certificate, key, verify: !skip }))
    }

    fn metadata(&self) -> PathBuf {
        self.folder.join("meta")
    }

    /// Those that are there, by name; what cannot be read is none.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.metadata()).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| {
            let metadata: Value = serde_json::from_slice(&plain_file::read(&entry.path().join("meta.json")).ok()?).ok()?;
            field(&metadata, "Name")?.as_str().map(str::to_owned)
        };
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        names
    }
}

/// The context that `docker context use` made the current one. A file that cannot be read may name one, so it is an error.
pub fn current(configuration: &Path) -> Result<Option<String>, ContextError> {
    let read = DockerConfiguration::read(configuration)
        .map_err(|ConfigurationError { path, reason }| ContextError::Configuration { path, reason })?;
    match read.as_ref().and_then(|read| read.field("currentContext")) {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone()).filter(|name| !name.is_empty())),
        Some(other) => {
            let reason = format!("`currentContext` is to be a name, and is {other}");
            Err(ContextError::Configuration { path: DockerConfiguration::place(configuration), reason })
        }
    }
}

/// The folder of a context.
fn id_of(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::File::create(path).and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())).expect("a file");
    }

    fn store(folder: &Path, name: &str, metadata: &str) -> ContextStore {
        let store = ContextStore::new(folder);
        write(&store.metadata().join(id_of(name)).join("meta.json"), metadata);
        store
    }

    #[test]
    fn a_context_says_where_its_engine_listens() {
        assert_eq!(id_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let folder = tempfile::tempdir().expect("a folder");
        let check = |endpoints: &str, expect: Result<Target, &str>| {
            let store = store(folder.path(), "x", &format!(r#"{{"Name":"x","Metadata":{{}},"Endpoints":{endpoints}}}"#));
            match (store.target("x"), expect) {
                (Ok(target), Ok(expect)) => assert_eq!(target, expect, "{endpoints}"),
                (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{error}"),
                (result, _) => panic!("{endpoints}: {result:?}"),
            }
        };
        check(r#"{"docker":{"Host":"unix:///x","SkipTLSVerify":false}}"#, Ok(Target::Unix("/x".into())));
        check(r#"{"docker":{"host":"tcp://h:1"}}"#, Ok(Target::Tcp("h:1".to_owned())));
        let careless = TlsFiles { authority: None, certificate: None, key: None, verify: false };
        check(r#"{"docker":{"Host":"tcp://h:1","SkipTLSVerify":true}}"#, Ok(Target::Tls("h:1".to_owned(), careless)));
        check(r#"{"docker":{}}"#, Ok(Target::Unix(DOCKERS_SOCKET.into())));
        check(r#"{"kubernetes":{"Host":"https://h"}}"#, Err("it has kubernetes"));
        check("{}", Err("it has none"));
        check(r#"{"docker":{"Host":"https://h"}}"#, Err("`x`: cannot speak to the engine `https://h`"));
        check(r#"{"docker":{"Host":1}}"#, Err("meta.json is not JSON"));
        check("[]", Err("meta.json is not JSON"));
        let tls = folder.path().join("contexts/tls").join(id_of("x")).join("docker");
        write(&tls.join("ca.pem"), "");
        let files = TlsFiles { authority: Some(tls.join("ca.pem")), certificate: None, key: None, verify: true };
        check(r#"{"docker":{"Host":"tcp://h:1"}}"#, Ok(Target::Tls("h:1".to_owned(), files)));
    }

    #[test]
    fn the_current_context_is_a_name_in_the_configuration() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        let check = |text: &str, expect: Result<Option<&str>, &str>| {
            write(&path, text);
            let expect = expect.map(|name| name.map(str::to_owned));
            let expect = expect.map_err(|reason| format!("the current context cannot be read from {}: {reason}", path.display()));
            assert_eq!(current(folder.path()).map_err(|error| error.to_string()), expect, "{text}");
        };
        check("{}", Ok(None));
        check("", Ok(None));
        check(r#"{"currentContext": "x"}"#, Ok(Some("x")));
        check(r#"{"CURRENTCONTEXT": "x"}"#, Ok(Some("x")));
        check(r#"{"currentContext": ""}"#, Ok(None));
        check(r#"{"currentContext": null}"#, Ok(None));
        check(r#"{"currentContext": {}}"#, Err("`currentContext` is to be a name, and is {}"));
        check("[]", Err("it is no JSON object"));
        check("{", Err("it is no JSON: EOF while parsing an object at line 1 column 1"));
        fs::remove_file(&path).expect("removed");
        assert!(current(folder.path()).expect("no file is no failure").is_none());
    }

    #[test]
    fn a_context_that_is_missing_is_told_with_those_there_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = |store: &ContextStore| store.target("x").expect_err("none").to_string();
        let meta = folder.path().join("contexts/meta");
        assert_eq!(told(&ContextStore::new(folder.path())), format!("there is no context `x` in {}: none", meta.display()));
        store(folder.path(), "b", r#"{"Name":"b"}"#);
        let store = store(folder.path(), "a", r#"{"Name":"a"}"#);
        assert_eq!(told(&store), format!("there is no context `x` in {}: a, b", meta.display()));
    }
}
