//! The one file that knows the YAML parser: its events become trees of [`Node`], aliases and `<<` resolved, duplicates refused.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::fix::Fix;
use crate::compose::project::node::{Entry, Map, MergeTag, Node, Value};
use crate::compose::project::scalar;
use crate::compose::project::source::{SourceId, SourceMap, Span};

/// Nodes that aliases may add to any file, and further ones for each of its bytes: a few lines cannot become gigabytes ("billion laughs").
const ALIAS_LIMIT: usize = 20_000;
/// The same for each byte of the file.
const ALIASES_A_BYTE: usize = 4;
/// Bytes of text that aliases may add to one file, for the same reason: a node can be long.
const ALIAS_TEXT_LIMIT: usize = 16 << 20;
/// Levels of nesting; whoever walks a tree may recurse.
const DEPTH_LIMIT: usize = 100;

/// Parses every document of a source; what cannot be used is reported and left out.
pub(crate) fn parse(sources: &SourceMap, source: SourceId, problems: &mut Vec<Diagnostic>) -> Vec<Node> {
    let text = &sources.get(source).text;
    let mut builder =
        Builder { text, source, stack: Vec::new(), anchors: BTreeMap::new(), expanded: 0, copied: 0, documents: Vec::new(), problems };
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => {
                if builder.event(event, &span).is_err() {
                    break;
                }
            }
            Err(error) => {
                let at = behind_tab(text, builder.point(*error.marker()));
                let mut problem = Diagnostic::error("yaml", format!("invalid YAML: {}", error.info())).at(at);
                let (hint, fix) = way_out(text, at);
                problem.fix = fix;
                builder.problems.push(problem.hint(hint));
                return Vec::new();
            }
        }
    }
    builder.documents
}

/// Where a scalar was read on into a line that begins with a tab, the tab is what is wrong.
fn behind_tab(text: &str, at: Span) -> Span {
    let rest = text.get(at.range().start..).unwrap_or_default();
    let Some(newline) = rest.find('\n').filter(|newline| rest[..*newline].chars().count() <= 1) else { return at };
    let next = &rest[newline + 1..];
    let indent = &next[..next.len() - next.trim_start_matches([' ', '\t']).len()];
    let Some(tab) = indent.find('\t') else { return at };
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let start = at.start + number(newline + 1 + tab);
    Span { start, end: start + 1, line: at.line + 1, column: number(tab) + 1, ..at }
}

/// The usual mistakes behind a syntax error.
fn way_out(text: &str, at: Span) -> (&'static str, Option<Fix>) {
    let mut start = 0;
    let mut line = "";
    for (number, written) in (1_u32..).zip(text.split_inclusive('\n')) {
        line = written.trim_end();
        if number == at.line {
            break;
        }
        start += written.len();
    }
    let place = |range: std::ops::Range<usize>| {
        let number = |value: usize| u32::try_from(start + value).unwrap_or(u32::MAX);
        Span { start: number(range.start), end: number(range.end), ..at }
    };
    let indent = line.len() - line.trim_start().len();
    if line[..indent].contains('\t') {
        return ("YAML is indented with spaces; this line has a tab", Some(Fix::Untab(at.source)));
    }
    let value = line.find(": ").map(|colon| colon + 2).or_else(|| line.find("- ").map(|dash| dash + 2));
    let Some(value) = value.filter(|value| *value < line.len()) else {
        return ("check the indentation of this line and the one above it, and the quotes", None);
    };
    let written = line[value..].trim_start();
    let value = line.len() - written.len();
    let is_alias =
        written.strip_prefix('*').is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
    if is_alias {
        return ("name an anchor that stands above it: `&name`", None);
    }
    if written.contains(": ") || written.starts_with(['@', '%', '*', '`', '&', '!']) {
        let hint = "a value that contains `: `, or begins with one of YAML's own signs, needs quotes";
        return (hint, Some(Fix::Quote(place(value..line.len()))));
    }
    ("check the indentation of this line and the one above it, and the quotes", None)
}

/// The document cannot be read on; the reason is reported.
struct Stop;

/// A collection whose end has not come.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next, of a mapping.
    key: Option<(String, Span, bool)>,
    /// `<<`, where it is and its value.
    merge: Option<Entry>,
}

