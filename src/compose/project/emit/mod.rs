//! A project as `config` prints it: Docker Compose's order, quoting and indentation.

mod json;
mod yaml;

use std::path::PathBuf;

use serde_json::{Map, Number, Value as Output};

use crate::compose::project::load::Model;
use crate::compose::project::model::Project;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::scalar;
use crate::compose::project::schema::{self, Attribute, Print, Shape};
use crate::compose::project::source::SourceMap;
use crate::compose::project::{merge, yaml as reader};

/// Returns the project as YAML: what Docker Compose's `config` prints, and a valid project file itself.
pub fn to_yaml(project: &Project) -> String {
    yaml::write(&document(&project.document, Some(project), Form { json: false, raw: false, escape: true }))
}

/// Returns a model as YAML, its templates as they were written.
pub fn model_to_yaml(model: &Model) -> String {
    yaml::write(&document(&model.0, None, Form { json: false, raw: true, escape: false }))
}

/// Returns a model as JSON, its templates as they were written.
pub fn model_to_json(model: &Model) -> String {
    json::write(&document(&model.0, None, Form { json: true, raw: true, escape: false }))
}

/// Returns the project as JSON, indented, without a line break at the end.
pub fn to_json(project: &Project) -> String {
    json::write(&document(&project.document, Some(project), Form { json: true, raw: false, escape: true }))
}

/// Returns each document of a YAML text as it is written, aliases and `<<` resolved and without what is tagged `!reset`: what a JSON Schema judges.
pub fn tree(text: &str) -> Vec<Output> {
    let mut sources = SourceMap::default();
    let source = sources.add(PathBuf::new(), text.to_owned(), None);
    let mut documents = reader::parse(&sources, source, &mut Vec::new());
    documents.iter_mut().for_each(merge::settle);
    documents.iter().map(|document| any(document, Form { json: true, raw: true, escape: false })).collect()
}

/// Returns a string as YAML, in quotes where it needs them.
pub fn yaml_text(text: &str) -> String {
    yaml::string_text(text, 4)
}

/// The two forms differ in more than syntax: Go leaves out different things, and sorts differently.
#[derive(Clone, Copy)]
struct Form {
    json: bool,
    /// Nothing is left out, and keys are sorted: Docker Compose prints no project then, but the tree of its files.
    raw: bool,
    /// A literal dollar of a value is doubled, so that the output loads to the same project; keys are never interpolated.
    escape: bool,
}

/// The whole of a document, or what is in a project of it.
fn document(root: &Node, project: Option<&Project>, form: Form) -> Output {
    let has = |keys: &dyn Fn(&Project) -> bool| project.is_none_or(keys);
    let service = |key: &str| has(&|project| project.services.contains_key(key));
    let network = |key: &str| has(&|project| project.networks.contains_key(key));
    let volume = |key: &str| has(&|project| project.volumes.contains_key(key));
    let mut services = root.get("services").map(|node| pick(node, service, form, schema::SERVICE));
    if let Some(project) = project {
        services.iter_mut().for_each(|services| drop_absent(services, project));
    }
    let networks = root.get("networks").map(|node| pick(node, network, form, schema::NETWORK));
    let volumes = root.get("volumes").map(|node| pick(node, volume, form, schema::VOLUME));
    let secret = |key: &str| has(&|project| project.secrets.contains_key(key));
    let config = |key: &str| has(&|project| project.configs.contains_key(key));
    let secrets = root.get("secrets").map(|node| pick(node, secret, form, schema::SECRET));
    let configs = root.get("configs").map(|node| pick(node, config, form, schema::CONFIG));
    let model = |key: &str| has(&|project| project.models.contains(key));
    let models = root.get("models").map(|node| pick(node, model, form, schema::MODEL));
    let name = root.get("name").and_then(Node::as_text).filter(|name| !name.is_empty());
    let mut fields: Vec<(String, Output)> = name.map(|name| ("name".to_owned(), Output::from(name))).into_iter().collect();
    fields.push(("services".to_owned(), services.unwrap_or_else(|| Output::Object(Map::new()))));
    for (key, value) in [("networks", networks), ("volumes", volumes), ("secrets", secrets), ("configs", configs), ("models", models)] {
        fields.extend(value.filter(|value| !is_empty(value)).map(|value| (key.to_owned(), value)));
    }
    extensions(root, form, &mut fields);
    if form.json || form.raw {
        fields.sort_by(|left, right| left.0.cmp(&right.0));
    }
    Output::Object(fields.into_iter().collect())
}

/// What a service may do without, and does, is no dependency.
fn drop_absent(services: &mut Output, project: &Project) {
    for service in services.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some(dependencies) = service.get_mut("depends_on").and_then(Output::as_object_mut) else { continue };
        let needed = |terms: &Output| terms.get("required") != Some(&Output::Bool(false));
        dependencies.retain(|name, terms| needed(terms) || project.services.contains_key(name.as_str()));
        if let Some(service) = service.as_object_mut().filter(|service| service.get("depends_on").is_some_and(is_empty)) {
            service.shift_remove("depends_on");
        }
    }
}

