//! The schema and the loader agree: on every attribute, list item and entry of a mapping, with every one of many values.

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::compose::project::conform::{conform, refuse_incomplete};
use crate::compose::project::diagnostic::Severity;
use crate::compose::project::expand::PORTS;
use crate::compose::project::path::Base;
use crate::compose::project::schema::{Attribute, FILE, Form, Shape, ULIMIT};
use crate::compose::project::source::SourceMap;
use crate::compose::project::{merge, yaml};

/// Texts, a bar between two.
const TEXTS: &str = concat!(
    "| |x|a b|-|all|always|true|True|yes|oFF|nope|null|0|1|-1|+1| 7 |1001|-1000|-1001|0000000|07777|0o17|10000|1.5|1.|.5|.|1e3|1_000|0x1F|0x|0b2|",
    ".inf|-.NaN|512m|1.5 GiB|1bi|1 2|30s|1h5m30s20ms|+1.5µs|5 s|5x|80/tcp|80/HTTP|8080:80|:80|80:|65535|65536|127.0.0.1:80|127.0.0.1::80|",
    "256.0.0.1::80|[::1]:8080:80|::1:8080:80|8000-8010:80-90/udp|a:/b|a::b|./a:/b:ro|a:b:c:d|C:\\x:/data|::|a=b|a =b|=b|a=b=c|a:b=c|z|rebuild|bind|",
    "service_healthy|private|0440",
);

/// Whole numbers are written as such: JSON does not tell 1.0 from 1, and the loader does.
fn samples() -> Vec<Value> {
    let mut samples = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(1000),
        json!(-1001),
        json!(4096),
        json!(65536),
        json!(1.5),
        json!({}),
        json!({ "a": "b" }),
        json!({ "a": 1.5 }),
        json!({ "a": true }),
        json!({ "a": null }),
        json!({ "a": {} }),
        json!({ "a": ["b"] }),
        json!({ "a": [1] }),
        json!({ "a b": "c" }),
        json!({ "x-a": [null] }),
        json!([null]),
        json!([{}]),
        json!([[]]),
        json!([]),
        json!([1]),
        json!([1.5]),
        json!([true]),
    ];
    samples.extend(TEXTS.split('|').map(|text| json!(text)));
    samples.extend(TEXTS.split('|').map(|text| json!([text])));
    samples
}

struct Judges {
    schema: Validator,
    samples: Vec<Value>,
    disagreements: Vec<String>,
}

/// Puts a value at some place of a document.
type Around<'a> = &'a dyn Fn(Value) -> Value;

impl Judges {
    fn table(&mut self, attributes: &[Attribute], path: &str, around: Around<'_>) {
        for attribute in attributes {
            let needed = attributes.iter().filter(|other| other.needed && other.name != attribute.name);
            let others: serde_json::Map<String, Value> = needed.map(|other| (other.name.to_owned(), least(other.shape))).collect();
            let here = |value: Value| {
                let mut table = others.clone();
                table.insert(attribute.name.to_owned(), value);
                around(Value::Object(table))
            };
            let path = format!("{path}.{}", attribute.name);
            self.values(&path, &here);
            self.below(attribute.shape, &path, &here);
        }
    }

    fn below(&mut self, shape: &Shape, path: &str, around: Around<'_>) {
        match shape {
            Shape::Object(attributes) => self.table(attributes, path, around),
            Shape::Ulimit | Shape::Limit => self.table(ULIMIT, path, around),
            Shape::Short(Form::Keys, _) => {}
            Shape::Short(_, long) => self.below(long, path, around),
            Shape::Map(inner) => {
                let (path, here) = (format!("{path}.*"), |value: Value| around(json!({ "a": value })));
                self.values(&path, &here);
                self.below(inner, &path, &here);
            }
            Shape::List(inner, _) => {
                let (path, here) = (format!("{path}[]"), |value: Value| around(json!([value])));
                self.values(&path, &here);
                self.below(inner, &path, &here);
            }
            _ => {}
        }
    }

    fn values(&mut self, path: &str, around: Around<'_>) {
        for sample in &self.samples.clone() {
            let document = around(sample.clone());
            let (loader, schema) = (refused(&document), self.schema.validate(&document).err());
            if loader.is_some() != schema.is_some() {
                let schema = schema.map(|error| error.to_string());
                self.disagreements.push(format!("{path} = {sample}\n  loader: {loader:?}\n  schema: {schema:?}"));
            }
        }
    }
}

/// A value that fits.
fn least(shape: &Shape) -> Value {
    match shape {
        Shape::Word(words) => json!(words[0]),
        Shape::Integer => json!(1),
        Shape::Command | Shape::Texts | Shape::List(..) => json!(["x"]),
        _ => json!("x"),
    }
}

/// Why the loader does not take a document, if it does not.
fn refused(document: &Value) -> Option<String> {
    let mut sources = SourceMap::default();
    let source = sources.add("compose.yaml".into(), document.to_string(), None);
    let mut problems = Vec::new();
    let mut node = yaml::parse(&sources, source, &mut problems).pop()?;
    let base = Base { folder: Path::new("/"), home: None, shown_from: Some(Path::new("/")), keep_templates: false };
    conform(&mut node, base, &mut Some(PORTS), &mut problems);
    merge::settle(&mut node);
    refuse_incomplete(&node, &mut problems);
    problems.into_iter().find(|problem| problem.severity == Severity::Error).map(|problem| problem.message)
}

#[test]
fn the_schema_takes_what_the_loader_takes() {
    let schema = jsonschema::validator_for(&super::document()).expect("a schema");
    let mut judges = Judges { schema, samples: samples(), disagreements: Vec::new() };
    judges.table(FILE, "", &|value| value);
    let disagreements = judges.disagreements;
    assert!(disagreements.is_empty(), "{} times\n{}", disagreements.len(), disagreements.join("\n"));
}
