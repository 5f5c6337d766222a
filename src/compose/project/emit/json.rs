//! JSON as Go's encoder writes it.

use serde_json::Value as Output;

/// Writes indented JSON; `<`, `>` and `&` are escaped, as Go does for the sake of HTML.
pub(super) fn write(value: &Output) -> String {
    let text = format!("{value:#}");
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}
