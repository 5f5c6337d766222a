//! Docker's `ExposedPorts` and `PortBindings`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::Fields;
use crate::resource::container::{ContainerPort, PortBinding, Protocol};

/// Reads `80/tcp`, or `80` for TCP.
pub fn parse_port(field: &str, text: &str) -> Result<ContainerPort, WireError> {
    let wrong = || WireError::malformed(field, format!("a port as in `80/tcp` instead of `{text}`"));
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(wrong()),
    };
    Ok(ContainerPort { port: port.parse().map_err(|_| wrong())?, protocol })
}

/// Writes ports as the keys of an object.
pub fn ports_to_key_set(ports: &BTreeSet<ContainerPort>) -> Value {
    Value::Object(ports.iter().map(|port| (port.to_string(), json!({}))).collect())
}

/// Writes `PortBindings`.
pub(super) fn bindings_to_json(bindings: &[PortBinding]) -> Value {
    let mut map = Map::new();
    for binding in bindings {
        let ports = match (binding.host_port, binding.host_port_end) {
            (0, _) => String::new(),
            (first, last) if last <= first => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let address = binding.host_ip.map(|address| address.to_string()).unwrap_or_default();
        let entry = map.entry(binding.container.to_string()).or_insert_with(|| json!([]));
        if let Value::Array(list) = entry {
            list.push(json!({ "HostIp": address, "HostPort": ports }));
        }
    }
    Value::Object(map)
}

/// Reads `PortBindings`.
pub(super) fn bindings_from_fields(fields: &mut Fields) -> Result<Vec<PortBinding>, WireError> {
    let mut bindings = Vec::new();
    for (key, list) in fields.entries("PortBindings")? {
        let path = fields.path(&format!("PortBindings.{key}"));
        let container = parse_port(&path, &key)?;
        let list: Vec<Value> = match list {
            Value::Null => continue,
            Value::Array(list) => list,
            _ => return Err(WireError::malformed(path, "a list")),
        };
        for value in list {
            let mut binding = Fields::of(&path, value, fields.mood())?;
            let host_ip = match binding.text("HostIp")? {
                None => None,
                Some(text) => Some(parse_address(&binding.path("HostIp"), &text)?),
            };
            let (host_port, host_port_end) = match binding.text("HostPort")? {
                None => (0, 0),
                Some(text) => parse_range(&binding.path("HostPort"), &text)?,
            };
            binding.finish()?;
            bindings.push(PortBinding { container, host_ip, host_port, host_port_end });
        }
    }
    Ok(bindings)
}

fn parse_address(path: &str, text: &str) -> Result<IpAddr, WireError> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| WireError::malformed(path, format!("an address instead of `{text}`")))
}

fn parse_range(path: &str, text: &str) -> Result<(u16, u16), WireError> {
    let wrong = || WireError::malformed(path, format!("a port or a range of ports instead of `{text}`"));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if first > last { Err(wrong()) } else { Ok((first, last)) }
}
