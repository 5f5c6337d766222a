//! Which fields differ between two specifications.

use std::fmt;

use serde_json::Value;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The path: `command`, `environment.LEVEL`.
    pub field: String,
    /// What it was, as JSON; absent when it was the default.
    pub from: Option<String>,
    /// What it is to be, as JSON; absent when it is the default.
    pub to: Option<String>,
}

impl fmt::Display for FieldChange {
    /// Writes the field; its values, too, where they are short and cannot be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.field)?;
        let secret = ["environment", "files", "hooks", "labels"].iter().any(|head| self.field.starts_with(head));
        let length = self.from.as_deref().map_or(0, str::len) + self.to.as_deref().map_or(0, str::len);
        if secret || length > 80 {
            return Ok(());
        }
        write!(formatter, " {} -> {}", self.from.as_deref().unwrap_or("unset"), self.to.as_deref().unwrap_or("unset"))
    }
}

/// The fields in which two JSON objects differ, in the order of their names; objects are descended into, lists are not.
pub(super) fn changes(from: &Value, to: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    descend("", Some(from), Some(to), &mut found);
    found
}

fn descend(path: &str, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldChange>) {
    if from == to {
        return;
    }
    if let (Some(Value::Object(left)), Some(Value::Object(right))) = (from, to) {
        let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            descend(&inner, left.get(key), right.get(key), found);
        }
        return;
    }
    // A map that appears or goes is told key by key, too: `environment.LEVEL`, not the whole environment.
    match (from, to) {
        (None, Some(Value::Object(map))) if !path.is_empty() && !map.is_empty() => {
            map.iter().for_each(|(key, value)| descend(&format!("{path}.{key}"), None, Some(value), found));
        }
        (Some(Value::Object(map)), None) if !path.is_empty() && !map.is_empty() => {
            map.iter().for_each(|(key, value)| descend(&format!("{path}.{key}"), Some(value), None, found));
        }
        _ => found.push(FieldChange { field: path.to_owned(), from: from.map(Value::to_string), to: to.map(Value::to_string) }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(from: Value, to: Value, expect: &str) {
        let text: Vec<String> = changes(&from, &to).iter().map(ToString::to_string).collect();
        assert_eq!(text.join("; "), expect);
    }

    #[test]
    fn differences_are_named_by_field() {
        check(json!({"a": 1}), json!({"a": 1}), "");
        check(json!({"init": true}), json!({}), "init true -> unset");
        check(json!({"command": ["a"]}), json!({"command": ["b"]}), r#"command ["a"] -> ["b"]"#);
        check(json!({}), json!({"environment": {"A": "s3cret", "B": null}}), "environment.A; environment.B");
        check(json!({"resources": {"memory": 1}}), json!({"resources": {"memory": 2}}), "resources.memory 1 -> 2");
    }
}
