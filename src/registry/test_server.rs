//! A registry in this process, for tests: each answers as it is told, and remembers what it was asked.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::registry::manifest::Descriptor;
use crate::resource::id::Digest;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) range: String,
    pub(crate) content_range: String,
    /// What came of the body before the connection was cut, if it was.
    pub(crate) body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection breaks after so many bytes.
    pub(crate) breaks_after: Option<usize>,
}

impl Reply {
    pub(crate) fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), breaks_after: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A refusal in the registries' own form.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::of(status, format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#))
    }
}

/// A server on loopback that ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    cut: Arc<Mutex<Option<usize>>>,
}

impl Server {
    /// Starts one that answers by this rule.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let cut: Arc<Mutex<Option<usize>>> = Arc::default();
        let (answer, noted, cuts) = (Arc::new(answer), Arc::clone(&asked), Arc::clone(&cut));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, noted, cuts) = (Arc::clone(&answer), Arc::clone(&noted), Arc::clone(&cuts));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, noted, cuts) = (Arc::clone(&answer), Arc::clone(&noted), Arc::clone(&cuts));
                    async move {
                        let (head, body) = request.into_parts();
                        let header = |name| head.headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
                        let (body, is_cut) = read(body, &cuts).await?;
                        let asked = Asked {
                            method: head.method.to_string(),
                            path: head.uri.to_string(),
                            authorization: header(AUTHORIZATION),
                            range: header(RANGE),
                            content_range: header(CONTENT_RANGE),
                            body,
                        };
                        noted.lock().expect("no panic").push(asked.clone());
                        let reply = answer(&asked);
                        if is_cut { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok::<_, io::Error>(response(reply)) }
                    }
                });
                // Clients that speak TLS at first are turned away here.
                tokio::spawn(
                    async move { hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await },
                );
            }
        });
        Self { address, asked, cut }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The next body that is longer is cut after so many bytes, and its connection.
    pub(crate) fn cut_after(&self, bytes: usize) {
        *self.cut.lock().expect("no panic") = Some(bytes);
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// Reads a body, or as much of it as is to be read.
async fn read(mut body: Incoming, cut: &Mutex<Option<usize>>) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend(frame.map_err(io::Error::other)?.into_data().unwrap_or_default());
        let mut cut = cut.lock().expect("no panic");
        if let Some(length) = cut.take_if(|length| *length < bytes.len()) {
            bytes.truncate(length);
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}

type Body = StreamBody<stream::BoxStream<'static, io::Result<Frame<Bytes>>>>;

fn response(reply: Reply) -> Response<Body> {
    let length = reply.body.len();
    let mut pieces: Vec<io::Result<Frame<Bytes>>> = Vec::new();
    let sent = reply.breaks_after.unwrap_or(length);
    pieces.push(Ok(Frame::data(Bytes::from(reply.body[..sent].to_vec()))));
    if sent < length {
        pieces.push(Err(io::ErrorKind::BrokenPipe.into()));
    }
    let mut response = Response::builder().status(reply.status).header(CONTENT_LENGTH, length);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    // What was given is sent before the connection breaks.
    let apart = stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    response.body(StreamBody::new(apart.boxed())).expect("a response")
}

/// What a manifest says of a blob.
pub(crate) fn descriptor(content: &[u8]) -> Descriptor {
    let digest = Digest::from_bytes(Sha256::digest(content).into());
    Descriptor { digest, size: content.len() as u64, media_type: String::new(), urls: Vec::new() }
}
