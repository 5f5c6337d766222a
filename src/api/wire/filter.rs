//! Filters in the query of a list: a JSON object, in the form of today or of before 1.22.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;

/// A filter's values by its key.
pub type Filters = BTreeMap<String, Vec<String>>;

/// Reads filters: `{"label": {"a=b": true}}`, or the older `{"label": ["a=b"]}`; a value that is `false` does not count.
pub fn parse(text: &str) -> Result<Filters, WireError> {
    if text.is_empty() {
        return Ok(Filters::new());
    }
    let wrong = || WireError::malformed("filters", "an object of keys to objects or lists of values");
    // As for Go, `null` is an object or a list with nothing in it.
    let map: Option<Map<String, Value>> = serde_json::from_str(text).map_err(|_| wrong())?;
    let mut filters = Filters::new();
    for (key, values) in map.unwrap_or_default() {
        let values = match values {
            Value::Object(values) => values.into_iter().filter(|(_, on)| *on != Value::Bool(false)).map(|(value, _)| value).collect(),
            Value::Array(values) => {
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(wrong)?
            }
            Value::Null => Vec::new(),
            _ => return Err(wrong()),
        };
        filters.insert(key, values);
    }
    Ok(filters)
}

/// Writes filters in the form of today.
pub fn to_text(filters: &Filters) -> String {
    let map: Map<String, Value> = filters
        .iter()
        .map(|(key, values)| {
            let values: Map<String, Value> = values.iter().map(|value| (value.clone(), json!(true))).collect();
            (key.clone(), Value::Object(values))
        })
        .collect();
    Value::Object(map).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let expect = Filters::from([("label".to_owned(), vec!["a=b".to_owned(), "c".to_owned()])]);
        for text in [r#"{"label":{"a=b":true,"c":true,"d":false}}"#, r#"{"label":["a=b","c"]}"#] {
            assert_eq!(parse(text).expect("good filters"), expect);
        }
        assert_eq!(parse(&to_text(&expect)).expect("good filters"), expect);
        assert_eq!(parse("").expect("no filters"), Filters::new());
        assert_eq!(parse("null").expect("no filters"), Filters::new());
        assert_eq!(parse(r#"{"label":null}"#).expect("no values"), Filters::from([("label".to_owned(), Vec::new())]));
        for text in ["[]", r#"{"label":1}"#, r#"{"label":[1]}"#, "{"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
