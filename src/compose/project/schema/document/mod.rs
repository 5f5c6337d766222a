//! The table of attributes as editors read it: schema/compose.schema.json.
//!
//! It judges one file before anything is interpolated or merged: a text with a `$` in it may stand for whatever a text can, and what must be
//! there must be there in each file.

mod agree;
mod form;
mod leaf;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::compose::project::schema::support::up_to_date;
use crate::compose::project::schema::{Attribute, Class, FILE, Shape, ULIMIT};

/// What names of services, networks and so on look like.
const NAME: &str = "[a-zA-Z0-9._-]+";

/// Returns the whole document.
fn document() -> Value {
    let mut writer = Writer::default();
    writer.name(&Shape::Object(FILE), "");
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:gantry:compose",
        "title": "Compose file",
        "description": "What Gantry reads: the Compose Specification. Written from the table that the loader checks files against.",
    });
    let table = writer.table(FILE, "");
    let root = root.as_object_mut().expect("a mapping");
    root.extend(table.as_object().expect("a mapping").clone());
    root["patternProperties"]["^x-"] = json!({
        "description": "Whatever you like: it is kept, and means nothing. `x-gantry` is kept for settings of Gantry's own, of which there are none yet."
    });
    root.insert("$defs".to_owned(), Value::Object(leaf::definitions().into_iter().chain(writer.tables).collect()));
    Value::Object(root.clone())
}

/// A part of the document by its name.
fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Any of several.
fn any_of(parts: impl IntoIterator<Item = Value>) -> Value {
    json!({ "anyOf": parts.into_iter().collect::<Vec<_>>() })
}

#[derive(Default)]
struct Writer {
    /// The shortest path to each table, which is its name; tables are told apart by all that is in them.
    names: BTreeMap<String, String>,
    /// The tables that were written.
    tables: Map<String, Value>,
}

impl Writer {
    /// Gives every table at or below a path its name.
    fn name(&mut self, shape: &Shape, path: &str) {
        match shape {
            Shape::Object(attributes) => {
                let parts = |path: &str| path.split('.').count();
                let name = self.names.entry(format!("{attributes:?}")).or_insert_with(|| path.to_owned());
                if parts(path) < parts(name) {
                    path.clone_into(name);
                }
                for attribute in *attributes {
                    let below = if path.is_empty() { attribute.name.to_owned() } else { format!("{path}.{}", attribute.name) };
                    self.name(attribute.shape, &below);
                }
            }
            Shape::Ulimit | Shape::Limit => self.name(&Shape::Object(ULIMIT), path),
            Shape::Map(inner) | Shape::List(inner, _) | Shape::Short(_, inner) => self.name(inner, path),
            _ => {}
        }
    }

    fn table(&mut self, attributes: &[Attribute], name: &str) -> Value {
        let properties: Map<String, Value> =
            attributes.iter().map(|attribute| (attribute.name.to_owned(), self.property(attribute, name))).collect();
        let needed: Vec<&str> = attributes.iter().filter(|attribute| attribute.needed).map(|attribute| attribute.name).collect();
        let mut table = json!({
            "type": "object",
            "properties": properties,
            "patternProperties": { "^x-": {} },
            "additionalProperties": false,
        });
        if !needed.is_empty() {
            table["required"] = json!(needed);
        }
        table
    }

    fn property(&mut self, attribute: &Attribute, table: &str) -> Value {
        let about = match attribute.class {
            Class::Implemented => attribute.about.to_owned(),
            Class::Inert => format!("{} Without effect.", attribute.about),
            Class::NotYet => format!("{} Not yet supported: what would run it refuses it.", attribute.about),
        };
        let value = match (table, attribute.name) {
            // Nothing is an option of a log driver; of others it is none.
            ("services.logging", "options") => leaf::options(&["string", "number", "null"]),
            (_, "external") => any_of([self.shape(attribute.shape, attribute.name), form::old_external()]),
            // An empty section is one without entries.
            ("", _) => or_null(self.shape(attribute.shape, attribute.name), matches!(attribute.shape, Shape::Map(_))),
            (_, "deploy" | "develop") => or_null(self.shape(attribute.shape, attribute.name), true),
            _ => self.shape(attribute.shape, attribute.name),
        };
        let described = Map::from_iter([("description".to_owned(), Value::from(about))]);
        Value::Object(described.into_iter().chain(value.as_object().expect("a mapping").clone()).collect())
    }

    /// The values of a shape; the key is that of the attribute it belongs to.
    fn shape(&mut self, shape: &Shape, key: &str) -> Value {
        match shape {
            Shape::Object(attributes) => self.reference(attributes),
            Shape::Ulimit | Shape::Limit => any_of([refer("integer"), self.reference(ULIMIT)]),
            Shape::Map(inner) => {
                // A network or a volume without attributes is one with all defaults.
                let inner = or_null(self.shape(inner, key), !matches!(key, "services" | "depends_on"));
                json!({ "type": "object", "patternProperties": { (format!("^{NAME}$")): inner }, "additionalProperties": false })
            }
            Shape::List(inner, _) => json!({ "type": "array", "items": self.shape(inner, key) }),
            Shape::Short(form, long) => form::with(*form, self.shape(long, key)),
            plain => leaf::value(plain),
        }
    }

    /// Writes a table once, and names it.
    fn reference(&mut self, attributes: &[Attribute]) -> Value {
        let name = self.names[&format!("{attributes:?}")].clone();
        if !self.tables.contains_key(&name) {
            // Its place is before those of the tables it names.
            self.tables.insert(name.clone(), Value::Null);
            let table = self.table(attributes, &name);
            self.tables.insert(name.clone(), table);
        }
        refer(&name)
    }
}

/// The same, or nothing where that is allowed; without a choice where it can be said without, for then it is told more exactly what is wrong.
fn or_null(mut value: Value, allowed: bool) -> Value {
    match value.get_mut("type") {
        _ if !allowed => value,
        Some(Value::Array(types)) => {
            types.push(json!("null"));
            value
        }
        Some(kind) => {
            *kind = json!([kind, "null"]);
            value
        }
        None => any_of([value, json!({ "type": "null" })]),
    }
}

/// `UPDATE=1` writes the file.
#[test]
fn the_schema_is_written_from_the_table() {
    up_to_date("compose.schema.json", &format!("{:#}\n", document()));
}
