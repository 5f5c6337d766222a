//! Images.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::{spec, time};
use crate::resource::id::ImageId;
use crate::resource::image::{HistoryEntry, ImageConfig, ImageInfo, ImagePrune, ImageRemoval};
use crate::resource::time::Timestamp;

/// Writes an image as `GET /images/{name}/json` shows it.
pub fn to_json(info: &ImageInfo) -> Value {
    let mut value = json!({
        "Id": info.id,
        "RepoTags": info.tags,
        "RepoDigests": info.repo_digests,
        "Parent": "",
        "Comment": "",
        "DockerVersion": "",
        "Author": info.author,
        "Config": config_to_json(&info.config),
        "Architecture": info.architecture,
        "Os": info.os,
        "Size": info.size,
        "GraphDriver": { "Data": null, "Name": "overlay2" },
        "RootFS": { "Type": "layers", "Layers": info.layers },
        "Metadata": { "LastTagTime": time::to_json(info.last_tagged) },
    });
    if let Some(created) = info.created {
        value["Created"] = json!(created);
    }
    if let Some(variant) = &info.variant {
        value["Variant"] = json!(variant);
    }
    value
}

/// Writes an image as a line of `GET /images/json`.
pub fn summary_to_json(info: &ImageInfo) -> Value {
    let dangling = info.tags.is_empty() && info.repo_digests.is_empty();
    json!({
        "Containers": -1,
        "Created": info.created.map_or(0, Timestamp::as_seconds),
        "Id": info.id,
        "Labels": if info.config.labels.is_empty() { Value::Null } else { json!(info.config.labels) },
        "ParentId": "",
        "RepoDigests": info.repo_digests,
        "RepoTags": if dangling { json!([]) } else { json!(info.tags) },
        "SharedSize": -1,
        "Size": info.size,
    })
}

/// Reads an image from an inspect.
pub fn from_json(body: Value) -> Result<ImageInfo, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let id = fields.text("Id")?.unwrap_or_default();
    let mut root = fields.object("RootFS")?;
    let mut metadata = fields.object("Metadata")?;
    let mut config = fields.object("Config")?;
    Ok(ImageInfo {
        id: id.parse().map_err(|_| WireError::malformed("Id", "a sha256 digest"))?,
        tags: fields.texts("RepoTags")?.into_iter().filter(|tag| tag != "<none>:<none>").collect(),
        repo_digests: fields.texts("RepoDigests")?.into_iter().filter(|digest| digest != "<none>@<none>").collect(),
        created: fields.text("Created")?.and_then(|text| time::from_text(&text)),
        size: fields.unsigned("Size")?.unwrap_or_default(),
        os: fields.text("Os")?.unwrap_or_default(),
        architecture: fields.text("Architecture")?.unwrap_or_default(),
        variant: fields.text("Variant")?,
        layers: root.get("Layers", "a list of digests")?.unwrap_or_default(),
        config: config_from_fields(&mut config)?,
        author: fields.text("Author")?.unwrap_or_default(),
        last_tagged: metadata.text("LastTagTime")?.and_then(|text| time::from_text(&text)),
    })
}

fn config_to_json(config: &ImageConfig) -> Value {
    let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let volumes: Map<String, Value> = config.volumes.iter().map(|path| (path.clone(), json!({}))).collect();
    let mut value = json!({
        "Hostname": "",
        "Domainname": "",
        "User": config.user,
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": config.environment,
        "Cmd": or_null(&config.command),
        "Image": "",
        "Volumes": if volumes.is_empty() { Value::Null } else { Value::Object(volumes) },
        "WorkingDir": config.working_dir,
        "Entrypoint": or_null(&config.entrypoint),
        "OnBuild": or_null(&config.on_build),
        "Labels": if config.labels.is_empty() { Value::Null } else { json!(config.labels) },
    });
    let mut set = |name: &str, field: Value| value[name] = field;
    if !config.exposed.is_empty() {
        set("ExposedPorts", spec::ports_to_key_set(&config.exposed));
    }
    if let Some(signal) = &config.stop_signal {
        set("StopSignal", json!(signal));
    }
    if let Some(check) = &config.health {
        set("Healthcheck", spec::health_to_json(check));
    }
    if !config.shell.is_empty() {
        set("Shell", json!(config.shell));
    }
    value
}

