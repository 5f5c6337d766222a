//! Headers that a user wants in every request to an engine: those of Docker's configuration, or those of a variable in their place.

use std::path::Path;

use hyper::header::{CONTENT_TYPE, Entry, HeaderMap, HeaderName, HeaderValue};

use crate::api::client::docker_configuration::{ConfigurationError, DockerConfiguration};
use crate::resource::csv;

/// The variable.
pub const VARIABLE: &str = "DOCKER_CUSTOM_HEADERS";
/// What holds a request together.
const OURS: [&str; 6] = ["connection", "content-length", "host", "trailer", "transfer-encoding", "upgrade"];

/// Why headers cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The configuration is not what it should be, or cannot be read at all.
    #[error("the headers in {0}")]
    Configuration(ConfigurationError),
    /// A quote where none can be, or one that is not closed.
    #[error("{VARIABLE} has a quote out of its place: write NAME=VALUE,\"NAME=A,B\"")]
    Quote,
    /// A part of the variable that is no header.
    #[error("{VARIABLE} has `{0}`, which is not NAME=VALUE")]
    Pair(String),
    /// What HTTP cannot carry.
    #[error("the header `{name}` of {place} cannot be sent: its name or its value is none of HTTP")]
    Unfit {
        /// The name.
        name: String,
        /// Where it is written.
        place: String,
    },
    /// What is ours to say.
    #[error("the header `{name}` of {place} holds a request together and cannot be set: leave it out")]
    Ours {
        /// The name.
        name: String,
        /// Where it is written.
        place: String,
    },
}

/// Headers for every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomHeaders(HeaderMap);

impl CustomHeaders {
    /// Reads the variable: one line of CSV, of `NAME=VALUE` each; of two of a name the later one counts.
    pub fn of_variable(text: &str) -> Result<Self, HeaderError> {
        let mut headers = Self::default();
        for pair in csv::split(text).map_err(|_| HeaderError::Quote)? {
            match pair.split_once('=').map(|(name, value)| (name.trim(), value)) {
                Some((name, value)) if !name.is_empty() => headers.set(name, value, VARIABLE)?,
                _ => return Err(HeaderError::Pair(pair)),
            }
        }
        Ok(headers)
    }

    /// Reads `HttpHeaders` of `config.json` in a folder; where there is no such file, there are none.
    pub fn of_configuration(folder: &Path) -> Result<Self, HeaderError> {
        let read = DockerConfiguration::read(folder).map_err(HeaderError::Configuration)?;
        let path = DockerConfiguration::place(folder);
        let malformed = || {
            HeaderError::Configuration(ConfigurationError {
                path: path.clone(),
                reason: "`HttpHeaders` is not as Docker writes it".to_owned(),
            })
        };
        let mut headers = Self::default();
        if let Some(fields) = read.as_ref().and_then(|read| read.field("HttpHeaders")) {
            for (name, value) in fields.as_object().ok_or_else(malformed)? {
                headers.set(name, value.as_str().ok_or_else(malformed)?, &path.display().to_string())?;
            }
        }
        Ok(headers)
    }

    fn set(&mut self, name: &str, value: &str, place: &str) -> Result<(), HeaderError> {
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            return Err(HeaderError::Ours { name: name.to_owned(), place: place.to_owned() });
        }
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes())) {
            (Ok(name), Ok(value)) => drop(self.0.insert(name, value)),
            _ => return Err(HeaderError::Unfit { name: name.to_owned(), place: place.to_owned() }),
        }
        Ok(())
    }

    /// Adds them to a request, but for what it says itself.
    pub(super) fn add_to(&self, request: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if let Entry::Vacant(place) = request.entry(name) {
                place.insert(value.clone());
            }
        }
    }

    /// The same as lines of a request that is written by hand, and says itself what its body is.
    pub(super) fn lines(&self) -> String {
        let lines = self.0.iter().filter(|(name, _)| *name != CONTENT_TYPE);
        lines.map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: Result<CustomHeaders, HeaderError>) -> Result<Vec<String>, String> {
        headers.map(|it| it.lines().lines().map(str::to_owned).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variable_is_a_line_of_csv() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(
                told(CustomHeaders::of_variable(text)).as_deref(),
                Ok(expect.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>().as_slice()),
                "{text}"
            );
        };
        check("one=1", &["one: 1"]);
        check(r#"One=a=b, two = x ,"three=a,""b""",one=later,four="#, &["one: later", "two:  x ", "three: a,\"b\"", "four: "]);
        let refused = |text: &str, word: &str| {
            let told = told(CustomHeaders::of_variable(text)).expect_err(text);
            assert!(told.contains("DOCKER_CUSTOM_HEADERS") && told.contains(word), "{told}");
        };
        for text in ["\"a=b", "a=\"b\"", "\"a=b\"c"] {
            refused(text, "a quote out of its place");
        }
        refused("one=1,two", "`two`, which is not NAME=VALUE");
        refused("=1", "not NAME=VALUE");
        refused("one=1,", "not NAME=VALUE");
        refused("a b=1", "cannot be sent");
        refused("a=1\n2", "cannot be sent");
        refused("HOST=x", "leave it out");
    }

    #[test]
    fn the_configuration_may_have_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |text: &str, expect: Result<&[&str], &str>| {
            std::fs::write(folder.path().join("config.json"), text).expect("written");
            match (told(CustomHeaders::of_configuration(folder.path())), expect) {
                (Ok(lines), Ok(expect)) => assert_eq!(lines, expect),
                (Err(told), Err(word)) => assert!(told.contains("config.json") && told.contains(word), "{told}"),
                (told, _) => panic!("{text}: {told:?}"),
            }
        };
        assert_eq!(told(CustomHeaders::of_configuration(&folder.path().join("none"))), Ok(Vec::new()));
        check("", Ok(&[]));
        check(r#"{"auths": {}, "HttpHeaders": null}"#, Ok(&[]));
        check(r#"{"HttpHeaders": {"X-Token": "t", "x-other": "ü"}}"#, Ok(&["x-token: t", "x-other: ü"]));
        check(r#"{"httpHeaders": {"Connection": "close"}}"#, Err("leave it out"));
        check(r#"{"HttpHeaders": {"X": 1}}"#, Err("not as Docker writes it"));
        check("{", Err("no JSON"));
    }

    #[test]
    fn what_a_request_says_itself_stays() {
        let headers = CustomHeaders::of_variable("content-type=text/odd,x=1").expect("headers");
        let mut request = HeaderMap::from_iter([(HeaderName::from_static("content-type"), HeaderValue::from_static("application/json"))]);
        headers.add_to(&mut request);
        assert_eq!(
            (request.len(), &request["content-type"], &request["x"]),
            (2, &HeaderValue::from_static("application/json"), &HeaderValue::from_static("1"))
        );
    }
}
