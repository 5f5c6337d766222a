//! The description, and values of its schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// `schema/engine-api.yaml`.
pub(super) struct Description {
    whole: Value,
}

impl Description {
    pub(super) fn read() -> Self {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/engine-api.yaml"));
        Self { whole: serde_saphyr::from_str(text).expect("the description is YAML") }
    }

    /// Every method and path.
    pub(super) fn operations(&self) -> impl Iterator<Item = (String, String)> {
        let paths = self.whole["paths"].as_object().expect("paths");
        paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path").keys().filter(|key| *key != "parameters");
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
    }

    /// What a reference stands for, or the value itself.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let found = self.whole.pointer(reference.strip_prefix('#').expect("a reference within the page"));
                self.resolve(found.unwrap_or_else(|| panic!("`{reference}` stands for nothing")))
            }
            None => value,
        }
    }

    /// The parameters of an operation's `query` or `header`.
    pub(super) fn parameters(&self, method: &str, path: &str, place: &str) -> Vec<Value> {
        let item = &self.whole["paths"][path];
        let lists = [&item["parameters"], &item[method.to_lowercase()]["parameters"]];
        let all = lists.into_iter().filter_map(Value::as_array).flatten().map(|parameter| self.resolve(parameter));
        all.filter(|parameter| parameter["in"] == place).cloned().collect()
    }

    /// The schema of an operation's body, where that is JSON.
    pub(super) fn body(&self, method: &str, path: &str) -> Option<&Value> {
        self.whole["paths"][path][method.to_lowercase()].pointer("/requestBody/content/application~1json/schema")
    }
}

/// Makes values of schemas: enough that every field is in one of them.
pub(super) struct Sampler<'a> {
    description: &'a Description,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(description: &'a Description) -> Self {
        Self { description }
    }

    /// Texts for a parameter of a query.
    pub(super) fn parameter(&self, parameter: &Value) -> Vec<String> {
        if let Some(schema) = parameter.pointer("/content/application~1json/schema") {
            return self.values(schema).iter().map(ToString::to_string).collect();
        }
        let schema = self.description.resolve(&parameter["schema"]);
        let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.values(schema).iter().map(text).collect()
    }

    /// Values of a schema. Of an object: with the required fields alone, and with each other field's values beside them in turn.
    pub(super) fn values(&self, schema: &Value) -> Vec<Value> {
        let schema = self.description.resolve(schema);
        if let Some(values) = ["enum", "examples"].iter().find_map(|key| schema[*key].as_array()) {
            return values.clone();
        }
        if let Some(value) = schema.get("const") {
            return vec![value.clone()];
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return choices.iter().flat_map(|choice| self.values(choice)).collect();
        }
        let kinds = schema["type"].as_array().map_or_else(|| vec![&schema["type"]], |kinds| kinds.iter().collect());
        match kinds.first().and_then(|kind| kind.as_str()) {
            Some("object") => self.objects(schema),
            Some("array") => {
                let items = schema.get("items").map(|items| self.values(items)).unwrap_or_default();
                let count = schema["minItems"].as_u64().unwrap_or(1).try_into().expect("a small number");
                let mut lists: Vec<Value> = items.into_iter().map(|item| Value::Array(vec![item; count])).collect();
                lists.push(json!([]));
                lists
            }
            Some("boolean") => vec![json!(true)],
            Some("integer") => vec![json!(schema["minimum"].as_i64().unwrap_or(0).max(1))],
            Some("string") => vec![json!(if schema["maxLength"] == 0 { "" } else { "a" })],
            Some("null") => vec![Value::Null],
            _ => panic!("a schema of no kind: {schema}"),
        }
    }

    fn objects(&self, schema: &Value) -> Vec<Value> {
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let required: Map<String, Value> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|name| (name.to_owned(), self.values(&properties[name]).swap_remove(0)))
            .collect();
        let with = |name: &str, value: Value| {
            let mut object = required.clone();
            object.insert(name.to_owned(), value);
            Value::Object(object)
        };
        let mut objects = vec![Value::Object(required.clone())];
        for (name, property) in &properties {
            objects.extend(self.values(property).into_iter().map(|value| with(name, value)));
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            objects.extend(self.values(values).into_iter().map(|value| with(key_of(schema), value)));
        }
        objects
    }

    /// The paths of the fields that are described, and of those that were asked for, without what is known to be fine: fields of an object
    /// that was asked for as a whole.
    pub(super) fn fields(&self, schema: &Value, asked: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut described = BTreeSet::new();
        self.walk(schema, "", &mut described);
        let asked: BTreeSet<String> = asked.iter().map(|path| without_indices(path)).collect();
        let is_whole = |parent: &str| asked.contains(parent) && !asked.iter().any(|path| path.starts_with(&format!("{parent}.")));
        let parents = |path: &str| path.match_indices('.').map(|(end, _)| path[..end].to_owned()).collect::<Vec<_>>();
        // The keys of a map are no fields.
        described.retain(|path| !parents(path).iter().any(|parent| is_whole(parent)));
        (described, asked)
    }

    fn walk(&self, schema: &Value, at: &str, found: &mut BTreeSet<String>) {
        let schema = self.description.resolve(schema);
        let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            found.insert(below(name));
            self.walk(property, &below(name), found);
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            self.walk(values, &below(key_of(schema)), found);
        }
        if let Some(items) = schema.get("items") {
            self.walk(items, at, found);
        }
        for choice in schema["anyOf"].as_array().into_iter().flatten() {
            self.walk(choice, at, found);
        }
    }
}

/// A key for a map.
fn key_of(schema: &Value) -> &str {
    schema.pointer("/propertyNames/examples/0").and_then(Value::as_str).unwrap_or("key")
}

fn without_indices(path: &str) -> String {
    path.split('[').map(|piece| piece.split_once(']').map_or(piece, |(_, rest)| rest)).collect()
}
