//! From a complete document to the model. What has the wrong type was reported before and is passed over here in silence.

mod build;
mod check;
mod endpoint;
mod file;
mod health;
mod hook;
mod host;
mod image;
mod limit;
mod mount;
mod network;
mod other;
mod port;
mod refuse;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::compose::project::diagnostic::{Diagnostic, Severity};
use crate::compose::project::model::{FileKind, FileObject, Network, Refusal, Service, Subject, Volume};
use crate::compose::project::node::{Entry, Node, Value};
use crate::compose::project::scalar;
use crate::compose::project::schema;
use crate::compose::project::source::{Reader, SourceId, Span};
use crate::resource::name::ServiceName;

/// The parts of a project that come from its files.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Services, enabled or not.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// Networks by key.
    pub networks: BTreeMap<String, Network>,
    /// Volumes by key.
    pub volumes: BTreeMap<String, Volume>,
    /// Secrets by key.
    pub secrets: BTreeMap<String, FileObject>,
    /// Configs by key.
    pub configs: BTreeMap<String, FileObject>,
    /// Keys of models.
    pub models: BTreeSet<String>,
    /// What this engine cannot do.
    pub refusals: Vec<Refusal>,
}

/// What the content of secrets and configs comes from.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    /// What interpolation saw.
    pub environment: &'a BTreeMap<String, String>,
    /// Reads files of the host.
    pub reader: &'a dyn Reader,
    /// What stands between the parts of a name.
    pub separator: char,
}

/// Decodes a document; problems are added to those there are. What a service that no profile enables refers to is nobody's business yet.
pub(crate) fn decode(document: &Node, around: Around<'_>, is_enabled: impl Fn(&Node) -> bool, problems: &mut Vec<Diagnostic>) -> Decoded {
    let mut decoded = Decoded::default();
    // Where something is wrong already, so that what is missing there may be what was misspelt.
    let wrong: BTreeSet<(SourceId, u32, u32)> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .filter_map(|problem| problem.span.map(|span| (span.source, span.start, span.end)))
        .collect();
    let is_broken =
        |place: Span| wrong.range((place.source, place.start, 0)..=(place.source, place.end, u32::MAX)).any(|(.., end)| *end <= place.end);
    let refusals = &mut decoded.refusals;
    for (key, entry) in entries(document, "networks") {
        let mut own = refuse::not_yet(&entry.node, schema::NETWORK, &format!("networks.{key}"));
        if let Some(network) = network::network(key, entry, &mut own) {
            decoded.networks.insert(key.to_owned(), network);
        }
        refuse::sort(&Subject::Network(key.to_owned()), own, problems, refusals);
    }
    for (key, entry) in entries(document, "volumes") {
        let mut own = refuse::not_yet(&entry.node, schema::VOLUME, &format!("volumes.{key}"));
        if let Some(volume) = network::volume(key, entry, &mut own) {
            decoded.volumes.insert(key.to_owned(), volume);
        }
        refuse::sort(&Subject::Volume(key.to_owned()), own, problems, refusals);
    }
    for (kind, objects) in [(FileKind::Secret, &mut decoded.secrets), (FileKind::Config, &mut decoded.configs)] {
        for (key, entry) in entries(document, kind.section()) {
            let broken = is_broken(entry.node.span);
            let table = if kind == FileKind::Secret { schema::SECRET } else { schema::CONFIG };
            let refused = refuse::not_yet(&entry.node, table, &format!("{}.{key}", kind.section()));
            refuse::sort(&Subject::File(kind, key.to_owned()), refused, problems, refusals);
            objects.extend(file::object(kind, key, entry, broken, problems).map(|object| (key.to_owned(), object)));
        }
    }
    let misspelt = problems.iter().any(|problem| problem.code == "unknown-section");
    let objects = file::Objects { secrets: &decoded.secrets, configs: &decoded.configs, around };
    for (key, entry) in entries(document, "services") {
        let broken = is_broken(entry.node.span);
        let mut own = refuse::not_yet(&entry.node, schema::SERVICE, &format!("services.{key}"));
        let mut decoder =
            service::Decoder { key, node: &entry.node, place: entry.key, document, objects, broken, misspelt, problems: &mut own };
        let Some(mut service) = decoder.service() else {
            problems.extend(own);
            continue;
        };
        let mut of_build = Vec::new();
        let mut decoder = service::Decoder { problems: &mut of_build, ..decoder };
        service.build = build::build(&mut decoder, &service.image).map(Box::new);
        // What a service that no profile enables refers to is nobody's business yet.
        if is_enabled(&entry.node) {
            refuse::sort(&Subject::Service(service.name.clone()), own, problems, &mut decoded.refusals);
            refuse::sort(&Subject::Build(service.name.clone()), of_build, problems, &mut decoded.refusals);
        }
        decoded.services.insert(service.name.clone(), Arc::new(service));
    }
    decoded.models = entries(document, "models").map(|(key, _)| key.to_owned()).collect();
    decoded
}

/// Reports a container's name that two of the services in question give.
pub(crate) fn unique_container_names(document: &Node, services: &BTreeSet<String>, problems: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, (&str, Span)> = BTreeMap::new();
    for (key, entry) in entries(document, "services").filter(|(key, _)| services.contains(*key)) {
        let Some(node) = entry.node.get("container_name") else { continue };
        let Some(name) = node.as_text() else { continue };
        if let Some((other, place)) = seen.get(name) {
            let message = format!("services.{key}: container name \"{name}\" is already in use by service {other}");
            let problem = Diagnostic::error("container-name", message).at(node.span).with(*place, "first used here");
            problems.push(problem.hint("give one of the two another name"));
        } else {
            seen.insert(name, (key, node.span));
        }
    }
}

/// Iterates over the named things of a kind.
pub(crate) fn entries<'a>(document: &'a Node, kind: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
    let map = document.get(kind).and_then(Node::as_map);
    map.into_iter().flatten().map(|(key, entry)| (key.as_str(), entry))
}

/// A text that is not empty: an empty one, as a variable that is not set leaves it, is none.
fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::as_text).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn flag(node: &Node, key: &str) -> Option<bool> {
    match node.get(key)?.value {
        Value::Boolean(boolean) => Some(boolean),
        _ => None,
    }
}

fn variables(node: &Node, key: &str) -> BTreeMap<String, Option<String>> {
    let map = node.get(key).and_then(Node::as_map);
    map.into_iter().flatten().map(|(name, entry)| (name.clone(), entry.node.as_scalar())).collect()
}

fn integer(node: &Node, key: &str) -> Option<i64> {
    match node.get(key)?.value {
        Value::Integer(integer) => Some(integer),
        _ => None,
    }
}

fn duration(node: &Node, key: &str) -> Option<Duration> {
    node.get(key).and_then(Node::as_text).and_then(scalar::duration)
}

fn texts(node: &Node, key: &str) -> Vec<String> {
    node.get(key).and_then(Node::as_list).unwrap_or_default().iter().filter_map(Node::as_scalar).collect()
}

fn command(node: &Node, key: &str) -> Option<Vec<String>> {
    node.get(key).and_then(Node::as_list).map(|items| items.iter().filter_map(Node::as_scalar).collect())
}

fn dictionary(node: &Node, key: &str) -> BTreeMap<String, String> {
    let map = node.get(key).and_then(Node::as_map);
    map.into_iter().flatten().map(|(name, entry)| (name.clone(), entry.node.as_scalar().unwrap_or_default())).collect()
}
