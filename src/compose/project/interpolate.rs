//! `$NAME`, `${NAME}` and their operators, evaluated lazily; and the walk that substitutes them in a document.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::source::{SourceMap, Span};

/// Expressions within expressions; a walk may recurse.
const DEPTH_LIMIT: usize = 64;

/// Bytes that variables may stand for in one document, or in one environment file, where a line may double what the one above it doubled.
pub(crate) const ROOM: usize = 16 << 20;

/// Why a template cannot be expanded; the range is of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// What follows `${` is no expression.
    Invalid(Range<usize>),
    /// A variable that is required has no value.
    Missing(Range<usize>, String, String),
    /// Too many expressions within one another.
    Deep(Range<usize>),
    /// Values that leave no room.
    Large(Range<usize>),
}

/// Where values come from, and who hears of those that are missing.
pub(crate) struct Scope<'a> {
    /// Returns a variable's value.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Hears of a variable without value and default, and where in the template it is.
    pub unset: &'a mut dyn FnMut(&str, Range<usize>),
    /// The bytes that values may still take, [`ROOM`] at first.
    pub room: &'a mut usize,
}

/// Replaces every expression of a text.
pub(crate) fn expand(template: &str, scope: &mut Scope<'_>) -> Result<String, TemplateError> {
    if !template.contains('$') {
        return Ok(template.to_owned());
    }
    expand_part(template, 0..template.len(), 0, scope)
}

fn expand_part(template: &str, part: Range<usize>, depth: usize, scope: &mut Scope<'_>) -> Result<String, TemplateError> {
    if depth > DEPTH_LIMIT {
        return Err(TemplateError::Deep(part));
    }
    let mut text = String::new();
    let mut at = part.start;
    while at < part.end {
        let rest = &template[at..part.end];
        let Some(dollar) = rest.find('$') else {
            text.push_str(rest);
            break;
        };
        text.push_str(&rest[..dollar]);
        at += dollar;
        let after = &template[at + 1..part.end];
        if after.starts_with('$') {
            text.push('$');
            at += 2;
        } else if after.starts_with('{') {
            let end = closing_brace(template, at + 2..part.end).ok_or(TemplateError::Invalid(at..part.end))?;
            text.push_str(&expression(template, at..end + 1, depth, scope)?);
            at = end + 1;
        } else {
            let length = name_length(after);
            if length == 0 {
                text.push('$');
            } else {
                text.push_str(&value(&after[..length], at..at + 1 + length, scope)?);
            }
            at += 1 + length;
        }
    }
    Ok(text)
}

/// Evaluates `${…}`; the leftmost operator decides, and what it does not choose is not evaluated.
fn expression(template: &str, whole: Range<usize>, depth: usize, scope: &mut Scope<'_>) -> Result<String, TemplateError> {
    let inner = whole.start + 2..whole.end - 1;
    let body = &template[inner.clone()];
    let length = name_length(body);
    if length == 0 {
        return Err(TemplateError::Invalid(whole));
    }
    let name = &body[..length];
    let operator = &body[length..];
    if operator.is_empty() {
        return value(name, whole, scope);
    }
    let (strict, sign) = match operator.strip_prefix(':') {
        Some(sign) => (true, sign),
        None => (false, operator),
    };
    let set = (scope.lookup)(name).filter(|value| !strict || !value.is_empty());
    let argument = inner.start + length + usize::from(strict) + 1..inner.end;
    match (sign.chars().next(), set) {
        (Some('-' | '?'), Some(value)) => fitting(value, whole, scope),
        (Some('-'), None) | (Some('+'), Some(_)) => expand_part(template, argument, depth + 1, scope),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => {
            let message = expand_part(template, argument, depth + 1, scope)?;
            Err(TemplateError::Missing(whole, name.to_owned(), message))
        }
        _ => Err(TemplateError::Invalid(whole)),
    }
}

fn value(name: &str, place: Range<usize>, scope: &mut Scope<'_>) -> Result<String, TemplateError> {
    match (scope.lookup)(name) {
        Some(value) => fitting(value, place, scope),
        None => {
            (scope.unset)(name, place);
            Ok(String::new())
        }
    }
}

/// Returns a value if there is room for it, and takes that.
fn fitting(value: String, place: Range<usize>, scope: &mut Scope<'_>) -> Result<String, TemplateError> {
    *scope.room = scope.room.checked_sub(value.len()).ok_or(TemplateError::Large(place))?;
    Ok(value)
}

/// What a template says of a variable (`config --variables`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// What stands in its place when it has no value.
    pub default: String,
    /// What stands in its place when it has one.
    pub presence: String,
    /// It must have a value.
    pub required: bool,
}

/// Collects the variables of a document that was not substituted; the first place that gives a default counts.
pub(crate) fn variables(node: &Node, found: &mut BTreeMap<String, Variable>) {
    match &node.value {
        Value::Text(text) => variables_of(text, 0, found),
        Value::List(items) => items.iter().for_each(|item| variables(item, found)),
        Value::Map(map) => map.values().for_each(|entry| variables(&entry.node, found)),
        _ => {}
    }
}

