//! `label_file` of a service, read and put below its `labels`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::dotenv;
use crate::compose::project::node::{Entry, Node, Value};
use crate::compose::project::source::Reader;

/// Reads the files of a service; later ones win over earlier ones, and `labels` over all. Variables of the project mean nothing in them, as
/// in Docker Compose.
pub(crate) fn resolve(service: &mut Node, reader: &dyn Reader, problems: &mut Vec<Diagnostic>) {
    let Some(files) = service.as_map_mut().and_then(|map| map.remove("label_file")) else { return };
    let mut labels: BTreeMap<String, Entry> = BTreeMap::new();
    for file in files.node.as_list().unwrap_or_default() {
        let Some(path) = file.as_text() else { continue };
        let mut error = |message: String| problems.push(Diagnostic::error("label-file", message).at(file.span));
        let text = match reader.read(Path::new(path)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(cause) if !reader.exists(Path::new(path)) => {
                let problem = Diagnostic::error("label-file", format!("label file {path} not found: {cause}")).at(file.span);
                problems.push(problem.hint("make the file, with a line `key=value` for each label"));
                continue;
            }
            Err(cause) => {
                error(format!("cannot read label file {path}: {cause}"));
                continue;
            }
        };
        let earlier = |name: &str| labels.get(name).and_then(|entry| entry.node.as_scalar());
        match dotenv::parse(&text, &|_| None, &earlier) {
            Ok(found) => {
                for (name, value) in found {
                    labels.insert(name, Entry { key: file.span, node: Node::text(value, file.span) });
                }
            }
            Err(cause) => error(format!("failed to read {path}: {cause}")),
        }
    }
    match service.get_mut("labels").and_then(Node::as_map_mut) {
        Some(written) => {
            for (name, entry) in labels {
                written.entry(name).or_insert(entry);
            }
        }
        None if labels.is_empty() => {}
        None => service.set("labels", Node::new(Value::Map(labels), files.node.span)),
    }
}
