//! Parts of a service that no container needs yet, and that must fit together all the same: building, models, requested devices, watches.

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{entries, text};
use crate::compose::project::fix::Fix;
use crate::compose::project::node::{Entry, Node};
use crate::compose::project::suggest;

/// Checks what is said and not decoded.
pub(super) fn service(decoder: &mut Decoder<'_>) {
    if let Some(build) = decoder.node.get("build").filter(|build| build.as_map().is_some()) {
        recipe(decoder, build);
        contexts(decoder, build);
        platforms(decoder, build);
        keys(decoder, build);
        for secret in build.get("secrets").and_then(Node::as_list).unwrap_or_default() {
            if let Some((source, key)) = secret.get("source").and_then(|source| Some((source, source.as_text()?))) {
                decoder.defined("secrets", "build secret", key, source.span);
            }
        }
    }
    for (key, entry) in decoder.node.get("models").and_then(Node::as_map).into_iter().flatten() {
        decoder.defined("models", "model", key, entry.key);
    }
    let node = decoder.node;
    let reserved = node.get("deploy").and_then(|deploy| deploy.get("resources")?.get("reservations")?.get("devices"));
    for (path, list) in [("gpus", node.get("gpus")), ("deploy.resources.reservations.devices", reserved)] {
        for request in list.and_then(Node::as_list).unwrap_or_default() {
            devices(decoder, path, request);
        }
    }
    let watches = node.get("develop").and_then(|develop| develop.get("watch")?.as_list()).unwrap_or_default();
    for (index, rule) in watches.iter().enumerate() {
        watch(decoder, index, rule);
    }
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Entry> {
    node.as_map()?.get(key).filter(|entry| !entry.node.is_null())
}

fn recipe(decoder: &mut Decoder<'_>, build: &Node) {
    let (Some(file), Some(inline)) = (entry(build, "dockerfile"), entry(build, "dockerfile_inline")) else { return };
    let message = format!("service \"{}\" declares mutually exclusive dockerfile and dockerfile_inline", decoder.key);
    let problem = decoder.error("build", Some(inline.key), message, Some("keep one of the two".to_owned()));
    problem.related.push((file.key, "the other one".to_owned()));
    problem.fix = Some(Fix::Remove(file.key, file.node.span));
}

/// `service:NAME`: what another service's building makes.
fn contexts(decoder: &mut Decoder<'_>, build: &Node) {
    for (name, entry) in build.get("additional_contexts").and_then(Node::as_map).into_iter().flatten() {
        let Some(other) = entry.node.as_text().and_then(|text| text.strip_prefix("service:")) else { continue };
        let path = decoder.path(&format!("build.additional_contexts.{name}"));
        let services = || entries(decoder.document, "services");
        match decoder.document.get("services").and_then(|services| services.get(other)) {
            None => {
                let near = suggest::nearest(other, services().map(|(name, _)| name));
                let hint = near.as_ref().map(|near| format!("did you mean `service:{near}`?"));
                let hint = hint.unwrap_or_else(|| "name a service of the project, a folder or an image".to_owned());
                let message = format!("{path}: there is no service \"{other}\"");
                let problem = decoder.error("undefined", Some(entry.node.span), message, Some(hint));
                problem.fix = near.map(|near| Fix::Replace(entry.node.span, format!("service:{near}")));
            }
            Some(service) if service.get("build").is_none_or(Node::is_null) => {
                let message = format!("{path}: service \"{other}\" is not built");
                let image = text(service, "image").unwrap_or_else(|| other.to_owned());
                let hint = format!("name its image: `docker-image://{image}`");
                let problem = decoder.error("build", Some(entry.node.span), message, Some(hint));
                problem.fix = Some(Fix::Replace(entry.node.span, format!("docker-image://{image}")));
            }
            Some(_) => {}
        }
    }
}

fn platforms(decoder: &mut Decoder<'_>, build: &Node) {
    let built = build.get("platforms").and_then(Node::as_list).unwrap_or_default();
    let Some(node) = decoder.node.get("platform") else { return };
    let Some((first, wanted)) = built.first().zip(node.as_text()) else { return };
    if !built.iter().any(|platform| platform.as_text() == Some(wanted)) {
        let message = format!("service.build.platforms MUST include service.platform \"{wanted}\" in service \"{}\"", decoder.key);
        let first = first.as_text().unwrap_or_default();
        let hint = format!("add it to `build.platforms`, or write `platform: {first}`");
        let problem = decoder.error("build", Some(node.span), message, Some(hint));
        problem.fix = Some(Fix::Replace(node.span, first.to_owned()));
    }
}

/// A key of an agent lies in a file, but for the agent's own.
fn keys(decoder: &mut Decoder<'_>, build: &Node) {
    for key in build.get("ssh").and_then(Node::as_list).unwrap_or_default() {
        let Some(written) = key.as_text().filter(|written| !written.contains('=') && *written != "default") else { continue };
        let message = format!("{}: invalid ssh key \"{written}\": it has no path", decoder.path("build.ssh"));
        let problem = decoder.error("build", Some(key.span), message, Some(format!("write `{written}=PATH`, or `default`")));
        problem.fix = Some(Fix::Replace(key.span, "default".to_owned()));
    }
}

fn devices(decoder: &mut Decoder<'_>, path: &str, request: &Node) {
    let (Some(count), Some(ids)) = (entry(request, "count"), entry(request, "device_ids").filter(|ids| !ids.node.is_empty())) else {
        return;
    };
    // One that was filled in lies where the request begins.
    if count.key == request.span {
        return;
    }
    let message = format!("{}: \"count\" and \"device_ids\" attributes are exclusive", decoder.path(path));
    let problem = decoder.error("devices", Some(count.key), message, Some("keep one of the two".to_owned()));
    problem.related.push((ids.key, "the other one".to_owned()));
    problem.fix = Some(Fix::Remove(count.key, count.node.span));
}

fn watch(decoder: &mut Decoder<'_>, index: usize, rule: &Node) {
    let path = decoder.path(&format!("develop.watch[{index}]"));
    if let Some(folder) = rule.get("path").filter(|path| path.as_text().is_some_and(str::is_empty)) {
        let hint = "name a file or folder, relative to the project".to_owned();
        let problem = decoder.error("watch", Some(folder.span), format!("{path}.path: value can't be blank"), Some(hint));
        problem.fix = Some(Fix::Replace(folder.span, ".".to_owned()));
    }
    let action = text(rule, "action").unwrap_or_default();
    if action.starts_with("sync") && text(rule, "target").is_none() {
        let message = format!("{path}: the action {action} needs a `target`");
        let hint = "say where in the container it is copied to: `target: /app`".to_owned();
        let problem = decoder.error("watch", Some(rule.span), message, Some(hint));
        problem.fix = Some(Fix::Add(rule.span, "target: /app".to_owned()));
    }
}