fn config_from_fields(fields: &mut Fields) -> Result<ImageConfig, WireError> {
    let mut exposed = BTreeSet::new();
    for (key, _) in fields.entries("ExposedPorts")? {
        exposed.insert(spec::parse_port(&fields.path("ExposedPorts"), &key)?);
    }
    let mut check = fields.object("Healthcheck")?;
    Ok(ImageConfig {
        environment: fields.texts("Env")?,
        entrypoint: fields.texts("Entrypoint")?,
        command: fields.texts("Cmd")?,
        working_dir: fields.text("WorkingDir")?.unwrap_or_default(),
        user: fields.text("User")?.unwrap_or_default(),
        exposed,
        volumes: fields.entries("Volumes")?.into_iter().map(|(path, _)| path).collect(),
        labels: fields.text_map("Labels")?,
        stop_signal: fields.text("StopSignal")?,
        health: spec::health_from_fields(&mut check)?,
        shell: fields.texts("Shell")?,
        on_build: fields.texts("OnBuild")?,
    })
}

/// Writes a history, newest step first; dockerd knows the id and names of the newest only.
pub fn history_to_json(steps: &[HistoryEntry], image: &ImageInfo) -> Value {
    let step = |(index, step): (usize, &HistoryEntry)| {
        json!({
            "Comment": step.comment,
            "Created": step.created.map_or(0, Timestamp::as_seconds),
            "CreatedBy": step.created_by,
            "Id": if index == 0 { image.id.to_string() } else { "<missing>".to_owned() },
            "Size": step.size,
            "Tags": if index == 0 && !image.tags.is_empty() { json!(image.tags) } else { Value::Null },
        })
    };
    Value::Array(steps.iter().enumerate().map(step).collect())
}

/// Reads a history, newest step first.
pub fn history_from_json(body: Value) -> Result<Vec<HistoryEntry>, WireError> {
    let mut steps = Vec::new();
    for value in list("the history", body)? {
        let mut fields = Fields::of("", value, Mood::Answer)?;
        let size = fields.unsigned("Size")?.unwrap_or_default();
        let created: Option<i64> = fields.get("Created", "seconds")?;
        steps.push(HistoryEntry {
            created: created.map(|seconds| Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000))),
            created_by: fields.text("CreatedBy")?.unwrap_or_default(),
            comment: fields.text("Comment")?.unwrap_or_default(),
            empty_layer: size == 0,
            size,
        });
    }
    Ok(steps)
}

/// Writes what a removal did.
pub fn removals_to_json(removals: &[ImageRemoval]) -> Value {
    let entry = |removal: &ImageRemoval| match removal {
        ImageRemoval::Untagged(name) => json!({ "Untagged": name }),
        ImageRemoval::Deleted(digest) => json!({ "Deleted": digest }),
    };
    Value::Array(removals.iter().map(entry).collect())
}

/// Reads what a removal did.
pub fn removals_from_json(body: Value) -> Result<Vec<ImageRemoval>, WireError> {
    let mut removals = Vec::new();
    for value in list("the removals", body)? {
        let mut fields = Fields::of("", value, Mood::Answer)?;
        removals.extend(fields.text("Untagged")?.map(ImageRemoval::Untagged));
        removals.extend(fields.text("Deleted")?.map(ImageRemoval::Deleted));
    }
    Ok(removals)
}

/// Writes what a prune did.
pub fn prune_to_json(prune: &ImagePrune) -> Value {
    let removed = if prune.removed.is_empty() { Value::Null } else { removals_to_json(&prune.removed) };
    json!({ "ImagesDeleted": removed, "SpaceReclaimed": prune.reclaimed })
}

/// Reads what a prune did.
pub fn prune_from_json(body: Value) -> Result<ImagePrune, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let removed = removals_from_json(fields.take("ImagesDeleted").unwrap_or_default())?;
    Ok(ImagePrune { removed, reclaimed: fields.unsigned("SpaceReclaimed")?.unwrap_or_default() })
}

