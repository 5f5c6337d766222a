//! Spans of time as Docker tells them: `About a minute`, `3 hours ago`.

use std::time::Duration;

use crate::cli::error::CommandError;
use crate::cli::follow::now;
use crate::resource::time::Timestamp;

/// A span of time for people (Docker's `units.HumanDuration`).
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A time as Go's `String` writes it, in UTC: what Docker's lists have for `CreatedAt`.
pub(crate) fn instant(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{} +0000 UTC", text.get(..19).unwrap_or(&text).replace('T', " "))
}

/// Reads a time of the command line: as written, or an age before now.
pub(crate) fn moment(text: Option<&str>) -> Result<Option<Timestamp>, CommandError> {
    let Some(text) = text else { return Ok(None) };
    if let Some(age) = parse(text) {
        let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
        return Ok(Some(Timestamp::from_nanos(now().as_nanos().saturating_sub(age))));
    }
    let wrong = || CommandError::local(format!("`{text}` is neither a time (2026-01-31T12:00:00Z) nor an age (42m)"));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if let Ok(seconds) = seconds.parse::<i64>() {
        // Seconds since the epoch, as `date +%s.%N` writes them.
        let nanos = format!("{fraction:0<9}").get(..9).and_then(|digits| digits.parse::<i64>().ok()).ok_or_else(wrong)?;
        return Ok(Some(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))));
    }
    // A date alone, or a time without a zone, is in UTC.
    let spellings = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z"), format!("{text}:00Z")];
    spellings.iter().find_map(|it| it.parse().ok()).map(Some).ok_or_else(wrong)
}

/// Reads a span as Go writes one: `90s`, `1h30m`, `1.5h`, `300ms`.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end = rest[end..].find(|it: char| it.is_ascii_digit() || it == '.').map_or(rest.len(), |at| end + at);
        let unit = match &rest[end..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_dockers() {
        for (seconds, expect) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (150, "2 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (3 * 86_400, "3 days"),
            (21 * 86_400, "3 weeks"),
            (90 * 86_400, "3 months"),
            (1000 * 86_400, "2 years"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), expect, "{seconds}");
        }
    }

    #[test]
    fn instants_read_as_gos() {
        assert_eq!(instant(Timestamp::from_nanos(1_500_000_000)), "1970-01-01 00:00:01 +0000 UTC");
    }

    #[test]
    fn moments_are_read_in_every_spelling() {
        let at = |text: &str| moment(Some(text)).map(|time| time.expect("a time").as_nanos()).ok();
        assert_eq!(moment(None), Ok(None));
        assert_eq!(at("1500000001.5"), Some(1_500_000_001_500_000_000));
        assert_eq!(at("2017-07-14T02:40:01Z"), Some(1_500_000_001_000_000_000));
        assert_eq!(at("2017-07-14T02:40:01"), Some(1_500_000_001_000_000_000));
        assert_eq!(at("2017-07-14T02:40"), Some(1_500_000_000_000_000_000));
        assert_eq!(at("2017-07-14"), Some(1_499_990_400_000_000_000));
        assert!(at("5m").expect("an age") < now().as_nanos());
        for text in ["yesterday", "5 minutes", "2017-13-01", "1.x", ""] {
            assert!(at(text).is_none(), "{text}");
        }
    }

    #[test]
    fn spans_are_read_as_go_writes_them() {
        for (text, expect) in [
            ("90s", Some(90_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            ("300ms", Some(300)),
            ("", None),
            ("5", None),
            ("m", None),
            ("1x", None),
        ] {
            assert_eq!(parse(text), expect.map(Duration::from_millis), "{text}");
        }
    }
}
