//! Seccomp profiles that a service's `security_opt` names by their files: an engine is sent what is in them.

use std::path::Path;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::model::Service;
use crate::compose::project::node::Node;
use crate::compose::project::path::{Base, absolute};
use crate::compose::project::source::Reader;

/// Puts what is in the files in their place; `node` is where the service is written.
pub(crate) fn resolve(service: &mut Service, node: &Node, base: Base<'_>, reader: &dyn Reader, problems: &mut Vec<Diagnostic>) {
    let places = node.get("security_opt").and_then(Node::as_list).unwrap_or_default();
    for option in &mut service.security_opt {
        let Some(file) = option.strip_prefix("seccomp=").or_else(|| option.strip_prefix("seccomp:")) else { continue };
        if matches!(file, "unconfined" | "builtin") {
            continue;
        }
        let place = places.iter().find(|place| place.as_text() == Some(option)).map_or(node.span, |place| place.span);
        let path = absolute(file, Base { shown_from: None, ..base });
        let mut error = |message: String, hint: &str| {
            let message = format!("services.{}.security_opt: {message}", service.name);
            problems.push(Diagnostic::refusal("seccomp", message).at(place).hint(hint));
        };
        match reader.read(Path::new(&path)) {
            Ok(bytes) => match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Ok(profile) => *option = format!("seccomp={profile}"),
                Err(cause) => error(format!("the seccomp profile {path} is no JSON: {cause}"), "Docker's own profile is a model"),
            },
            Err(cause) => {
                error(format!("opening seccomp profile ({path}) failed: {cause}"), "name a file, relative to the project, or `unconfined`");
            }
        }
    }
}
