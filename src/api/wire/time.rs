//! Times and durations as Docker writes them for programs and for people.

use std::time::Duration;

use serde_json::Value;

use crate::api::wire::error::WireError;
use crate::resource::time::Timestamp;

/// Writes an instant, or Docker's zero time for "never".
pub fn to_json(instant: Option<Timestamp>) -> Value {
    Value::String(instant.map_or_else(|| Timestamp::NEVER_TEXT.to_owned(), |instant| instant.to_string()))
}

/// Reads an instant; Docker's zero time and an empty text are "never".
pub fn from_text(text: &str) -> Option<Timestamp> {
    if text.is_empty() || text.starts_with("0001-01-01T") { None } else { text.parse().ok() }
}

/// Reads an instant of a query: seconds since the epoch with a fraction (`1700000000.123456789`) or RFC 3339.
pub fn from_query(name: &str, text: &str) -> Result<Option<Timestamp>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(instant) = text.parse() {
        return Ok(Some(instant));
    }
    let wrong = || WireError::malformed(name, "seconds since 1970 or a time in RFC 3339");
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().map_err(|_| wrong())?;
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    // What is later than the last instant that can be told is that.
    Ok(Some(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))))
}

/// Writes an instant for a query.
pub fn to_query(instant: Timestamp) -> String {
    format!("{}.{:09}", instant.as_seconds(), instant.as_nanos().rem_euclid(1_000_000_000))
}

/// Writes a duration in nanoseconds, as Go's JSON does.
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Says a duration to people, as go-units' `HumanDuration` does.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        (.., 48..336) => format!("{} days", hours / 24),
        (.., 336..1440) => format!("{} weeks", hours / 24 / 7),
        (.., 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_sound_like_docker() {
        let check = |seconds, expect: &str| assert_eq!(human(Duration::from_secs(seconds)), expect);
        check(0, "Less than a second");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "About a minute");
        check(119, "About a minute");
        check(120, "2 minutes");
        check(3599, "59 minutes");
        check(3600, "About an hour");
        check(5400, "2 hours");
        check(47 * 3600, "47 hours");
        check(48 * 3600, "2 days");
        check(14 * 86400, "2 weeks");
        check(60 * 86400, "2 months");
        check(730 * 86400, "2 years");
    }

    #[test]
    fn instants_of_queries_are_read() {
        let check = |text: &str, expect: Option<i64>| {
            assert_eq!(from_query("since", text).expect("good").map(Timestamp::as_nanos), expect, "{text}");
        };
        check("", None);
        check("0", Some(0));
        check("12", Some(12_000_000_000));
        check("12.5", Some(12_500_000_000));
        check("1970-01-01T00:00:01Z", Some(1_000_000_000));
        check(&to_query(Timestamp::from_nanos(1_700_000_000_000_000_001)), Some(1_700_000_000_000_000_001));
        assert!(from_query("since", "yesterday").is_err());
        assert_eq!(from_text(Timestamp::NEVER_TEXT), None);
    }
}
