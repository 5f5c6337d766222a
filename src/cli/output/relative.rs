//! Spans of time as Docker tells them: `About a minute`, `3 hours ago`.

use std::time::Duration;

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
