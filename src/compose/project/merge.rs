//! One document on top of another, both in their long forms.

use std::collections::BTreeMap;

use crate::compose::project::conform;
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{MergeTag, Node, Value};
use crate::compose::project::schema::{self, Attribute, Form, Shape, Unique};
use crate::compose::project::source::Span;

/// The place of a value, and of the one of the same attribute that it replaced.
pub(crate) type Overridden = BTreeMap<Span, Span>;

/// Merges a document on top of another.
pub(crate) fn documents(base: &mut Node, over: Node, problems: &mut Vec<Diagnostic>, overridden: &mut Overridden) {
    Merge { problems, overridden }.nodes(base, over, &Shape::Object(schema::FILE));
}

/// Merges an entry of a section on top of another.
pub(crate) fn parts(section: &str, base: &mut Node, over: Node, problems: &mut Vec<Diagnostic>, overridden: &mut Overridden) {
    if let Shape::Map(entry) = find(schema::FILE, section) {
        Merge { problems, overridden }.nodes(base, over, entry);
    }
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

struct Merge<'a> {
    problems: &'a mut Vec<Diagnostic>,
    overridden: &'a mut Overridden,
}

impl Merge<'_> {
    fn nodes(&mut self, base: &mut Node, over: Node, shape: &Shape) {
        // A tag stays on what it made, so that it still holds when the result goes on top of a third document (`extends`).
        if over.tag.is_some() || base.tag == Some(MergeTag::Reset) {
            *base = over;
            return;
        }
        match shape {
            Shape::Short(Form::Logging, _) if !over.is_null() && !is_same_driver(base, &over) => *base = over,
            Shape::Short(_, long) => self.nodes(base, over, long),
            Shape::Command | Shape::Test => self.replace(base, over),
            _ if over.is_null() => {}
            _ if base.is_null() => *base = over,
            Shape::Object(attributes) => self.maps(base, over, |key| find(attributes, key)),
            Shape::Map(inner) => self.maps(base, over, |_| inner),
            Shape::Dictionary | Shape::Contexts | Shape::Options => self.maps(base, over, |_| &Shape::Command),
            Shape::Limit if base.as_map().is_some() && over.as_map().is_some() => self.maps(base, over, |key| find(schema::ULIMIT, key)),
            Shape::List(inner, Unique::Within(key)) => self.within(base, over, inner, key),
            Shape::List(_, unique) => self.lists(base, over, *unique),
            Shape::Texts => self.lists(base, over, Unique::Key),
            Shape::Several | Shape::Any if base.as_list().is_some() && over.as_list().is_some() => self.lists(base, over, Unique::Nothing),
            Shape::Any if base.as_map().is_some() && over.as_map().is_some() => self.maps(base, over, |_| &Shape::Any),
            _ => self.replace(base, over),
        }
    }

    fn replace(&mut self, base: &mut Node, over: Node) {
        if base.span != over.span && !base.is_null() {
            self.overridden.insert(over.span, base.span);
        }
        *base = over;
    }

    fn maps(&mut self, base: &mut Node, over: Node, shape: impl Fn(&str) -> &'static Shape) {
        let (span, kind) = (over.span, over.value.kind());
        let (Value::Map(map), Value::Map(upper)) = (&mut base.value, over.value) else {
            // What is of the wrong type was told as that.
            if self.problems.iter().any(|problem| problem.span == Some(span)) {
                return;
            }
            let message = format!("cannot override a mapping with {kind}");
            let problem = Diagnostic::error("override", message).at(span).with(base.span, "the mapping");
            self.problems.push(problem.hint("write a mapping here, too, or `!override` before the value"));
            return;
        };
        // A shape that replaces whole is also that of an absent key: nothing to merge with.
        for (key, entry) in upper {
            match map.get_mut(&key) {
                Some(existing) => {
                    let inner = shape(&key);
                    self.nodes(&mut existing.node, entry.node, inner);
                    existing.key = entry.key;
                }
                None => drop(map.insert(key, entry)),
            }
        }
    }

    /// Items of the same key are merged; those of the upper list that have no such item follow.
    fn within(&mut self, base: &mut Node, over: Node, inner: &Shape, key: &str) {
        let (Value::List(items), Value::List(upper)) = (&mut base.value, over.value) else { return };
        for item in upper {
            let wanted = item.get(key).and_then(Node::as_scalar);
            let same = items.iter_mut().find(|other| wanted.is_some() && other.get(key).and_then(Node::as_scalar) == wanted);
            match same {
                Some(other) => self.nodes(other, item, inner),
                None => items.push(item),
            }
        }
    }

    fn lists(&mut self, base: &mut Node, over: Node, unique: Unique) {
        match (&mut base.value, over.value) {
            (Value::List(items), Value::List(upper)) => {
                items.extend(upper.into_iter().filter(|item| item.tag != Some(MergeTag::Reset)));
                conform::deduplicate(items, unique);
            }
            (value, upper) => *value = upper,
        }
    }
}

/// Options of one log driver mean nothing to another.
fn is_same_driver(base: &Node, over: &Node) -> bool {
    let driver = |node: &Node| node.get("driver").and_then(Node::as_scalar).filter(|driver| !driver.is_empty());
    driver(base).zip(driver(over)).is_none_or(|(one, other)| one == other)
}

fn find(attributes: &'static [Attribute], key: &str) -> &'static Shape {
    #[cfg(test)]
    let attribute = schema::find(attributes, key).filter(|attribute| !Without::is(attribute));
    #[cfg(not(test))]
    let attribute = schema::find(attributes, key);
    attribute.map_or(&Shape::Any, |attribute| attribute.shape)
}

/// One row of the tables has no rule of merging, as long as this lives.
#[cfg(test)]
pub(crate) struct Without;

#[cfg(test)]
thread_local! {
    static WITHOUT: std::cell::Cell<Option<&'static Attribute>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
impl Without {
    /// Takes the rule from a row.
    pub(crate) fn row(row: &'static Attribute) -> Self {
        WITHOUT.set(Some(row));
        Self
    }

    fn is(row: &Attribute) -> bool {
        WITHOUT.get().is_some_and(|without| (without.name, without.about) == (row.name, row.about))
    }
}

#[cfg(test)]
impl Drop for Without {
    fn drop(&mut self) {
        WITHOUT.set(None);
    }
}
