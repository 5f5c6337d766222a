//! The API as a foreign client sees it: HTTP over the engine's socket, by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Removes every container an engine has, if the engine still answers.
pub(crate) fn remove_all(socket: &Path) {
    if UnixStream::connect(socket).is_err() {
        return;
    }
    let (_, list) = request(socket, "GET", "/containers/json?all=1", None);
    for id in list.as_array().into_iter().flatten().filter_map(|it| it["Id"].as_str()) {
        request(socket, "DELETE", &format!("/containers/{id}?force=1&v=1"), None);
    }
}

/// Sends one request and returns the status and the JSON of the answer (`Null` when there is none).
pub(crate) fn request(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).expect("the engine's socket takes connections");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    let body = body.map(Value::to_string).unwrap_or_default();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // dockerd may answer, and leave, before it has read a body.
    let _ = stream.write_all(text.as_bytes());
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).expect("a status line");
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let mut chunked = false;
    // Of a client that has more to say dockerd takes leave by a reset: behind the body nothing is read.
    let mut length = u64::MAX;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if line.trim().is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        chunked |= line.starts_with("transfer-encoding: chunked");
        length = line.strip_prefix("content-length: ").map_or(length, |it| it.trim().parse().expect("a length"));
    }
    let mut text = Vec::new();
    if chunked {
        while let Some(chunk) = next_chunk(&mut reader) {
            text.extend(chunk);
        }
    } else {
        reader.take(length).read_to_end(&mut text).expect("a body");
    }
    (code, serde_json::from_slice(&text).unwrap_or(Value::Null))
}

/// A text as a part of an address.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn next_chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut size = String::new();
    reader.read_line(&mut size).ok()?;
    let size = usize::from_str_radix(size.trim(), 16).ok().filter(|&size| size > 0)?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(size);
    Some(chunk)
}

/// Events, one by one.
pub(crate) struct Events {
    reader: BufReader<UnixStream>,
    rest: Vec<u8>,
}

impl Events {
    /// Subscribes; what happens after this call is seen.
    pub(crate) fn subscribe(socket: &Path) -> Self {
        let mut stream = UnixStream::connect(socket).expect("the engine's socket takes connections");
        write!(stream, "GET /events HTTP/1.1\r\nHost: engine\r\n\r\n").expect("the engine reads");
        let mut reader = BufReader::new(stream);
        let mut line = String::from("-");
        while !line.trim().is_empty() {
            line.clear();
            reader.read_line(&mut line).expect("a header");
        }
        Self { reader, rest: Vec::new() }
    }

    /// The next event before the deadline.
    pub(crate) fn next(&mut self, deadline: Instant) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            let left = deadline.checked_duration_since(Instant::now())?.max(Duration::from_millis(1));
            self.reader.get_ref().set_read_timeout(Some(left)).ok()?;
            let chunk = next_chunk(&mut self.reader)?;
            self.rest.extend(chunk);
        }
    }
}

/// Waits until `check` holds, looking again after each event of the engine.
#[track_caller]
pub(crate) fn eventually(socket: &Path, what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut events = Events::subscribe(socket);
    while !check() {
        assert!(events.next(deadline).is_some() || check(), "never: {what}");
    }
}
