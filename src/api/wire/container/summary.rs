//! A container as a line of `GET /containers/json`.

use serde_json::{Map, Value, json};

use crate::api::wire::container::{inspect, state};
use crate::resource::container::{ContainerInfo, ContainerPort};
use crate::resource::time::Timestamp;

/// Writes a container in short. `image` is what its image is called now.
pub fn to_json(info: &ContainerInfo, image: &str, now: Timestamp) -> Value {
    let networks: Map<String, Value> =
        info.endpoints.iter().map(|state| (state.network_name.clone(), inspect::endpoint(info, state))).collect();
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
        "HostConfig": { "NetworkMode": network_mode(info) },
        "NetworkSettings": { "Networks": networks },
        "Mounts": info.mounts.iter().map(inspect::mount).collect::<Vec<_>>(),
    })
}

/// Adds what a container has on the disk: what it wrote itself, and all it sees.
pub fn add_sizes(value: &mut Value, (own, whole): (u64, u64)) {
    value["SizeRw"] = json!(own);
    value["SizeRootFs"] = json!(whole);
}

fn network_mode(info: &ContainerInfo) -> Value {
    crate::api::wire::spec::host_config_to_json(&info.spec).remove("NetworkMode").unwrap_or_default()
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
