//! `env_file` of a service, read and put below its `environment`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::dotenv::Lookup;
use crate::compose::project::fix::Fix;
use crate::compose::project::node::{Entry, Node, Value};
use crate::compose::project::variable_file::{CODE, VariableFiles};

/// Reads the files of a service; later ones win over earlier ones, and `environment` over all, even with a bare key.
pub(crate) fn resolve(service: &mut Node, environment: &BTreeMap<String, String>, reader: &mut VariableFiles<'_>) {
    let Some(files) = service.as_map_mut().and_then(|map| map.remove("env_file")) else { return };
    let mut variables: BTreeMap<String, Entry> = BTreeMap::new();
    let own: BTreeMap<String, String> = service
        .get("environment")
        .and_then(Node::as_map)
        .into_iter()
        .flatten()
        .filter_map(|(name, entry)| Some((name.clone(), entry.node.as_scalar()?)))
        .collect();
    for file in files.node.as_list().unwrap_or_default() {
        // The project's variables come first, then the service's own, then those of the files.
        let lookup = |name: &str| environment.get(name).or_else(|| own.get(name)).cloned();
        for (name, value) in read(file, &lookup, &variables, reader) {
            variables.insert(name, Entry { key: file.span, node: Node::text(value, file.span) });
        }
    }
    if variables.is_empty() {
        return;
    }
    match service.get_mut("environment").and_then(Node::as_map_mut) {
        Some(written) => {
            for (name, entry) in variables {
                written.entry(name).or_insert(entry);
            }
        }
        None => service.set("environment", Node::new(Value::Map(variables), files.node.span)),
    }
}

fn read(file: &Node, lookup: Lookup<'_>, earlier: &BTreeMap<String, Entry>, files: &mut VariableFiles<'_>) -> BTreeMap<String, String> {
    let nothing = BTreeMap::new();
    let Some(path) = file.get("path").and_then(Node::as_text) else {
        // Reported as missing.
        return nothing;
    };
    let span = file.get("path").map_or(file.span, |path| path.span);
    let path = Path::new(path);
    if !files.reader.exists(path) {
        if !matches!(file.get("required").map(|required| &required.value), Some(Value::Boolean(false))) {
            let problem = Diagnostic::error(CODE, format!("env file {} not found", path.display())).at(span);
            files.problems.push(problem.hint("make the file, or write `required: false` beside its `path`"));
        }
        return nothing;
    }
    let named = Some((span, "read from here"));
    match file.get("format").and_then(Node::as_text) {
        None | Some("") => files.read(path, named, lookup, &|name: &str| earlier.get(name).and_then(|entry| entry.node.as_scalar())),
        Some("raw") => files.read_raw(path, named, lookup),
        Some(other) => {
            let at = file.get("format").map_or(span, |format| format.span);
            let problem = Diagnostic::error(CODE, format!("unsupported env file format `{other}`")).at(at);
            files.problems.push(problem.hint("there is `raw`; remove it where values are quoted").fix(Fix::Replace(at, "raw".to_owned())));
            nothing
        }
    }
}
