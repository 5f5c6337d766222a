//! BuildKit's endpoints, each of which is refused where its client hears it.
//!
//! buildx takes any failure of the upgrade to gRPC for an engine without a builder of its own, and then pulls a builder to run in a container
//! (driver/docker/factory.go). So the upgrade is granted, and every call answered with the refusal.

use std::convert::Infallible;
use std::io::{self, Cursor};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::server::answer::Outcome;
use crate::api::server::call::Call;
use crate::api::server::listener::{self, Stream};
use crate::resource::failure::Failure;

/// What is refused, and the way out. It goes into a header of gRPC: printable ASCII without `%`.
const REFUSAL: &str = "BuildKit's protocol is not spoken by this engine: set DOCKER_BUILDKIT=0, and docker asks the classic builder, \
                       which is here; or build with `gantry image build` or `gantry build`";

/// gRPC's UNIMPLEMENTED.
const UNIMPLEMENTED: &str = "12";

/// The protocol that the connection is to change to.
const PROTOCOL: &str = "h2c";

/// The head of the answer, after which calls come.
const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// A session is a connection over which the builder calls its client. Nobody calls here: it ends as it begins. A client that was refused this
/// one would tell of the status alone, and not of what its build is refused with.
pub(super) async fn session(call: Call) -> Result<Outcome, Failure> {
    check_upgrade(&call.headers)?;
    Ok(Refused::Session.into())
}

/// The calls of a client of BuildKit.
pub(super) async fn calls(call: Call) -> Result<Outcome, Failure> {
    check_upgrade(&call.headers)?;
    Ok(Refused::Calls.into())
}

/// Refuses a connection that is to become anything else, in dockerd's words.
fn check_upgrade(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get(UPGRADE) {
        None => Err(Failure::invalid("no upgrade proto in request")),
        Some(protocol) if protocol == PROTOCOL => Ok(()),
        Some(protocol) => Err(Failure::invalid(format!("protocol {} not supported", String::from_utf8_lossy(protocol.as_bytes())))),
    }
}

/// What of BuildKit a connection is to carry.
pub(super) enum Refused {
    /// A session.
    Session,
    /// Calls.
    Calls,
}

impl Refused {
    /// Refuses one call after another until the client is gone. `early` is what the client sent before it saw an answer.
    pub(super) async fn carry(self, mut stream: impl Stream, early: Bytes) -> io::Result<()> {
        stream.write_all(HEAD.as_bytes()).await?;
        stream.flush().await?;
        if matches!(self, Self::Session) {
            listener::close(stream).await;
            return Ok(());
        }
        let (reader, writer) = tokio::io::split(stream);
        let stream = tokio::io::join(Cursor::new(early).chain(reader), writer);
        let service = service_fn(|_: Request<Incoming>| std::future::ready(Ok::<_, Infallible>(refusal())));
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
    }
}

/// An answer that has its status in its head, as gRPC writes one without a message.
fn refusal() -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(UNIMPLEMENTED));
    headers.insert("grpc-message", HeaderValue::from_static(REFUSAL));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::client::conn::http2 as client;

    #[tokio::test]
    async fn a_session_ends_as_it_begins() {
        let (mut ours, theirs) = tokio::io::duplex(1 << 10);
        let carried = tokio::spawn(Refused::Session.carry(theirs, Bytes::new()));
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.expect("an end");
        assert_eq!(answer, HEAD);
        drop(ours);
        carried.await.expect("no panic").expect("a farewell");
    }

    #[test]
    fn a_connection_becomes_h2c_or_nothing() {
        let check = |upgrade: Option<&'static str>, expect: Result<(), &str>| {
            let headers = upgrade.map(|protocol| (UPGRADE, HeaderValue::from_static(protocol))).into_iter().collect();
            assert_eq!(check_upgrade(&headers).map_err(|failure| failure.message), expect.map_err(str::to_owned));
        };
        check(Some("h2c"), Ok(()));
        check(Some("tcp"), Err("protocol tcp not supported"));
        check(None, Err("no upgrade proto in request"));
    }

    #[tokio::test]
    async fn every_call_is_answered_with_the_refusal() {
        let (mut ours, theirs) = tokio::io::duplex(64 << 10);
        let carried = tokio::spawn(Refused::Calls.carry(theirs, Bytes::new()));
        let mut head = vec![0; HEAD.len()];
        ours.read_exact(&mut head).await.expect("a head");
        assert_eq!(head, HEAD.as_bytes());
        let (mut sender, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(ours)).await.expect("a connection");
        let connection = tokio::spawn(connection);
        for method in ["Solve", "ListWorkers"] {
            let path = format!("http://engine/moby.buildkit.v1.Control/{method}");
            let answer = sender.send_request(Request::post(path).body(Empty::<Bytes>::new()).expect("a request")).await.expect("an answer");
            let told = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            assert_eq!((told("content-type").as_str(), told("grpc-status").as_str()), ("application/grpc", "12"), "{method}");
            assert!(told("grpc-message").contains("DOCKER_BUILDKIT=0") && told("grpc-message").contains("gantry image build"), "{method}");
        }
        drop(sender);
        connection.await.expect("no panic").expect("a farewell");
        carried.await.expect("no panic").expect("a farewell");
        assert!(REFUSAL.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'%'));
    }
}
