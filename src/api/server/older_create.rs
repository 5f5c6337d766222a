//! What the body of a create request meant in older versions of the API, and what is to be said about one that means two things.

use serde_json::{Map, Value, json};

use crate::api::server::router::ApiVersion;
use crate::resource::container::{BindRecursion, ContainerSpec, MountSource, NetworkMode};
use crate::resource::failure::Failure;

/// The kinds of mounts, and whose options are whose.
const OPTIONS: [(&str, &str); 3] = [("VolumeOptions", "volume"), ("BindOptions", "bind"), ("TmpfsOptions", "tmpfs")];

/// Brings a body into today's form, and returns what its sender is to be told.
pub(super) fn renew(body: &mut Value, asked: ApiVersion) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    let Value::Object(fields) = body else { return Ok(warnings) };
    spell(fields, &["Healthcheck", "HostConfig", "NetworkingConfig", "MacAddress"]);
    if asked.is_before(44)
        && let Some(Value::Object(check)) = fields.get_mut("Healthcheck")
    {
        spell(check, &["StartInterval"]);
        check.remove("StartInterval");
    }
    if let Some(Value::Object(host)) = fields.get_mut("HostConfig") {
        renew_host(host, asked, &mut warnings)?;
    }
    let mut networking = fields.get_mut("NetworkingConfig").and_then(Value::as_object_mut);
    networking.iter_mut().for_each(|networking| spell(networking, &["EndpointsConfig"]));
    let endpoints = networking.and_then(|it| it.get_mut("EndpointsConfig")).and_then(Value::as_object_mut);
    let mut empty = Map::new();
    let endpoints = endpoints.unwrap_or(&mut empty);
    if asked.is_before(44) && endpoints.len() > 1 {
        let names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
        return Err(Failure::invalid(format!("Container cannot be created with multiple network endpoints: {}", names.join(", "))));
    }
    for endpoint in endpoints.values_mut().filter_map(Value::as_object_mut) {
        spell(endpoint, &["GwPriority", "MacAddress"]);
        if asked.is_before(48) {
            endpoint.remove("GwPriority");
        }
        if asked.is_before(44) {
            endpoint.remove("MacAddress");
        }
    }
    if !asked.is_before(44) && fields.get("MacAddress").and_then(Value::as_str).is_some_and(|address| !address.is_empty()) {
        warnings
            .push("The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.".to_owned());
    }
    Ok(warnings)
}

/// Gives fields the names by which they are looked up here: Go's decoder finds them in any case, and of two of a name the last one counts.
fn spell(fields: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        let found: Vec<String> = fields.keys().filter(|key| key.eq_ignore_ascii_case(name)).cloned().collect();
        if found.iter().any(|key| key != *name) {
            let last = found.iter().fold(None, |_, key| fields.shift_remove(key));
            fields.extend(last.map(|value| ((*name).to_owned(), value)));
        }
    }
}

