//! A container as a line of `GET /containers/json`.

use serde_json::{Map, Value, json};

use crate::api::wire::container::{inspect, state};
use crate::resource::container::{ContainerInfo, ContainerPort, EndpointState};
use crate::resource::time::Timestamp;

/// Writes a container in short. `image` is what its image is called now.
pub fn to_json(info: &ContainerInfo, image: &str, now: Timestamp) -> Value {
    let networks: Map<String, Value> = info.endpoints.iter().map(|state| (state.network_name.clone(), endpoint(info, state))).collect();
    json!({
        "Id": info.id,
        "Names": [format!("/{}", info.name)],
        "Image": image,
        "ImageID": info.image,
        "Command": command(info),
        "Created": info.created.as_seconds(),
        "Ports": ports(info),
        "Labels": info.effective.labels,
        "State": info.state.word(),
        "Status": state::sentence(&info.state, info.health.as_ref(), now),
        "HostConfig": host_config(info),
        "NetworkSettings": { "Networks": networks },
        "Mounts": inspect::mounts(info),
    })
}

/// Adds what a container has on the disk: what it wrote itself, if it did, and all it sees.
pub fn add_sizes(line: &mut Value, (own, whole): (u64, u64)) {
    for (name, size) in [("SizeRw", own), ("SizeRootFs", whole)].into_iter().filter(|(_, size)| *size > 0) {
        line[name] = json!(size);
    }
}

/// An endpoint; who lists containers is not told what they are called there.
fn endpoint(info: &ContainerInfo, state: &EndpointState) -> Value {
    let mut value = inspect::endpoint(info, state);
    for name in ["Links", "Aliases", "DNSNames"] {
        value[name] = Value::Null;
    }
    value
}

fn host_config(info: &ContainerInfo) -> Value {
    let mut value = json!({ "NetworkMode": crate::api::wire::spec::network_mode_text(&info.spec.network) });
    if !info.spec.annotations.is_empty() {
        value["Annotations"] = json!(info.spec.annotations);
    }
    value
}

/// Program and arguments as dockerd joins them: quotes around what holds a space, and no more.
fn command(info: &ContainerInfo) -> String {
    let mut words = info.effective.entrypoint.iter().chain(&info.effective.command);
    let mut line = words.next().cloned().unwrap_or_default();
    for word in words {
        line = if word.contains(' ') { format!("{line} '{word}'") } else { format!("{line} {word}") };
    }
    line
}

fn ports(info: &ContainerInfo) -> Vec<Value> {
    if !info.state.is_running() || !info.spec.network.has_ports() {
        return Vec::new();
    }
    let published = |port: &ContainerPort| info.published.iter().any(|published| published.container == *port);
    let exposed = info.effective.exposed.iter().filter(|port| !published(port));
    let exposed = exposed.map(|port| json!({ "PrivatePort": port.port, "Type": port.protocol.as_str() }));
    let leading = info.published.iter().map(|published| {
        json!({
            "IP": published.host_ip,
            "PrivatePort": published.container.port,
            "PublicPort": published.host_port,
            "Type": published.container.protocol.as_str(),
        })
    });
    exposed.chain(leading).collect()
}