fn pick(node: &Node, keep: impl Fn(&str) -> bool, form: Form, attributes: &'static [Attribute]) -> Output {
    let entries = node.as_map().into_iter().flatten().filter(|(key, _)| keep(key));
    sorted(entries.map(|(key, entry)| (key.clone(), object(&entry.node, attributes, form))).collect(), form)
}

/// Mappings with keys of the user's choice are sorted: by bytes in JSON, numbers within names by value in YAML.
fn sorted(mut fields: Vec<(String, Output)>, form: Form) -> Output {
    if !form.json {
        fields.sort_by(|left, right| yaml::compare_keys(&left.0, &right.0));
    }
    Output::Object(fields.into_iter().collect())
}

fn object(node: &Node, attributes: &'static [Attribute], form: Form) -> Output {
    let Some(map) = node.as_map() else { return Output::Null };
    if form.raw {
        let shape = |key: &str| schema::find(attributes, key).map_or(&Shape::Any, |attribute| attribute.shape);
        return sorted(map.iter().map(|(key, entry)| (key.clone(), shaped(&entry.node, shape(key), form))).collect(), form);
    }
    let mut fields = Vec::new();
    for attribute in attributes {
        let value = map.get(attribute.name).map(|entry| shaped(&entry.node, attribute.shape, form));
        match value {
            Some(value) if !is_left_out(attribute, &value) => fields.push((attribute.name.to_owned(), value)),
            _ => fields.extend(stand_in(attribute.name, form).map(|value| (attribute.name.to_owned(), value))),
        }
    }
    extensions(node, form, &mut fields);
    Output::Object(fields.into_iter().collect())
}

/// What Go's JSON writes for an absent value, where it writes one.
fn stand_in(name: &str, form: Form) -> Option<Output> {
    match name {
        _ if !form.json => None,
        "command" | "entrypoint" => Some(Output::Null),
        "ipam" | "resources" | "placement" => Some(Output::Object(Map::new())),
        _ => None,
    }
}

fn is_left_out(attribute: &Attribute, value: &Output) -> bool {
    match (attribute.print, value) {
        (Print::Always, value) => value.is_null(),
        (Print::UnlessTrue, value) => *value == Output::Bool(true),
        (Print::Default, Output::Object(_)) if matches!(attribute.shape, Shape::Object(_) | Shape::Short(_, Shape::Object(_))) => false,
        (_, Output::String(text)) if matches!(attribute.shape, Shape::Bytes | Shape::Swap) => matches!(text.as_str(), "" | "0"),
        (_, value) => is_empty(value),
    }
}

fn is_empty(value: &Output) -> bool {
    match value {
        Output::Null => true,
        Output::Bool(boolean) => !boolean,
        Output::Number(number) => number.as_f64() == Some(0.0),
        Output::String(text) => text.is_empty(),
        Output::Array(items) => items.is_empty(),
        Output::Object(map) => map.is_empty(),
    }
}

fn shaped(node: &Node, shape: &'static Shape, form: Form) -> Output {
    match (shape, &node.value) {
        (Shape::Short(_, long), _) => shaped(node, long, form),
        (Shape::Object(attributes), Value::Map(_)) => object(node, attributes, form),
        (Shape::Ulimit | Shape::Limit, Value::Map(_)) => object(node, schema::ULIMIT, form),
        (Shape::Map(inner), Value::Map(map)) => {
            sorted(map.iter().map(|(key, entry)| (key.clone(), shaped(&entry.node, inner, form))).collect(), form)
        }
        (Shape::Several, Value::Text(_)) => Output::Array(vec![any(node, form)]),
        (Shape::List(inner, _), Value::List(items)) => Output::Array(items.iter().map(|item| shaped(item, inner, form)).collect()),
        _ => any(node, form),
    }
}

fn any(node: &Node, form: Form) -> Output {
    match &node.value {
        Value::Null => Output::Null,
        Value::Boolean(boolean) => Output::Bool(*boolean),
        Value::Integer(integer) => Output::from(*integer),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of moderate size, as tested")]
        Value::Float(float) if form.json && float.fract() == 0.0 && float.abs() < 1e15 => Output::from(*float as i64),
        Value::Float(float) => Number::from_f64(*float).map_or_else(|| Output::from(scalar::format_float(*float)), Output::Number),
        Value::Text(text) if form.escape && text.contains('$') => Output::from(text.replace('$', "$$")),
        Value::Text(text) => Output::from(text.as_str()),
        Value::List(items) => Output::Array(items.iter().map(|item| any(item, form)).collect()),
        Value::Map(map) => sorted(map.iter().map(|(key, entry)| (key.clone(), any(&entry.node, form))).collect(), form),
    }
}

/// Extensions of the file follow its attributes; those of inner objects are no part of Go's JSON.
fn extensions(node: &Node, form: Form, fields: &mut Vec<(String, Output)>) {
    let top = fields.iter().any(|(key, _)| key == "services");
    if form.json && !top {
        return;
    }
    let mut found: Vec<_> = node.as_map().into_iter().flatten().filter(|(key, _)| key.starts_with("x-")).collect();
    found.sort_by(|left, right| yaml::compare_keys(left.0, right.0));
    fields.extend(found.into_iter().map(|(key, entry)| (key.clone(), any(&entry.node, form))));
}
