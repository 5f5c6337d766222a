//! Images.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::{spec, time};
use crate::resource::id::ImageId;
use crate::resource::image::{HistoryEntry, ImageConfig, ImageInfo, ImagePrune, ImageRemoval, ImageUsage, Platform};
use crate::resource::remote_image::{RemoteImage, RemotePlatform};
use crate::resource::time::Timestamp;

/// Writes an image as `GET /images/{name}/json` shows it.
pub fn to_json(info: &ImageInfo) -> Value {
    let mut value = json!({
        "Id": info.id,
        "RepoTags": info.tags,
        "RepoDigests": info.repo_digests,
        "Parent": "",
        "Comment": info.comment,
        "DockerVersion": info.docker_version,
        "Author": info.author,
        "Config": config_to_json(&info.config),
        "Architecture": info.architecture,
        "Os": info.os,
        "Size": info.size,
        "GraphDriver": { "Data": folders_to_json(&info.folders), "Name": "overlay2" },
        "RootFS": { "Type": "layers", "Layers": info.layers },
        "Metadata": { "LastTagTime": time::to_json(info.last_tagged) },
    });
    if let Some(created) = info.created {
        value["Created"] = json!(created);
    }
    if let Some(variant) = &info.variant {
        value["Variant"] = json!(variant);
    }
    if !info.os_version.is_empty() {
        value["OsVersion"] = json!(info.os_version);
    }
    value
}

/// The same for a client that speaks an older version of the API, which expects more; `before` tells whether it does not know 1.x yet.
pub fn old_to_json(info: &ImageInfo, before: impl Fn(u16) -> bool) -> Value {
    let mut value = to_json(info);
    if before(44) {
        value["VirtualSize"] = json!(info.size);
        if info.created.is_none() {
            value["Created"] = json!(Timestamp::NEVER_TEXT);
        }
    }
    if before(45) {
        // Nobody made it by running a container.
        value["ContainerConfig"] = old_config_to_json(&ImageConfig::default());
    }
    if before(50) {
        value["Config"] = old_config_to_json(&info.config);
    }
    value
}

/// Where the layers lie, as overlay2 says it.
fn folders_to_json(folders: &[String]) -> Value {
    match folders {
        [] => Value::Null,
        [upper] => json!({ "UpperDir": upper }),
        [upper, lower @ ..] => json!({ "LowerDir": lower.join(":"), "UpperDir": upper }),
    }
}

/// Writes an image as a line of `GET /images/json`, for a client of any age (see [`old_to_json`]).
pub fn summary_to_json(info: &ImageInfo, usage: &ImageUsage, before: impl Fn(u16) -> bool) -> Value {
    let dangling = info.tags.is_empty() && info.repo_digests.is_empty();
    let names = |names: &[String], none: &str| match (names, before(43)) {
        ([], true) if dangling => json!([none]),
        ([], true) => Value::Null,
        _ => json!(names),
    };
    let mut value = json!({
        "Containers": if before(51) { json!(-1) } else { json!(usage.containers) },
        "Created": info.created.map_or(0, Timestamp::as_seconds),
        "Id": info.id,
        "Labels": if info.config.labels.is_empty() { Value::Null } else { json!(info.config.labels) },
        "ParentId": "",
        "RepoDigests": names(&info.repo_digests, "<none>@<none>"),
        "RepoTags": names(&info.tags, "<none>:<none>"),
        "SharedSize": usage.shared_size.map_or(json!(-1), |size| json!(size)),
        "Size": info.size,
    });
    if before(44) {
        value["VirtualSize"] = json!(info.size);
    }
    value
}

/// Writes the answer of `GET /distribution/{name}/json`.
pub fn remote_to_json(image: &RemoteImage) -> Value {
    let platform = |platform: &RemotePlatform| {
        let mut value = json!({ "architecture": platform.architecture, "os": platform.os });
        let mut set = |name: &str, text: &str| {
            if !text.is_empty() {
                value[name] = json!(text);
            }
        };
        set("os.version", &platform.os_version);
        set("variant", &platform.variant);
        if !platform.os_features.is_empty() {
            value["os.features"] = json!(platform.os_features);
        }
        value
    };
    let platforms = Value::Array(image.platforms.iter().map(platform).collect());
    json!({
        "Descriptor": { "mediaType": image.media_type, "digest": image.digest, "size": image.size },
        "Platforms": if image.platforms.is_empty() { Value::Null } else { platforms },
    })
}

