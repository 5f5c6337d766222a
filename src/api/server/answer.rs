//! What a handler answers: a whole answer, a stream, or the connection itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::api::server::activity::UnderWay;
use crate::api::server::build_session::BuildSession;
use crate::api::server::buildkit::Refused;
use crate::api::server::head::Heads;
use crate::api::server::hijack::{Hijack, Takeover};
use crate::api::server::web_socket::WebSocket;
use crate::api::wire::error;
use crate::resource::failure::{Failure, FailureKind};

/// The body of an answer, whole or streamed; a stream is dropped when the client has gone.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What becomes of a request.
pub(super) enum Outcome {
    /// An answer.
    Response(Response<Body>),
    /// The connection turns into something else.
    Takeover(Takeover),
}

impl From<Response<Body>> for Outcome {
    fn from(response: Response<Body>) -> Self {
        Self::Response(response)
    }
}

impl From<Hijack> for Outcome {
    fn from(hijack: Hijack) -> Self {
        Self::Takeover(Takeover::Streams(hijack))
    }
}

impl From<WebSocket> for Outcome {
    fn from(socket: WebSocket) -> Self {
        Self::Takeover(Takeover::WebSocket(socket))
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        Self::Takeover(Takeover::Refused(refused))
    }
}

impl From<BuildSession> for Outcome {
    fn from(session: BuildSession) -> Self {
        Self::Takeover(Takeover::Build(session))
    }
}

/// JSON, with the line break that dockerd puts behind it.
pub(super) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    let mut text = serde_json::to_vec(value).expect("a value is JSON");
    text.push(b'\n');
    bytes(status, "application/json", text.into())
}

/// JSON with status 200.
pub(super) fn ok(value: &Value) -> Response<Body> {
    json(StatusCode::OK, value)
}

/// The bytes of an item, more or less.
const ITEM: usize = 1 << 10;

/// A list in JSON that is written item by item: of a long one, only the text is in memory at once.
pub(super) struct List(Vec<u8>);

impl List {
    /// A list of about so many items.
    pub(super) fn of(items: usize) -> Self {
        let mut text = Vec::with_capacity(items.saturating_mul(ITEM));
        text.push(b'[');
        Self(text)
    }

    /// Adds an item: an object that was begun, and more of its fields.
    pub(super) fn push(&mut self, begun: &[u8], more: &impl Serialize) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.extend_from_slice(begun);
        let joint = self.0.len();
        serde_json::to_writer(&mut self.0, more).expect("a value is JSON");
        // In the place of the brace that begins an object of its own.
        self.0[joint] = b',';
    }

    /// Ends it; with status 200.
    pub(super) fn into_answer(mut self) -> Response<Body> {
        self.0.extend_from_slice(b"]\n");
        bytes(StatusCode::OK, "application/json", self.0.into())
    }
}

/// Bytes of a type.
pub(super) fn bytes(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Response<Body> {
    typed(status, content_type, Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}

/// A status and nothing else.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// A stream, whose head is sent before the first bytes are there.
pub(super) fn stream(content_type: &'static str, stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Response<Body> {
    typed(StatusCode::OK, content_type, StreamBody::new(stream.map(|piece| piece.map(Frame::data))).boxed_unsync())
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A failure; one that says "nothing to change" has no body by HTTP's own rule.
pub(super) fn failure(failure: &Failure) -> Response<Body> {
    let status = StatusCode::from_u16(error::status_of(failure.kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if failure.kind == FailureKind::NotModified { empty(status) } else { json(status, &error::to_json(failure)) }
}

/// A failure for people, as dockerd tells it to clients of before there was JSON for it.
pub(super) fn plain_failure(failure: &Failure) -> Response<Body> {
    let status = StatusCode::from_u16(error::status_of(failure.kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = bytes(status, "text/plain; charset=utf-8", format!("{}\n", failure.message).into());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A body that keeps its request under way until it is dropped; then the next head is awaited.
pub(super) struct Counted {
    body: Body,
    heads: Heads,
    _under_way: UnderWay,
}

impl Counted {
    pub(super) fn new(body: Body, under_way: UnderWay, heads: Heads) -> Self {
        Self { body, heads, _under_way: under_way }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.heads.answered();
    }
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
