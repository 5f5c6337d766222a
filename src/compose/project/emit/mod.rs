//! A project as `config` prints it: Docker Compose's order, quoting and indentation.

mod json;
mod yaml;

use serde_json::{Map, Number, Value as Output};

use crate::compose::project::load::Model;
use crate::compose::project::model::Project;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::scalar;
use crate::compose::project::schema::{self, Attribute, Shape};

/// Returns the project as YAML: what Docker Compose's `config` prints, and a valid project file itself.
pub fn to_yaml(project: &Project) -> String {
    // A literal dollar is doubled, so that the output loads to the same project.
    yaml::write(&document(&project.document, Some(project), Form::Yaml)).replace('$', "$$")
}

/// Returns a model as YAML, its templates as they were written.
pub fn model_to_yaml(model: &Model) -> String {
    yaml::write(&document(&model.0, None, Form::Yaml))
}

/// Returns a model as JSON, its templates as they were written.
pub fn model_to_json(model: &Model) -> String {
    json::write(&document(&model.0, None, Form::Json))
}

/// Returns the project as JSON, indented, without a line break at the end.
pub fn to_json(project: &Project) -> String {
    json::write(&document(&project.document, Some(project), Form::Json)).replace('$', "$$")
}

/// Returns a string as YAML, in quotes where it needs them.
pub fn yaml_text(text: &str) -> String {
    yaml::string_text(text, 4)
}

/// The two forms differ in more than syntax: Go leaves out different things, and sorts differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Yaml,
    Json,
}

/// The whole of a document, or what is in a project of it.
fn document(root: &Node, project: Option<&Project>, form: Form) -> Output {
    let has = |key: &str, keys: &dyn Fn(&Project) -> bool| project.map_or(!key.starts_with("x-"), keys);
    let service = |key: &str| has(key, &|project| project.services.contains_key(key));
    let network = |key: &str| has(key, &|project| project.networks.contains_key(key));
    let volume = |key: &str| has(key, &|project| project.volumes.contains_key(key));
    let services = root.get("services").map(|node| pick(node, service, form, schema::SERVICE));
    let networks = root.get("networks").map(|node| pick(node, network, form, schema::NETWORK));
    let volumes = root.get("volumes").map(|node| pick(node, volume, form, schema::VOLUME));
    let secret = |key: &str| has(key, &|project| project.secrets.contains_key(key));
    let config = |key: &str| has(key, &|project| project.configs.contains_key(key));
    let secrets = root.get("secrets").map(|node| pick(node, secret, form, schema::SECRET));
    let configs = root.get("configs").map(|node| pick(node, config, form, schema::CONFIG));
    let name = root.get("name").and_then(Node::as_text).unwrap_or_default();
    let mut fields = vec![("name".to_owned(), Output::from(name))];
    fields.push(("services".to_owned(), services.unwrap_or_else(|| Output::Object(Map::new()))));
    for (key, value) in [("networks", networks), ("volumes", volumes), ("secrets", secrets), ("configs", configs)] {
        fields.extend(value.filter(|value| !is_empty(value)).map(|value| (key.to_owned(), value)));
    }
    extensions(root, form, &mut fields);
    if form == Form::Json {
        fields.sort_by(|left, right| left.0.cmp(&right.0));
    }
    Output::Object(fields.into_iter().collect())
}

fn pick(node: &Node, keep: impl Fn(&str) -> bool, form: Form, attributes: &[Attribute]) -> Output {
    let entries = node.as_map().into_iter().flatten().filter(|(key, _)| keep(key));
    sorted(entries.map(|(key, entry)| (key.clone(), object(&entry.node, attributes, form))).collect(), form)
}

/// Mappings with keys of the user's choice are sorted: by bytes in JSON, numbers within names by value in YAML.
fn sorted(mut fields: Vec<(String, Output)>, form: Form) -> Output {
    if form == Form::Yaml {
        fields.sort_by(|left, right| yaml::compare_keys(&left.0, &right.0));
    }
    Output::Object(fields.into_iter().collect())
}

fn object(node: &Node, attributes: &[Attribute], form: Form) -> Output {
    let Some(map) = node.as_map() else { return Output::Null };
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
        _ if form == Form::Yaml => None,
        "command" | "entrypoint" => Some(Output::Null),
        "ipam" | "resources" | "placement" => Some(Output::Object(Map::new())),
        _ => None,
    }
}

/// Go's `omitempty`: zero values go, but not where the field is a pointer, whose zero somebody wrote.
fn is_left_out(attribute: &Attribute, value: &Output) -> bool {
    match (attribute.name, value) {
        ("create_host_path", value) => *value == Output::Bool(true),
        ("init" | "scale" | "replicas" | "retries" | "enable_ipv4" | "enable_ipv6" | "required" | "attach", value) => value.is_null(),
        ("command" | "entrypoint", value) => value.is_null(),
        ("soft" | "hard" | "parallelism" | "max_attempts" | "logging", value) => value.is_null(),
        // Structures within structures, and no pointers.
        ("ipam" | "resources" | "placement", value) => is_empty(value),
        (_, Output::Object(map)) if matches!(attribute.shape, Shape::Object(_) | Shape::Any) => {
            map.is_empty() && matches!(attribute.shape, Shape::Any)
        }
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

fn shaped(node: &Node, shape: &Shape, form: Form) -> Output {
    match (shape, &node.value) {
        (Shape::Short(_, long), _) => shaped(node, long, form),
        (Shape::Object(attributes), Value::Map(_)) => object(node, attributes, form),
        (Shape::Ulimit, Value::Map(_)) => object(node, schema::ULIMIT, form),
        (Shape::Map(inner), Value::Map(map)) => {
            sorted(map.iter().map(|(key, entry)| (key.clone(), shaped(&entry.node, inner, form))).collect(), form)
        }
        (Shape::List(inner, _), Value::List(items)) => Output::Array(items.iter().map(|item| shaped(item, inner, form)).collect()),
        _ => any(node, form),
    }
}

fn any(node: &Node, form: Form) -> Output {
    match &node.value {
        Value::Null => Output::Null,
        Value::Boolean(boolean) => Output::Bool(*boolean),
        Value::Integer(integer) => Output::from(*integer),
        Value::Float(float) => Number::from_f64(*float).map_or_else(|| Output::from(scalar::format_float(*float)), Output::Number),
        Value::Text(text) => Output::from(text.as_str()),
        Value::List(items) => Output::Array(items.iter().map(|item| any(item, form)).collect()),
        Value::Map(map) => sorted(map.iter().map(|(key, entry)| (key.clone(), any(&entry.node, form))).collect(), form),
    }
}

/// Extensions of the file follow its attributes; those of inner objects are no part of Go's JSON.
fn extensions(node: &Node, form: Form, fields: &mut Vec<(String, Output)>) {
    let top = fields.first().is_some_and(|(key, _)| key == "name") && fields.get(1).is_some_and(|(key, _)| key == "services");
    if form == Form::Json && !top {
        return;
    }
    let mut found: Vec<_> = node.as_map().into_iter().flatten().filter(|(key, _)| key.starts_with("x-")).collect();
    found.sort_by(|left, right| yaml::compare_keys(left.0, right.0));
    fields.extend(found.into_iter().map(|(key, entry)| (key.clone(), any(&entry.node, form))));
}
