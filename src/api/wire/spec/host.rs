//! Docker's `HostConfig`: what depends on the machine.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::spec::{limit, log, mount, port};
use crate::resource::container::{ContainerSpec, Device, IpcMode, NamespaceMode, NetworkMode, RestartPolicy};
use crate::resource::extra_host;

/// Docker's command line spells this option as two empty lists.
const UNMASKED: &str = "systempaths=unconfined";

/// Writes the machine-dependent part of a spec, every field that dockerd prints.
pub fn host_config_to_json(spec: &ContainerSpec) -> Map<String, Value> {
    let unmasked = spec.security_options.iter().any(|option| option == UNMASKED);
    let security: Vec<String> = spec.security_options.iter().filter(|option| *option != UNMASKED).cloned().collect();
    let hosts: Vec<String> = spec.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect();
    let servers = spec.dns.iter().map(ToString::to_string).collect();
    let devices: Vec<Value> = spec.devices.iter().map(device_to_json).collect();
    let paths = |list: &Option<Vec<String>>| match list {
        Some(list) => json!(list),
        None if unmasked => json!([]),
        None => Value::Null,
    };
    let remarks = &spec.remarks;
    let (mounts, tmpfs) = mount::to_json(spec);
    let mut host = Map::new();
    let mut set = |name: &str, value: Value| host.insert(name.to_owned(), value);
    set("Binds", or_null(remarks.binds.clone()));
    set("ContainerIDFile", json!(remarks.id_file));
    set("LogConfig", log::to_json(&spec.log));
    set("NetworkMode", json!(network_mode_text(&spec.network)));
    set("PortBindings", port::bindings_to_json(&spec.ports));
    set("RestartPolicy", restart_to_json(spec.restart));
    set("AutoRemove", json!(spec.auto_remove));
    set("VolumeDriver", json!(remarks.volume_driver));
    set("VolumesFrom", or_null(spec.volumes_from.clone()));
    set("ConsoleSize", json!(remarks.console));
    if !spec.annotations.is_empty() {
        set("Annotations", json!(spec.annotations));
    }
    set("CapAdd", or_null(spec.cap_add.iter().cloned().collect()));
    set("CapDrop", or_null(spec.cap_drop.iter().cloned().collect()));
    set("CgroupnsMode", json!(namespace_text(&spec.cgroup, "private")));
    set("Dns", or_null(servers));
    set("DnsOptions", or_null(spec.dns_options.clone()));
    set("DnsSearch", or_null(spec.dns_search.clone()));
    set("ExtraHosts", json!(hosts));
    set("GroupAdd", or_null(spec.group_add.clone()));
    set("IpcMode", json!(ipc_text(&spec.ipc)));
    set("Cgroup", json!(""));
    set("Links", or_null(remarks.links.clone()));
    set("OomScoreAdj", json!(spec.oom_score_adj.unwrap_or_default()));
    set("PidMode", json!(namespace_text(&spec.pid, "")));
    set("Privileged", json!(spec.privileged));
    set("PublishAllPorts", json!(spec.publish_all));
    set("ReadonlyRootfs", json!(spec.read_only));
    set("SecurityOpt", or_null(security));
    if !tmpfs.is_empty() {
        set("Tmpfs", Value::Object(tmpfs));
    }
    set("UTSMode", json!(namespace_text(&spec.uts, "")));
    set("UsernsMode", json!(remarks.user_namespace));
    set("ShmSize", json!(spec.shm_size.unwrap_or_default()));
    if !spec.sysctls.is_empty() {
        set("Sysctls", json!(spec.sysctls));
    }
    set("Runtime", json!(remarks.runtime));
    set("Isolation", json!(""));
    if !mounts.is_empty() {
        set("Mounts", Value::Array(mounts));
    }
    set("Devices", if devices.is_empty() { Value::Null } else { Value::Array(devices) });
    set("DeviceCgroupRules", or_null(spec.device_rules.clone()));
    set("DeviceRequests", Value::Null);
    set("MaskedPaths", paths(&spec.masked_paths));
    set("ReadonlyPaths", paths(&spec.readonly_paths));
    if spec.init {
        set("Init", json!(true));
    }
    limit::to_json(spec, &mut host);
    host
}

