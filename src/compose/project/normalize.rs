//! Defaults and implied parts of a merged document: names, the default network, dependencies that other attributes imply.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::compose::project::node::{Entry, Map, Node, Value};
use crate::compose::project::path::{Base, absolute};
use crate::compose::project::source::{Reader, Span};

/// Gives a merged document what every one has.
pub(crate) fn complete(document: &mut Node, name: &str, base: Base<'_>) {
    let span = document.span;
    document.set("name", Node::text(name, span));
    if let Some(map) = document.as_map_mut() {
        map.remove("version");
        map.entry("services".to_owned()).or_insert_with(|| Entry { key: span, node: Node::map(span) });
    }
    devices(document, base);
    for kind in ["networks", "volumes", "secrets", "configs"] {
        for (_, entry) in document.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            if entry.node.is_null() {
                entry.node.value = Value::Map(Map::new());
            }
        }
    }
    for (_, entry) in document.get_mut("services").and_then(Node::as_map_mut).into_iter().flatten() {
        if let Some(build) = entry.node.get_mut("build").filter(|build| build.as_map().is_some()) {
            let span = build.span;
            fill(build, "context", Value::Text(absolute(".", base)), span);
        }
    }
}

/// Fills in what a complete document implies.
pub(crate) fn normalize(document: &mut Node, name: &str, environment: &BTreeMap<String, String>) {
    let span = document.span;
    let mut uses_default = false;
    if let Some(services) = document.get_mut("services").and_then(Node::as_map_mut) {
        let names: BTreeSet<String> = services.keys().cloned().collect();
        for (_, entry) in services.iter_mut() {
            uses_default |= service(&mut entry.node, &names, environment);
        }
    }
    if uses_default && let Some(map) = document.as_map_mut() {
        let networks = map.entry("networks".to_owned()).or_insert_with(|| Entry { key: span, node: Node::map(span) });
        if networks.node.get("default").is_none() {
            networks.node.set("default", Node::map(span));
        }
    }
    for kind in ["networks", "volumes", "secrets", "configs"] {
        for (key, entry) in document.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            if entry.node.get("name").is_none_or(|name| name.is_null() || name.as_text() == Some("")) {
                let external = matches!(entry.node.get("external").map(|node| &node.value), Some(Value::Boolean(true)));
                let full = if external { key.clone() } else { format!("{name}_{key}") };
                entry.node.set("name", Node::text(full, entry.key));
            }
        }
    }
}

/// Makes the folders that volumes bind absolute.
pub(crate) fn devices(document: &mut Node, base: Base<'_>) {
    for (_, entry) in document.get_mut("volumes").and_then(Node::as_map_mut).into_iter().flatten() {
        resolve_device(&mut entry.node, base);
    }
}

/// What is watched is named by where it is, whatever links lead there.
pub(crate) fn watched(document: &mut Node, reader: &dyn Reader) {
    for (_, entry) in document.get_mut("services").and_then(Node::as_map_mut).into_iter().flatten() {
        for watch in entry.node.get_mut("develop").into_iter().flat_map(|develop| list_mut(develop, "watch")) {
            if let Some(Value::Text(path)) = watch.get_mut("path").map(|path| &mut path.value)
                && let Some(real) = reader.real(Path::new(path.as_str()))
            {
                *path = real.to_string_lossy().into_owned();
            }
        }
    }
}

/// A folder that a `local` volume binds is relative to the project, as a bind's source is.
fn resolve_device(volume: &mut Node, base: Base<'_>) {
    let local = volume.get("driver").and_then(Node::as_text) == Some("local");
    let Some(options) = volume.get_mut("driver_opts").filter(|options| local && options.get("o").and_then(Node::as_text) == Some("bind"))
    else {
        return;
    };
    if let Some(Value::Text(device)) = options.get_mut("device").map(|device| &mut device.value) {
        *device = absolute(device, base);
    }
}

/// Gives variables without a value that of the project's environment.
fn variables(service: &mut Node, environment: &BTreeMap<String, String>) {
    for (name, entry) in service.get_mut("environment").and_then(Node::as_map_mut).into_iter().flatten() {
        if entry.node.is_null()
            && let Some(value) = environment.get(name)
        {
            entry.node.value = Value::Text(value.clone());
        }
    }
}