fn variables_of(template: &str, depth: usize, found: &mut BTreeMap<String, Variable>) {
    if depth > DEPTH_LIMIT {
        return;
    }
    let mut at = 0;
    while let Some(dollar) = template.get(at..).and_then(|rest| rest.find('$')) {
        let after = at + dollar + 1;
        let rest = &template[after..];
        let braced = rest.starts_with('{').then(|| closing_brace(template, after + 1..template.len())).flatten();
        let (inside, end) = match braced {
            Some(end) => (&template[after + 1..end], end + 1),
            None => (&rest[..name_length(rest)], after + name_length(rest).max(usize::from(rest.starts_with('$')))),
        };
        at = end;
        let (name, operator) = inside.split_at(name_length(inside));
        if name.is_empty() {
            continue;
        }
        let mut variable = Variable::default();
        let argument = operator.trim_start_matches(':').get(1..).unwrap_or_default();
        match operator.trim_start_matches(':').chars().next() {
            Some('-') => argument.clone_into(&mut variable.default),
            Some('+') => argument.clone_into(&mut variable.presence),
            Some('?') => variable.required = true,
            _ => {}
        }
        let known = found.entry(name.to_owned()).or_default();
        if *known == Variable::default() {
            *known = variable;
        }
        variables_of(argument, depth + 1, found);
    }
}

/// Returns the place of the brace that closes an expression: past all braces within where they are in pairs, else past the expressions within.
fn closing_brace(template: &str, part: Range<usize>) -> Option<usize> {
    let bytes = template.as_bytes();
    let close = |opens: &dyn Fn(usize) -> bool| {
        let mut open = 0_usize;
        part.clone().find(|&at| {
            match bytes[at] {
                b'{' if opens(at) => open += 1,
                b'}' if open == 0 => return true,
                b'}' => open -= 1,
                _ => {}
            }
            false
        })
    };
    close(&|_| true).or_else(|| close(&|at| at > 0 && bytes[at - 1] == b'$'))
}

fn name_length(text: &str) -> usize {
    match text.bytes().next() {
        Some(first) if first == b'_' || first.is_ascii_alphabetic() => {
            text.bytes().position(|byte| byte != b'_' && !byte.is_ascii_alphanumeric()).unwrap_or(text.len())
        }
        _ => 0,
    }
}

/// Substitutes every string value of a document, never a key; reports what cannot be.
pub(crate) fn substitute(node: &mut Node, environment: &BTreeMap<String, String>, sources: &SourceMap, problems: &mut Vec<Diagnostic>) {
    let mut path = Vec::new();
    Walk { environment, sources, problems, room: ROOM }.node(node, &mut path);
}

