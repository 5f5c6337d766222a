//! Docker's `EndpointSettings`: what a container wants on a network.

use std::str::FromStr;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::Fields;
use crate::resource::container::EndpointSpec;
use crate::resource::id::{ContainerId, NetworkId};

/// What engines tell of an endpoint's state; clients repeat it when they copy one, and dockerd does not look at it either.
const OPERATIONAL: [&str; 11] = [
    "NetworkID",
    "EndpointID",
    "Gateway",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "DNSNames",
    "SecondaryIPAddresses",
    "SecondaryIPv6Addresses",
];

/// Docker's driver option that names the interface inside.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

/// Writes what is wanted on a network.
pub fn endpoint_to_json(endpoint: &EndpointSpec) -> Value {
    let mut addresses = Map::new();
    if let Some(address) = endpoint.ipv4_address {
        addresses.insert("IPv4Address".to_owned(), json!(address));
    }
    if let Some(address) = endpoint.ipv6_address {
        addresses.insert("IPv6Address".to_owned(), json!(address));
    }
    if !endpoint.link_local.is_empty() {
        addresses.insert("LinkLocalIPs".to_owned(), json!(endpoint.link_local));
    }
    let links: Vec<String> = endpoint.links.iter().map(|(container, alias)| format!("{container}:{alias}")).collect();
    let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    json!({
        "IPAMConfig": if addresses.is_empty() { Value::Null } else { Value::Object(addresses) },
        "Links": or_null(&links),
        "Aliases": or_null(&endpoint.aliases),
        "DriverOpts": endpoint.interface_name.as_ref().map(|name| json!({ INTERFACE_NAME: name })),
        "GwPriority": endpoint.gateway_priority,
        "MacAddress": endpoint.mac_address.as_deref().unwrap_or_default(),
    })
}

/// Reads what is wanted on a network.
pub fn endpoint_from_fields(fields: &mut Fields) -> Result<EndpointSpec, WireError> {
    let mut ipam = fields.object("IPAMConfig")?;
    let mut options = fields.object("DriverOpts")?;
    let interface_name = options.text(INTERFACE_NAME)?;
    options.finish()?;
    // Docker Compose says each twice.
    let mut links = Vec::new();
    for link in fields.texts("Links")?.iter().map(|link| parse_link(link)) {
        if !links.contains(&link) {
            links.push(link);
        }
    }
    let endpoint = EndpointSpec {
        interface_name,
        link_local: ipam.get("LinkLocalIPs", "a list of addresses")?.unwrap_or_default(),
        aliases: fields.texts("Aliases")?,
        links,
        ipv4_address: address(&mut ipam, "IPv4Address", "an IPv4 address")?,
        ipv6_address: address(&mut ipam, "IPv6Address", "an IPv6 address")?,
        mac_address: fields.text("MacAddress")?,
        gateway_priority: fields.signed("GwPriority")?.unwrap_or_default(),
    };
    ipam.finish()?;
    OPERATIONAL.iter().for_each(|name| fields.ignore(name));
    Ok(endpoint)
}

/// Reads `container[:alias]`.
pub(super) fn parse_link(text: &str) -> (String, String) {
    let (container, alias) = text.rsplit_once(':').unwrap_or((text, text));
    // Inspect shows links of the default network as `/container:/owner/alias`.
    let alias = alias.rsplit_once('/').map_or(alias, |(_, alias)| alias);
    (container.trim_start_matches('/').to_owned(), alias.to_owned())
}

fn address<T: FromStr>(fields: &mut Fields, name: &str, expected: &str) -> Result<Option<T>, WireError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| WireError::malformed(fields.path(name), expected))
}

/// The id of a container's endpoint on a network. dockerd draws one at random; ours follows from the two, so nobody has to keep it.
pub fn endpoint_id(container: &ContainerId, network: &NetworkId) -> String {
    let digest = Sha256::new().chain_update(container.as_bytes()).chain_update(network.as_bytes()).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
