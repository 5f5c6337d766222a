//! `label_file` of a service, read and put below its `labels`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{Entry, Node, Value};
use crate::compose::project::variable_file::VariableFiles;

/// Reads the files of a service; later ones win over earlier ones, and `labels` over all. Variables of the project mean nothing in them, as
/// in Docker Compose.
pub(crate) fn resolve(service: &mut Node, reader: &mut VariableFiles<'_>) {
    let Some(files) = service.as_map_mut().and_then(|map| map.remove("label_file")) else { return };
    let mut labels: BTreeMap<String, Entry> = BTreeMap::new();
    for file in files.node.as_list().unwrap_or_default() {
        let Some(path) = file.as_text().map(Path::new) else { continue };
        if !reader.reader.exists(path) {
            let problem = Diagnostic::error("label-file", format!("label file {} not found", path.display())).at(file.span);
            reader.problems.push(problem.hint("make the file, with a line `key=value` for each label"));
            continue;
        }
        let earlier = |name: &str| labels.get(name).and_then(|entry| entry.node.as_scalar());
        for (name, value) in reader.read(path, Some((file.span, "read from here")), &|_| None, &earlier) {
            labels.insert(name, Entry { key: file.span, node: Node::text(value, file.span) });
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
