//! Docker's `Config`: what is independent of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::spec::{health, port};
use crate::resource::container::{ContainerSpec, EffectiveConfig, Mount, MountSource};

/// Writes the machine-independent part of a spec.
pub(super) fn to_json(spec: &ContainerSpec) -> Map<String, Value> {
    let environment: Vec<String> = spec
        .environment
        .iter()
        .map(|(name, value)| value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}")))
        .collect();
    let mut config = Map::new();
    let mut set = |name: &str, value: Value| config.insert(name.to_owned(), value);
    set("Hostname", json!(spec.hostname.as_deref().unwrap_or_default()));
    set("Domainname", json!(spec.domainname.as_deref().unwrap_or_default()));
    set("User", json!(spec.user.as_deref().unwrap_or_default()));
    set("AttachStdin", json!(spec.remarks.attach_stdin));
    set("AttachStdout", json!(spec.remarks.attach_stdout));
    set("AttachStderr", json!(spec.remarks.attach_stderr));
    set("ExposedPorts", port::ports_to_key_set(&spec.exposed));
    set("Tty", json!(spec.tty));
    set("OpenStdin", json!(spec.stdin_open));
    set("StdinOnce", json!(spec.stdin_once));
    set("Env", json!(environment));
    set("Cmd", json!(spec.command));
    set("Image", json!(spec.image));
    set("WorkingDir", json!(spec.working_dir.as_deref().unwrap_or_default()));
    set("Entrypoint", json!(spec.entrypoint));
    set("Labels", json!(spec.labels));
    if !spec.remarks.volumes.is_empty() {
        set("Volumes", key_set(&spec.remarks.volumes));
    }
    if !spec.remarks.on_build.is_empty() {
        set("OnBuild", json!(spec.remarks.on_build));
    }
    if !spec.shell.is_empty() {
        set("Shell", json!(spec.shell));
    }
    if let Some(check) = &spec.health {
        set("Healthcheck", health::health_to_json(check));
    }
    if let Some(signal) = &spec.stop_signal {
        set("StopSignal", json!(signal));
    }
    if let Some(grace) = spec.stop_grace {
        set("StopTimeout", json!(whole_seconds(grace)));
    }
    config
}

/// Writes what runs, image and spec together, as inspect shows it.
pub fn effective_to_json(spec: &ContainerSpec, effective: &EffectiveConfig) -> Map<String, Value> {
    let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let volumes: BTreeSet<&String> = spec.remarks.volumes.iter().chain(&effective.volumes).collect();
    let mut config = to_json(spec);
    let mut set = |name: &str, value: Value| config.insert(name.to_owned(), value);
    set("Hostname", json!(effective.hostname));
    set("User", json!(effective.user));
    set("ExposedPorts", port::ports_to_key_set(&effective.exposed));
    set("Env", json!(effective.environment));
    set("Cmd", or_null(&effective.command));
    set("Volumes", if volumes.is_empty() { Value::Null } else { key_set(volumes) });
    set("WorkingDir", json!(effective.working_dir));
    set("Entrypoint", or_null(&effective.entrypoint));
    set("OnBuild", or_null(&spec.remarks.on_build));
    set("Labels", json!(effective.labels));
    if let Some(check) = &effective.health {
        set("Healthcheck", health::health_to_json(check));
    }
    if let Some(signal) = &effective.stop_signal {
        set("StopSignal", json!(signal));
    }
    config
}

/// Reads the machine-independent part of a spec.
pub(super) fn from_fields(fields: &mut Fields, spec: &mut ContainerSpec) -> Result<(), WireError> {
    spec.image = fields.text("Image")?.unwrap_or_default();
    spec.hostname = fields.text("Hostname")?;
    spec.domainname = fields.text("Domainname")?;
    spec.user = fields.text("User")?;
    // What the creating client means to attach to; dockerd, too, only repeats it in inspect.
    spec.remarks.attach_stdin = fields.flag("AttachStdin")?;
    spec.remarks.attach_stdout = fields.flag("AttachStdout")?;
    spec.remarks.attach_stderr = fields.flag("AttachStderr")?;
    spec.remarks.on_build = fields.texts("OnBuild")?;
    spec.shell = fields.texts("Shell")?;
    // How Windows' commands were written; elsewhere dockerd does not look at it.
    fields.flag("ArgsEscaped")?;
    for (key, _) in fields.entries("ExposedPorts")? {
        spec.exposed.insert(port::parse_port(&fields.path("ExposedPorts"), &key)?);
    }
    spec.tty = fields.flag("Tty")?;
    spec.stdin_open = fields.flag("OpenStdin")?;
    spec.stdin_once = fields.flag("StdinOnce")?;
    spec.environment = environment(&fields.texts("Env")?);
    spec.command = words(fields, "Cmd")?;
    spec.entrypoint = words(fields, "Entrypoint")?
        // The command line's `--entrypoint ""` arrives as one empty word.
        .map(|words| if words == [""] { Vec::new() } else { words });
    spec.working_dir = fields.text("WorkingDir")?;
    spec.labels = fields.text_map("Labels")?;
    let mut check = fields.object("Healthcheck")?;
    spec.health = health::health_from_fields(&mut check)?;
    check.finish()?;
    spec.stop_signal = fields.text("StopSignal")?;
    let seconds = fields.get::<i64>("StopTimeout", "seconds")?;
    spec.stop_grace = seconds.map(|seconds| u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs));
    for (target, _) in fields.entries("Volumes")? {
        // In an answer these are told again, with their names, among the mounts.
        if fields.mood() == Mood::Request {
            spec.remarks.volumes.push(target.clone());
            let source = MountSource::Volume { name: None, no_copy: false, subpath: None, labels: BTreeMap::new() };
            spec.mounts.push(Mount { target, read_only: false, source });
        }
    }
    Ok(())
}

/// Texts as the keys of an object.
fn key_set<'a>(texts: impl IntoIterator<Item = &'a String>) -> Value {
    Value::Object(texts.into_iter().map(|text| (text.clone(), json!({}))).collect())
}

/// Docker's `StopTimeout`; -1 is for ever. A fraction is rounded up, so that no engine kills early.
fn whole_seconds(grace: Duration) -> i64 {
    let seconds = grace.as_secs().saturating_add(u64::from(grace.subsec_nanos() > 0));
    if grace == Duration::MAX { -1 } else { i64::try_from(seconds).unwrap_or(-1) }
}

fn environment(lines: &[String]) -> BTreeMap<String, Option<String>> {
    let split = |line: &String| match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (line.clone(), None),
    };
    lines.iter().map(split).collect()
}

/// A command: a list, or one word in the form of old clients.
fn words(fields: &mut Fields, name: &str) -> Result<Option<Vec<String>>, WireError> {
    match fields.take(name) {
        None => Ok(None),
        Some(Value::String(word)) => Ok(Some(vec![word])),
        Some(list) => match serde_json::from_value(list) {
            Ok(words) => Ok(Some(words)),
            Err(_) => Err(WireError::malformed(fields.path(name), "a list of strings")),
        },
    }
}