/// Reads a platform as it stands in a query: as JSON.
pub fn platform_from_text(text: &str) -> Result<Platform, WireError> {
    let wrong = || WireError::malformed("platform", "a JSON object with `os` and `architecture`");
    let mut fields = Fields::of("platform", serde_json::from_str(text).map_err(|_| wrong())?, Mood::Request)?;
    let (os, architecture, variant) = (fields.text("os")?, fields.text("architecture")?, fields.text("variant")?);
    fields.finish()?;
    let (Some(os), Some(architecture)) = (os, architecture) else { return Err(wrong()) };
    let whole = variant.map_or_else(|| format!("{os}/{architecture}"), |variant| format!("{os}/{architecture}/{variant}"));
    whole.parse().map_err(|_| wrong())
}

/// Reads an image from an inspect.
pub fn from_json(body: Value) -> Result<ImageInfo, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let id = fields.text("Id")?.unwrap_or_default();
    let mut root = fields.object("RootFS")?;
    let mut metadata = fields.object("Metadata")?;
    let mut config = fields.object("Config")?;
    let mut driver = fields.object("GraphDriver")?;
    let mut folders = driver.object("Data")?;
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
        comment: fields.text("Comment")?.unwrap_or_default(),
        docker_version: fields.text("DockerVersion")?.unwrap_or_default(),
        os_version: fields.text("OsVersion")?.unwrap_or_default(),
        folders: [folders.text("UpperDir")?, folders.text("LowerDir")?]
            .iter()
            .flatten()
            .flat_map(|text| text.split(':').map(str::to_owned))
            .collect(),
        last_tagged: metadata.text("LastTagTime")?.and_then(|text| time::from_text(&text)),
    })
}

/// The same with what is a container's alone, as it was written before 1.50.
fn old_config_to_json(config: &ImageConfig) -> Value {
    let mut value = config_to_json(config);
    for name in ["Hostname", "Domainname", "Image"] {
        value[name] = json!("");
    }
    for name in ["AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"] {
        value[name] = json!(false);
    }
    value
}

fn config_to_json(config: &ImageConfig) -> Value {
    let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let volumes: Map<String, Value> = config.volumes.iter().map(|path| (path.clone(), json!({}))).collect();
    let mut value = json!({
        "User": config.user,
        "Env": or_null(&config.environment),
        "Cmd": or_null(&config.command),
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
    if config.args_escaped {
        set("ArgsEscaped", json!(true));
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
        args_escaped: fields.flag("ArgsEscaped")?,
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
                args_escaped: true,
            },
            author: "me".to_owned(),
            comment: "a remark".to_owned(),
            docker_version: "28.5.2".to_owned(),
            os_version: "1".to_owned(),
            folders: texts(&["/layers/b", "/layers/a"]),
            last_tagged: Some(Timestamp::from_nanos(2)),
        };
        assert_eq!(from_json(to_json(&info)).expect("good"), info);
        assert_eq!(from_json(old_to_json(&info, |_| true)).expect("good"), info);
        assert_eq!(id_of_summary(&summary_to_json(&info, &ImageUsage::default(), |_| false)), Some(info.id));
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

    #[test]
    fn every_age_of_clients_is_told_what_it_expects() {
        let info = from_json(json!({ "Id": format!("sha256:{}", "0".repeat(64)), "Size": 7 })).expect("good");
        let usage = ImageUsage { containers: 2, shared_size: Some(5) };
        let line = |minor: u16| summary_to_json(&info, &usage, |it| minor < it);
        assert_eq!((line(51)["Containers"].clone(), line(50)["Containers"].clone()), (json!(2), json!(-1)));
        assert_eq!((line(51)["SharedSize"].clone(), line(43)["VirtualSize"].clone()), (json!(5), json!(7)));
        assert_eq!((line(43)["RepoTags"].clone(), line(42)["RepoTags"].clone()), (json!([]), json!(["<none>:<none>"])));
        let whole = |minor: u16| old_to_json(&info, |it| minor < it);
        assert!(whole(50)["Config"].get("Hostname").is_none() && whole(49)["Config"]["Hostname"] == "");
        assert!(whole(45).get("ContainerConfig").is_none() && whole(44)["ContainerConfig"].is_object());
        assert!(whole(44).get("Created").is_none() && whole(43)["Created"] == Timestamp::NEVER_TEXT);
    }

    #[test]
    fn a_platform_in_a_query_is_json() {
        let check = |text: &str| platform_from_text(text).map(|it| it.to_string()).ok();
        assert_eq!(check(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#).as_deref(), Some("linux/arm64"));
        for text in ["linux/amd64", "{}", r#"{"os":"linux"}"#, r#"{"os":"li nux","architecture":"x"}"#] {
            assert_eq!(check(text), None, "{text}");
        }
    }
}
