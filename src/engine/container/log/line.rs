//! One line of a json-file log: the form our shim writes is read by hand, any other JSON by serde.

use std::borrow::Cow;

use serde::Deserialize;

use crate::resource::log::{LogLine, Stream};
use crate::resource::time::Timestamp;

/// A line as Docker writes it; other keys (`attrs`) do not matter to a reader.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Reads a line without its newline; `None` when it is damaged.
pub(super) fn parse(line: &[u8]) -> Option<LogLine> {
    quick(line).or_else(|| {
        let written: Written<'_> = serde_json::from_slice(line).ok()?;
        let stream = match written.stream.as_ref() {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => return None,
        };
        Some(LogLine { time: written.time.parse().ok()?, stream, text: written.log.into_owned().into_bytes() })
    })
}

/// Reads `{"log":"…","stream":"std…","time":"…Z"}` with nothing between; `None` for all else.
fn quick(line: &[u8]) -> Option<LogLine> {
    let mut rest = line.strip_prefix(br#"{"log":""#)?;
    let mut text = Vec::with_capacity(rest.len());
    loop {
        let end = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
        text.extend_from_slice(&rest[..end]);
        match rest[end] {
            b'"' => {
                rest = &rest[end + 1..];
                break;
            }
            b'\\' => {
                text.push(match *rest.get(end + 1)? {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    literal @ (b'"' | b'\\' | b'/') => literal,
                    b'u' => {
                        rest = code_point(rest.get(end + 2..)?, &mut text)?;
                        continue;
                    }
                    _ => return None,
                });
                rest = &rest[end + 2..];
            }
            _ => return None,
        }
    }
    let rest = rest.strip_prefix(br#","stream":"std"#)?;
    let (stream, rest) = match (rest.strip_prefix(b"out"), rest.strip_prefix(b"err")) {
        (Some(rest), _) => (Stream::Stdout, rest),
        (_, Some(rest)) => (Stream::Stderr, rest),
        _ => return None,
    };
    let time = Timestamp::from_ascii(rest.strip_prefix(br#"","time":""#)?.strip_suffix(br#""}"#)?)?;
    Some(LogLine { time, stream, text })
}

/// Takes the four digits after `\u`; surrogates are left to serde.
fn code_point<'a>(rest: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (digits, rest) = rest.split_at_checked(4)?;
    let value = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    text.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, Stream, String)> {
        let line = parse(line.as_bytes())?;
        Some((String::from_utf8(line.text).expect("text"), line.stream, line.time.to_string()))
    }

    #[test]
    fn lines_are_read_by_hand_as_by_serde() {
        for log in [r"hello\n", r#"a \"quoted\" \\ \t\r\u003c\u001b[1m\ufffd end"#, "", "grüße ☃", r"\ud83d\ude00\n", r"a\/b\f"] {
            for time in ["2026-01-31T12:00:00.123456789Z", "2000-02-29T23:59:59Z", "1999-12-31T00:00:00.5Z", "2026-03-01T01:02:03.004Z"] {
                let line = format!(r#"{{"log":"{log}","stream":"stderr","time":"{time}"}}"#);
                let loose = format!(r#"{{ "log": "{log}", "stream":"stderr", "attrs": {{}}, "time":"{time}"}}"#);
                let read = read(&line).expect("a good line");
                assert_eq!(parse(line.as_bytes()), parse(loose.as_bytes()), "{line}");
                assert_eq!((read.1, read.2.as_str()), (Stream::Stderr, time));
            }
        }
        assert_eq!(read(r#"{"log":"a\tb\n","stream":"stdout","time":"2026-01-31T12:00:00Z"}"#).expect("good").0, "a\tb\n");
        let zone = r#"{"log":"","stream":"stdout","time":"2026-01-31T12:00:00+02:00"}"#;
        assert_eq!(read(zone).expect("good").2, "2026-01-31T10:00:00Z");
    }

    #[test]
    fn damage_is_noticed() {
        for line in ["", "{", "\0\0\0", r#"{"log":"a"#, r#"{"log":"a","stream":"x","time":"2026-01-31T12:00:00Z"}"#, r#"{"log":"a"}"#] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(parse(br#"{"log":"a","stream":"stdout","time":"2026-13-31T12:00:00Z"}"#), None);
    }
}
