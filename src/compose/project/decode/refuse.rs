//! What a project may say and this engine cannot do: told by the commands that would have to, and by no other.

use crate::compose::project::diagnostic::{Diagnostic, Severity};
use crate::compose::project::model::{Refusal, Subject};
use crate::compose::project::node::{Node, Value};
use crate::compose::project::schema::{self, Attribute, Class, Shape};

/// Parts what stands against loading from what stands against running.
pub(super) fn sort(subject: &Subject, own: Vec<Diagnostic>, problems: &mut Vec<Diagnostic>, refusals: &mut Vec<Refusal>) {
    for diagnostic in own {
        match diagnostic.severity {
            Severity::Refusal | Severity::Note => refusals.push(Refusal { subject: subject.clone(), diagnostic }),
            Severity::Warning | Severity::Error => problems.push(diagnostic),
        }
    }
}

/// The attributes of a mapping that are not yet supported, wherever below it they are.
pub(super) fn not_yet(node: &Node, attributes: &'static [Attribute], path: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    object(node, attributes, path, &mut found);
    found
}

fn object(node: &Node, attributes: &'static [Attribute], path: &str, found: &mut Vec<Diagnostic>) {
    for (key, entry) in node.as_map().into_iter().flatten().filter(|(_, entry)| !is_off(&entry.node)) {
        let Some(attribute) = schema::find(attributes, key) else { continue };
        match attribute.class {
            Class::NotYet => {
                let problem = Diagnostic::refusal("not-yet", format!("{path}.{key} is not yet supported")).at(entry.key);
                found.push(
                    problem.hint("remove it to go on without it; it is refused because ignoring it would change what the project means"),
                );
            }
            Class::Implemented if has_tables(attribute.shape) => shape(&entry.node, attribute.shape, &format!("{path}.{key}"), found),
            Class::Implemented | Class::Inert => {}
        }
    }
}

fn shape(node: &Node, of: &'static Shape, path: &str, found: &mut Vec<Diagnostic>) {
    match (of, &node.value) {
        (Shape::Short(_, long), _) => shape(node, long, path, found),
        (Shape::Object(attributes), _) => object(node, attributes, path, found),
        (Shape::Map(inner), Value::Map(map)) => {
            map.iter().for_each(|(key, entry)| shape(&entry.node, inner, &format!("{path}.{key}"), found));
        }
        (Shape::List(inner, _), Value::List(items)) => {
            items.iter().enumerate().for_each(|(index, item)| shape(item, inner, &format!("{path}[{index}]"), found));
        }
        _ => {}
    }
}

/// Whether attributes of a table can be below it.
const fn has_tables(shape: &Shape) -> bool {
    match shape {
        Shape::Object(_) => true,
        Shape::Short(_, inner) | Shape::Map(inner) | Shape::List(inner, _) => has_tables(inner),
        _ => false,
    }
}

/// Whether it asks for nothing: it is empty, or says no.
fn is_off(node: &Node) -> bool {
    node.is_empty() || matches!(node.value, Value::Boolean(false))
}
