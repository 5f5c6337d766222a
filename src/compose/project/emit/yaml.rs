//! YAML as go-yaml's third version writes it, down to the choice of quotes; libyaml's rules, read in its emitter.

use std::cmp::Ordering;

use serde_json::Value as Output;

use crate::compose::project::node::Value;
use crate::compose::project::scalar;

/// Writes a document in block style, two spaces a level, sequences indented under their key.
pub(super) fn write(document: &Output) -> String {
    let mut text = String::new();
    match document {
        Output::Object(map) if !map.is_empty() => mapping(&mut text, map, 0, false),
        other => {
            inline(&mut text, other, 0);
            text.push('\n');
        }
    }
    text
}

fn mapping(text: &mut String, map: &serde_json::Map<String, Output>, indent: usize, mut inline_first: bool) {
    for (key, value) in map {
        if !std::mem::take(&mut inline_first) {
            pad(text, indent);
        }
        text.push_str(&key_text(key));
        text.push(':');
        match value {
            Output::Object(inner) if !inner.is_empty() => {
                text.push('\n');
                mapping(text, inner, indent + 2, false);
            }
            Output::Array(items) if !items.is_empty() => {
                text.push('\n');
                sequence(text, items, indent + 2, false);
            }
            other => {
                text.push(' ');
                inline(text, other, indent + 2);
                text.push('\n');
            }
        }
    }
}

fn sequence(text: &mut String, items: &[Output], indent: usize, mut inline_first: bool) {
    for item in items {
        if !std::mem::take(&mut inline_first) {
            pad(text, indent);
        }
        text.push_str("- ");
        match item {
            Output::Object(inner) if !inner.is_empty() => mapping(text, inner, indent + 2, true),
            Output::Array(inner) if !inner.is_empty() => sequence(text, inner, indent + 2, true),
            other => {
                inline(text, other, indent + 2);
                text.push('\n');
            }
        }
    }
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn inline(text: &mut String, value: &Output, indent: usize) {
    match value {
        Output::Null => text.push_str("null"),
        Output::Bool(boolean) => text.push_str(if *boolean { "true" } else { "false" }),
        Output::Number(number) => match number.as_i64() {
            Some(integer) => text.push_str(&integer.to_string()),
            None => text.push_str(&scalar::format_float(number.as_f64().unwrap_or_default())),
        },
        Output::String(string) => text.push_str(&string_text(string, indent)),
        Output::Array(_) => text.push_str("[]"),
        Output::Object(_) => text.push_str("{}"),
    }
}

/// What libyaml finds out about a scalar before it chooses a style.
#[derive(Default)]
struct Analysis {
    plain: bool,
    single: bool,
    block: bool,
}

pub(super) fn string_text(text: &str, indent: usize) -> String {
    let analysis = analyze(text);
    if text.contains('\n') {
        return if analysis.block { literal(text, indent) } else { double_quoted(text) };
    }
    if !can_be_plain(text) {
        return double_quoted(text);
    }
    if analysis.plain {
        text.to_owned()
    } else if analysis.single {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

fn key_text(text: &str) -> String {
    let analysis = analyze(text);
    if !can_be_plain(text) || text.contains('\n') || !analysis.single {
        double_quoted(text)
    } else if analysis.plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Whether a reader would take it for a string without quotes: YAML 1.2's rules, and 1.1's for the sake of old readers.
fn can_be_plain(text: &str) -> bool {
    matches!(scalar::resolve(text), Value::Text(_)) && text != "<<" && !is_old_boolean(text) && !is_base_60(text) && !is_timestamp(text)
}

fn is_old_boolean(text: &str) -> bool {
    matches!(text, "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF")
}

/// `12:30`, a number to base 60 in YAML 1.1: `^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    if !first.starts_with(|first: char| first.is_ascii_digit()) || !first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return false;
    }
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let last = match last.split_once('.') {
        Some((last, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') => last,
        Some(_) => return false,
        None => last,
    };
    let sexagesimal = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => matches!(tens, b'0'..=b'5') && digit.is_ascii_digit(),
        _ => false,
    };
    middle.iter().copied().chain([last]).all(sexagesimal)
}

/// `2024-01-01` and longer, up to RFC 3339.
fn is_timestamp(text: &str) -> bool {
    let digits = |text: &str, count: std::ops::RangeInclusive<usize>| {
        count.contains(&text.len()) && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let date_end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let mut date = text[..date_end].split('-');
    let below = |text: &str, end: u8| digits(text, 1..=2) && text.parse::<u8>().is_ok_and(|number| number < end);
    let is_date = digits(date.next().unwrap_or_default(), 4..=4)
        && below(date.next().unwrap_or_default(), 13)
        && below(date.next().unwrap_or_default(), 32)
        && date.next().is_none();
    if !is_date || date_end == text.len() {
        return is_date;
    }
    let time = text[date_end + 1..].trim_start();
    let zone = time.find(['Z', '+', '-', ' ']).unwrap_or(time.len());
    let mut clock = time[..zone].split(':');
    let seconds =
        |text: &str| text.split_once('.').map_or(digits(text, 1..=2), |(whole, part)| digits(whole, 1..=2) && digits(part, 1..=9));
    digits(clock.next().unwrap_or_default(), 1..=2)
        && digits(clock.next().unwrap_or_default(), 1..=2)
        && seconds(clock.next().unwrap_or_default())
        && clock.next().is_none()
}

fn analyze(text: &str) -> Analysis {
    if text.is_empty() {
        return Analysis { plain: true, single: true, block: false };
    }
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut special, mut tabs, mut breaks, mut break_space, mut space_break) = (false, false, false, false, false);
    let (mut previous_space, mut previous_break, mut preceded) = (false, false, true);
    let characters: Vec<char> = text.chars().collect();
    for (index, &character) in characters.iter().enumerate() {
        let followed = characters.get(index + 1).is_none_or(|next| matches!(next, ' ' | '\t' | '\n' | '\r'));
        indicators |= match character {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if index == 0 => true,
            '?' | '-' if index == 0 => followed,
            ':' => followed,
            '#' => preceded,
            _ => false,
        };
        match character {
            '\t' => tabs = true,
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => breaks = true,
            other => special |= !is_printable(other),
        }
        let is_space = character == ' ';
        let is_break = matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        break_space |= is_space && previous_break;
        space_break |= is_break && previous_space;
        (previous_space, previous_break) = (is_space, is_break);
        preceded = matches!(character, ' ' | '\t' | '\n' | '\r');
    }
    let edge = |character: Option<&char>| character.is_some_and(|character| matches!(character, ' ' | '\n' | '\r'));
    let edges = edge(characters.first()) || edge(characters.last());
    let broken = space_break || tabs || special;
    Analysis {
        plain: !indicators && !edges && !breaks && !break_space && !broken,
        single: !break_space && !broken,
        block: characters.last() != Some(&' ') && !space_break && !special,
    }
}

/// What go-yaml writes as it is; characters beyond the basic plane are not among it.
fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn literal(text: &str, indent: usize) -> String {
    let mut out = String::from("|");
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    if !text.ends_with('\n') {
        out.push('-');
    } else if text == "\n" || text.ends_with("\n\n") {
        out.push('+');
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(&mut out, indent);
            out.push_str(line);
        }
    }
    out
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            other if is_printable(other) => out.push(other),
            other => {
                let code = u32::from(other);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                });
            }
        }
    }
    out.push('"');
    out
}

