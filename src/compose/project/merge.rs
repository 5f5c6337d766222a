//! One document on top of another, both in their long forms.

use crate::compose::project::conform;
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{Entry, Map, MergeTag, Node, Value};
use crate::compose::project::schema::{self, Attribute, Form, Shape};

/// Merges a document on top of another.
pub(crate) fn documents(base: &mut Node, over: Node, problems: &mut Vec<Diagnostic>) {
    merge(base, over, &Shape::Object(schema::FILE), problems);
}

/// Takes out what is tagged `!reset`, and the tags themselves: the end of all merging.
pub(crate) fn settle(node: &mut Node) {
    node.tag = None;
    match &mut node.value {
        Value::List(items) => {
            items.retain(|item| item.tag != Some(MergeTag::Reset));
            items.iter_mut().for_each(settle);
        }
        Value::Map(map) => {
            map.retain(|_, entry| entry.node.tag != Some(MergeTag::Reset));
            map.values_mut().for_each(|entry| settle(&mut entry.node));
        }
        _ => {}
    }
}

fn merge(base: &mut Node, over: Node, shape: &Shape, problems: &mut Vec<Diagnostic>) {
    // A tag stays on what it made, so that it still holds when the result goes on top of a third document (`extends`).
    if over.tag.is_some() {
        *base = over;
        return;
    }
    match shape {
        Shape::Short(Form::Logging, _) if !over.is_null() && !is_same_driver(base, &over) => *base = over,
        Shape::Short(_, long) => merge(base, over, long, problems),
        Shape::Command | Shape::Test => *base = over,
        _ if over.is_null() => {}
        _ if base.is_null() => *base = over,
        Shape::Object(attributes) => maps(base, over, problems, |key| find(attributes, key)),
        Shape::Map(inner) => maps(base, over, problems, |_| inner),
        Shape::Dictionary | Shape::Options => maps(base, over, problems, |_| &Shape::Command),
        Shape::List(_, unique) => lists(base, over, Some(*unique)),
        Shape::Texts => lists(base, over, Some(schema::Unique::Key)),
        Shape::Any if base.as_map().is_some() && over.as_map().is_some() => maps(base, over, problems, |_| &Shape::Any),
        _ => *base = over,
    }
}

/// Options of one log driver mean nothing to another.
fn is_same_driver(base: &Node, over: &Node) -> bool {
    let driver = |node: &Node| node.get("driver").and_then(Node::as_scalar).filter(|driver| !driver.is_empty());
    driver(base).zip(driver(over)).is_none_or(|(one, other)| one == other)
}

fn find(attributes: &'static [Attribute], key: &str) -> &'static Shape {
    // Extensions are the user's own: Docker Compose replaces them whole.
    if key.starts_with("x-") { &Shape::Command } else { schema::find(attributes, key).map_or(&Shape::Any, |attribute| attribute.shape) }
}

fn maps(base: &mut Node, over: Node, problems: &mut Vec<Diagnostic>, shape: impl Fn(&str) -> &'static Shape) {
    let (span, kind) = (over.span, over.value.kind());
    let (Value::Map(map), Value::Map(upper)) = (&mut base.value, over.value) else {
        // What is of the wrong type was told as that.
        if problems.iter().any(|problem| problem.span == Some(span)) {
            return;
        }
        let message = format!("cannot override a mapping with {kind}");
        problems.push(Diagnostic::error("override", message).at(span).with(base.span, "the mapping"));
        return;
    };
    // A shape that replaces whole is also that of an absent key: nothing to merge with.
    for (key, entry) in upper {
        insert(map, key, entry, &shape, problems);
    }
}

fn insert(map: &mut Map, key: String, entry: Entry, shape: &impl Fn(&str) -> &'static Shape, problems: &mut Vec<Diagnostic>) {
    match map.get_mut(&key) {
        Some(existing) => {
            let inner = shape(&key);
            merge(&mut existing.node, entry.node, inner, problems);
            existing.key = entry.key;
        }
        None => {
            map.insert(key, entry);
        }
    }
}

fn lists(base: &mut Node, over: Node, unique: Option<schema::Unique>) {
    match (&mut base.value, over.value) {
        (Value::List(items), Value::List(upper)) => {
            items.extend(upper);
            if let Some(unique) = unique {
                conform::deduplicate(items, unique);
            }
        }
        (value, upper) => *value = upper,
    }
}
