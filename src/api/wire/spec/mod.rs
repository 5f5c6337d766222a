//! A container's spec as the body of Docker's `POST /containers/create`, and back.
//!
//! Every field of a spec has its place. What Docker's body has no place for travels in an object of ours, `Gantry`, which other engines
//! do not look at; it is only sent when something is in it.

mod config;
mod endpoint;
mod health;
mod host;
mod limit;
mod log;
mod mount;
mod port;
mod update;

use std::time::Duration;

use serde_json::{Map, Value, json};

pub use self::config::effective_to_json;
pub(in crate::api::wire) use self::endpoint::{Wish, or_null};
pub use self::endpoint::{endpoint_from_fields, endpoint_id, endpoint_to_json};
pub use self::health::{health_from_fields, health_to_json};
pub use self::host::{host_config_to_json, network_mode_text};
pub use self::mount::written_mode;
pub use self::port::{parse_port, ports_to_key_set};
pub use self::update::change_from_json;

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::container::{ContainerSpec, InjectedFile, NetworkMode};

/// What of a container's configuration an image has no place for; dockerd does not look at it in a commit either.
const COMMIT_INERT: [&str; 4] = ["HostConfig", "NetworkingConfig", "MacAddress", "NetworkDisabled"];

/// The parameters of a commit, which the library dockerode repeats in its body; the query counts.
const COMMIT_REPEATED: [&str; 7] = ["container", "repo", "tag", "comment", "author", "pause", "changes"];

/// Writes the body of a create request. The platform is not in it: it belongs into the query.
pub fn to_json(spec: &ContainerSpec) -> Value {
    let mut body = config::to_json(spec);
    body.insert("HostConfig".to_owned(), Value::Object(host::host_config_to_json(spec)));
    let endpoints: Map<String, Value> =
        spec.endpoints.iter().map(|(network, endpoint)| (network.clone(), endpoint_to_json(endpoint))).collect();
    body.insert("NetworkingConfig".to_owned(), json!({ "EndpointsConfig": endpoints }));
    let extension = extension_to_json(spec);
    if !extension.is_empty() {
        body.insert("Gantry".to_owned(), Value::Object(extension));
    }
    Value::Object(body)
}

/// Writes the same for an engine of any kind: Docker publishes no port that is not exposed, too, and tells capabilities as they were sent.
pub fn to_create_json(spec: &ContainerSpec) -> Value {
    let mut body = to_json(spec);
    let exposed = spec.exposed.iter().copied().chain(spec.ports.iter().map(|binding| binding.container)).collect();
    body["ExposedPorts"] = ports_to_key_set(&exposed);
    body["HostConfig"]["CapAdd"] = host::spelled_capabilities(&spec.cap_add);
    body["HostConfig"]["CapDrop"] = host::spelled_capabilities(&spec.cap_drop);
    body
}

/// Reads the body of a create request; what we would not do is refused by its name.
pub fn from_json(body: Value, platform: Option<String>) -> Result<ContainerSpec, WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    let mut spec = ContainerSpec { platform, ..ContainerSpec::default() };
    // The library dockerode says here once more what the query said; the query counts.
    for name in ["name", "platform"] {
        fields.text(name)?;
    }
    config::from_fields(&mut fields, &mut spec)?;
    let mac_address = fields.text("MacAddress")?;
    let mut host = fields.object("HostConfig")?;
    host::from_fields(&mut host, &mut spec)?;
    let links = host.texts("Links")?;
    host.finish()?;
    // A container without a network is one in a namespace with nothing but the loopback interface.
    if fields.flag("NetworkDisabled")? {
        spec.network = NetworkMode::None;
    }

    let mut networking = fields.object("NetworkingConfig")?;
    for (network, value) in networking.entries("EndpointsConfig")? {
        let path = networking.path(&format!("EndpointsConfig.{network}"));
        let mut endpoint = Fields::of(&path, value, Mood::Request)?;
        let wanted = endpoint_from_fields(&mut endpoint)?;
        endpoint.finish()?;
        // The CLI calls the engine's own network by the mode it was asked for.
        let network = if network == "default" { "bridge".to_owned() } else { network };
        spec.endpoints.insert(network, wanted);
    }
    networking.finish()?;
    add_older_wishes(&mut spec, mac_address, links)?;
    let mut extension = fields.object("Gantry")?;
    extension_from_fields(&mut extension, &mut spec)?;
    extension.finish()?;
    fields.finish()?;
    Ok(spec)
}

