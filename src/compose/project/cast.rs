//! One value against what it is to be: text that reads as a number, a truth, a duration or a size becomes one, as in Docker Compose; all
//! else is reported.

use crate::compose::project::conform::{Trail, Walk};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::fix::Fix;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::path::absolute;
use crate::compose::project::scalar;
use crate::compose::project::schema::{self, Shape};
use crate::compose::project::short;
use crate::compose::project::source::Span;
use crate::compose::project::suggest;

impl Walk<'_> {
    pub(super) fn text(&mut self, node: &Node, trail: &Trail<'_>) {
        if node.as_text().is_none() {
            self.wrong(node, trail, "a string");
        }
    }

    pub(super) fn word(&mut self, node: &Node, words: &[&str], trail: &Trail<'_>) {
        let Some(text) = node.as_text() else { return self.wrong(node, trail, "a string") };
        if !words.contains(&text) {
            let problem = Diagnostic::error("word", format!("{trail}: there is no `{text}`")).at(node.span);
            self.report(match suggest::nearest(text, words.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")).fix(Fix::Replace(node.span, near)),
                None => problem.hint(format!("there are {}", words.join(", "))),
            });
        }
    }

    pub(super) fn setting(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match node.value {
            Value::Boolean(_) => node.value = Value::Text(node.as_scalar().unwrap_or_default()),
            Value::Text(_) => {}
            _ => self.wrong(node, trail, "`true`, `false` or a string"),
        }
    }

    pub(super) fn within(&mut self, node: &mut Node, range: std::ops::RangeInclusive<i64>, trail: &Trail<'_>) {
        self.integer(node, trail);
        if let Value::Integer(number) = node.value
            && !range.contains(&number)
        {
            let nearest = number.clamp(*range.start(), *range.end());
            let message = format!("{trail} is not in the range of {} to {}", range.start(), range.end());
            let problem = Diagnostic::error("range", message).at(node.span);
            self.report(problem.hint(format!("{nearest} would do")).fix(Fix::Replace(node.span, nearest.to_string())));
        }
    }

    pub(super) fn several(&mut self, node: &mut Node, trail: &Trail<'_>) {
        // One that is no list is replaced whole by an override.
        let items = match &mut node.value {
            Value::List(items) => items.as_mut_slice(),
            _ => std::slice::from_mut(node),
        };
        for item in items {
            match item.as_scalar() {
                Some(text) => item.value = Value::Text(text),
                None => self.wrong(item, trail, "a string, a number or a boolean"),
            }
        }
    }

    /// Folders and addresses to build with; what names no folder stays as it is.
    pub(super) fn contexts(&mut self, node: &mut Node, trail: &Trail<'_>) {
        self.dictionary(node, trail);
        for (_, entry) in node.as_map_mut().into_iter().flatten() {
            if let Value::Text(text) = &mut entry.node.value
                && !short::is_remote(text)
            {
                *text = absolute(text, self.base);
            }
        }
    }

    pub(super) fn integer(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match &node.value {
            Value::Integer(_) => {}
            #[expect(clippy::cast_possible_truncation, reason = "a whole number of moderate size, as tested")]
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => node.value = Value::Integer(*float as i64),
            Value::Text(text) => match text.trim().parse() {
                Ok(integer) => node.value = Value::Integer(integer),
                Err(_) => self.cast(node.span, trail, text, "a whole number"),
            },
            _ => self.wrong(node, trail, "a whole number"),
        }
    }

    pub(super) fn number(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match &node.value {
            Value::Integer(_) | Value::Float(_) => {}
            Value::Text(text) => match scalar::resolve(text) {
                number @ (Value::Integer(_) | Value::Float(_)) => node.value = number,
                _ => return self.cast(node.span, trail, text, "a number"),
            },
            _ => return self.wrong(node, trail, "a number"),
        }
        // Docker Compose keeps 32 bits of them.
        if let Value::Float(float) = &mut node.value {
            *float = scalar::single(*float);
            if !float.is_finite() {
                self.report(
                    Diagnostic::error("wrong-type", format!("{trail} must be a number that ends")).at(node.span).hint("write digits"),
                );
            }
        }
    }

    pub(super) fn boolean(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match &node.value {
            Value::Boolean(_) => {}
            Value::Text(text) => match scalar::boolean(text) {
                Some((value, old)) => {
                    if old {
                        let message = format!("{trail}: \"{text}\" for boolean is not supported by YAML 1.2, please use `{value}`");
                        self.report(Diagnostic::warning("old-boolean", message).at(node.span));
                    }
                    node.value = Value::Boolean(value);
                }
                None => self.cast(node.span, trail, text, "`true` or `false`"),
            },
            _ => self.wrong(node, trail, "`true` or `false`"),
        }
    }

    fn cast(&mut self, span: Span, trail: &Trail<'_>, text: &str, expected: &str) {
        let problem = Diagnostic::error("wrong-type", format!("{trail} must be {expected}, not \"{text}\"")).at(span);
        let near = match expected {
            "`true` or `false`" => suggest::nearest(text, ["true", "false"]),
            "a number" => number_in(text),
            _ => None,
        };
        self.report(match near {
            Some(near) => problem.hint(format!("write `{near}`")).fix(Fix::Replace(span, near)),
            None => problem.hint(format!("write {expected} here")),
        });
    }

    pub(super) fn duration(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match &node.value {
            Value::Text(text) => match scalar::duration(text) {
                Some(duration) => node.value = Value::Text(scalar::format_duration(duration)),
                None => {
                    let message = format!("{trail}: invalid duration \"{text}\"");
                    let problem = Diagnostic::error("duration", message).at(node.span);
                    self.report(match duration_in(text) {
                        Some(near) => {
                            problem.hint(format!("write `{near}`, with a unit after each number")).fix(Fix::Replace(node.span, near))
                        }
                        None => problem.hint("write `1h5m30s20ms`, with a unit after each number"),
                    });
                }
            },
            Value::Integer(number) => {
                let problem = Diagnostic::error("duration", format!("{trail} must be a duration, not a number")).at(node.span);
                self.report(problem.hint(format!("write `{number}s` for seconds")).fix(Fix::Replace(node.span, format!("{number}s"))));
            }
            _ => self.wrong(node, trail, "a duration such as `30s`"),
        }
    }

    pub(super) fn bytes(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match &node.value {
            Value::Integer(number) if *number >= 0 => node.value = Value::Text(number.to_string()),
            Value::Text(text) => match scalar::bytes(text) {
                Some(bytes) => node.value = Value::Text(bytes.to_string()),
                None => {
                    let problem = Diagnostic::error("bytes", format!("{trail}: invalid size \"{text}\"")).at(node.span);
                    self.report(match bytes_in(text) {
                        Some(near) => problem.hint(format!("write `{near}`")).fix(Fix::Replace(node.span, near)),
                        None => problem.hint("write a number of bytes, or one with a unit: `512m`, `1.5g`"),
                    });
                }
            },
            _ => self.wrong(node, trail, "a size such as `512m`"),
        }
    }

    pub(super) fn mode(&mut self, node: &mut Node, trail: &Trail<'_>) {
        let bits = match &node.value {
            Value::Integer(number) => u32::try_from(*number).ok(),
            Value::Text(text) => u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok(),
            _ => return self.wrong(node, trail, "permission bits such as `0440`"),
        };
        match bits.filter(|bits| *bits <= 0o7777) {
            Some(bits) => node.value = Value::Text(format!("0{bits:o}")),
            None => {
                let written = node.as_scalar().unwrap_or_default();
                let problem = Diagnostic::error("mode", format!("{trail}: `{written}` are no permission bits")).at(node.span);
                self.report(problem.hint("write octal digits, `0440` or \"0440\""));
            }
        }
    }

    pub(super) fn ulimit(&mut self, node: &mut Node, trail: &Trail<'_>) {
        if matches!(node.value, Value::Map(_)) {
            return self.object(node, schema::ULIMIT, trail);
        }
        self.integer(node, trail);
        if matches!(node.value, Value::Integer(0)) {
            let zero = || Node::new(Value::Integer(0), node.span);
            let mut both = Node::map(node.span);
            both.set("soft", zero());
            both.set("hard", zero());
            node.value = both.value;
        }
    }

    pub(super) fn command(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match &node.value {
            Value::Text(text) => match short::words(text) {
                Ok((words, end)) => {
                    if let Some(sign) = end.map(|end| &text[end..=end]) {
                        let message = format!("{trail}: the line ends at `{sign}`: no shell reads it, and what follows is left out");
                        let hint = "write `[\"sh\", \"-c\", \"…\"]` to have a shell read it, or put the sign in quotes";
                        self.report(Diagnostic::warning("command", message).at(node.span).hint(hint));
                    }
                    node.value = Value::List(words.into_iter().map(|word| Node::text(word, node.span)).collect());
                }
                Err(reason) => {
                    let problem = Diagnostic::error("command", format!("{trail}: invalid command line: {reason}")).at(node.span);
                    self.report(problem.hint("write a list: `[\"program\", \"argument\"]`"));
                }
            },
            Value::List(_) => self.items(node, &Shape::Text, trail),
            _ => self.wrong(node, trail, "a string or a list"),
        }
    }
}

