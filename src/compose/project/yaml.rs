//! The one file that knows the YAML parser: its events become trees of [`Node`], aliases and `<<` resolved, duplicates refused.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{Entry, Map, MergeTag, Node, Value};
use crate::compose::project::scalar;
use crate::compose::project::source::{SourceId, SourceMap, Span};

/// Nodes that aliases may add to one file, so that a few lines cannot become gigabytes ("billion laughs").
const ALIAS_LIMIT: usize = 250_000;
/// Levels of nesting; whoever walks a tree may recurse.
const DEPTH_LIMIT: usize = 100;

/// Parses every document of a source; what cannot be used is reported and left out.
pub(crate) fn parse(sources: &SourceMap, source: SourceId, problems: &mut Vec<Diagnostic>) -> Vec<Node> {
    let text = &sources.get(source).text;
    let mut builder = Builder { text, source, stack: Vec::new(), anchors: BTreeMap::new(), expanded: 0, documents: Vec::new(), problems };
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => {
                if builder.event(event, &span).is_err() {
                    break;
                }
            }
            Err(error) => {
                let at = builder.point(*error.marker());
                builder.problems.push(Diagnostic::error("yaml", format!("invalid YAML: {}", error.info())).at(at).hint(hint(text, at)));
                return Vec::new();
            }
        }
    }
    builder.documents
}

/// The usual mistakes behind a syntax error.
fn hint(text: &str, at: Span) -> &'static str {
    let line = text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or_default();
    if line.contains('\t') {
        "YAML is indented with spaces; this line has a tab"
    } else if line.matches(": ").count() > 1 {
        "a value that contains `: ` needs quotes"
    } else {
        "check the indentation of this line and the one above it, and the quotes"
    }
}

/// The document cannot be read on; the reason is reported.
struct Stop;

/// A collection whose end has not come.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next, of a mapping.
    key: Option<(String, Span, bool)>,
    /// Values of `<<`, in order.
    merges: Vec<Node>,
}

struct Builder<'a> {
    text: &'a str,
    source: SourceId,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    expanded: usize,
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
                    self.problems.push(Diagnostic::error("yaml", "an alias inside the value it stands for").at(span));
                    return Err(Stop);
                };
                self.expanded += node.count();
                if self.expanded > ALIAS_LIMIT {
                    let message =
                        format!("compose file exceeds maximum node visit limit: its aliases stand for more than {ALIAS_LIMIT} values");
                    self.problems.push(Diagnostic::error("yaml", message).at(span));
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
            self.problems.push(Diagnostic::error("yaml", format!("more than {DEPTH_LIMIT} levels of nesting")).at(span));
            return Err(Stop);
        }
        let tag = self.merge_tag(tag, place);
        self.stack.push(Open { node: Node { value, span, tag }, anchor, key: None, merges: Vec::new() });
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
                        if let Some(text) = &text {
                            problem = problem.hint(format!("put it in quotes: \"{text}\""));
                        }
                        self.problems.push(problem);
                        text.unwrap_or_default()
                    }
                };
                open.key = Some((key, node.span, merge));
            }
            (Value::Map(_), Some((_, _, true))) => open.merges.push(node),
            (Value::Map(map), Some((key, span, false))) => {
                if let Some(first) = map.get(&key) {
                    let message = format!("mapping key \"{key}\" already defined at line {}", first.key.line);
                    self.problems.push(
                        Diagnostic::error("duplicate-key", message)
                            .at(span)
                            .with(first.key, "first defined here")
                            .hint("remove one of the two, or merge them"),
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
        let mut merges = Vec::new();
        for node in std::mem::take(&mut open.merges) {
            match node.value {
                Value::List(items) => merges.extend(items),
                _ => merges.push(node),
            }
        }
        let Some(map) = open.node.as_map_mut() else { return };
        for node in merges {
            match node.value {
                Value::Map(merged) => {
                    for (key, entry) in merged {
                        map.entry(key).or_insert(entry);
                    }
                }
                other => self.problems.push(
                    Diagnostic::error("yaml", format!("`<<` takes a mapping or a list of mappings, not {}", other.kind())).at(node.span),
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
