//! Volumes.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::time;
use crate::resource::time::Timestamp;
use crate::resource::volume::{VolumeInfo, VolumeSpec};

/// Docker's mark of a volume that nobody named.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// Writes a volume.
pub fn to_json(info: &VolumeInfo) -> Value {
    let mut labels = info.spec.labels.clone();
    if info.anonymous {
        labels.entry(ANONYMOUS.to_owned()).or_default();
    }
    let options = if info.spec.options.is_empty() { Value::Null } else { json!(info.spec.options) };
    json!({
        "CreatedAt": info.created,
        "Driver": if info.spec.driver.is_empty() { "local" } else { &info.spec.driver },
        "Labels": if labels.is_empty() { Value::Null } else { json!(labels) },
        "Mountpoint": info.mountpoint.to_string_lossy(),
        "Name": info.name,
        "Options": options,
        "Scope": "local",
    })
}

/// Reads a volume.
pub fn from_json(body: Value) -> Result<VolumeInfo, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let name = fields.text("Name")?.unwrap_or_default();
    let mut labels = fields.text_map("Labels")?;
    let anonymous = labels.remove(ANONYMOUS).is_some();
    Ok(VolumeInfo {
        name: name.parse().map_err(|_| WireError::malformed("Name", "a volume's name"))?,
        created: fields.text("CreatedAt")?.and_then(|text| time::from_text(&text)).unwrap_or(Timestamp::from_nanos(0)),
        spec: VolumeSpec { driver: fields.text("Driver")?.unwrap_or_default(), options: fields.text_map("Options")?, labels },
        mountpoint: PathBuf::from(fields.text("Mountpoint")?.unwrap_or_default()),
        anonymous,
    })
}

/// Writes a list of volumes.
pub fn list_to_json(infos: &[VolumeInfo]) -> Value {
    json!({ "Volumes": infos.iter().map(to_json).collect::<Vec<_>>(), "Warnings": null })
}

/// Reads a list of volumes.
pub fn list_from_json(body: Value) -> Result<Vec<VolumeInfo>, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    fields.list("Volumes")?.into_iter().map(from_json).collect()
}

/// Writes the body of a create request.
pub fn create_to_json(name: Option<&str>, spec: &VolumeSpec) -> Value {
    json!({ "Name": name.unwrap_or_default(), "Driver": spec.driver, "DriverOpts": spec.options, "Labels": spec.labels })
}

/// Reads the body of a create request: the name, if there is one, and what is wanted.
pub fn create_from_json(body: Value) -> Result<(Option<String>, VolumeSpec), WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    let name = fields.text("Name")?;
    let spec = VolumeSpec {
        driver: fields.text("Driver")?.unwrap_or_default(),
        options: fields.text_map("DriverOpts")?,
        labels: fields.text_map("Labels")?,
    };
    fields.finish()?;
    Ok((name, spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(key: &str, value: &str) -> std::collections::BTreeMap<String, String> {
        [(key.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn every_field_survives() {
        let spec = VolumeSpec { driver: "local".to_owned(), options: map("type", "nfs"), labels: map("a", "b") };
        assert_eq!(create_from_json(create_to_json(Some("data"), &spec)).expect("good"), (Some("data".to_owned()), spec.clone()));
        assert_eq!(create_from_json(create_to_json(None, &spec)).expect("good"), (None, spec.clone()));
        for anonymous in [false, true] {
            let info = VolumeInfo {
                name: "data".parse().expect("a name"),
                created: Timestamp::from_nanos(1),
                spec: spec.clone(),
                mountpoint: PathBuf::from("/var/lib/x"),
                anonymous,
            };
            assert_eq!(from_json(to_json(&info)).expect("good"), info);
            assert_eq!(list_from_json(list_to_json(std::slice::from_ref(&info))).expect("good"), [info]);
        }
        assert!(create_from_json(json!({"ClusterVolumeSpec": {"Group": "x"}})).is_err());
    }
}
