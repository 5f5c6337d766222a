//! Where a container's output goes.

use serde::{Deserialize, Serialize};

/// Where a container's output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSpec {
    /// A file in Docker's json-file form.
    JsonFile {
        /// A file is rotated when it would grow beyond so many bytes; never when absent.
        max_size: Option<u64>,
        /// So many files are kept; 1 when absent.
        max_file: Option<u32>,
    },
    /// Nowhere.
    None,
}

impl Default for LogSpec {
    fn default() -> Self {
        Self::JsonFile { max_size: None, max_file: None }
    }
}

/// Reads a size as dockerd's json-file driver does (go-units' `FromHumanSize`): decimal multiples, though memory is counted in binary ones.
pub fn rotation_size(text: &str) -> Option<u64> {
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
        let check = |text: &str, expect| assert_eq!(rotation_size(text), expect, "{text}");
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