/// Writes what a prune of what builds keep did.
pub fn build_prune_to_json(removed: &[String], reclaimed: u64) -> Value {
    let removed = if removed.is_empty() { Value::Null } else { json!(removed) };
    json!({ "CachesDeleted": removed, "SpaceReclaimed": reclaimed })
}

/// Reads what a prune of what builds keep did.
pub fn build_prune_from_json(body: Value) -> Result<(Vec<String>, u64), WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let removed = match fields.take("CachesDeleted") {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Ok((removed, fields.unsigned("SpaceReclaimed")?.unwrap_or_default()))
}

/// The triggers (`ONBUILD`) that an inspect of an image tells of.
pub fn triggers_of(inspected: &Value) -> Vec<String> {
    let triggers = inspected.get("Config").and_then(|config| config.get("OnBuild")).and_then(Value::as_array);
    triggers.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Reads the id from a line of a list.
pub fn id_of_summary(line: &Value) -> Option<ImageId> {
    line.get("Id").and_then(Value::as_str)?.parse().ok()
}

fn list(subject: &str, body: Value) -> Result<Vec<Value>, WireError> {
    match body {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items),
        _ => Err(WireError::malformed(subject, "a list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::container::{ContainerPort, HealthCheck, HealthTest, Protocol};
    use crate::resource::id::Digest;
    use std::time::Duration;

    #[test]
    fn every_field_survives() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let info = ImageInfo {
            id: Digest::from_bytes([3; 32]),
            tags: texts(&["redis:7"]),
            repo_digests: texts(&["redis@sha256:00"]),
            created: Some(Timestamp::from_nanos(1_700_000_000_000_000_001)),
            size: 7,
            os: "linux".to_owned(),
            architecture: "arm64".to_owned(),
            variant: Some("v8".to_owned()),
            layers: vec![Digest::from_bytes([4; 32])],
            config: ImageConfig {
                environment: texts(&["A=b"]),
                entrypoint: texts(&["/entry"]),
                command: texts(&["serve"]),
                working_dir: "/srv".to_owned(),
                user: "app".to_owned(),
                exposed: [ContainerPort { port: 80, protocol: Protocol::Tcp }].into(),
                volumes: ["/data".to_owned()].into(),
                labels: [("a".to_owned(), "b".to_owned())].into(),
                stop_signal: Some("SIGQUIT".to_owned()),
                health: Some(HealthCheck {
                    test: HealthTest::Shell("ready".to_owned()),
                    interval: Duration::from_secs(1),
                    timeout: Duration::from_secs(2),
                    retries: 3,
                    start_period: Duration::from_secs(4),
                    start_interval: Duration::from_secs(5),
                }),
                shell: texts(&["/bin/ash", "-c"]),
                on_build: vec!["RUN x".to_owned()],
            },
            author: "me".to_owned(),
            last_tagged: Some(Timestamp::from_nanos(2)),
        };
        assert_eq!(from_json(to_json(&info)).expect("good"), info);
        assert_eq!(id_of_summary(&summary_to_json(&info)), Some(info.id));
        let step = |size| HistoryEntry {
            created: Some(Timestamp::from_nanos(1_000_000_000)),
            created_by: "RUN x".to_owned(),
            comment: "c".to_owned(),
            empty_layer: size == 0,
            size,
        };
        let steps = vec![step(0), step(9)];
        assert_eq!(history_from_json(history_to_json(&steps, &info)).expect("good"), steps);
        let removed = vec![ImageRemoval::Untagged("a".to_owned()), ImageRemoval::Deleted("sha256:b".to_owned())];
        let prune = ImagePrune { removed, reclaimed: 9 };
        assert_eq!(prune_from_json(prune_to_json(&prune)).expect("good"), prune);
        let kept = (vec!["a".to_owned()], 7);
        assert_eq!(build_prune_from_json(build_prune_to_json(&kept.0, kept.1)).expect("good"), kept);
        let nothing = ImagePrune::default();
        assert_eq!(prune_from_json(prune_to_json(&nothing)).expect("good"), nothing);
    }
}