/// Reads what is to count before a container's own configuration, if the body says anything.
pub fn override_from_json(body: Value) -> Result<Option<ContainerSpec>, WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    COMMIT_REPEATED.iter().for_each(|name| fields.ignore(name));
    if fields.is_empty() {
        return Ok(None);
    }
    let mut spec = ContainerSpec::default();
    config::from_fields(&mut fields, &mut spec)?;
    COMMIT_INERT.iter().for_each(|name| fields.ignore(name));
    fields.finish()?;
    Ok(Some(spec))
}

/// An address and links that are said of the whole container: both are older than endpoints, and mean that of the network mode.
fn add_older_wishes(spec: &mut ContainerSpec, mac_address: Option<String>, links: Vec<String>) -> Result<(), WireError> {
    let words = |field: &str, message: &str| Err(WireError::Words { field: field.to_owned(), message: message.to_owned() });
    let network = match &spec.network {
        NetworkMode::Bridge => "bridge".to_owned(),
        NetworkMode::Named(network) => network.clone(),
        _ if !links.is_empty() => {
            let message = "conflicting options: host type networking can't be used with links. This would result in undefined behavior";
            return words("HostConfig.Links", message);
        }
        // There is nothing that the address would be of; dockerd leaves it at that, too.
        _ => return Ok(()),
    };
    if mac_address.is_none() && links.is_empty() {
        return Ok(());
    }
    let endpoint = spec.endpoints.entry(network).or_default();
    for link in links.iter().map(|link| endpoint::parse_link(link)) {
        if !endpoint.links.contains(&link) {
            endpoint.links.push(link);
        }
    }
    spec.remarks.links = links;
    match (&endpoint.mac_address, mac_address) {
        (Some(own), Some(other)) if *own != other => {
            let message =
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty";
            words("MacAddress", message)
        }
        (None, Some(address)) => {
            endpoint.mac_address = Some(address);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Reads what an engine's inspect tells of a spec: the image's configuration is merged in already.
pub fn from_inspect(config: Value, host_config: Value, image: &str) -> Result<ContainerSpec, WireError> {
    let mut spec = ContainerSpec::default();
    let mut fields = Fields::of("Config", config, Mood::Answer)?;
    config::from_fields(&mut fields, &mut spec)?;
    let mut host = Fields::of("HostConfig", host_config, Mood::Answer)?;
    host::from_fields(&mut host, &mut spec)?;
    if spec.image.is_empty() {
        image.clone_into(&mut spec.image);
    }
    Ok(spec)
}

fn extension_to_json(spec: &ContainerSpec) -> Map<String, Value> {
    let mut extension = Map::new();
    if !spec.files.is_empty() {
        let files: Vec<Value> = spec.files.iter().map(file_to_json).collect();
        extension.insert("Files".to_owned(), Value::Array(files));
    }
    // Docker's `StopTimeout` counts whole seconds, and -1 is for ever.
    if let Some(grace) = spec.stop_grace.filter(|grace| grace.subsec_nanos() != 0 && *grace != Duration::MAX) {
        extension.insert("StopGrace".to_owned(), json!(crate::api::wire::time::nanos(grace)));
    }
    extension
}

fn extension_from_fields(fields: &mut Fields, spec: &mut ContainerSpec) -> Result<(), WireError> {
    for (index, value) in fields.list("Files")?.into_iter().enumerate() {
        spec.files.push(file_from_json(&fields.path(&format!("Files[{index}]")), value)?);
    }
    if let Some(nanos) = fields.unsigned("StopGrace")? {
        spec.stop_grace = Some(Duration::from_nanos(nanos));
    }
    Ok(())
}

fn file_to_json(file: &InjectedFile) -> Value {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(&file.content);
    json!({ "Target": file.target, "Content": content, "UID": file.uid, "GID": file.gid, "Mode": file.mode })
}

fn file_from_json(path: &str, value: Value) -> Result<InjectedFile, WireError> {
    use base64::Engine as _;
    let mut fields = Fields::of(path, value, Mood::Request)?;
    let content = fields.text("Content")?.unwrap_or_default();
    let content = base64::engine::general_purpose::STANDARD.decode(content);
    let file = InjectedFile {
        target: fields.text("Target")?.ok_or_else(|| WireError::malformed(fields.path("Target"), "a path"))?,
        content: content.map_err(|_| WireError::malformed(fields.path("Content"), "base64"))?,
        uid: fields.get("UID", "a user id")?.unwrap_or_default(),
        gid: fields.get("GID", "a group id")?.unwrap_or_default(),
        mode: fields.get("Mode", "permission bits")?.unwrap_or(0o444),
    };
    fields.finish()?;
    Ok(file)
}

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