struct Builder<'a> {
    text: &'a str,
    source: SourceId,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    expanded: usize,
    copied: usize,
    documents: Vec<Node>,
    problems: &'a mut Vec<Diagnostic>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, place: &granit_parser::Span) -> Result<(), Stop> {
        let span = self.span(place.start, place.end);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let value = match tag.as_deref().and_then(Tag::core_suffix) {
                    Some("str") => Value::Text(text.into_owned()),
                    Some("int" | "bool" | "float" | "null") => scalar::resolve(&text),
                    _ if plain => scalar::resolve(&text),
                    _ => Value::Text(text.into_owned()),
                };
                let tag = self.merge_tag(tag.as_deref(), place);
                self.finish(Node { value, span, tag }, anchor, plain);
            }
            Event::SequenceStart(_, anchor, tag) => self.open(Value::List(Vec::new()), span, anchor, tag.as_deref(), place)?,
            Event::MappingStart(_, anchor, tag) => self.open(Value::Map(Map::new()), span, anchor, tag.as_deref(), place)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut open) = self.stack.pop() {
                    open.node.span.end = span.start.max(open.node.span.end);
                    self.merge(&mut open);
                    self.finish(open.node, open.anchor, false);
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    let problem = Diagnostic::error("yaml", "an alias inside the value it stands for").at(span);
                    self.problems.push(problem.hint("let it stand for something that ends: remove this alias"));
                    return Err(Stop);
                };
                self.expanded += node.count();
                self.copied += text_length(&node);
                let limit = ALIAS_LIMIT + ALIASES_A_BYTE * self.text.len();
                if self.expanded > limit {
                    let message = format!("compose file exceeds maximum node visit limit: its aliases stand for more than {limit} values");
                    let problem = Diagnostic::error("yaml", message).at(span);
                    self.problems.push(problem.hint("write out less by aliases of aliases"));
                    return Err(Stop);
                }
                if self.copied > ALIAS_TEXT_LIMIT {
                    let message = format!("the aliases of the file stand for more than {} MiB of text", ALIAS_TEXT_LIMIT >> 20);
                    self.problems.push(Diagnostic::error("yaml", message).at(span).hint("write out less by aliases of aliases"));
                    return Err(Stop);
                }
                self.finish(node, 0, false);
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, value: Value, span: Span, anchor: usize, tag: Option<&Tag>, place: &granit_parser::Span) -> Result<(), Stop> {
        if self.stack.len() >= DEPTH_LIMIT {
            let problem = Diagnostic::error("yaml", format!("more than {DEPTH_LIMIT} levels of nesting")).at(span);
            self.problems.push(problem.hint("no Compose file needs that many: look for brackets that are not closed"));
            return Err(Stop);
        }
        let tag = self.merge_tag(tag, place);
        self.stack.push(Open { node: Node { value, span, tag }, anchor, key: None, merge: None });
        Ok(())
    }

    /// Hands a finished node to the collection around it.
    fn finish(&mut self, node: Node, anchor: usize, plain: bool) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.stack.last_mut() else {
            self.documents.push(node);
            return;
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(_), None) => {
                let merge = plain && node.as_text() == Some("<<");
                let key = match &node.value {
                    Value::Text(text) => text.clone(),
                    // compose-go refuses keys that are not strings, with numbers and booleans in environments as the usual victims.
                    _ => {
                        let text = node.as_scalar();
                        let mut problem = Diagnostic::error(
                            "non-string-key",
                            format!("non-string key: {} is {}", text.as_deref().unwrap_or("this key"), node.value.kind()),
                        )
                        .at(node.span);
                        problem = match &text {
                            Some(text) => problem.hint(format!("put it in quotes: \"{text}\"")).fix(Fix::Quote(node.span)),
                            None => problem.hint("write a name before the `:`"),
                        };
                        self.problems.push(problem);
                        text.unwrap_or_default()
                    }
                };
                open.key = Some((key, node.span, merge));
            }
            (Value::Map(_), Some((_, key, true))) => match &open.merge {
                None => open.merge = Some(Entry { key, node }),
                Some(first) => {
                    let message = format!("mapping key \"<<\" already defined at line {}", first.key.line);
                    let problem = Diagnostic::error("duplicate-key", message).at(key).with(first.key, "first defined here");
                    self.problems.push(problem.hint("merge both in one list: `<<: [*one, *other]`"));
                }
            },
            (Value::Map(map), Some((key, span, false))) => {
                if let Some(first) = map.get(&key) {
                    let message = format!("mapping key \"{key}\" already defined at line {}", first.key.line);
                    self.problems.push(
                        Diagnostic::error("duplicate-key", message)
                            .at(span)
                            .with(first.key, "first defined here")
                            .hint("remove one of the two, or merge them")
                            .fix(Fix::Remove(span, node.span)),
                    );
                } else {
                    map.insert(key, Entry { key: span, node });
                }
            }
            _ => {}
        }
    }

    /// Applies `<<`: keys written beside it win, then the mapping named first.
    fn merge(&mut self, open: &mut Open) {
        let Some(Entry { node, .. }) = open.merge.take() else { return };
        let merges = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        let Some(map) = open.node.as_map_mut() else { return };
        for node in merges {
            match node.value {
                Value::Map(merged) => {
                    for (key, entry) in merged {
                        // What is reset is reset in the files below, not here.
                        let place = map.entry(key).or_insert_with(|| entry.clone());
                        if place.node.tag == Some(MergeTag::Reset) {
                            *place = entry;
                        }
                    }
                }
                other => self.problems.push(
                    Diagnostic::error("yaml", format!("`<<` takes a mapping or a list of mappings, not {}", other.kind()))
                        .at(node.span)
                        .hint("write an alias of a mapping: `<<: *name`"),
                ),
            }
        }
    }

    fn merge_tag(&mut self, tag: Option<&Tag>, place: &granit_parser::Span) -> Option<MergeTag> {
        let tag = tag?;
        if tag.is_yaml_core_schema() {
            return None;
        }
        match tag.parts() {
            ("!", "reset") => Some(MergeTag::Reset),
            ("!", "override") => Some(MergeTag::Override),
            ("!", "") => None,
            _ => {
                let start = place.tag_start.unwrap_or(place.start);
                let message = format!("unknown tag `{}`", tag.original());
                let at = self.point(start);
                self.problems.push(Diagnostic::error("unknown-tag", message).at(at).hint("Compose knows `!reset` and `!override`"));
                None
            }
        }
    }

    fn point(&self, marker: Marker) -> Span {
        self.span(marker, marker)
    }

    fn span(&self, start: Marker, end: Marker) -> Span {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Span {
            source: self.source,
            start: number(self.offset(start)),
            end: number(self.offset(end).max(self.offset(start))),
            line: number(start.line()),
            column: number(start.col() + 1),
        }
    }

    fn offset(&self, marker: Marker) -> usize {
        marker.byte_offset().unwrap_or_else(|| self.text.char_indices().nth(marker.index()).map_or(self.text.len(), |(offset, _)| offset))
    }
}

/// Counts the bytes of the keys and texts of a node.
fn text_length(node: &Node) -> usize {
    match &node.value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.iter().map(text_length).sum(),
        Value::Map(map) => map.iter().map(|(key, entry)| key.len() + text_length(&entry.node)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn aliases_stand_for_so_many_values_and_so_much_text() {
        let told = |text: String| {
            let mut sources = SourceMap::default();
            let source = sources.add(PathBuf::from("compose.yaml"), text, None);
            let mut problems = Vec::new();
            parse(&sources, source, &mut problems);
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        let aliases = |anchor: &str, count: usize| format!("- &a {anchor}\n- [{}]\n", "*a, ".repeat(count));
        let long = "x".repeat(1 << 20);
        assert!(told(aliases(&long, 16)).is_empty());
        assert_eq!(told(aliases(&long, 17)), ["the aliases of the file stand for more than 16 MiB of text"]);
        let many = format!("[{}]", "x, ".repeat(999));
        assert!(told(aliases(&many, 32)).is_empty());
        assert_eq!(
            told(aliases(&many, 33)),
            ["compose file exceeds maximum node visit limit: its aliases stand for more than 32568 values"]
        );
    }
}
