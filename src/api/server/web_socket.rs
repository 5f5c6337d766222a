//! The streams of a container as a WebSocket (RFC 6455): a message for each piece of output, and what the client sends is input.

use std::io;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::HeaderMap;
use hyper::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use crate::api::server::hijack::is_upgrade;
use crate::api::server::listener::{self, Stream};
use crate::api::wire::frame::Decoder;
use crate::engine::container::attach::{AttachReader, AttachWriter};
use crate::resource::failure::Failure;

/// Bytes on their way from a process to a client, at most.
const PIECE: usize = 32 << 10;

/// The longest message that is taken: it is in memory as a whole.
const LONGEST: usize = 16 << 20;

/// The version of the protocol.
const VERSION: &str = "13";

/// The streams of a container that a connection is to carry.
pub(super) struct WebSocket {
    accept: String,
    reader: Box<dyn AsyncRead + Send + Unpin>,
    /// The output comes in Docker's frames, which are taken off: both outputs are one stream here, as from dockerd.
    multiplexed: bool,
    writer: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    kind: Data,
}

/// A client's wish for a WebSocket.
pub(super) struct Handshake {
    accept: String,
}

impl Handshake {
    /// Reads it, or says what is missing.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if !is_upgrade(headers) || !text(UPGRADE).is_some_and(|kind| kind.eq_ignore_ascii_case("websocket")) {
            return Err(Failure::invalid("a WebSocket is expected here: the headers `Connection: Upgrade` and `Upgrade: websocket`"));
        }
        if text(SEC_WEBSOCKET_VERSION) != Some(VERSION) {
            return Err(Failure::invalid(format!("`Sec-WebSocket-Version`: only version {VERSION} is spoken here")));
        }
        let key = text(SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| Failure::invalid("`Sec-WebSocket-Key`: a key is expected"))?;
        Ok(Self { accept: derive_accept_key(key.as_bytes()) })
    }
}

impl WebSocket {
    /// Carries the streams of a container, as text to clients that know nothing else. Without `stdin` what the client sends is thrown away.
    pub(super) fn new(handshake: Handshake, reader: AttachReader, writer: AttachWriter, stdin: bool, as_text: bool) -> Self {
        let multiplexed = reader.multiplexed();
        let writer: Option<Box<dyn AsyncWrite + Send + Unpin>> = if stdin { Some(Box::new(writer)) } else { None };
        let kind = if as_text { Data::Text } else { Data::Binary };
        Self { accept: handshake.accept, reader: Box::new(reader), multiplexed, writer, kind }
    }

    /// Carries messages until the process ends them or the client is gone. `early` is what the client sent before it saw an answer.
    pub(super) async fn carry(self, mut stream: impl Stream, early: Bytes) -> io::Result<()> {
        let Self { accept, mut reader, multiplexed, mut writer, kind } = self;
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let config = WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
        let socket = WebSocketStream::from_partially_read(stream, early.to_vec(), Role::Server, Some(config)).await;
        let (mut to_client, mut from_client) = socket.split();
        let output = async {
            let mut decoder = Decoder::default();
            let mut piece = vec![0; PIECE];
            loop {
                let length = reader.read(&mut piece).await?;
                if length == 0 {
                    break;
                }
                if !multiplexed {
                    to_client.send(message(kind, piece[..length].to_vec())).await.map_err(broken)?;
                    continue;
                }
                decoder.push(&piece[..length]);
                while let Some((_, bytes)) = decoder.take().map_err(io::Error::other)? {
                    to_client.send(message(kind, bytes)).await.map_err(broken)?;
                }
            }
            let farewell = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
            to_client.send(Message::Close(Some(farewell))).await.map_err(broken)
        };
        let input = async {
            while let Some(received) = from_client.next().await {
                let bytes = match received.map_err(broken)? {
                    Message::Binary(bytes) => bytes,
                    Message::Text(text) => Bytes::from(text),
                    // The library answers a ping, and a farewell, at the next read, which a farewell is the last one of.
                    Message::Close(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
                };
                let Some(process) = &mut writer else { continue };
                // A process that has closed its input ends nothing else.
                if process.write_all(&bytes).await.is_err() || process.flush().await.is_err() {
                    writer = None;
                }
            }
            if let Some(process) = &mut writer {
                let _ = process.shutdown().await;
            }
            Ok(())
        };
        let carried = {
            tokio::pin!(output, input);
            // Who has closed a WebSocket hears nothing more.
            tokio::select! {
                ended = &mut output => ended,
                ended = &mut input => ended,
            }
        };
        if let Ok(socket) = to_client.reunite(from_client) {
            listener::close(socket.into_inner()).await;
        }
        carried
    }
}

/// A message that is one frame; what is called text is passed on as the process wrote it.
fn message(kind: Data, bytes: Vec<u8>) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(kind), true))
}

fn broken(error: SocketError) -> io::Error {
    match error {
        SocketError::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::frame::encode;
    use crate::resource::log::Stream as Output;
    use hyper::header::{CONNECTION, HeaderValue};

    #[test]
    fn a_handshake_has_three_headers() {
        let whole = [
            (CONNECTION, "keep-alive, Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_VERSION, "13"),
            // RFC 6455's own example.
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = |without: usize| -> HeaderMap {
            let left = whole.iter().enumerate().filter(|(index, _)| *index != without);
            left.map(|(_, (name, value))| (name.clone(), HeaderValue::from_static(value))).collect()
        };
        assert_eq!(Handshake::of(&headers(9)).expect("a handshake").accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for without in 0..4 {
            assert!(Handshake::of(&headers(without)).is_err(), "{without}");
        }
    }

    #[tokio::test]
    async fn outputs_are_messages_and_messages_are_input() {
        for (multiplexed, kind) in [(true, Data::Binary), (false, Data::Text)] {
            let (client, server) = tokio::io::duplex(1 << 10);
            let (process, streams) = tokio::io::duplex(1 << 10);
            let (reader, writer) = tokio::io::split(streams);
            let socket = WebSocket {
                accept: derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
                reader: Box::new(reader),
                multiplexed,
                writer: Some(Box::new(writer)),
                kind,
            };
            let process = async move {
                let (mut input, mut output) = tokio::io::split(process);
                let mut typed = [0; 5];
                input.read_exact(&mut typed).await.expect("typed");
                let said = if multiplexed { encode(Output::Stderr, &typed) } else { typed.to_vec() };
                output.write_all(&said).await.expect("said");
                output.shutdown().await.expect("a shutdown");
                typed
            };
            let client = async move {
                let mut head = Vec::new();
                let mut client = client;
                while !head.ends_with(b"\r\n\r\n") {
                    assert_ne!(client.read_buf(&mut head).await.expect("a head"), 0);
                }
                let mut socket = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
                socket.send(Message::Ping(Bytes::new())).await.expect("sent");
                socket.send(Message::binary("typed")).await.expect("sent");
                let mut heard = Vec::new();
                while let Some(Ok(message)) = socket.next().await {
                    heard.push(message);
                }
                heard
            };
            let (typed, heard, carried) = tokio::join!(process, client, socket.carry(server, Bytes::new()));
            carried.expect("carried");
            assert_eq!(&typed, b"typed");
            let said = heard.iter().find(|message| message.is_binary() || message.is_text()).expect("a message");
            assert_eq!((said.is_text(), said.clone().into_data()), (kind == Data::Text, Bytes::from_static(b"typed")));
            let normal = |message: &Message| matches!(message, Message::Close(Some(farewell)) if farewell.code == CloseCode::Normal);
            assert!(heard.iter().any(normal), "{heard:?}");
        }
    }
}
