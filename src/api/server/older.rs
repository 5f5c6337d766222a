//! What answers were in older versions of the API: fields that came or went since, as dockerd 28.5 serves them.

use serde_json::{Value, json};

use crate::api::server::router::ApiVersion;

fn remove(value: &mut Value, field: &str) {
    if let Value::Object(fields) = value {
        fields.remove(field);
    }
}

/// `GET /info`.
pub(super) fn info(value: &mut Value, asked: ApiVersion) {
    if asked.is_before(25) {
        let name = |option: &Value| {
            let first = option.as_str().unwrap_or_default().split(',').next().unwrap_or_default();
            json!(first.strip_prefix("name=").unwrap_or(first))
        };
        let names: Vec<Value> = value["SecurityOptions"].as_array().into_iter().flatten().map(name).collect();
        value["SecurityOptions"] = names.into();
    }
    if asked.is_before(44) {
        value["Runtimes"].as_object_mut().into_iter().flatten().for_each(|(_, runtime)| remove(runtime, "status"));
    }
    if asked.is_before(47) {
        for field in ["AllowNondistributableArtifactsCIDRs", "AllowNondistributableArtifactsHostnames"] {
            value["RegistryConfig"][field] = Value::Null;
        }
    }
    if asked.is_before(49) {
        remove(value, "FirewallBackend");
        for field in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
            // What is not known was not expected either.
            if value[field]["ID"].as_str().is_some_and(|id| !id.is_empty()) {
                value[field]["Expected"] = value[field]["ID"].clone();
            }
        }
    }
    if asked.is_before(50) {
        value["BridgeNfIptables"] = json!(false);
        value["BridgeNfIp6tables"] = json!(false);
    }
}

/// `GET /system/df`.
pub(super) fn disk_usage(value: &mut Value, asked: ApiVersion) {
    if asked.is_before(44) {
        value["Images"].as_array_mut().into_iter().flatten().for_each(|image| image["VirtualSize"] = image["Size"].clone());
    }
    if asked.is_before(42) {
        let sizes = value["BuildCache"].as_array().into_iter().flatten().filter_map(|kept| kept["Size"].as_u64());
        let sum: u64 = sizes.sum();
        if sum > 0 {
            value["BuilderSize"] = json!(sum);
        }
    }
}

/// `GET /containers/{name}/json`. The first digits of the id, and the host name, were among the aliases once.
pub(super) fn container(value: &mut Value, asked: ApiVersion) {
    if !asked.is_before(45) {
        return;
    }
    let id = value["Id"].as_str().unwrap_or_default();
    let further = [json!(&id[..id.len().min(12)]), value["Config"]["Hostname"].clone()];
    for (name, endpoint) in value["NetworkSettings"]["Networks"].as_object_mut().into_iter().flatten() {
        if matches!(name.as_str(), "bridge" | "host" | "none") {
            continue;
        }
        let mut aliases = endpoint["Aliases"].as_array().cloned().unwrap_or_default();
        for alias in &further {
            if !aliases.contains(alias) {
                aliases.push(alias.clone());
            }
        }
        endpoint["Aliases"] = aliases.into();
    }
}

/// Whether a list of containers tells of their annotations.
pub(super) fn lists_annotations(asked: ApiVersion) -> bool {
    !asked.is_before(46)
}

/// Whether a list of networks tells of the containers on them, too.
pub(super) fn lists_members(asked: ApiVersion) -> bool {
    asked.is_before(28)
}

/// Whether a prune of volumes takes those with a name, too.
pub(super) fn prunes_named_volumes(asked: ApiVersion) -> bool {
    asked.is_before(42)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(minor: u16) -> ApiVersion {
        ApiVersion::new(1, minor)
    }

    #[test]
    fn an_older_info_has_what_it_had() {
        let told = |minor| {
            let mut value = json!({
                "SecurityOptions": ["name=seccomp,profile=builtin"], "Runtimes": { "runc": { "path": "x", "status": {} } },
                "RegistryConfig": {}, "FirewallBackend": {}, "ContainerdCommit": { "ID": "" }, "RuncCommit": { "ID": "a" },
                "InitCommit": { "ID": "" },
            });
            info(&mut value, version(minor));
            value
        };
        assert_eq!(told(24)["SecurityOptions"], json!(["seccomp"]));
        assert_eq!((told(43)["Runtimes"]["runc"].get("status"), told(44)["Runtimes"]["runc"].get("status").is_some()), (None, true));
        assert!(told(46)["RegistryConfig"].as_object().is_some_and(|it| it.len() == 2));
        assert!(told(48).get("FirewallBackend").is_none() && told(48)["RuncCommit"]["Expected"] == "a");
        assert!(told(48)["InitCommit"].get("Expected").is_none());
        assert!(told(49).get("FirewallBackend").is_some() && told(49)["BridgeNfIptables"] == false);
        assert!(told(50).get("BridgeNfIptables").is_none());
    }

    #[test]
    fn older_lines_and_inspects_have_what_they_had() {
        let told = |minor| {
            let mut value = json!({
                "Id": "0123456789abcdef", "Config": { "Hostname": "web" },
                "NetworkSettings": { "Networks": { "bridge": { "Aliases": null }, "shop": { "Aliases": ["web", "www"] } } },
            });
            container(&mut value, version(minor));
            value
        };
        assert_eq!(told(44)["NetworkSettings"]["Networks"]["shop"]["Aliases"], json!(["web", "www", "0123456789ab"]));
        assert_eq!(told(44)["NetworkSettings"]["Networks"]["bridge"]["Aliases"], Value::Null);
        assert_eq!(told(45)["NetworkSettings"]["Networks"]["shop"]["Aliases"], json!(["web", "www"]));
        assert!(!lists_annotations(version(45)) && lists_annotations(version(46)));
    }

    #[test]
    fn an_older_look_at_the_disk_has_what_it_had() {
        let told = |minor| {
            let mut value = json!({ "Images": [{ "Size": 5 }], "BuildCache": [{ "Size": 2 }, { "Size": 3 }] });
            disk_usage(&mut value, version(minor));
            value
        };
        assert_eq!((&told(41)["BuilderSize"], &told(43)["Images"][0]["VirtualSize"]), (&json!(5), &json!(5)));
        assert!(told(42).get("BuilderSize").is_none() && told(44)["Images"][0].get("VirtualSize").is_none());
    }
}
