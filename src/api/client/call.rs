//! A request to an engine before it is known which version of the API it speaks.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request};
use serde_json::Value;

use crate::api::wire::filter::{self, Filters};
use crate::resource::failure::Failure;
use crate::resource::percent;

/// What is sent as a body: whole, or as it is read.
pub(super) type Payload = UnsyncBoxBody<Bytes, std::io::Error>;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: Method,
    /// Path and query after the version.
    path: String,
    versioned: bool,
    header: Option<(HeaderName, HeaderValue)>,
    content: &'static str,
    body: Bytes,
}

impl Call {
    /// A request for a path, whose variable parts were made by [`segment`].
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), versioned: true, header: None, content: "", body: Bytes::new() }
    }

    /// Asks for something.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Asks for a change.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Asks for a removal.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// The one request that is the same in every version.
    pub(super) fn ping() -> Self {
        Self { versioned: false, ..Self::get("/_ping") }
    }

    /// Adds to the query.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        percent::encode(value, b"", &mut self.path);
        self
    }

    /// Adds to the query if there is a value.
    pub(super) fn option(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a truth to the query; an untruth is the default.
    pub(super) fn flag(self, name: &str, on: bool) -> Self {
        if on { self.query(name, "1") } else { self }
    }

    /// Adds filters, if there are any.
    pub(super) fn filters(self, filters: &Filters) -> Self {
        if filters.is_empty() { self } else { self.query("filters", &filter::to_text(filters)) }
    }

    /// Sends JSON along.
    pub(super) fn json(mut self, body: &Value) -> Self {
        self.content = "application/json";
        self.body = body.to_string().into();
        self
    }

    /// Sends a tar along.
    pub(super) fn archive(mut self, body: impl Into<Bytes>) -> Self {
        self.content = ARCHIVE;
        self.body = body.into();
        self
    }

    /// Sends a header along.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Failure> {
        let value = HeaderValue::from_str(value).map_err(|error| Failure::invalid(format!("the header `{name}`: {error}")))?;
        self.header = Some((name, value));
        Ok(self)
    }

    /// Whether it does no harm twice.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method == Method::GET
    }

    /// Path and query in a version of the API.
    pub(super) fn target(&self, minor: u32) -> String {
        if self.versioned { format!("/v1.{minor}{}", self.path) } else { self.path.clone() }
    }

    /// The request in a version of the API, with its own body.
    pub(super) fn request(&self, minor: u32, host: &str) -> Result<Request<Payload>, Failure> {
        let body = Full::new(self.body.clone()).map_err(|never| match never {}).boxed_unsync();
        self.request_with(minor, host, self.content, body)
    }

    /// The request in a version of the API, with a body that cannot be sent twice.
    pub(super) fn request_with(&self, minor: u32, host: &str, content: &str, body: Payload) -> Result<Request<Payload>, Failure> {
        let mut request = Request::builder().method(&self.method).uri(self.target(minor)).header(HOST, host);
        if !content.is_empty() {
            request = request.header(CONTENT_TYPE, content);
        }
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| Failure::invalid(format!("`{}` is not a request: {error}", self.path)))
    }

    /// The bytes of the request that turns its connection into a process's streams; it has these lines, of which one is `Host`.
    pub(super) fn upgrade(&self, minor: u32, lines: &str) -> Vec<u8> {
        let content = if self.content.is_empty() { "text/plain" } else { self.content };
        let head = format!(
            "{} {} HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: {content}\r\nContent-Length: {}\r\n\r\n",
            self.method,
            self.target(minor),
            self.body.len()
        );
        [head.as_bytes(), &self.body].concat()
    }
}

/// The media type of a tar.
pub(super) const ARCHIVE: &str = "application/x-tar";

/// A name as a part of a path. The parts of an image's name stay apart: engines take the slashes as they are.
pub(super) fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    percent::encode(name, b"/:@", &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_encoded() {
        let call = Call::get(format!("/images/{}/json", segment("127.0.0.1:5000/a b@sha256:00?")));
        let call = call.query("label", "a=b&c/ü").flag("all", true).flag("size", false).option("name", None);
        assert_eq!(call.target(41), "/v1.41/images/127.0.0.1:5000/a%20b@sha256:00%3F/json?label=a%3Db%26c%2F%C3%BC&all=1");
        let filters = Filters::from([("label".to_owned(), vec!["a".to_owned()])]);
        assert_eq!(Call::get("/x").filters(&filters).target(24), "/v1.24/x?filters=%7B%22label%22%3A%7B%22a%22%3Atrue%7D%7D");
        assert_eq!(Call::ping().target(24), "/_ping");
    }
}
