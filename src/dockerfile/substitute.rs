//! Patterns in `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`: `*`, `?` and escapes, no brackets.

use regex_lite::Regex;

use super::bound::Room;

/// Takes what a pattern matches away from the start.
pub(super) fn trim_start(value: &str, pattern: &str, longest: bool) -> Result<String, String> {
    let found = compile(pattern, longest, true)?.find(value).map_or(0, |it| it.end());
    Ok(value[found..].to_owned())
}

/// Takes what a pattern matches away from the end.
pub(super) fn trim_end(value: &str, pattern: &str, longest: bool) -> Result<String, String> {
    // What is wrong with it is said of the pattern as it is written.
    compile(pattern, longest, true)?;
    // The shortest match at the end is the shortest one at the start of the same read backwards.
    let backwards: String = value.chars().rev().collect();
    let trimmed = trim_start(&backwards, &reversed(pattern), longest)?;
    Ok(trimmed.chars().rev().collect())
}

/// Replaces the first match, or all of them, as far as there is room.
pub(super) fn replace(value: &str, pattern: &str, replacement: &str, all: bool, room: &mut Room) -> Result<String, String> {
    room.compare(pattern, value)?;
    let pattern = compile(pattern, true, false)?;
    let mut replaced = String::new();
    let mut end = 0;
    for found in pattern.find_iter(value).take(if all { usize::MAX } else { 1 }) {
        room.take(replacement.len())?;
        replaced.push_str(&value[end..found.start()]);
        replaced.push_str(replacement);
        end = found.end();
    }
    Ok(replaced + &value[end..])
}

/// A pattern read backwards; an escape stays before the letter that it escapes.
fn reversed(pattern: &str) -> String {
    let mut pieces = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let mut piece = letter.to_string();
        if letter == '\\' {
            piece.extend(letters.next());
        }
        pieces.push(piece);
    }
    pieces.into_iter().rev().collect()
}

fn compile(pattern: &str, longest: bool, anchored: bool) -> Result<Regex, String> {
    let mut expression = String::from(if anchored { "^" } else { "" });
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => expression.push_str(if longest { ".*" } else { ".*?" }),
            '?' => expression.push('.'),
            '\\' => match letters.next() {
                // These two are escaped for the braces around, not for the pattern.
                Some(next @ ('}' | '/')) => expression.push_str(&regex_lite::escape(&next.to_string())),
                Some(next @ ('*' | '?' | '\\')) => expression.extend(['\\', next]),
                Some(next) => return Err(format!("the pattern `{pattern}` has the unknown escape `\\{next}`")),
                None => return Err(format!("the pattern `{pattern}` ends in an escape")),
            },
            letter => expression.push_str(&regex_lite::escape(&letter.to_string())),
        }
    }
    Regex::new(&expression).map_err(|_| format!("`{pattern}` is not a pattern"))
}
