//! Docker's `LogConfig`.

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::container::LogSpec;

/// Writes where the output goes.
pub(super) fn to_json(log: &LogSpec) -> Value {
    match log {
        LogSpec::None => json!({ "Type": "none", "Config": {} }),
        LogSpec::JsonFile { max_size, max_file } => {
            let mut options = Map::new();
            if let Some(bytes) = max_size {
                options.insert("max-size".to_owned(), json!(bytes.to_string()));
            }
            if *max_file != 1 {
                options.insert("max-file".to_owned(), json!(max_file.to_string()));
            }
            json!({ "Type": "json-file", "Config": options })
        }
    }
}

/// Reads where the output goes.
pub(super) fn from_fields(fields: &mut Fields) -> Result<LogSpec, WireError> {
    let kind = fields.text("Type")?.unwrap_or_default();
    let mut options = fields.object("Config")?;
    let log = match kind.as_str() {
        "none" => LogSpec::None,
        "" | "json-file" => {
            let max_size = match options.text("max-size")? {
                None => None,
                Some(text) if text == "-1" => None,
                Some(text) => Some(bytes(&text).ok_or_else(|| WireError::malformed(options.path("max-size"), "a size as in `10m`"))?),
            };
            let max_file = match options.text("max-file")? {
                None => 1,
                Some(text) => {
                    let number = text.parse().ok().filter(|&number: &u32| number > 0);
                    number.ok_or_else(|| WireError::malformed(options.path("max-file"), "a number greater than 0"))?
                }
            };
            LogSpec::JsonFile { max_size, max_file }
        }
        _ if fields.mood() == Mood::Answer => return Ok(LogSpec::default()),
        _ => return Err(WireError::unsupported(fields.path("Type"), &json!(kind))),
    };
    options.finish()?;
    Ok(log)
}

/// Reads a size as dockerd's json-file driver does (go-units' `FromHumanSize`): decimal multiples, though memory is counted in binary ones.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).trim_end();
    let factor = match text[digits.len()..].trim() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        _ => return None,
    };
    let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive size far below 2^53")]
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        let check = |text: &str, expect| assert_eq!(bytes(text), expect, "{text}");
        check("10m", Some(10_000_000));
        check("1.5k", Some(1500));
        check("1G", Some(1_000_000_000));
        check("100", Some(100));
        check("10 MB", Some(10_000_000));
        for text in ["", "m", "-1", "10x", "0"] {
            check(text, None);
        }
    }
}
