//! Values without attributes: the same words and grammars that cast.rs and scalar.rs read.

use serde_json::{Map, Value, json};

use crate::compose::project::schema::Shape;
use crate::compose::project::schema::document::{any_of, refer};

const INTEGER: &str = r"\s*[-+]?[0-9]+\s*";
/// Other bases, and decimal numbers; `_` may stand between digits.
const NUMBER: &str = concat!(
    r"(?:[-+]_*)?0_*(?:[xX]_*[0-9a-fA-F][0-9a-fA-F_]*|[oO]_*[0-7][0-7_]*|[bB]_*[01][01_]*)|",
    r"(?:[-+]_*)?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\._*[0-9][0-9_]*)(?:[eE]_*[-+]?_*[0-9][0-9_]*)?",
);
const DURATION: &str = r"0|\+?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+";
const BYTES: &str = r"\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? ?(?:[bB]|[kKmMgGtTpP](?:[iI]?[bB])?)?";
const MODE: &str = r"(?:0o)?\+?0*[0-7]{1,4}";
const BOOLEANS: &[&str] = &["true", "false", "yes", "no", "on", "off", "y", "n"];

/// The pattern of a text that another one fits, or that has a template in it.
pub(super) fn pattern(of: &str) -> String {
    format!(r"^(?:{of})$|\$")
}

/// A text that a pattern fits, or one with a template in it.
pub(super) fn text(of: &str) -> Value {
    json!({ "type": "string", "pattern": pattern(of) })
}

/// A mapping whose values are of some types.
pub(super) fn options(types: &[&str]) -> Value {
    json!({ "type": "object", "additionalProperties": { "type": types } })
}

/// What several attributes have in common, by name.
pub(super) fn definitions() -> Map<String, Value> {
    let booleans: Vec<String> = BOOLEANS.iter().map(|word| either_case(word)).collect();
    let scalars = json!(["string", "number", "boolean"]);
    let dictionary = json!({
        "type": ["object", "array"],
        "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
        // `KEY=VALUE`, without a space before `=`.
        "items": text(r"(?:[^=]*[^=\s])?(?:=[\s\S]*)?"),
    });
    let definitions = [
        ("template", json!({ "type": "string", "pattern": r"\$" })),
        ("integer", json!({ "type": ["integer", "string"], "pattern": pattern(INTEGER) })),
        ("number", json!({ "type": ["number", "string"], "pattern": pattern(NUMBER) })),
        ("boolean", json!({ "type": ["boolean", "string"], "pattern": pattern(&booleans.join("|")) })),
        ("duration", text(DURATION)),
        ("bytes", json!({ "type": ["integer", "string"], "minimum": 0, "pattern": pattern(BYTES) })),
        ("swap", json!({ "type": ["integer", "string"], "minimum": -1, "pattern": pattern(&format!("-1|{BYTES}")) })),
        ("mode", json!({ "type": ["integer", "string"], "minimum": 0, "maximum": 0o7777, "pattern": pattern(MODE) })),
        ("count", json!({ "type": ["integer", "string"], "pattern": pattern(&format!("all|{INTEGER}")) })),
        ("command", json!({ "type": ["string", "array", "null"], "items": { "type": "string" } })),
        ("strings", json!({ "type": ["string", "array"], "items": { "type": "string" } })),
        ("scalars", json!({ "type": ["string", "number", "boolean", "array"], "items": { "type": scalars } })),
        ("dictionary", dictionary),
        ("options", options(&["string", "number"])),
    ];
    definitions.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

/// The values of a shape that has no shape within.
pub(super) fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Path | Shape::Context => json!({ "type": "string" }),
        Shape::Optional => json!({ "type": ["string", "null"] }),
        Shape::Word(words) => any_of([json!({ "enum": words }), refer("template")]),
        Shape::Scalar => json!({ "type": ["string", "number"] }),
        Shape::Setting => json!({ "type": ["boolean", "string"] }),
        Shape::Integer => refer("integer"),
        Shape::Within(least, most) => {
            let within = format!(r"\s*(?:-0*(?:{})|\+?0*(?:{}))\s*", up_to(least.unsigned_abs()), up_to(most.unsigned_abs()));
            json!({ "type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": pattern(&within) })
        }
        Shape::Strict => json!({ "type": "integer" }),
        Shape::Number => refer("number"),
        Shape::Boolean => refer("boolean"),
        Shape::Switch => json!({ "type": "boolean" }),
        Shape::Duration => refer("duration"),
        Shape::Bytes => refer("bytes"),
        Shape::Mode => refer("mode"),
        Shape::Swap => refer("swap"),
        Shape::Count => refer("count"),
        Shape::Command => refer("command"),
        Shape::Test | Shape::Texts => refer("strings"),
        Shape::Several => refer("scalars"),
        Shape::Dictionary | Shape::Contexts => refer("dictionary"),
        Shape::Options => refer("options"),
        Shape::Any => json!({}),
        Shape::Ulimit | Shape::Limit | Shape::List(..) | Shape::Map(_) | Shape::Object(_) | Shape::Short(..) => {
            unreachable!("{shape:?} has shapes within")
        }
    }
}

/// The pattern of the numbers from 0 to another, without zeros in front.
pub(super) fn up_to(most: u64) -> String {
    let digits = most.to_string();
    let shorter = (digits.len() > 1).then(|| format!("[0-9]{{1,{}}}", digits.len() - 1));
    // The same in front, a smaller digit, and whatever behind.
    let smaller = digits.char_indices().filter(|(_, digit)| *digit != '0').map(|(at, digit)| {
        let below: String = ('0'..digit).collect();
        format!("{}[{below}]{}", &digits[..at], "[0-9]".repeat(digits.len() - at - 1))
    });
    smaller.chain(shorter).chain([digits.clone()]).collect::<Vec<_>>().join("|")
}

/// The pattern of a word in capitals or not.
fn either_case(word: &str) -> String {
    let either = |letter: char| {
        if letter.is_ascii_alphabetic() { format!("[{letter}{}]", letter.to_ascii_uppercase()) } else { letter.to_string() }
    };
    word.chars().map(either).collect()
}