struct Walk<'a> {
    environment: &'a BTreeMap<String, String>,
    sources: &'a SourceMap,
    problems: &'a mut Vec<Diagnostic>,
    room: usize,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut Node, path: &mut Vec<String>) {
        let span = node.span;
        match &mut node.value {
            Value::Text(text) if text.contains('$') => *text = self.text(text, span, path),
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(format!("[{index}]"));
                    self.node(item, path);
                    path.pop();
                }
            }
            Value::Map(map) => {
                for (key, entry) in map {
                    path.push(key.clone());
                    self.node(&mut entry.node, path);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, span: Span, path: &[String]) -> String {
        let lookup = |name: &str| self.environment.get(name).cloned();
        let mut unset = Vec::new();
        let mut hear = |name: &str, range| unset.push((name.to_owned(), range));
        let expanded = expand(text, &mut Scope { lookup: &lookup, unset: &mut hear, room: &mut self.room });
        for (name, range) in unset {
            let message = format!("The \"{name}\" variable is not set. Defaulting to a blank string.");
            let hint = format!("set {name} in the environment or in `.env`, or give a default: `${{{name}:-…}}`");
            self.problems.push(Diagnostic::warning("unset-variable", message).at(self.place(text, span, range)).hint(hint));
        }
        let path = || path.join(".").replace(".[", "[");
        match expanded {
            Ok(expanded) => expanded,
            Err(TemplateError::Missing(range, name, reason)) => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                let message = format!("error while interpolating {}: required variable {name} is missing a value{reason}", path());
                let hint = format!("set {name} in the environment or in `.env`");
                self.problems.push(Diagnostic::error("missing-variable", message).at(self.place(text, span, range)).hint(hint));
                String::new()
            }
            Err(TemplateError::Large(range)) => {
                let message = format!("error while interpolating {}: the file's variables stand for more than {} MiB", path(), ROOM >> 20);
                self.problems.push(Diagnostic::error("interpolation", message).at(self.place(text, span, range)));
                String::new()
            }
            Err(TemplateError::Invalid(range) | TemplateError::Deep(range)) => {
                let message = format!("invalid interpolation format for {}", path());
                let hint = "you may need to escape any $ with another $";
                self.problems.push(Diagnostic::error("interpolation", message).at(self.place(text, span, range)).hint(hint));
                String::new()
            }
        }
    }

    /// Finds a part of a scalar in its source; the whole scalar when escapes or folding stand between.
    fn place(&self, text: &str, span: Span, range: Range<usize>) -> Span {
        let written = self.sources.slice(span);
        let written = written.trim_end();
        for offset in [0, 1] {
            if written.get(offset..offset + text.len()) == Some(text) {
                return self.sources.within(span, range.start + offset..range.end + offset);
            }
        }
        span
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(template: &str) -> Result<String, TemplateError> {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(template, &mut Scope { lookup: &lookup, unset: &mut |_, _| {}, room: &mut 100 })
    }

    #[test]
    fn expressions_expand() {
        for (template, expect) in [
            ("plain", "plain"),
            ("$A-${A}", "a-a"),
            ("$Ab", ""),
            ("${B}", ""),
            ("${B:-d}${B-d}${EMPTY:-d}${EMPTY-d}", "ddd"),
            ("${A:+x}${B:+x}${EMPTY:+x}${EMPTY+x}", "xx"),
            ("${B:-${C:-${A}}}", "a"),
            ("${B:-x${A}y}", "xay"),
            ("${B:-a:?b}", "a:?b"),
            ("${A:-${D:?unused}}", "a"),
            ("$$A $${A}", "$A ${A}"),
            ("^x$", "^x$"),
            ("$}", "$}"),
            ("$1", "$1"),
            ("${B:-{\"a\"}", "{\"a\""),
            ("${A?m}${A:?m}${EMPTY?m}", "aa"),
        ] {
            assert_eq!(run(template).as_deref(), Ok(expect), "{template}");
        }
    }

    #[test]
    fn errors_name_their_place() {
        for (template, expect) in [
            ("x${}", TemplateError::Invalid(1..4)),
            ("${ x}", TemplateError::Invalid(0..5)),
            ("${x!}", TemplateError::Invalid(0..5)),
            ("${x", TemplateError::Invalid(0..3)),
            ("${B:?set $A}", TemplateError::Missing(0..12, "B".to_owned(), "set a".to_owned())),
            ("${EMPTY:?}", TemplateError::Missing(0..10, "EMPTY".to_owned(), String::new())),
        ] {
            assert_eq!(run(template), Err(expect), "{template}");
        }
        let deep = "${B:-".repeat(1000) + &"}".repeat(1000);
        assert!(matches!(run(&deep), Err(TemplateError::Deep(_))));
        assert_eq!(run(&"$A".repeat(100)), Ok("a".repeat(100)));
        assert_eq!(run(&"$A".repeat(101)), Err(TemplateError::Large(200..202)));
        assert_eq!(run(&"${A:-}".repeat(101)), Err(TemplateError::Large(600..606)));
    }

    #[test]
    fn variables_are_collected_with_what_is_said_of_them() {
        let mut found = BTreeMap::new();
        variables_of("$A ${B:-x${C-y}} ${D:+z}${E:?say it} $$F $${G} ${A:-late} ${} $ ${H", 0, &mut found);
        let shown: Vec<String> = found.iter().map(|(name, it)| format!("{name}|{}|{}|{}", it.default, it.presence, it.required)).collect();
        assert_eq!(shown, ["A|late||false", "B|x${C-y}||false", "C|y||false", "D||z|false", "E|||true"]);
    }

    #[test]
    fn variables_are_collected_as_deep_as_templates_expand() {
        let mut found = BTreeMap::new();
        let deep: String = (0..100_000).map(|level| format!("${{V{level}-")).chain(std::iter::repeat_n("}".to_owned(), 100_000)).collect();
        variables_of(&deep, 0, &mut found);
        assert_eq!(found.len(), DEPTH_LIMIT + 1);
    }

    proptest! {
        #[test]
        fn never_panics_and_errors_lie_inside(template in "[${}A-C:?+é -]{0,24}") {
            use TemplateError::{Deep, Invalid, Large, Missing};
            if let Err(Invalid(range) | Deep(range) | Large(range) | Missing(range, _, _)) = run(&template) {
                prop_assert!(template.get(range).is_some());
            }
        }

        #[test]
        fn what_is_escaped_comes_back(text in "[${}A-C:?+é -]{0,24}") {
            prop_assert_eq!(run(&text.replace('$', "$$")), Ok(text));
        }

        #[test]
        fn text_without_a_dollar_is_unchanged(text in "[^$]{0,40}") {
            prop_assert_eq!(run(&text), Ok(text));
        }

        #[test]
        fn doubling_escapes(text in ".{0,40}") {
            prop_assert_eq!(run(&text.replace('$', "$$")), Ok(text));
        }
    }
}