/// Reads the machine-dependent part of a spec, all but `Links`.
pub(super) fn from_fields(fields: &mut Fields, spec: &mut ContainerSpec) -> Result<(), WireError> {
    let mut output = fields.object("LogConfig")?;
    spec.log = log::from_fields(&mut output)?;
    output.finish()?;
    spec.network = match fields.text("NetworkMode")?.as_deref() {
        None | Some("default" | "bridge") => NetworkMode::Bridge,
        Some("none") => NetworkMode::None,
        Some("host") => NetworkMode::Host,
        Some(mode) => match mode.strip_prefix("container:") {
            Some(container) => NetworkMode::Container(container.to_owned()),
            None => NetworkMode::Named(mode.to_owned()),
        },
    };
    spec.ports = port::bindings_from_fields(fields)?;
    spec.publish_all = fields.flag("PublishAllPorts")?;
    let mut restart = fields.object("RestartPolicy")?;
    spec.restart = restart_from_fields(&mut restart)?;
    restart.finish()?;
    spec.auto_remove = fields.flag("AutoRemove")?;
    mount::from_fields(fields, spec)?;
    spec.volumes_from = fields.texts("VolumesFrom")?;
    // Told again as they were spelled.
    spec.cap_add = fields.texts("CapAdd")?.into_iter().collect();
    spec.cap_drop = fields.texts("CapDrop")?.into_iter().collect();
    spec.dns = fields.get("Dns", "a list of addresses")?.unwrap_or_default();
    spec.dns_options = fields.texts("DnsOptions")?;
    spec.dns_search = fields.texts("DnsSearch")?;
    spec.extra_hosts = extra_hosts(fields)?;
    spec.group_add = fields.texts("GroupAdd")?;
    spec.oom_score_adj = fields.get::<i32>("OomScoreAdj", "an integer")?.filter(|&adjustment| adjustment != 0);
    spec.cgroup = namespace(fields, "CgroupnsMode", &["private"], false)?;
    spec.ipc = ipc(fields)?;
    spec.pid = namespace(fields, "PidMode", &["private"], true)?;
    spec.uts = namespace(fields, "UTSMode", &["private"], false)?;
    spec.privileged = fields.flag("Privileged")?;
    spec.read_only = fields.flag("ReadonlyRootfs")?;
    spec.security_options = fields.texts("SecurityOpt")?;
    paths(fields, spec)?;
    spec.shm_size = fields.unsigned("ShmSize")?;
    spec.sysctls = fields.text_map("Sysctls")?;
    spec.init = fields.flag("Init")?;
    for value in fields.list("Devices")? {
        spec.devices.push(device_from_json(&fields.path("Devices"), value, fields.mood())?);
    }
    spec.device_rules = fields.texts("DeviceCgroupRules")?;
    spec.annotations = fields.text_map("Annotations")?;
    limit::from_fields(fields, spec)?;
    spec.remarks.id_file = fields.text("ContainerIDFile")?.unwrap_or_default();
    // The terminal's first size, which the client sends again by resize.
    spec.remarks.console = fields.get("ConsoleSize", "two numbers")?.unwrap_or_default();
    names(fields, spec)
}

/// Names of which there is one here, and dockerd's words for others.
fn names(fields: &mut Fields, spec: &mut ContainerSpec) -> Result<(), WireError> {
    let mut take = |name: &str, known: &[&str], words: &dyn Fn(&str) -> String| -> Result<String, WireError> {
        let text = fields.text(name)?.unwrap_or_default();
        match fields.mood() {
            Mood::Request if !text.is_empty() && !known.contains(&text.as_str()) => {
                Err(WireError::Words { field: fields.path(name), message: words(&text) })
            }
            _ => Ok(text),
        }
    };
    // No users are mapped, as `host` asks for.
    spec.remarks.user_namespace =
        take("UsernsMode", &["host"], &|text| format!("invalid user namespace mode: {text}: this engine maps no users"))?;
    take("Isolation", &["default"], &|text| format!("invalid isolation '{text}' on linux"))?;
    let driver = |text: &str| format!("error looking up volume plugin {text}: plugin \"{text}\" not found");
    spec.remarks.volume_driver = take("VolumeDriver", &["local"], &driver)?;
    let runtime = take("Runtime", &["runc", "io.containerd.runc.v2"], &|text| format!("unknown or invalid runtime name: {text}"))?;
    // The one that is told where none was asked for.
    spec.remarks.runtime = if runtime == "runc" { String::new() } else { runtime };
    fields.forbid("StorageOpt", "--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
}

/// `MaskedPaths` and `ReadonlyPaths`: absent for Docker's own list, empty for none.
fn paths(fields: &mut Fields, spec: &mut ContainerSpec) -> Result<(), WireError> {
    let masked: Option<Vec<String>> = fields.get("MaskedPaths", "a list of strings")?;
    let readonly: Option<Vec<String>> = fields.get("ReadonlyPaths", "a list of strings")?;
    let both_empty = [&masked, &readonly].iter().all(|list| list.as_ref().is_some_and(Vec::is_empty));
    match fields.mood() {
        // Docker's command line spells `systempaths=unconfined` so; a privileged container's inspect shows it, too.
        _ if both_empty => {
            if !spec.privileged && !spec.security_options.iter().any(|option| option == UNMASKED) {
                spec.security_options.push(UNMASKED.to_owned());
            }
        }
        Mood::Request => (spec.masked_paths, spec.readonly_paths) = (masked, readonly),
        // An engine tells its own lists, which nobody asked for.
        Mood::Answer => {}
    }
    Ok(())
}

/// Docker's text for where a container's network lives.
pub fn network_mode_text(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::Bridge => "bridge".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Container(name) => format!("container:{name}"),
        NetworkMode::Named(name) => name.clone(),
    }
}