/// Completes a service; whether it is on the default network.
fn service(node: &mut Node, names: &BTreeSet<String>, environment: &BTreeMap<String, String>) -> bool {
    let span = node.span;
    variables(node, environment);
    for (_, entry) in node.get_mut("depends_on").and_then(Node::as_map_mut).into_iter().flatten() {
        let span = entry.node.span;
        fill(&mut entry.node, "required", Value::Boolean(true), span);
    }
    if let Some(dependencies) = node.get_mut("depends_on").and_then(Node::as_map_mut) {
        // What may be absent, and is.
        dependencies.retain(|name, entry| {
            names.contains(name) || !matches!(entry.node.get("required").map(|node| &node.value), Some(Value::Boolean(false)))
        });
    }
    implied_dependencies(node);
    for port in list_mut(node, "ports") {
        let span = port.span;
        fill(port, "mode", Value::Text("ingress".to_owned()), span);
        fill(port, "protocol", Value::Text("tcp".to_owned()), span);
        if port.get("published").and_then(Node::as_text) == Some("") {
            port.as_map_mut().map(|map| map.remove("published"));
        }
    }
    if let Some(build) = node.get_mut("build").filter(|build| build.as_map().is_some()) {
        let span = build.span;
        if build.get("dockerfile_inline").is_none() {
            fill(build, "dockerfile", Value::Text("Dockerfile".to_owned()), span);
        }
        if let Some(arguments) = build.get_mut("args").and_then(Node::as_map_mut) {
            for (name, entry) in arguments.iter_mut().filter(|(_, entry)| entry.node.is_null()) {
                entry.node.value = environment.get(name).map_or(Value::Null, |value| Value::Text(value.clone()));
            }
            arguments.retain(|_, entry| !entry.node.is_null());
        }
    }
    if let Some(Value::Text(policy)) = node.get_mut("pull_policy").map(|policy| &mut policy.value)
        && policy == "if_not_present"
    {
        "missing".clone_into(policy);
    }
    for file in list_mut(node, "env_file") {
        let span = file.span;
        fill(file, "required", Value::Boolean(true), span);
    }
    // So many are they, whichever attribute says so.
    if let (Some(scale), Some(deploy)) = (node.get("scale").cloned(), node.get_mut("deploy").filter(|deploy| deploy.as_map().is_some()))
        && deploy.get("replicas").is_none()
    {
        deploy.set("replicas", scale);
    }
    list_mut(node, "gpus").for_each(count);
    let reserved = node.get_mut("deploy").and_then(|deploy| deploy.get_mut("resources")?.get_mut("reservations"));
    reserved.into_iter().flat_map(|reserved| list_mut(reserved, "devices")).for_each(count);
    let image = node.get("image").cloned();
    for hook in list_mut(node, "pre_start") {
        if let (None, Some(image)) = (hook.get("image"), &image) {
            hook.set("image", image.clone());
        }
    }
    sort(node.get_mut("extra_hosts"));
    sort(node.get_mut("build").and_then(|build| build.get_mut("extra_hosts")));
    if node.get("provider").is_some_and(|provider| !provider.is_null()) {
        return false;
    }
    // An empty one, as a variable that is not set leaves it, asks for nothing.
    if node.get("network_mode").and_then(Node::as_text).is_some_and(|mode| !mode.is_empty()) {
        return false;
    }
    if node.get("networks").and_then(Node::as_map).is_none_or(Map::is_empty) {
        let mut networks = Node::map(span);
        networks.set("default", Node::new(Value::Null, span));
        node.set("networks", networks);
    }
    node.get("networks").is_some_and(|networks| networks.get("default").is_some())
}

/// Whose namespace a service lives in, whom it has a name for, and whose volumes it has, it depends on.
fn implied_dependencies(service: &mut Node) {
    let mut implied: Vec<(String, bool, Span)> = Vec::new();
    for item in service.get("links").and_then(Node::as_list).into_iter().flatten() {
        let name = item.as_text().map(|text| text.split(':').next().unwrap_or(text));
        implied.extend(name.map(|name| (name.to_owned(), true, item.span)));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(value) = service.get(key) else { continue };
        let name = value.as_text().and_then(|text| text.strip_prefix("service:"));
        implied.extend(name.map(|name| (name.to_owned(), true, value.span)));
    }
    for item in service.get("volumes_from").and_then(Node::as_list).into_iter().flatten() {
        let name = item.as_text().filter(|text| !text.starts_with("container:"));
        implied.extend(name.map(|text| (text.split(':').next().unwrap_or(text).to_owned(), false, item.span)));
    }
    let span = service.span;
    for (name, restart, place) in implied.into_iter().filter(|(name, ..)| !name.is_empty()) {
        if service.get("depends_on").is_none_or(Node::is_null) {
            service.set("depends_on", Node::map(span));
        }
        let Some(dependencies) = service.get_mut("depends_on").and_then(Node::as_map_mut) else { return };
        let mut terms = Node::map(place);
        terms.set("condition", Node::text("service_started", place));
        if restart {
            terms.set("restart", Node::new(Value::Boolean(true), place));
        }
        terms.set("required", Node::new(Value::Boolean(true), place));
        dependencies.entry(name).or_insert(Entry { key: place, node: terms });
    }
}

/// A request for devices that names none is for all.
fn count(request: &mut Node) {
    let span = request.span;
    if request.get("device_ids").is_none_or(Node::is_empty) {
        fill(request, "count", Value::Integer(-1), span);
    }
}

fn sort(texts: Option<&mut Node>) {
    if let Some(Value::List(items)) = texts.map(|node| &mut node.value) {
        items.sort_by(|left, right| left.as_text().cmp(&right.as_text()));
    }
}

fn fill(node: &mut Node, key: &str, value: Value, span: Span) {
    if node.get(key).is_none_or(Node::is_null) {
        node.set(key, Node::new(value, span));
    }
}

fn list_mut<'a>(node: &'a mut Node, key: &str) -> impl Iterator<Item = &'a mut Node> {
    let items = match node.get_mut(key).map(|node| &mut node.value) {
        Some(Value::List(items)) => Some(items),
        _ => None,
    };
    items.into_iter().flatten()
}
