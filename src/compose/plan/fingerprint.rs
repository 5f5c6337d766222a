//! The form in which a specification is kept in a label, hashed and compared: JSON with sorted keys and without defaults.
//!
//! Leaving defaults out is what keeps an upgrade quiet: a field added later is absent from both sides, so nothing is recreated.

use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::compose::plan::label;
use crate::resource::container::{ContainerSpec, Remarks};

/// What a container's specification is when nothing is asked for: known once, compared with for every container.
static CONTAINER: LazyLock<Value> = LazyLock::new(|| as_json(&ContainerSpec::default()));

/// A specification as JSON: keys sorted, fields that have their default value left out.
pub(super) fn canonical<T: Serialize + Default>(spec: &T) -> Value {
    without(as_json(spec), &as_json(&T::default()))
}

fn as_json<T: Serialize>(spec: &T) -> Value {
    // Invariant: specs are plain data with string keys, which JSON can always hold.
    serde_json::to_value(spec).expect("a specification is plain data")
}

fn without(spec: Value, defaults: &Value) -> Value {
    let (Value::Object(fields), Value::Object(defaults)) = (spec, defaults) else { return Value::Null };
    let kept = fields.into_iter().filter(|(key, value)| defaults.get(key) != Some(value));
    sorted(Value::Object(kept.collect()))
}

/// A container's specification as it is compared: without the labels that Compose itself adds, and without what is in injected
/// files: it does not belong in a label, nor in a digest there, and is compared apart.
pub(super) fn of_container(spec: &ContainerSpec) -> Value {
    let mut spec = spec.clone();
    spec.labels.retain(|key, _| !label::is_own(key));
    // They decide nothing.
    spec.remarks = Remarks::default();
    spec.files.iter_mut().for_each(|file| file.content.clear());
    without(as_json(&spec), &CONTAINER)
}

/// A specification read back from a label, in today's canonical form.
pub(super) fn read<T: Serialize + Default + DeserializeOwned>(text: &str) -> Option<Value> {
    serde_json::from_str::<T>(text).ok().map(|spec| canonical(&spec))
}

/// The digest of a canonical form, in hexadecimal.
pub(super) fn hash(canonical: &Value) -> String {
    Sha256::digest(canonical.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(Map::from_iter(fields))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_own_labels_leave_no_trace() {
        let mut spec = ContainerSpec { image: "a".to_owned(), ..ContainerSpec::default() };
        spec.labels.insert(label::NUMBER.to_owned(), "2".to_owned());
        assert_eq!(of_container(&spec).to_string(), r#"{"image":"a","labels":{}}"#.replace(r#","labels":{}"#, ""));
        spec.labels.insert("mine".to_owned(), "x".to_owned());
        assert_eq!(of_container(&spec).to_string(), r#"{"image":"a","labels":{"mine":"x"}}"#);
    }

    #[test]
    fn a_label_of_yesterday_reads_as_today() {
        let spec = ContainerSpec { image: "a".to_owned(), init: true, ..ContainerSpec::default() };
        let kept = of_container(&spec);
        assert_eq!(read::<ContainerSpec>(&kept.to_string()), Some(kept));
        assert_eq!(read::<ContainerSpec>(r#"{"of a later version": 1}"#), None);
    }
}
