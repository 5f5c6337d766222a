//! Volumes without a name, which a container takes over from the one before it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::compose::plan::label;
use crate::compose::plan::observed::{ObservedState, Replica};
use crate::compose::project::model::Service;
use crate::resource::container::{ContainerSpec, Mount, MountInfo, MountSource};

/// Mounts the old container's anonymous volumes where they were, unless something else is now, or nothing.
pub(super) fn anonymous(service: &Service, observed: &ObservedState, old: &Replica, spec: &mut ContainerSpec) {
    // What it had of another container it gets from there again.
    let lenders = service.volumes_from.iter().filter_map(|it| it.from.service()).flat_map(|name| observed.replicas(name));
    let lent: Vec<&MountInfo> = lenders.flat_map(|it| &it.info.mounts).collect();
    let declared = declared(old);
    for mount in &old.info.mounts {
        let Some(volume) = mount.name.as_ref().filter(|_| mount.kind == "volume") else { continue };
        let anonymous = mount.anonymous || observed.volume(volume).is_some_and(|it| it.anonymous);
        if !anonymous || lent.iter().any(|it| it.name.as_ref() == Some(volume)) {
            continue;
        }
        match spec.mounts.iter_mut().find(|it| it.target == mount.target) {
            Some(wanted) => {
                if let MountSource::Volume { name: name @ None, .. } = &mut wanted.source {
                    *name = Some(volume.clone());
                }
            }
            // It came from a lender that was made anew since, and lends another one there.
            None if lent.iter().any(|it| it.target == mount.target) => {}
            // The file wanted it then, and does no longer.
            None if declared.contains(&mount.target) => {}
            // The image wants it there.
            None => {
                let source = MountSource::Volume { name: Some(volume.clone()), no_copy: true, subpath: None, labels: BTreeMap::new() };
                spec.mounts.push(Mount { target: mount.target.clone(), read_only: !mount.writable, source });
            }
        }
    }
}

/// Where the file that a container was made from mounted something.
fn declared(old: &Replica) -> BTreeSet<String> {
    let kept: Option<Value> = old.label(label::SPEC).and_then(|text| serde_json::from_str(text).ok());
    let mounts = kept.as_ref().and_then(|spec| spec.get("mounts")?.as_array());
    mounts.into_iter().flatten().filter_map(|mount| Some(mount.get("target")?.as_str()?.to_owned())).collect()
}
