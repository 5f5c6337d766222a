//! Instants as data: nanoseconds since the Unix epoch, written as Docker writes them. Reading a clock is left to others.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant, to the nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not an instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: RFC 3339 is expected, as in 2026-01-31T12:00:00Z")]
pub struct TimeError(pub String);

impl Timestamp {
    /// Docker's zero time, `0001-01-01T00:00:00Z`, stands for "never"; here it is the absence of a value and only printed.
    pub const NEVER_TEXT: &'static str = "0001-01-01T00:00:00Z";

    /// The instant so many nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The time from `earlier` to this instant; zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with all nine digits of the fraction, as before the lines of a log, so that they stay aligned.
    ///
    /// Logs are written and read at millions of these a second, hence by hand. Days are counted in years that begin in March (Howard
    /// Hinnant, "chrono-compatible low-level date algorithms").
    pub fn fixed(self) -> String {
        let (days, second) = (self.as_seconds().div_euclid(86_400) + 719_468, self.as_seconds().rem_euclid(86_400));
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march = (5 * of_year + 2) / 153;
        let (day, month) = (of_year - (153 * march + 2) / 5 + 1, if march < 10 { march + 3 } else { march - 9 });
        let year = year_of_era + 400 * era + i64::from(month <= 2);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let mut put = |range: std::ops::Range<usize>, mut value: i64| {
            for digit in text[range].iter_mut().rev() {
                *digit += u8::try_from(value % 10).unwrap_or(0);
                value /= 10;
            }
        };
        put(0..4, year);
        put(5..7, month);
        put(8..10, day);
        put(11..13, second / 3600);
        put(14..16, second / 60 % 60);
        put(17..19, second % 60);
        put(20..29, self.0.rem_euclid(1_000_000_000));
        // Digits and ASCII marks are UTF-8.
        String::from_utf8(text.to_vec()).unwrap_or_default()
    }

    /// Reads `2026-01-31T12:00:00.123456789Z`, with one to nine digits of the fraction or none; other spellings are left to [`FromStr`].
    pub fn from_ascii(text: &[u8]) -> Option<Self> {
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0, |value: i64, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
        };
        let (date, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
        if [date[4], date[7], date[10], date[13], date[16]] != *b"--T::" {
            return None;
        }
        let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..10])?);
        let (hour, minute, second) = (number(&date[11..13])?, number(&date[14..16])?, number(&date[17..])?);
        // Whether a month has one day more is for others to say.
        let days = if month == 2 { 28 } else { 30 };
        if !(1..=12).contains(&month) || !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let nanos = match fraction {
            [] => 0,
            [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => number(digits)? * 10_i64.pow(9 - u32::try_from(digits.len()).ok()?),
            _ => return None,
        };
        let year = if month <= 2 { year - 1 } else { year };
        let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(Self)
    }

    /// This instant moved forward.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with trailing zeros of the fraction removed, as Go's `RFC3339Nano` does.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.fixed();
        let short = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
        write!(formatter, "{short}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        if let Some(instant) = Self::from_ascii(text.as_bytes()) {
            return Ok(instant);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| TimeError(text.to_owned()))?;
        i64::try_from(instant.as_nanosecond()).map(Self).map_err(|_| TimeError(text.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_its_text() {
        for nanos in [0, 1, 1_500_000_000, 1_700_000_000_123_456_789] {
            let instant = Timestamp::from_nanos(nanos);
            assert_eq!(instant.to_string().parse(), Ok(instant));
        }
        assert_eq!(Timestamp::from_nanos(1_500_000_000).to_string(), "1970-01-01T00:00:01.5Z");
        assert_eq!(Timestamp::from_nanos(1_500_000_000).fixed(), "1970-01-01T00:00:01.500000000Z");
    }

    #[test]
    fn every_day_is_spelled_and_read_as_elsewhere() {
        for day in -80_000..100_000_i64 {
            let nanos = day * 86_400_000_000_000 + 43_200_000_000_123 * i64::from(day % 3 == 0);
            let instant = Timestamp::from_nanos(nanos);
            let expected = jiff::Timestamp::from_nanosecond(i128::from(nanos)).expect("in range").to_string();
            assert_eq!(instant.to_string(), expected);
            assert!(Timestamp::from_ascii(expected.as_bytes()).is_none_or(|read| read == instant), "{expected}");
            assert_eq!(expected.parse(), Ok(instant));
        }
        for text in ["2026-02-30T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01 00:00", ""]
        {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
