//! An image's configuration as it is written: the OCI document with Docker's fields, in Docker's order.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::dockerfile::Healthcheck;
use crate::resource::id::Digest;
use crate::resource::time::Timestamp;

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Document {
    pub(in crate::engine) architecture: String,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) author: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) variant: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::engine) config: RunConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) created: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::engine) history: Vec<HistoryStep>,
    pub(in crate::engine) os: String,
    pub(in crate::engine) rootfs: RootLayers,
    /// By which a build that takes steps from this image knows them (`cache_from`); an extension of ours, which others pass on.
    #[serde(rename = "gantry.steps.v1", default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::engine) steps: Vec<CarriedStep>,
}

/// A step that an image carries along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct CarriedStep {
    /// Its key.
    pub(in crate::engine) key: Digest,
    /// The layer it made, one of the image's.
    pub(in crate::engine) layer: Digest,
    /// The digest of what is in the layer, without times.
    pub(in crate::engine) content: Digest,
    /// When it was done.
    pub(in crate::engine) created: Timestamp,
}

/// Its `config`: how a container of the image runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(in crate::engine) struct RunConfig {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) exposed_ports: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) cmd: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) healthcheck: Option<DockerHealth>,
    #[serde(skip_serializing_if = "is_false")]
    pub(in crate::engine) args_escaped: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) volumes: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) working_dir: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) on_build: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) stop_signal: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) shell: Vec<String>,
}

/// Go's `struct{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Empty {}

/// Docker's `HEALTHCHECK`, times in nanoseconds; zero takes the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(in crate::engine) struct DockerHealth {
    pub(in crate::engine) test: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::engine) interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::engine) timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::engine) start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::engine) start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::engine) retries: i64,
}

impl DockerHealth {
    /// What a `HEALTHCHECK` says.
    pub(in crate::engine) fn of(check: Healthcheck) -> Self {
        Self {
            test: Some(check.test),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries.into(),
        }
    }
}

/// A step of its history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct HistoryStep {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) created: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) created_by: String,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) author: String,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub(in crate::engine) comment: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(in crate::engine) empty_layer: bool,
}

/// Its layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct RootLayers {
    pub(in crate::engine) r#type: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(in crate::engine) diff_ids: Vec<Digest>,
}

impl RootLayers {
    /// These, lowest first.
    pub(in crate::engine) fn of(diff_ids: Vec<Digest>) -> Self {
        Self { r#type: "layers".to_owned(), diff_ids }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Go writes `null` for what is empty.
fn or_default<'a, T: Default + Deserialize<'a>, D: Deserializer<'a>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_leave_empty_is_read_and_not_written() {
        let text = r#"{"architecture":"amd64","author":null,"config":{"Env":null,"Cmd":["x"],"Entrypoint":null,"OnBuild":null,"Labels":null},
            "created":"2026-01-02T03:04:05Z","history":[{"created_by":"x","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":null},
            "docker_version":"20"}"#;
        let document: Document = serde_json::from_str(text).expect("a document");
        assert_eq!(
            serde_json::to_string(&document).expect("JSON"),
            r#"{"architecture":"amd64","config":{"Cmd":["x"]},"created":"2026-01-02T03:04:05Z","history":[{"created_by":"x","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#
        );
    }
}
