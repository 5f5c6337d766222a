//! A container as `GET /containers/{id}/json` shows it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::wire::container::endpoint::Endpoint;
use crate::api::wire::container::state;
use crate::api::wire::spec;
use crate::resource::container::{ContainerInfo, ContainerPort, ContainerState, IpcMode, MountInfo, NamespaceMode, NetworkMode};

/// What dockerd hides from a container that is not privileged.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What dockerd shows it for reading only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Writes a container, every field that dockerd prints.
pub fn to_json(info: &ContainerInfo) -> Value {
    let mut command = info.effective.entrypoint.iter().chain(&info.effective.command);
    let path = command.next().cloned().unwrap_or_default();
    let arguments: Vec<&String> = command.collect();
    let execs = if info.execs.is_empty() { Value::Null } else { json!(info.execs) };
    json!({
        "Id": info.id,
        "Created": info.created,
        "Path": path,
        "Args": arguments,
        "State": state::to_json(info),
        "Image": info.image,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": info.log_path.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default(),
        "Name": format!("/{}", info.name),
        "RestartCount": info.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs,
        "HostConfig": host_config(info),
        "GraphDriver": { "Data": null, "Name": "overlay2" },
        "Mounts": mounts(info),
        "Config": spec::effective_to_json(&info.spec, &info.effective),
        "NetworkSettings": network_settings(info),
    })
}

/// The wishes with the engine's defaults filled in, as dockerd stores them.
fn host_config(info: &ContainerInfo) -> Value {
    let mut host = spec::host_config_to_json(&info.spec);
    let mut set = |name: &str, value: Value| host.insert(name.to_owned(), value);
    set("ShmSize", json!(info.spec.shm_size.unwrap_or(64 << 20)));
    if info.spec.remarks.runtime.is_empty() {
        set("Runtime", json!("runc"));
    }
    if !info.spec.remarks.links.is_empty() {
        let link = |(container, alias): &(String, String)| format!("/{container}:/{}/{alias}", info.name);
        set("Links", json!(info.spec.endpoints.get("bridge").into_iter().flat_map(|it| &it.links).map(link).collect::<Vec<_>>()));
    }
    if let (Some(memory), None | Some(0)) = (info.spec.resources.memory, info.spec.resources.memory_swap) {
        set("MemorySwap", json!(memory.saturating_mul(2)));
    }
    // Where such a container could not do its work under SELinux, dockerd takes it out.
    let is_open = info.spec.privileged || info.spec.pid == NamespaceMode::Host || info.spec.ipc == IpcMode::Host;
    if is_open && !info.spec.security_options.iter().any(|option| option.starts_with("label")) {
        let options = info.spec.security_options.iter().map(String::as_str).filter(|option| *option != "systempaths=unconfined");
        set("SecurityOpt", json!(options.chain(["label=disable"]).collect::<Vec<_>>()));
    }
    let unmasked = info.spec.security_options.iter().any(|option| option == "systempaths=unconfined");
    if !info.spec.privileged && !unmasked {
        set("MaskedPaths", info.spec.masked_paths.as_ref().map_or_else(|| json!(MASKED), |paths| json!(paths)));
        set("ReadonlyPaths", info.spec.readonly_paths.as_ref().map_or_else(|| json!(READ_ONLY), |paths| json!(paths)));
    }
    Value::Object(host)
}

/// Adds what a container has on the disk: what it wrote itself, and all it sees.
pub fn add_sizes(value: &mut Value, (own, whole): (u64, u64)) {
    value["SizeRw"] = json!(own);
    value["SizeRootFs"] = json!(whole);
}

/// A mount.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mount<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    source: Cow<'a, str>,
    destination: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'static str>,
    mode: &'a str,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: &'a str,
}

/// The mounts as they are; those in memory that were asked for apart are told apart.
pub(super) fn mounts(info: &ContainerInfo) -> Vec<Mount<'_>> {
    let told = info.mounts.iter().filter(|mount| !info.spec.remarks.tmpfs.contains_key(&mount.target));
    told.map(|mount| Mount::of(info, mount)).collect()
}

impl<'a> Mount<'a> {
    fn of(info: &'a ContainerInfo, mount: &'a MountInfo) -> Self {
        Self {
            r#type: &mount.kind,
            name: mount.name.as_deref(),
            source: mount.source.to_string_lossy(),
            destination: &mount.target,
            driver: (mount.kind == "volume").then_some("local"),
            mode: mode(info, mount),
            writable: mount.writable,
            propagation: &mount.propagation,
        }
    }
}

/// The options of a mount as dockerd tells them: those of a bind as they were written, and `z` where it would relabel a volume.
fn mode<'a>(info: &'a ContainerInfo, mount: &MountInfo) -> &'a str {
    let asked = |place: &String| info.spec.mounts.iter().any(|it| it.target == *place) && !info.spec.remarks.volumes.contains(place);
    match spec::written_mode(&info.spec, &mount.target) {
        Some("") | None if mount.kind == "volume" && asked(&mount.target) => "z",
        Some(mode) => mode,
        None => "",
    }
}

fn network_settings(info: &ContainerInfo) -> Value {
    let networks: Map<String, Value> =
        info.endpoints.iter().map(|state| (state.network_name.clone(), json!(Endpoint::of(info, state)))).collect();
    // dockerd repeats the engine's own network here for clients older than networks.
    let default = info.endpoints.iter().find(|state| state.network_name == "bridge").map(|state| json!(Endpoint::of(info, state)));
    let repeated = |name: &str, absent: Value| default.as_ref().map_or(absent, |endpoint| endpoint[name].clone());
    json!({
        "Bridge": "",
        "SandboxID": if sandbox(info).is_empty() { String::new() } else { info.id.to_string() },
        "SandboxKey": sandbox(info),
        "Ports": ports(info),
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": repeated("EndpointID", json!("")),
        "Gateway": repeated("Gateway", json!("")),
        "GlobalIPv6Address": repeated("GlobalIPv6Address", json!("")),
        "GlobalIPv6PrefixLen": repeated("GlobalIPv6PrefixLen", json!(0)),
        "IPAddress": repeated("IPAddress", json!("")),
        "IPPrefixLen": repeated("IPPrefixLen", json!(0)),
        "IPv6Gateway": repeated("IPv6Gateway", json!("")),
        "MacAddress": repeated("MacAddress", json!("")),
        "Networks": networks,
    })
}

/// The file by which a running container's network namespace can be entered.
fn sandbox(info: &ContainerInfo) -> String {
    match info.state {
        ContainerState::Running { pid, .. } if !matches!(info.spec.network, NetworkMode::Container(_)) => format!("/proc/{pid}/ns/net"),
        _ => String::new(),
    }
}

/// The exposed ports of a running container, each with the ports of the host that lead to it, or `null`.
fn ports(info: &ContainerInfo) -> Value {
    if !info.state.is_running() || !info.spec.network.has_ports() {
        return json!({});
    }
    let mut ports: BTreeSet<ContainerPort> = info.effective.exposed.clone();
    ports.extend(info.published.iter().map(|published| published.container));
    let leading = |port: &ContainerPort| {
        let bindings = info.published.iter().filter(|published| published.container == *port);
        let bindings: Vec<Value> =
            bindings.map(|it| json!({ "HostIp": it.host_ip.to_string(), "HostPort": it.host_port.to_string() })).collect();
        if bindings.is_empty() { Value::Null } else { Value::Array(bindings) }
    };
    Value::Object(ports.iter().map(|port| (port.to_string(), leading(port))).collect())
}
