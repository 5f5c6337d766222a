//! HTTP by hand, where a connection is taken away from it: the request that makes a connection a process's streams, and an answer that
//! comes before anything was asked.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::api::wire::error;
use crate::resource::failure::Failure;

/// The longest head or error that is believed.
const MAXIMUM: usize = 64 << 10;

/// The head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The status.
    pub(super) status: u16,
    /// The media type.
    pub(super) content_type: String,
    length: Option<usize>,
    chunked: bool,
}

/// Sends a request and reads the head of its answer; what comes behind it belongs to the process. Engines say 101, and those of before
/// Docker 1.8 say 200.
pub(super) async fn upgrade(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> io::Result<Result<(Head, Vec<u8>), Failure>> {
    // A keeper that refuses has answered, and closed, before this is written.
    let written = socket.write_all(request).await;
    let (head, rest) = match read_head(socket).await {
        Ok(read) => read,
        Err(error) => return Err(written.err().unwrap_or(error)),
    };
    if matches!(head.status, 101 | 200) {
        return Ok(Ok((head, rest)));
    }
    let body = read_body(socket, &head, rest).await?;
    Ok(Err(error::from_body(head.status, &body)))
}

/// What an engine says to whoever calls, if that is a failure. The request has these lines, of which one is `Host`.
pub(super) async fn refusal(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), lines: &str) -> Option<Failure> {
    let request = format!("GET /_ping HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
    upgrade(socket, request.as_bytes()).await.ok()?.err()
}

/// Has an engine answer; the connection stays open for more.
pub(super) async fn answered(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), lines: &str) -> io::Result<()> {
    let request = format!("HEAD /_ping HTTP/1.1\r\n{lines}\r\n");
    socket.write_all(request.as_bytes()).await?;
    read_head(socket).await.map(drop)
}

async fn read_head(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let head = parse_head(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))?;
            return Ok((head, rest));
        }
        if bytes.len() > MAXIMUM {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the head of the answer has no end"));
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn parse_head(bytes: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    let mut head = Head { status: words.next()?.parse().ok()?, ..Head::default() };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-type" => value.clone_into(&mut head.content_type),
            "content-length" => head.length = value.parse().ok(),
            "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    Some(head)
}

/// Reads the body of a failure.
async fn read_body(socket: &mut (impl AsyncRead + Unpin), head: &Head, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        if head.chunked {
            if let Some(body) = unchunk(&bytes) {
                return Ok(body);
            }
        } else if let Some(length) = head.length.filter(|length| bytes.len() >= *length) {
            bytes.truncate(length);
            return Ok(bytes);
        }
        if bytes.len() > MAXIMUM || socket.read_buf(&mut bytes).await? == 0 {
            return Ok(bytes);
        }
    }
}

/// The body that chunks make, once the last is there.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let chunk = bytes.get(end + 2..)?;
        body.extend_from_slice(chunk.get(..size)?);
        bytes = chunk.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(answer: &[u8]) -> io::Result<Result<(Head, Vec<u8>), Failure>> {
        let mut socket = socket_that_answers(answer);
        upgrade(&mut socket, b"POST /x HTTP/1.1\r\n\r\n").await
    }

    fn socket_that_answers(answer: &[u8]) -> impl AsyncRead + AsyncWrite + Unpin {
        tokio::io::join(io::Cursor::new(answer.to_vec()), tokio::io::sink())
    }

    #[tokio::test]
    async fn both_good_answers_leave_the_rest_to_the_process() {
        for status in ["101 UPGRADED", "200 OK"] {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nhello");
            let (head, rest) = ask(answer.as_bytes()).await.expect("an answer").expect("a good one");
            assert_eq!(head.content_type, "application/vnd.docker.raw-stream");
            assert_eq!(rest, b"hello");
        }
    }

    #[tokio::test]
    async fn a_failure_is_read_however_long_it_is_said_to_be() {
        let body = r#"{"message":"no"}"#;
        for head in [
            format!("Content-Length: {}\r\n\r\n{body}and more", body.len()),
            format!("X: y\r\n\r\n{body}"),
            format!("Transfer-Encoding: chunked\r\n\r\n{:x};x=y\r\n{body}\r\n0\r\n\r\n", body.len()),
        ] {
            let answer = format!("HTTP/1.1 409 Conflict\r\n{head}");
            let failure = ask(answer.as_bytes()).await.expect("an answer").expect_err("a bad one");
            assert_eq!(failure, Failure::conflict("no"), "{head}");
        }
        for answer in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n"] {
            assert!(ask(answer.as_bytes()).await.is_err(), "{answer}");
        }
    }
}
