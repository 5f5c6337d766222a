//! An object of JSON whose fields are taken out one by one, so that what is left over can be refused.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api::wire::error::WireError;

/// What becomes of a field that means nothing to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It is refused unless it holds its default: somebody asks for something, and we would not do it.
    Request,
    /// It is left alone: another engine tells more than we understand.
    Answer,
}

/// The fields of an object that have not been taken yet.
#[derive(Debug)]
pub struct Fields {
    path: String,
    map: Map<String, Value>,
    mood: Mood,
}

impl Fields {
    /// The fields of `value`, which is at `path` in the whole; `null` has none.
    pub fn of(path: &str, value: Value, mood: Mood) -> Result<Self, WireError> {
        let map = match value {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            _ => return Err(WireError::malformed(if path.is_empty() { "the body" } else { path }, "an object")),
        };
        Ok(Self { path: path.to_owned(), map, mood })
    }

    /// How left-over fields are treated.
    pub fn mood(&self) -> Mood {
        self.mood
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.map.values().all(Value::is_null)
    }

    /// The full path of a field.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field; `null` is the same as absent. Go's decoder ignores case when no key matches exactly, so this does, too.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        #[cfg(test)]
        crate::api::wire::asked::field(self.path(name));
        self.remove(name)
    }

    fn remove(&mut self, name: &str) -> Option<Value> {
        let found = match self.map.remove(name) {
            Some(value) => Some(value),
            None => {
                let key = self.map.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
                self.map.remove(&key)
            }
        };
        found.filter(|value| !value.is_null())
    }

    /// Takes a field of a type.
    pub fn get<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Result<Option<T>, WireError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|_| WireError::malformed(self.path(name), expected))
    }

    /// Takes a text; an empty one is the same as absent.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, WireError> {
        Ok(self.get::<String>(name, "a string")?.filter(|text| !text.is_empty()))
    }

    /// Takes a list of texts.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, WireError> {
        Ok(self.get(name, "a list of strings")?.unwrap_or_default())
    }

    /// Takes a map of texts.
    pub fn text_map(&mut self, name: &str) -> Result<BTreeMap<String, String>, WireError> {
        Ok(self.get(name, "an object of strings")?.unwrap_or_default())
    }

    /// Takes a truth value; absent is false.
    pub fn flag(&mut self, name: &str) -> Result<bool, WireError> {
        Ok(self.get(name, "true or false")?.unwrap_or_default())
    }

    /// Takes a number that may be negative; 0 is the same as absent.
    pub fn signed(&mut self, name: &str) -> Result<Option<i64>, WireError> {
        Ok(self.get::<i64>(name, "an integer")?.filter(|&number| number != 0))
    }

    /// Takes a number; 0 is the same as absent.
    pub fn unsigned(&mut self, name: &str) -> Result<Option<u64>, WireError> {
        Ok(self.get::<u64>(name, "an integer that is not negative")?.filter(|&number| number != 0))
    }

    /// Takes an object.
    pub fn object(&mut self, name: &str) -> Result<Self, WireError> {
        let value = self.take(name).unwrap_or(Value::Null);
        Self::of(&self.path(name), value, self.mood)
    }

    /// Takes a list.
    pub fn list(&mut self, name: &str) -> Result<Vec<Value>, WireError> {
        Ok(self.get(name, "a list")?.unwrap_or_default())
    }

    /// Takes the entries of an object whose keys are data, in the order they were written.
    pub fn entries(&mut self, name: &str) -> Result<Vec<(String, Value)>, WireError> {
        Ok(self.get::<Map<String, Value>>(name, "an object")?.unwrap_or_default().into_iter().collect())
    }

    /// Takes a field that has no effect here, nor in Docker on one Linux host, when it has one of these values.
    pub fn inert(&mut self, name: &str, values: &[Value]) -> Result<(), WireError> {
        match self.take(name) {
            Some(value) if !values.contains(&value) => self.refuse(name, &value),
            _ => Ok(()),
        }
    }

    /// Takes a field that is told by engines and repeated by clients without meaning.
    pub fn ignore(&mut self, name: &str) {
        self.take(name);
    }

    /// Refuses a field in dockerd's words, as `finish` would in ours: only its default passes.
    pub fn forbid(&mut self, name: &str, message: &str) -> Result<(), WireError> {
        match self.remove(name) {
            Some(value) if self.mood == Mood::Request && !is_default(&value) => {
                Err(WireError::Words { field: self.path(name), message: message.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a field's value in a request; lets it pass in an answer.
    pub fn refuse(&self, name: &str, value: &Value) -> Result<(), WireError> {
        match self.mood {
            Mood::Request if !is_default(value) => Err(WireError::unsupported(self.path(name), value)),
            _ => Ok(()),
        }
    }

    /// Refuses what has not been taken.
    pub fn finish(self) -> Result<(), WireError> {
        self.map.iter().try_for_each(|(name, value)| self.refuse(name, value))
    }
}

/// Whether a value is what Go prints for a field nobody set.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_over_is_refused_by_its_path_unless_it_is_the_default() {
        let check = |value: Value, expect: Option<&str>| {
            let mut fields = Fields::of("HostConfig", value, Mood::Request).expect("an object");
            assert!(fields.text("Known").is_ok());
            let refused = fields.finish().err().map(|error| error.to_string());
            assert_eq!(refused.as_deref(), expect);
        };
        check(json!({"Known": "x", "A": null, "B": 0, "C": "", "D": [], "E": {"F": false}}), None);
        check(
            json!({"known": "x", "CgroupParent": "/a"}),
            Some("`HostConfig.CgroupParent` is not supported by this engine (it was \"/a\")"),
        );
    }

    #[test]
    fn what_dockerd_refuses_is_refused_in_its_words_unless_it_is_the_default() {
        let check = |value: Value, mood, expect: Option<&str>| {
            let mut fields = Fields::of("", json!({ "Odd": value }), mood).expect("an object");
            let refused = fields.forbid("Odd", "no such thing").err().map(|error| error.to_string());
            assert_eq!(refused.as_deref(), expect);
            assert!(fields.is_empty());
        };
        check(json!(0), Mood::Request, None);
        check(json!(1), Mood::Request, Some("no such thing"));
        check(json!(1), Mood::Answer, None);
    }

    #[test]
    fn an_answer_may_tell_more_than_we_know() {
        let fields = Fields::of("", json!({"Future": 1}), Mood::Answer).expect("an object");
        assert!(fields.finish().is_ok());
    }
}
