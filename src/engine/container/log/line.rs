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
    let time = instant(rest.strip_prefix(br#"","time":""#)?.strip_suffix(br#""}"#)?)?;
    Some(LogLine { time, stream, text })
}

/// Takes the four digits after `\u`; surrogates are left to serde.
fn code_point<'a>(rest: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (digits, rest) = rest.split_at_checked(4)?;
    let value = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    text.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

/// Reads `2026-01-31T12:00:00.123456789Z`, with one to nine digits of the second or none.
fn instant(text: &[u8]) -> Option<Timestamp> {
    let (date, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
    if [date[4], date[7], date[10], date[13], date[16]] != *b"--T::" {
        return None;
    }
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..10])?);
    let (hour, minute, second) = (number(&date[11..13])?, number(&date[14..16])?, number(&date[17..])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => number(digits)? * 10_i64.pow(9 - u32::try_from(digits.len()).ok()?),
        _ => return None,
    };
    // Days since the epoch, counted in years that begin in March (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(Timestamp::from_nanos)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value: i64, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
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