fn namespace_text(mode: &NamespaceMode, private: &str) -> String {
    match mode {
        NamespaceMode::Private => private.to_owned(),
        NamespaceMode::Host => "host".to_owned(),
        NamespaceMode::Container(name) => format!("container:{name}"),
    }
}

fn ipc_text(mode: &IpcMode) -> String {
    match mode {
        IpcMode::Private => "private".to_owned(),
        IpcMode::Shareable => "shareable".to_owned(),
        IpcMode::None => "none".to_owned(),
        IpcMode::Host => "host".to_owned(),
        IpcMode::Container(name) => format!("container:{name}"),
    }
}

fn ipc(fields: &mut Fields) -> Result<IpcMode, WireError> {
    let Some(text) = fields.text("IpcMode")? else { return Ok(IpcMode::Private) };
    Ok(match (text.as_str(), text.strip_prefix("container:")) {
        ("private", _) => IpcMode::Private,
        ("shareable", _) => IpcMode::Shareable,
        ("none", _) => IpcMode::None,
        ("host", _) => IpcMode::Host,
        (_, Some(container)) => IpcMode::Container(container.to_owned()),
        _ => return fields.refuse("IpcMode", &json!(text)).map(|()| IpcMode::Private),
    })
}

fn namespace(fields: &mut Fields, name: &str, private: &[&str], joins: bool) -> Result<NamespaceMode, WireError> {
    let Some(text) = fields.text(name)? else { return Ok(NamespaceMode::Private) };
    match text.strip_prefix("container:") {
        _ if private.contains(&text.as_str()) => Ok(NamespaceMode::Private),
        None if text == "host" => Ok(NamespaceMode::Host),
        Some(container) if joins => Ok(NamespaceMode::Container(container.to_owned())),
        _ => fields.refuse(name, &json!(text)).map(|()| NamespaceMode::Private),
    }
}

fn restart_to_json(policy: RestartPolicy) -> Value {
    let (name, maximum) = match policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::OnFailure { maximum } => ("on-failure", maximum),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
    };
    json!({ "Name": name, "MaximumRetryCount": maximum })
}

pub(super) fn restart_from_fields(fields: &mut Fields) -> Result<RestartPolicy, WireError> {
    let name = fields.text("Name")?.unwrap_or_default();
    let maximum = fields.get::<u32>("MaximumRetryCount", "a number that is not negative")?.unwrap_or_default();
    let policy = match name.as_str() {
        "on-failure" => return Ok(RestartPolicy::OnFailure { maximum }),
        "" | "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        unknown => {
            let words = "use one of 'no', 'always', 'on-failure', or 'unless-stopped'";
            let message = format!("invalid restart policy: unknown policy '{unknown}'; {words}");
            return Err(WireError::Words { field: fields.path("Name"), message });
        }
    };
    if maximum > 0 {
        let message = "invalid restart policy: maximum retry count can only be used with 'on-failure'".to_owned();
        return Err(WireError::Words { field: fields.path("MaximumRetryCount"), message });
    }
    Ok(policy)
}

/// A list, or what Docker says in the place of one that is empty.
fn or_null(list: Vec<String>) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

/// Capabilities as Docker's own clients spell them.
pub(super) fn spelled_capabilities(names: &BTreeSet<String>) -> Value {
    let spelled = |name: &String| {
        let upper = name.to_ascii_uppercase();
        if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
    };
    if names.is_empty() { Value::Null } else { names.iter().map(spelled).collect() }
}

fn extra_hosts(fields: &mut Fields) -> Result<Vec<(String, String)>, WireError> {
    let lines = fields.get::<Vec<String>>("ExtraHosts", "a list of strings")?.unwrap_or_default();
    let split = |line: String| extra_host::split(&line).map_err(|message| WireError::Words { field: fields.path("ExtraHosts"), message });
    lines.into_iter().map(split).collect()
}

fn device_to_json(device: &Device) -> Value {
    json!({ "PathOnHost": device.source, "PathInContainer": device.target, "CgroupPermissions": device.permissions })
}

fn device_from_json(path: &str, value: Value, mood: Mood) -> Result<Device, WireError> {
    let mut fields = Fields::of(path, value, mood)?;
    let source = fields.text("PathOnHost")?.ok_or_else(|| WireError::malformed(fields.path("PathOnHost"), "a path"))?;
    let device = Device {
        target: fields.text("PathInContainer")?.unwrap_or_else(|| source.clone()),
        permissions: fields.text("CgroupPermissions")?.unwrap_or_else(|| "rwm".to_owned()),
        source,
    };
    fields.finish()?;
    Ok(device)
}
