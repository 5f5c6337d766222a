//! What has no order gets one.

use serde_json::{Map, Value, json};

use super::normal::Names;
use crate::program::Outcome;

/// The exit code and what a command printed: JSON as what it says, and anything else but what a process wrote in lines without an order.
pub(super) fn said(words: &[&str], outcome: &Outcome) -> Value {
    // How far the names are filled up depends on which there are.
    let squeezed = |line: &str| match line.split_once(" | ") {
        Some((name, text)) => format!("{} | {text}", name.trim_end()),
        None => line.to_owned(),
    };
    let object: Option<Map<String, Value>> = serde_json::from_str(&outcome.stdout).ok();
    let stdout = object.map_or_else(
        || {
            let mut lines: Vec<String> = outcome.stdout.lines().map(squeezed).collect();
            if words[0] != "exec" {
                lines.sort_unstable();
            }
            json!(lines)
        },
        Value::Object,
    );
    json!({"exit": outcome.code, "stdout": stdout})
}

/// The lines of a log, each with its container.
pub(super) fn by_container(lines: &Value) -> Value {
    let mut logs: Map<String, Value> = Map::new();
    for line in lines.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let (name, text) = line.split_once(" | ").unwrap_or(("", line));
        logs.entry(name).or_insert_with(|| json!([])).as_array_mut().expect("a list").push(json!(text));
    }
    Value::Object(logs)
}

/// `a=b,c=d` as a map; a value may have commas, too.
pub(super) fn labels(text: &str) -> Value {
    let mut map: Map<String, Value> = Map::new();
    let mut last = String::new();
    for part in text.split(',') {
        match part.split_once('=') {
            Some((name, value)) => {
                name.clone_into(&mut last);
                map.insert(last.clone(), json!(value));
            }
            None => map[&last] = json!(format!("{},{part}", map[&last].as_str().unwrap_or_default())),
        }
    }
    if let Some(label) = map.get_mut(DEPENDS_ON) {
        *label = in_order(label.as_str().unwrap_or_default());
    }
    Value::Object(map)
}

/// The parts of `a,b` in order.
pub(super) fn in_order(list: &str) -> Value {
    let mut parts: Vec<&str> = list.split(',').collect();
    parts.sort_unstable();
    json!(parts.join(","))
}

/// A label that Docker Compose writes in any order.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// What has no order, or counts how often something happened until now, is made comparable.
pub(super) fn tamed(mut shown: Value, words: &Names) -> Value {
    for (list, key) in [("/Mounts", "Destination"), ("/HostConfig/Mounts", "Target")] {
        if let Some(list) = shown.pointer_mut(list) {
            by_key(list, |item| item[key].as_str().map(|path| path.replace('/', ":")));
        }
    }
    if let Some(list) = shown.pointer_mut("/Config/Env") {
        by_key(list, |line| line.as_str().map(|line| line.split('=').next().unwrap_or_default().to_owned()));
    }
    for list in ["/HostConfig/ExtraHosts", "/HostConfig/Ulimits"] {
        if let Some(list) = shown.pointer_mut(list).and_then(Value::as_array_mut) {
            list.sort_by_key(|item| item.get("Name").unwrap_or(item).to_string());
        }
    }
    if let Some(label) = shown.pointer_mut(&format!("/Config/Labels/{DEPENDS_ON}")) {
        *label = in_order(label.as_str().unwrap_or_default());
    }
    if shown["State"].is_object() {
        let state = &mut shown["State"];
        if state["Pid"] != 0 {
            state["Pid"] = json!("PID");
        }
        if state["Running"] == false && state["Health"].is_object() {
            // A probe may or may not have seen the end.
            state["Health"] = json!({"Status": state["Health"]["Status"]});
        }
        if let Some(last) = state["Health"]["Log"].as_array().and_then(|log| log.last()).cloned() {
            state["Health"]["Log"] = json!([last]);
        }
    }
    for endpoint in shown.pointer_mut("/NetworkSettings/Networks").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if let Some(names) = endpoint["DNSNames"].as_array_mut() {
            names.sort_by_key(|name| words.in_words(name.as_str().unwrap_or_default()));
        }
    }
    shown
}

/// A list without an order becomes a map.
fn by_key(list: &mut Value, key: impl Fn(&Value) -> Option<String>) {
    if let Some(items) = list.as_array() {
        *list = Value::Object(items.iter().map(|item| (key(item).unwrap_or_default(), item.clone())).collect());
    }
}
