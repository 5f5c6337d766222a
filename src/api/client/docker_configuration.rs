//! Docker's configuration, as its command line keeps it: `config.json` in a folder of the user's.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::api::client::plain_file;

/// The file, read.
#[derive(Clone, Debug)]
pub struct DockerConfiguration {
    /// As it is.
    pub(super) text: Vec<u8>,
    fields: Value,
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {reason}", .path.display())]
pub struct ConfigurationError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl DockerConfiguration {
    /// Where it lies in a folder.
    pub(super) fn place(folder: &Path) -> PathBuf {
        folder.join("config.json")
    }

    /// Reads it. A file that is not there, or has nothing in it, says nothing, as for Docker.
    pub fn read(folder: &Path) -> Result<Option<Self>, ConfigurationError> {
        let path = Self::place(folder);
        let wrong = |reason: String| ConfigurationError { path: path.clone(), reason };
        let text = match plain_file::read(&path) {
            Ok(text) if text.iter().all(u8::is_ascii_whitespace) => return Ok(None),
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let fields: Value = serde_json::from_slice(&text).map_err(|error| wrong(format!("it is no JSON: {error}")))?;
        if fields.is_object() { Ok(Some(Self { text, fields })) } else { Err(wrong("it is no JSON object".to_owned())) }
    }

    /// What it says, to be changed.
    pub(super) fn into_fields(self) -> Value {
        self.fields
    }

    /// A field, unless it is `null`.
    pub fn field(&self, name: &str) -> Option<&Value> {
        field(&self.fields, name).filter(|value| !value.is_null())
    }
}

/// A field by its name in any case, as Go finds it.
pub(super) fn field<'value>(object: &'value Value, name: &str) -> Option<&'value Value> {
    let fields: &Map<String, Value> = object.as_object()?;
    fields.get(name).or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_docker_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = DockerConfiguration::place(folder.path());
        let check = |text: &str, expect: Result<Option<&str>, &str>| {
            std::fs::write(&place, text).expect("written");
            let read = DockerConfiguration::read(folder.path());
            let told = read.as_ref().map(|read| read.as_ref().and_then(|read| read.field("key")?.as_str())).map_err(ToString::to_string);
            assert_eq!(told, expect.map_err(|reason| format!("{} cannot be read: {reason}", place.display())), "{text}");
        };
        assert!(DockerConfiguration::read(&folder.path().join("none")).expect("nothing is there").is_none());
        check("", Ok(None));
        check(" \n", Ok(None));
        check("{}", Ok(None));
        check(r#"{"key": null}"#, Ok(None));
        check(r#"{"KEY": "x"}"#, Ok(Some("x")));
        check(r#"{"KEY": "x", "key": "y"}"#, Ok(Some("y")));
        check("[]", Err("it is no JSON object"));
        check("{", Err("it is no JSON: EOF while parsing an object at line 1 column 1"));
        std::fs::remove_file(&place).expect("removed");
        nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert!(DockerConfiguration::read(folder.path()).expect_err("nobody writes to it").reason.contains("it is a pipe"));
    }
}
