//! How much of the disk an engine's things take, as `GET /system/df` tells it.

use serde_json::{Value, json};

use crate::api::wire::container::summary::{Passing, Summary};
use crate::api::wire::{image, time, volume};
use crate::resource::build::BuildCache;
use crate::resource::image::ImageUsage;
use crate::resource::system::{ContainerUse, DiskUse};
use crate::resource::time::Timestamp;

/// Writes it. What nobody asked for is `null`.
pub fn to_json(found: &DiskUse, now: Timestamp) -> Value {
    let images = found.images.as_ref().map(|images| {
        let line = |(info, usage): &(_, ImageUsage)| {
            let mut line = image::summary_to_json(info, usage, |_| false);
            // Here, and not in the list of images, dockerd has no empty lists.
            for name in ["RepoTags", "RepoDigests"] {
                if line[name].as_array().is_some_and(Vec::is_empty) {
                    line[name] = Value::Null;
                }
            }
            line
        };
        images.iter().map(line).collect::<Vec<_>>()
    });
    let containers = found.containers.as_ref().map(|containers| {
        let line = |found: &ContainerUse| {
            json!(Summary::of(&found.container, Passing::of(&found.container, &found.image, now).with_sizes(found.sizes)))
        };
        containers.iter().map(line).collect::<Vec<_>>()
    });
    let volumes = found.volumes.as_ref().map(|volumes| {
        let line = |(info, users, size): &(_, u64, u64)| {
            let mut line = volume::to_json(info);
            line["UsageData"] = json!({ "RefCount": users, "Size": size });
            line
        };
        volumes.iter().map(line).collect::<Vec<_>>()
    });
    json!({
        "LayersSize": found.layers,
        "Images": images,
        "Containers": containers,
        "Volumes": volumes,
        "BuildCache": found.build_cache.as_ref().map(|kept| kept.iter().map(kept_to_json).collect::<Vec<_>>()),
    })
}

/// Something that builds keep, in BuildKit's words.
fn kept_to_json(kept: &BuildCache) -> Value {
    json!({
        "ID": kept.id,
        "Type": if kept.mount { "exec.cachemount" } else { "regular" },
        "Description": kept.name,
        "InUse": kept.in_use,
        "Shared": false,
        "Size": kept.size,
        "CreatedAt": time::to_json(Some(kept.created)),
        "LastUsedAt": time::to_json(Some(kept.used)),
        "UsageCount": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::volume::{VolumeInfo, VolumeSpec};

    #[test]
    fn what_nobody_asked_for_is_null() {
        let now = Timestamp::from_nanos(0);
        let info = VolumeInfo {
            name: "data".parse().expect("a name"),
            created: now,
            spec: VolumeSpec::default(),
            mountpoint: "/data".into(),
            anonymous: false,
        };
        let found = DiskUse { volumes: Some(vec![(info, 2, 9)]), ..DiskUse::default() };
        let told = to_json(&found, now);
        assert_eq!(told["Volumes"][0]["UsageData"], json!({ "RefCount": 2, "Size": 9 }));
        assert!(told["Images"].is_null() && told["Containers"].is_null() && told["BuildCache"].is_null());
        let kept =
            BuildCache { id: "a".to_owned(), name: "RUN x".to_owned(), mount: true, in_use: false, size: 3, created: now, used: now };
        let told = to_json(&DiskUse { build_cache: Some(vec![kept]), ..DiskUse::default() }, now);
        assert_eq!(told["BuildCache"][0]["Type"], "exec.cachemount");
    }
}
