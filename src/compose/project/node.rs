//! A document as a tree; every node remembers the place it was written at, through aliases, merges and short forms.

use std::collections::BTreeMap;

use crate::compose::project::scalar;
use crate::compose::project::source::Span;

/// What a tag says about merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MergeTag {
    /// `!reset`: the attribute goes, the value is ignored.
    Reset,
    /// `!override`: the value replaces, nothing is merged.
    Override,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The value.
    pub value: Value,
    /// Where.
    pub span: Span,
    /// `!reset` or `!override`.
    pub tag: Option<MergeTag>,
}

/// A key's value, and where the key was written.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where the key is.
    pub key: Span,
    /// The value.
    pub node: Node,
}

/// A mapping; its order carries no meaning in a Compose file.
pub(crate) type Map = BTreeMap<String, Entry>;

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping.
    Map(Map),
}

impl Value {
    /// Names the kind for people.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// Makes a node without a tag.
    pub(crate) const fn new(value: Value, span: Span) -> Self {
        Self { value, span, tag: None }
    }

    /// Makes a text.
    pub(crate) fn text(text: impl Into<String>, span: Span) -> Self {
        Self::new(Value::Text(text.into()), span)
    }

    /// Makes an empty mapping.
    pub(crate) const fn map(span: Span) -> Self {
        Self::new(Value::Map(Map::new()), span)
    }

    /// Returns the text of a text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a scalar as Go would print it; nothing for null, lists and mappings.
    pub(crate) fn as_scalar(&self) -> Option<String> {
        match &self.value {
            Value::Boolean(boolean) => Some(boolean.to_string()),
            Value::Integer(integer) => Some(integer.to_string()),
            Value::Float(float) => Some(scalar::format_float(*float)),
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns the mapping.
    pub(crate) const fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the mapping, to change it.
    pub(crate) const fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the items of a sequence.
    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the value under a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key).map(|entry| &entry.node)
    }

    /// Returns the value under a key of a mapping, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_map_mut()?.get_mut(key).map(|entry| &mut entry.node)
    }

    /// Whether it is null, or a collection without anything in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.is_empty(),
            _ => false,
        }
    }

    /// Whether it is null.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Puts a value under a key of a mapping, at the place of the value; no effect on anything but a mapping.
    pub(crate) fn set(&mut self, key: &str, node: Self) {
        if let Value::Map(map) = &mut self.value {
            map.insert(key.to_owned(), Entry { key: node.span, node });
        }
    }

    /// Counts the nodes below it, and itself.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(map) => map.values().map(|entry| entry.node.count()).sum(),
            _ => 0,
        }
    }
}