/// Orders keys as go-yaml does: numbers within them by value, letters after everything else unless digits came before.
pub(super) fn compare_keys(left: &str, right: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut digits = false;
    for (index, (&a, &b)) in left.iter().zip(&right).enumerate() {
        if a == b {
            digits = a.is_numeric();
            continue;
        }
        return match (a.is_alphabetic(), b.is_alphabetic()) {
            (true, true) => a.cmp(&b),
            (true, false) => {
                if digits {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (false, true) => {
                if digits {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (false, false) => compare_numbers(&left, &right, index).then(a.cmp(&b)),
        };
    }
    left.len().cmp(&right.len())
}

fn compare_numbers(left: &[char], right: &[char], index: usize) -> Ordering {
    let zero = left[index] == '0' || right[index] == '0';
    let significant = left[..index].iter().rev().take_while(|character| character.is_ascii_digit()).any(|&digit| digit != '0');
    let start = u64::from(zero && significant);
    let number = |text: &[char]| {
        let digits = text[index..].iter().map_while(|character| character.to_digit(10));
        digits.fold((start, 0_usize), |(number, count), digit| (number.saturating_mul(10).saturating_add(u64::from(digit)), count + 1))
    };
    number(left).cmp(&number(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_yaml_does() {
        for (text, expect) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("null", "\"null\""),
            ("8080", "\"8080\""),
            ("y", "\"y\""),
            ("12:30", "\"12:30\""),
            ("80:80", "80:80"),
            ("2024-01-01", "\"2024-01-01\""),
            ("@x", "'@x'"),
            ("a #b", "'a #b'"),
            ("a: b", "'a: b'"),
            ("it's: x", "'it''s: x'"),
            ("trail ", "'trail '"),
            ("tab\tx", "\"tab\\tx\""),
            ("{x}", "'{x}'"),
            ("- a", "'- a'"),
            ("-a", "-a"),
            ("é", "é"),
            ("😀", "\"\\U0001F600\""),
            ("a\nb", "|-\n  a\n  b"),
            ("a\n", "|\n  a"),
            ("a\n\n", "|+\n  a\n"),
            (" a\nb", "|2-\n   a\n  b"),
            ("a \nb", "\"a \\nb\""),
        ] {
            assert_eq!(string_text(text, 2), expect, "{text:?}");
        }
    }

    #[test]
    fn keys_are_sorted_as_go_yaml_does() {
        let mut keys = vec!["b", "a10", "a9", "A", "10", "9", "_x", "a"];
        keys.sort_by(|left, right| compare_keys(left, right));
        // As Docker Compose 2.40 prints them.
        assert_eq!(keys, ["_x", "9", "10", "A", "a", "a9", "a10", "b"]);
    }
}
