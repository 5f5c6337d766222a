//! Scalars: what a plain one means (as Docker Compose's YAML library has it), and the grammars of durations and sizes.

use std::time::Duration;

use crate::compose::project::node::Value;

/// Resolves a plain scalar: null, boolean, number or text.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Boolean(true),
        "false" | "False" | "FALSE" => return Value::Boolean(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Value::Text(text.to_owned());
    }
    // One that needs all 64 bits is kept as it is written.
    if text.parse::<u64>().is_ok_and(|number| i64::try_from(number).is_err()) {
        return Value::Text(text.to_owned());
    }
    integer(text).map(Value::Integer).or_else(|| float(text).map(Value::Float)).unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// Reads a whole number in Go's spelling: `10`, `0x1f`, `0o17`, `017`, `0b101`, `1_000`.
fn integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'o' | b'O', ..] => (&digits[2..], 8),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -number } else { number }).ok()
}

/// Reads a decimal number that is not too large for one; Rust's own words for infinity are none in YAML.
fn float(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    if plain.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'))
        || !plain.bytes().any(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    plain.parse().ok().filter(|float: &f64| float.is_finite())
}

/// Formats a number as Go's `%v` and its YAML do: shortest, with an exponent below 1e-4 and from 1e6.
pub(crate) fn format_float(float: f64) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    float.to_string()
}

/// A number as it is after it was kept in 32 bits, in its shortest form: 0.123456789 is 0.12345679.
pub(crate) fn single(float: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "to lose what does not fit is what this is for")]
    let single = float as f32;
    single.to_string().parse().unwrap_or(float)
}

/// Reads a boolean in one of the words that Docker Compose takes; the flag says that the word is one of YAML 1.1.
pub(crate) fn boolean(text: &str) -> Option<(bool, bool)> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some((true, false)),
        "false" => Some((false, false)),
        "y" | "yes" | "on" => Some((true, true)),
        "n" | "no" | "off" => Some((false, true)),
        _ => None,
    }
}

/// Reads a duration in Go's syntax, `1h5m30s20ms`; never negative, and no longer than Go's longest, 292 years.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.').filter(|&end| end > 0)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|character: char| character.is_ascii_digit() || character == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let nanoseconds: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(u128::from(whole) * u128::from(nanoseconds) + u128::from(part(fraction, nanoseconds)))?;
        rest = tail;
    }
    i64::try_from(total).ok().map(|total| Duration::from_nanos(total.unsigned_abs()))
}

/// Returns a fraction of a unit in nanoseconds, by Go's own steps: what is less than one is cut off, not rounded.
fn part(fraction: &str, nanoseconds: u64) -> u64 {
    let (mut digits, mut scale) = (0_i64, 1.0);
    for byte in fraction.bytes() {
        let more = digits.checked_mul(10).and_then(|tens| tens.checked_add(i64::from(byte - b'0')));
        let Some(more) = more else { break };
        (digits, scale) = (more, scale * 10.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "as in Go, which multiplies these as floats")]
    let part = digits as f64 * (nanoseconds as f64 / scale);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "to cut off is what this is for; no sign is read")]
    let part = part as u64;
    part
}

/// Formats a duration as Go does: `1m30s`, `1.5s`, `0s`.
pub(crate) fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let (unit, suffix) = match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => {
            let (hours, minutes, rest) = (nanoseconds / 3_600_000_000_000, nanoseconds / 60_000_000_000 % 60, nanoseconds % 60_000_000_000);
            let seconds = decimal(rest, 1_000_000_000);
            return match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes}m{seconds}s"),
            };
        }
    };
    format!("{}{suffix}", decimal(nanoseconds, unit))
}

fn decimal(value: u128, unit: u128) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{fraction:0width$}").trim_end_matches('0').to_owned()
}

/// Reads a size in bytes as Docker does: `512`, `1.5g`, `64 mb`, `1KiB`, `1e3`; units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let last = text.rfind(|character: char| character.is_ascii_digit() || matches!(character, '.' | ' '))?;
    let (number, unit) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).filter(|bytes| i64::try_from(*bytes).is_ok());
    }
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let scaled = number.parse::<f64>().ok()? * (1_u64 << shift) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range; a part of a byte is cut off")]
    (0.0..9_223_372_036_854_775_808.0).contains(&scaled).then_some(scaled as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_in_go() {
        for (text, expect) in [
            ("90s", Some("1m30s")),
            ("1h5m30s20ms", Some("1h5m30.02s")),
            ("1.5s", Some("1.5s")),
            ("0s", Some("0s")),
            ("1m", Some("1m0s")),
            ("2h", Some("2h0m0s")),
            ("1500us", Some("1.5ms")),
            (".5s", Some("500ms")),
            ("1.s", Some("1s")),
            ("0.000000003s", Some("3ns")),
            ("0.0000000006s", Some("0s")),
            ("1.9ns", Some("1ns")),
            ("0.33333333333333333333h", Some("20m0s")),
            ("0.00000000000000000000001h", Some("0s")),
            ("9223372036854775807ns", Some("2562047h47m16.854775807s")),
            ("9223372036854775808ns", None),
            (".s", None),
            ("1.2.3s", None),
            ("20ns", Some("20ns")),
            ("10", None),
            ("", None),
            ("s", None),
            ("-5s", None),
            ("5 s", None),
            ("1s99999999999999999999999999999999w", None),
        ] {
            assert_eq!(duration(text).map(format_duration).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, expect) in [
            ("512", Some(512)),
            ("64m", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("1KiB", Some(1024)),
            ("1 kb", Some(1024)),
            ("1e3k", Some(1_024_000)),
            ("9223372036854775807", Some(i64::MAX.unsigned_abs())),
            ("9223372036854775808", None),
            ("8192p", None),
            ("99999999999999999999", None),
            ("inf ", None),
            ("-1", None),
            ("1kiib", None),
            ("1bb", None),
            ("1ib", None),
            (" 1k", None),
            ("1  k", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expect, "{text}");
        }
    }

    #[test]
    fn plain_scalars_resolve_as_in_yaml_1_1() {
        let shown = |text: &str| format!("{:?}", resolve(text));
        for (text, expect) in [
            ("yes", "Text(\"yes\")"),
            ("0755", "Integer(493)"),
            ("0o17", "Integer(15)"),
            ("1_000", "Integer(1000)"),
            ("1.10", "Float(1.1)"),
            ("1e3", "Float(1000.0)"),
            ("1e400", "Text(\"1e400\")"),
            ("-", "Text(\"-\")"),
            ("+", "Text(\"+\")"),
            ("1.2.3", "Text(\"1.2.3\")"),
            ("80:80", "Text(\"80:80\")"),
            ("", "Null"),
            ("~", "Null"),
            ("0x1F", "Integer(31)"),
            ("09", "Float(9.0)"),
        ] {
            assert_eq!(shown(text), expect, "{text}");
        }
    }

    #[test]
    fn numbers_print_as_in_go() {
        for (number, expect) in [
            (1.1, "1.1"),
            (1.0, "1"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (1.5e-7, "1.5e-07"),
            (0.0, "0"),
        ] {
            assert_eq!(format_float(number), expect);
        }
    }
}
