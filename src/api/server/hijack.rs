//! A connection that turns into something else: the streams of a process, as Docker's attach and exec have it, or one build.

use std::io;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONNECTION, UPGRADE};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::api::server::build_session::BuildSession;
use crate::api::server::buildkit::Refused;
use crate::api::server::listener::{self, HangUp, Stream};
use crate::api::server::reception::Reception;
use crate::api::server::router::ApiVersion;
use crate::api::server::web_socket::WebSocket;
use crate::engine::container::attach::{AttachReader, AttachWriter};

/// Bytes on their way from a process to a client, at most; one frame of Docker's.
const PIECE: usize = 32 << 10;

/// What a connection turns into.
pub(super) enum Takeover {
    /// The streams of a process.
    Streams(Hijack),
    /// The same as messages.
    WebSocket(WebSocket),
    /// One build.
    Build(BuildSession),
    /// BuildKit's protocol, which is not spoken.
    Refused(Refused),
}

impl Takeover {
    /// Has the connection until its end. `early` is what the client sent before it saw an answer.
    pub(super) async fn carry(self, stream: impl Stream, early: Bytes) -> io::Result<()> {
        match self {
            Self::Streams(hijack) => hijack.carry(stream, early).await,
            Self::WebSocket(socket) => socket.carry(stream, early).await,
            Self::Build(session) => session.carry(stream, early).await,
            Self::Refused(refused) => refused.carry(stream, early).await,
        }
    }
}

/// The streams of a process that a connection is to carry.
pub(super) struct Hijack {
    head: String,
    reader: Box<dyn AsyncRead + Send + Unpin>,
    writer: Option<Box<dyn AsyncWrite + Send + Unpin>>,
}

impl Hijack {
    /// Carries the streams of a process. Without `stdin` what the client sends is thrown away, and its end means nothing.
    pub(super) fn new(headers: &HeaderMap, version: ApiVersion, reader: AttachReader, writer: AttachWriter, stdin: bool) -> Self {
        let multiplexed = reader.multiplexed();
        let writer: Option<Box<dyn AsyncWrite + Send + Unpin>> = if stdin { Some(Box::new(writer)) } else { None };
        Self { head: head(is_upgrade(headers), multiplexed && !version.is_before(42)), reader: Box::new(reader), writer }
    }

    /// Carries bytes until the process ends them or the client is gone. `early` is what the client sent before it saw an answer.
    async fn carry(self, stream: impl Stream, early: Bytes) -> io::Result<()> {
        let Self { head, mut reader, mut writer } = self;
        let hang_up = HangUp::of(&stream);
        let reception = Reception::of(&stream);
        let (mut from_client, mut to_client) = tokio::io::split(stream);
        let output = async {
            to_client.write_all(head.as_bytes()).await?;
            reception.complete().await;
            let mut piece = vec![0; PIECE];
            loop {
                match reader.read(&mut piece).await? {
                    0 => break,
                    length => to_client.write_all(&piece[..length]).await?,
                }
                // Inside of TLS, what did not fit into the socket at once would wait for the next piece.
                to_client.flush().await?;
            }
            to_client.shutdown().await
        };
        let input = async {
            let Some(writer) = &mut writer else {
                tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await?;
                return Ok(());
            };
            // A process that has closed its input ends nothing else.
            if writer.write_all(&early).await.is_ok() {
                let mut piece = vec![0; PIECE];
                loop {
                    let length = from_client.read(&mut piece).await?;
                    if length == 0 || writer.write_all(&piece[..length]).await.is_err() || writer.flush().await.is_err() {
                        break;
                    }
                }
            }
            let _ = writer.shutdown().await;
            Ok::<_, io::Error>(())
        };
        let carried = {
            tokio::pin!(output, input);
            tokio::select! {
                ended = &mut output => ended,
                ended = &mut input => match ended {
                    // The client has closed its half and listens on, or it has gone and a silent process would never find out.
                    Ok(()) => tokio::select! {
                        ended = output => ended,
                        () = hang_up.wait() => Ok(()),
                    },
                    Err(error) => Err(error),
                },
            }
        };
        listener::close(from_client.unsplit(to_client)).await;
        carried
    }
}

/// Whether the client asks for the connection as HTTP has it; older ones just take it. One that only offers HTTP/2 asks for nothing.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let words = |name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
    };
    words(CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade")) && words(UPGRADE).any(|word| !word.eq_ignore_ascii_case("h2c"))
}

/// The head to the letter as dockerd writes it.
fn head(upgrade: bool, multiplexed: bool) -> String {
    let kind = if multiplexed { "multiplexed" } else { "raw" };
    if upgrade {
        format!(
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.{kind}-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
    } else {
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n".to_owned()
    }
}

#[cfg(test)]
impl Hijack {
    /// Carries any two streams.
    pub(super) fn of(reader: impl AsyncRead + Send + Unpin + 'static, writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { head: head(true, true), reader: Box::new(reader), writer: Some(Box::new(writer)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn an_upgrade_needs_both_headers() {
        let check = |connection: Option<&'static str>, upgrade: Option<&'static str>, expect| {
            let mut headers = HeaderMap::new();
            connection.map(|value| headers.insert(CONNECTION, HeaderValue::from_static(value)));
            upgrade.map(|value| headers.insert(UPGRADE, HeaderValue::from_static(value)));
            assert_eq!(is_upgrade(&headers), expect);
        };
        check(Some("Upgrade"), Some("tcp"), true);
        check(Some("keep-alive, upgrade"), Some("tcp"), true);
        check(Some("close"), Some("tcp"), false);
        check(Some("Upgrade, HTTP2-Settings"), Some("h2c"), false);
        check(Some("Upgrade"), Some("h2c, tcp"), true);
        check(Some("Upgrade"), None, false);
        check(None, None, false);
    }

    #[tokio::test]
    async fn a_client_that_has_closed_its_half_still_gets_what_the_process_writes() {
        let (client, server) = tokio::io::duplex(1024);
        // A process that answers with what it read once its input has ended.
        let (process, streams) = tokio::io::duplex(1024);
        let (reader, writer) = tokio::io::split(streams);
        let (mut process_input, mut process_output) = tokio::io::split(process);
        let process = async move {
            let mut read = String::new();
            process_input.read_to_string(&mut read).await.expect("readable");
            process_output.write_all(format!("read {read}").as_bytes()).await.expect("writable");
            process_output.shutdown().await.expect("a shutdown");
        };
        let (mut from_server, mut to_server) = tokio::io::split(client);
        let client = async move {
            to_server.write_all(b"late").await.expect("writable");
            to_server.shutdown().await.expect("a shutdown");
            let mut answer = String::new();
            from_server.read_to_string(&mut answer).await.expect("readable");
            answer
        };
        let carried = Hijack::of(reader, writer).carry(server, Bytes::from_static(b"early "));
        let ((), answer, carried) = tokio::join!(process, client, carried);
        carried.expect("carried");
        assert!(answer.starts_with("HTTP/1.1 101 UPGRADED\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nread early late"), "{answer}");
    }
}
