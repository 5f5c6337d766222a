//! What an engine answered, whole or as it comes.

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::api::client::transport::Lease;
use crate::api::wire::error;
use crate::resource::failure::Failure;

/// An answer whose body has not been read. Dropped before its end it closes its connection.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response<Incoming>,
    lease: Lease,
}

impl Answer {
    /// An answer on a connection.
    pub(super) fn new(response: Response<Incoming>, lease: Lease) -> Self {
        Self { response, lease }
    }

    /// The answer if it is a good one, else the failure it tells of.
    pub(super) async fn check(self) -> Result<Self, Failure> {
        let status = self.response.status();
        if status.is_success() {
            return Ok(self);
        }
        let body = self.bytes().await?;
        if status == StatusCode::NOT_MODIFIED {
            return Err(Failure::not_modified("there is nothing to change"));
        }
        Err(error::from_body(status.as_u16(), &body))
    }

    /// A line of its head.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Whether its head has this line.
    pub(super) fn has(&self, name: &str) -> bool {
        self.response.headers().contains_key(name)
    }

    /// Whether the media type is this one.
    pub(super) fn is(&self, media: &str) -> bool {
        let value = self.response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media))
    }

    /// The whole body.
    pub(super) async fn bytes(self) -> Result<Bytes, Failure> {
        match self.response.into_body().collect().await {
            Ok(body) => {
                self.lease.give_back();
                Ok(body.to_bytes())
            }
            Err(error) => Err(self.lease.lost(&error)),
        }
    }

    /// The whole body, which nobody needs.
    pub(super) async fn done(self) -> Result<(), Failure> {
        self.bytes().await.map(drop)
    }

    /// The whole body as JSON.
    pub(super) async fn json(self) -> Result<Value, Failure> {
        let name = self.lease.name().to_owned();
        parse(&name, &self.bytes().await?)
    }

    /// The whole body as a list; `null` is an empty one.
    pub(super) async fn list(self) -> Result<Vec<Value>, Failure> {
        let name = self.lease.name().to_owned();
        list_of(&name, &self.bytes().await?)
    }

    /// The body as it comes.
    pub(super) fn stream(self) -> Stream {
        Stream { body: self.response.into_body(), lease: Some(self.lease) }
    }

    /// The body as values of JSON, a line each, as they come.
    pub(super) fn lines(self) -> Lines {
        Lines { stream: self.stream(), buffer: BytesMut::new(), searched: 0 }
    }
}

/// A whole body as a list; `null` is an empty one. The name is the engine's.
pub(super) fn list_of(name: &str, bytes: &[u8]) -> Result<Vec<Value>, Failure> {
    match parse(name, bytes)? {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(Vec::new()),
        _ => Err(Failure::internal(format!("the engine at {name} answered with something else than a list"))),
    }
}

fn parse(name: &str, bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::internal(format!("the engine at {name} answered with something else than JSON: {error}")))
}

/// A body as it comes.
#[derive(Debug)]
pub(super) struct Stream {
    body: Incoming,
    /// Absent once the end was seen.
    lease: Option<Lease>,
}

impl Stream {
    /// The next bytes; `None` at the end. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        loop {
            self.lease.as_ref()?;
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    // What is no data are trailers, which no engine sends.
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Some(Err(error)) => return self.lease.take().map(|lease| Err(lease.lost(&error))),
                None => self.lease.take().map(Lease::give_back)?,
            }
        }
    }

    fn name(&self) -> String {
        self.lease.as_ref().map(|lease| lease.name().to_owned()).unwrap_or_default()
    }
}

/// Values of JSON as they come, a line each.
#[derive(Debug)]
pub(super) struct Lines {
    stream: Stream,
    buffer: BytesMut,
    /// So much of the buffer holds no end of a line.
    searched: usize,
}

impl Lines {
    /// The next value; `None` at the end. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Option<Result<Value, Failure>> {
        let name = self.stream.name();
        loop {
            while let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + length);
                self.buffer.advance(1);
                self.searched = 0;
                if !line.iter().all(u8::is_ascii_whitespace) {
                    return Some(parse(&name, &line));
                }
            }
            self.searched = self.buffer.len();
            match self.stream.next().await {
                Some(Ok(data)) => self.buffer.extend_from_slice(&data),
                Some(Err(failure)) => return Some(Err(failure)),
                None => {
                    let rest = std::mem::take(&mut self.buffer);
                    self.searched = 0;
                    return (!rest.iter().all(u8::is_ascii_whitespace)).then(|| parse(&name, &rest));
                }
            }
        }
    }
}