fn renew_host(host: &mut Map<String, Value>, asked: ApiVersion, warnings: &mut Vec<String>) -> Result<(), Failure> {
    spell(host, &["AutoRemove", "KernelMemoryTCP", "IpcMode", "ConsoleSize", "Annotations", "VolumeDriver", "Mounts"]);
    if asked.is_before(25) {
        host.remove("AutoRemove");
    }
    if asked.is_before(40) {
        host.remove("KernelMemoryTCP");
        if host.get("IpcMode").and_then(Value::as_str).unwrap_or_default().is_empty() {
            host.insert("IpcMode".to_owned(), json!("shareable"));
        }
    }
    if asked.is_before(42) {
        host.remove("ConsoleSize");
    }
    if asked.is_before(43) {
        host.remove("Annotations");
    }
    let volume_driver = host.get("VolumeDriver").and_then(Value::as_str).is_some_and(|driver| !driver.is_empty());
    for mount in host.get_mut("Mounts").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        renew_mount(mount, asked)?;
        let kind = mount.get("Type").and_then(Value::as_str).unwrap_or_default();
        let own = mount.get("VolumeOptions").and_then(|options| options["DriverConfig"]["Name"].as_str()).unwrap_or_default();
        if volume_driver && !asked.is_before(48) && kind == "volume" && own.is_empty() {
            warnings.push(
                "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount \
                 type=volume,volume-driver=...' instead"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

fn renew_mount(mount: &mut Map<String, Value>, asked: ApiVersion) -> Result<(), Failure> {
    spell(mount, &["Type", "VolumeOptions", "BindOptions", "TmpfsOptions"]);
    let kind = mount.get("Type").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, of) in OPTIONS {
        if kind == of || mount.get(name).is_none_or(Value::is_null) {
            continue;
        }
        if !asked.is_before(42) {
            return Err(Failure::invalid(format!("{name} must not be specified on mount type {kind:?}")));
        }
        mount.remove(name);
    }
    if let Some(Value::Object(options)) = mount.get_mut("VolumeOptions") {
        spell(options, &["DriverConfig", "Subpath"]);
        options.get_mut("DriverConfig").and_then(Value::as_object_mut).into_iter().for_each(|driver| spell(driver, &["Name"]));
    }
    if let Some(Value::Object(options)) = mount.get_mut("BindOptions") {
        spell(options, &["NonRecursive", "CreateMountpoint", "ReadOnlyForceRecursive"]);
        if asked.is_before(40) {
            options.remove("NonRecursive");
        }
        if asked.is_before(42) {
            options.remove("CreateMountpoint");
        }
        if asked.is_before(44) && options.get("ReadOnlyForceRecursive") == Some(&json!(true)) {
            return Err(Failure::invalid("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"));
        }
    }
    let subpath = mount.get("VolumeOptions").and_then(|options| options["Subpath"].as_str()).unwrap_or_default();
    if asked.is_before(45) && !subpath.is_empty() {
        return Err(Failure::invalid("VolumeOptions.Subpath needs API v1.45 or newer"));
    }
    if asked.is_before(48) && kind == "image" {
        return Err(Failure::invalid("Mount type \"Image\" needs API v1.48 or newer"));
    }
    Ok(())
}

/// Changes what an older version had another default for; and returns what the sender is to be told of the rest.
pub(super) fn settle(spec: &mut ContainerSpec, asked: ApiVersion) -> Vec<String> {
    for mount in spec.mounts.iter_mut().filter(|mount| mount.read_only && asked.is_before(44)) {
        // Mounts within one for reading could be written once.
        if let MountSource::Bind { recursion: recursion @ BindRecursion::Enabled, .. } = &mut mount.source {
            *recursion = BindRecursion::Writable;
        }
    }
    let mut warnings = Vec::new();
    if spec.network == NetworkMode::Host && (!spec.ports.is_empty() || spec.publish_all) {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(minor: u16) -> ApiVersion {
        ApiVersion::new(1, minor)
    }

    fn renewed(mut body: Value, minor: u16) -> Result<(Value, usize), String> {
        let warnings = renew(&mut body, version(minor)).map_err(|failure| failure.message)?;
        Ok((body, warnings.len()))
    }

    #[test]
    fn fields_count_from_their_version_on() {
        let check = |body: Value, minor, expect: Value| assert_eq!(renewed(body, minor), Ok((expect, 0)), "{minor}");
        let host = |host: Value| json!({ "HostConfig": host });
        check(host(json!({ "AutoRemove": true, "IpcMode": "host" })), 24, host(json!({ "IpcMode": "host" })));
        check(host(json!({})), 39, host(json!({ "IpcMode": "shareable" })));
        check(host(json!({ "Annotations": {}, "ConsoleSize": [1, 2] })), 41, host(json!({})));
        check(host(json!({ "Annotations": {} })), 43, host(json!({ "Annotations": {} })));
        check(json!({ "Healthcheck": { "StartInterval": 1 } }), 43, json!({ "Healthcheck": {} }));
        let mount = |mount: Value| host(json!({ "Mounts": [mount] }));
        let bind = json!({ "Type": "bind", "BindOptions": { "CreateMountpoint": true }, "TmpfsOptions": {} });
        check(mount(bind.clone()), 41, mount(json!({ "Type": "bind", "BindOptions": {} })));
        assert_eq!(renewed(mount(bind), 42), Err("TmpfsOptions must not be specified on mount type \"bind\"".to_owned()));
        let endpoint = |endpoint: Value| json!({ "NetworkingConfig": { "EndpointsConfig": { "a": endpoint } } });
        check(endpoint(json!({ "GwPriority": 1, "MacAddress": "x" })), 43, endpoint(json!({})));
        check(endpoint(json!({ "GwPriority": 1, "MacAddress": "x" })), 44, endpoint(json!({ "MacAddress": "x" })));
    }

    #[test]
    fn what_came_later_is_refused_in_dockers_words() {
        let check = |body: Value, minor, expect: &str| assert_eq!(renewed(body, minor), Err(expect.to_owned()));
        let mount = |mount: Value| json!({ "HostConfig": { "Mounts": [mount] } });
        let force = json!({ "Type": "bind", "BindOptions": { "ReadOnlyForceRecursive": true } });
        check(mount(force), 43, "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
        let part = json!({ "Type": "volume", "VolumeOptions": { "Subpath": "a" } });
        check(mount(part), 44, "VolumeOptions.Subpath needs API v1.45 or newer");
        check(mount(json!({ "Type": "image" })), 47, "Mount type \"Image\" needs API v1.48 or newer");
        let two = json!({ "NetworkingConfig": { "EndpointsConfig": { "a": {}, "b": {} } } });
        check(two.clone(), 43, "Container cannot be created with multiple network endpoints: a, b");
        assert!(renewed(two, 44).is_ok());
    }

    #[test]
    fn names_count_in_any_case() {
        let host = json!({ "hostconfig": { "AUTOREMOVE": true, "autoRemove": true, "ipcmode": "host", "mounts": [{ "type": "image" }] } });
        assert_eq!(renewed(host, 44), Err("Mount type \"Image\" needs API v1.48 or newer".to_owned()));
        let (body, _) = renewed(json!({ "hostconfig": { "AUTOREMOVE": true, "autoRemove": true, "IPCMode": "host" } }), 24).expect("good");
        assert_eq!(body, json!({ "HostConfig": { "IpcMode": "host" } }));
        let part = json!({ "HostConfig": { "Mounts": [{ "Type": "volume", "volumeoptions": { "subpath": "a" } }] } });
        assert_eq!(renewed(part, 44), Err("VolumeOptions.Subpath needs API v1.45 or newer".to_owned()));
        let two = json!({ "networkingconfig": { "endpointsconfig": { "a": {}, "A": {} } } });
        assert_eq!(renewed(two, 43), Err("Container cannot be created with multiple network endpoints: a, A".to_owned()));
        let check = json!({ "healthcheck": { "Startinterval": 1, "Test": [] } });
        assert_eq!(renewed(check, 43), Ok((json!({ "Healthcheck": { "Test": [] } }), 0)));
        assert_eq!(renewed(json!({ "macAddress": "x" }), 44).map(|(_, warnings)| warnings), Ok(1));
    }

    #[test]
    fn a_field_of_old_is_taken_with_a_word_about_it() {
        let body = json!({ "MacAddress": "02:42:ac:11:00:02" });
        assert_eq!(renewed(body.clone(), 44).map(|(_, warnings)| warnings), Ok(1));
        assert_eq!(renewed(body, 43).map(|(_, warnings)| warnings), Ok(0));
        let mut spec = ContainerSpec { network: NetworkMode::Host, publish_all: true, ..ContainerSpec::default() };
        assert_eq!(settle(&mut spec, version(51)).len(), 1);
    }
}