/// A number that somebody may have meant: with a comma, or in thousandths.
fn number_in(text: &str) -> Option<String> {
    let thousandths = text.strip_suffix('m').and_then(|number| number.parse::<u32>().ok());
    let number = thousandths.map_or_else(|| text.replace(',', "."), |number| scalar::format_float(f64::from(number) / 1000.0));
    number.parse::<f64>().is_ok().then_some(number)
}

/// The number that a text begins with, and the first letter after it.
fn amount(text: &str) -> Option<(String, Option<char>)> {
    let text = text.trim().replace(',', ".");
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let unit = text[end..].trim_start().chars().next().map(|letter| letter.to_ascii_lowercase());
    text[..end].parse::<f64>().is_ok().then(|| (text[..end].to_owned(), unit))
}

/// A duration that somebody may have meant: in words, or seconds without a unit.
fn duration_in(text: &str) -> Option<String> {
    let (number, unit) = amount(text)?;
    let near = format!("{number}{}", unit.unwrap_or('s'));
    scalar::duration(&near).map(|_| near)
}

/// A size that somebody may have meant.
fn bytes_in(text: &str) -> Option<String> {
    let (number, unit) = amount(text)?;
    let near = format!("{number}{}", unit.unwrap_or('b'));
    scalar::bytes(&near).map(|_| near)
}
