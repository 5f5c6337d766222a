//! Lines in Docker's json-file form, byte for byte as its encoder writes them.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::resource::log::Stream;
use crate::resource::time::Timestamp;

/// A line without an end after so many bytes is cut into pieces, as Docker's copier does.
const PIECE: usize = 16 << 10;

/// What one output of a process has written of a line that has not ended yet.
#[derive(Debug)]
pub(super) struct Lines {
    stream: Stream,
    /// What stands beside every line, as JSON with a comma before it; empty where nothing does.
    details: String,
    /// Shorter than a piece.
    begun: Vec<u8>,
    /// When the first piece of the line was written, which is the time of all its pieces.
    since: Option<Timestamp>,
}

impl Lines {
    /// Of an output that has written nothing.
    pub(super) fn new(stream: Stream, details: &BTreeMap<String, String>) -> Self {
        // Invariant: texts are JSON.
        let json = serde_json::to_string(details).unwrap_or_default();
        let details = if details.is_empty() { String::new() } else { format!(",\"attrs\":{json}") };
        Self { stream, details, begun: Vec::new(), since: None }
    }

    /// Encodes whatever is complete with these bytes, read at `now`, and calls `sealed` after each line with the place where it begins.
    pub(super) fn encode(&mut self, bytes: &[u8], now: Timestamp, into: &mut Vec<u8>, mut sealed: impl FnMut(&mut Vec<u8>, usize)) {
        let ending = self.ending(now);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = PIECE - self.begun.len();
            let window = &rest[..rest.len().min(room)];
            let start = into.len();
            if let Some(end) = find(window, b'\n') {
                into.extend_from_slice(BEGINNING);
                if self.begun.is_empty() {
                    escape(&window[..end], into);
                } else {
                    // A character may have come in two parts.
                    self.begun.extend_from_slice(&window[..end]);
                    escape(&self.begun, into);
                    self.begun.clear();
                }
                into.extend_from_slice(b"\\n");
                match self.since.take() {
                    Some(since) => into.extend_from_slice(&self.ending(since)),
                    None => into.extend_from_slice(&ending),
                }
                rest = &rest[end + 1..];
                sealed(into, start);
            } else {
                self.begun.extend_from_slice(window);
                rest = &rest[window.len()..];
                if self.begun.len() == PIECE {
                    self.piece(cut(&self.begun), now, into);
                    sealed(into, start);
                }
            }
        }
    }

    /// Encodes what is left of a line that was never ended.
    pub(super) fn finish(&mut self, now: Timestamp, into: &mut Vec<u8>, mut sealed: impl FnMut(&mut Vec<u8>, usize)) {
        if !self.begun.is_empty() {
            let start = into.len();
            self.piece(self.begun.len(), now, into);
            sealed(into, start);
        }
        self.since = None;
    }

    fn piece(&mut self, length: usize, now: Timestamp, into: &mut Vec<u8>) {
        into.extend_from_slice(BEGINNING);
        escape(&self.begun[..length], into);
        let since = *self.since.get_or_insert(now);
        into.extend_from_slice(&self.ending(since));
        self.begun.drain(..length);
    }

    fn ending(&self, time: Timestamp) -> Vec<u8> {
        let name = match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        format!("\",\"stream\":\"{name}\"{},\"time\":\"{time}\"}}\n", self.details).into_bytes()
    }
}

const BEGINNING: &[u8] = br#"{"log":""#;

/// Where to cut a piece: Docker cuts a character in two and then writes neither half; here it moves into the next piece.
fn cut(piece: &[u8]) -> usize {
    let tail = piece.len().saturating_sub(3);
    let lead = (tail..piece.len()).rev().find(|&place| piece[place] & 0xc0 != 0x80);
    let Some(lead) = lead else { return piece.len() };
    match std::str::from_utf8(&piece[lead..]) {
        // The beginning of a character, as opposed to something that will never be one.
        Err(error) if error.error_len().is_none() => lead,
        _ => piece.len(),
    }
}

/// So many bytes at once are compared by one instruction or two.
const BLOCK: usize = 32;

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    let blocks = bytes.chunks_exact(BLOCK);
    let clean = blocks.take_while(|block| !block.iter().fold(false, |found, byte| found | (*byte == wanted))).count() * BLOCK;
    bytes[clean..].iter().position(|byte| *byte == wanted).map(|place| clean + place)
}

const fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte >= 0x80) | (byte == b'"') | (byte == b'\\') | (byte == b'<') | (byte == b'>') | (byte == b'&')
}

/// The length of the beginning that is written as it is.
fn plain(bytes: &[u8]) -> usize {
    let blocks = bytes.chunks_exact(BLOCK);
    let clean = blocks.take_while(|block| !block.iter().fold(false, |found, byte| found | is_special(*byte))).count() * BLOCK;
    bytes[clean..].iter().position(|byte| is_special(*byte)).map_or(bytes.len(), |place| clean + place)
}

/// Writes text as the inside of a JSON string, in the spelling of Docker's jsonlog.
fn escape(text: &[u8], into: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let clean = plain(rest);
        into.extend_from_slice(&rest[..clean]);
        rest = &rest[clean..];
        let Some(&byte) = rest.first() else { return };
        let length = if byte < 0x80 {
            escape_byte(byte, into);
            1
        } else {
            let length = rest.iter().position(|byte| *byte < 0x80).unwrap_or(rest.len());
            escape_wide(&rest[..length], into);
            length
        };
        rest = &rest[length..];
    }
}

