//! One value against what it is to be: text that reads as a number, a truth, a duration or a size becomes one, as in Docker Compose; all
//! else is reported.

use crate::compose::project::conform::{Trail, Walk};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::scalar;
use crate::compose::project::schema::{self, Shape};
use crate::compose::project::short;
use crate::compose::project::source::Span;

impl Walk<'_> {
    pub(super) fn text(&mut self, node: &Node, trail: &Trail<'_>) {
        if node.as_text().is_none() {
            self.wrong(node, trail, "a string");
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
        self.invalid(span, "wrong-type", format!("{trail} must be {expected}, not \"{text}\""));
    }

    pub(super) fn duration(&mut self, node: &mut Node, trail: &Trail<'_>) {
        match &node.value {
            Value::Text(text) => match scalar::duration(text) {
                Some(duration) => node.value = Value::Text(scalar::format_duration(duration)),
                None => {
                    let message = format!("{trail}: invalid duration \"{text}\"");
                    self.report(
                        Diagnostic::error("duration", message).at(node.span).hint("write `1h5m30s20ms`, with a unit after each number"),
                    );
                }
            },
            Value::Integer(number) => {
                let problem = Diagnostic::error("duration", format!("{trail} must be a duration, not a number")).at(node.span);
                self.report(problem.hint(format!("write `{number}s` for seconds")));
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
                    self.report(problem.hint("write a number of bytes, or one with a unit: `512m`, `1.5g`"));
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
            self.object(node, schema::ULIMIT, trail);
            let missing = ["soft", "hard"].into_iter().find(|key| node.get(key).is_none());
            if let Some(missing) = missing {
                let problem = Diagnostic::error("ulimit", format!("{trail}: `{missing}` is missing")).at(node.span);
                self.report(problem.hint("write both `soft` and `hard`, or one number for both"));
            }
            return;
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
                Ok(words) => node.value = Value::List(words.into_iter().map(|word| Node::text(word, node.span)).collect()),
                Err(reason) => self.invalid(node.span, "command", format!("{trail}: invalid command line: {reason}")),
            },
            Value::List(_) => self.items(node, &Shape::Text, trail),
            _ => self.wrong(node, trail, "a string or a list"),
        }
    }
}