fn escape_byte(byte: u8, into: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
        b'\n' => into.extend_from_slice(b"\\n"),
        b'\r' => into.extend_from_slice(b"\\r"),
        _ => _ = write!(into, "\\u{byte:04x}"),
    }
}

/// Writes a run of bytes that are not ASCII. Each byte that belongs to no character becomes one replacement, as Go decodes it.
fn escape_wide(run: &[u8], into: &mut Vec<u8>) {
    // Nearly every run: characters, and no byte that either separator begins with.
    if !run.contains(&0xe2) && std::str::from_utf8(run).is_ok() {
        return into.extend_from_slice(run);
    }
    for chunk in run.utf8_chunks() {
        let valid = chunk.valid();
        let mut written = 0;
        for (place, separator) in valid.match_indices(['\u{2028}', '\u{2029}']) {
            into.extend_from_slice(&valid.as_bytes()[written..place]);
            into.extend_from_slice(if separator == "\u{2028}" { b"\\u2028" } else { b"\\u2029" });
            written = place + separator.len();
        }
        into.extend_from_slice(&valid.as_bytes()[written..]);
        chunk.invalid().iter().for_each(|_| into.extend_from_slice(b"\\ufffd"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &[u8]) -> String {
        let mut into = Vec::new();
        escape(text, &mut into);
        String::from_utf8(into).expect("JSON is UTF-8")
    }

    #[test]
    fn text_is_escaped_as_docker_does() {
        for (text, expect) in [
            (
                &b"plain text that is longer than one block of bytes, and a half"[..],
                "plain text that is longer than one block of bytes, and a half",
            ),
            (b"a \"quoted\" \\ <b>&amp;</b>", r#"a \"quoted\" \\ \u003cb\u003e\u0026amp;\u003c/b\u003e"#),
            (b"\ttab\r\x1b[0m\x00\x7f", "\\u0009tab\\r\\u001b[0m\\u0000\x7f"),
            ("größe 漢字 🦀".as_bytes(), "größe 漢字 🦀"),
            ("a\u{2028}b\u{2029}".as_bytes(), r"a\u2028b\u2029"),
            (b"\xff\xe2\x82x\xf0\x9f\xa6", r"\ufffd\ufffd\ufffdx\ufffd\ufffd\ufffd"),
            ("thirty-two bytes without any, ok\u{e9}".as_bytes(), "thirty-two bytes without any, oké"),
        ] {
            assert_eq!(escaped(text), expect);
        }
    }

    /// What is written by an output that writes these pieces, one a nanosecond.
    fn lines(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut lines = Lines::new(Stream::Stderr, &BTreeMap::new());
        let (mut into, mut sealed) = (Vec::new(), 0);
        for (time, piece) in (1..).zip(pieces) {
            lines.encode(piece, Timestamp::from_nanos(time), &mut into, |_, _| sealed += 1);
        }
        lines.finish(Timestamp::from_nanos(99), &mut into, |_, _| sealed += 1);
        let text = String::from_utf8(into).expect("JSON is UTF-8");
        assert_eq!(text.lines().count(), sealed);
        text.lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
                assert_eq!(value["stream"], "stderr");
                (value["log"].as_str().expect("text").to_owned(), value["time"].as_str().expect("a time").to_owned())
            })
            .collect()
    }

    #[test]
    fn a_line_is_written_when_it_ends() {
        let time = |nanos: i64| Timestamp::from_nanos(nanos).to_string();
        let expect = [("one\n", 1), ("two\n", 2), ("\n", 2), ("three", 99)].map(|(text, nanos)| (text.to_owned(), time(nanos)));
        assert_eq!(lines(&[b"one\nt", b"wo\n\nthree"]), expect);
        let mut into = Vec::new();
        Lines::new(Stream::Stdout, &BTreeMap::new()).encode(b"hi\n", Timestamp::from_nanos(1_500_000_000), &mut into, |_, _| {});
        assert_eq!(into, b"{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01.5Z\"}\n");
        into.clear();
        let details = BTreeMap::from([("tag".to_owned(), "web \"1\"".to_owned())]);
        Lines::new(Stream::Stdout, &details).encode(b"hi\n", Timestamp::from_nanos(1_500_000_000), &mut into, |_, _| {});
        let expect = r#"{"log":"hi\n","stream":"stdout","attrs":{"tag":"web \"1\""},"time":"1970-01-01T00:00:01.5Z"}"#;
        assert_eq!(String::from_utf8_lossy(&into), format!("{expect}\n"));
    }

    #[test]
    fn a_long_line_is_cut_into_pieces_of_one_time() {
        let long = vec![b'x'; PIECE];
        let lengths = |pieces: &[&[u8]]| lines(pieces).iter().map(|(text, _)| text.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[&long, b"\n"]), [PIECE, 1]);
        assert_eq!(lengths(&[&long[1..], b"\n"]), [PIECE]);
        assert_eq!(lengths(&[b"y", &long, &long, b"z\nend\n"]), [PIECE, PIECE, 3, 4]);
        let times: Vec<_> = lines(&[b"y", &long, &long, b"z\nend\n"]).into_iter().map(|(_, time)| time).collect();
        assert_eq!((&times[0], &times[0], times[0] == times[3]), (&times[1], &times[2], false));
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        let mut long = vec![b'x'; PIECE - 2];
        long.extend("漢字\n".as_bytes());
        let found = lines(&[&long]);
        assert_eq!((found[0].0.len(), found[1].0.as_str()), (PIECE - 2, "漢字\n"));
        let mut broken = vec![b'x'; PIECE - 1];
        broken.extend(b"\x80\n");
        assert_eq!(lines(&[&broken])[1].0, "\n");
    }
}
