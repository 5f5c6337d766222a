//! Networks.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::{spec, time};
use crate::resource::container::EndpointSpec;
use crate::resource::network::{IpamPool, NetworkInfo, NetworkMember, NetworkSpec, Subnet};
use crate::resource::time::Timestamp;

/// Writes a network. A list leaves the containers out, as dockerd does.
pub fn to_json(info: &NetworkInfo, with_containers: bool) -> Value {
    let containers: Map<String, Value> =
        info.containers.iter().filter(|_| with_containers).map(|member| (member.id.to_string(), member_to_json(info, member))).collect();
    let driver = driver_of(&info.spec, info.name.as_str());
    let pools: Vec<Value> = info.pools.iter().map(pool_to_json).collect();
    let mut value = json!({
        "Name": info.name,
        "Id": info.id,
        "Created": info.created,
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": info.spec.enable_ipv4.unwrap_or(true),
        "EnableIPv6": info.spec.enable_ipv6.unwrap_or(false),
        "IPAM": {
            "Driver": "default",
            "Options": if info.spec.ipam_options.is_empty() { Value::Null } else { json!(info.spec.ipam_options) },
            "Config": if driver == "bridge" { Value::Array(pools) } else { Value::Null },
        },
        "Internal": info.spec.internal,
        "Attachable": info.spec.attachable,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": options_to_json(info, driver),
        "Labels": info.spec.labels,
    });
    if driver == "bridge" && !info.bridge.is_empty() {
        value["Gantry"] = json!({ "Bridge": info.bridge });
    }
    value
}

/// The options; those of the engine's own network are told as dockerd has them, though nobody asked for them.
fn options_to_json(info: &NetworkInfo, driver: &str) -> Value {
    if info.name != *"bridge" || driver != "bridge" || !info.spec.options.is_empty() {
        return json!(info.spec.options);
    }
    json!({
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": info.bridge,
        "com.docker.network.driver.mtu": "1500",
    })
}

/// The driver's name; two networks are their own drivers.
fn driver_of<'a>(spec: &'a NetworkSpec, name: &str) -> &'a str {
    match (spec.driver.as_str(), name) {
        ("", "host") => "host",
        ("", "none") => "null",
        ("", _) => "bridge",
        (driver, _) => driver,
    }
}

fn member_to_json(info: &NetworkInfo, member: &NetworkMember) -> Value {
    json!({
        "Name": member.name,
        "EndpointID": spec::endpoint_id(&member.id, &info.id),
        "MacAddress": member.mac,
        "IPv4Address": member.ipv4.as_deref().unwrap_or_default(),
        "IPv6Address": member.ipv6.as_deref().unwrap_or_default(),
    })
}

/// Reads a network.
pub fn from_json(body: Value) -> Result<NetworkInfo, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let id = fields.text("Id")?.unwrap_or_default();
    let name = fields.text("Name")?.unwrap_or_default();
    let mut containers = Vec::new();
    for (id, value) in fields.entries("Containers")? {
        let mut member = Fields::of("Containers", value, Mood::Answer)?;
        containers.push(NetworkMember {
            // Docker lists endpoints without a container under `ep-…`.
            id: match id.parse() {
                Ok(id) => id,
                Err(_) => continue,
            },
            name: member.text("Name")?.unwrap_or_default(),
            mac: member.text("MacAddress")?.unwrap_or_default(),
            ipv4: member.text("IPv4Address")?,
            ipv6: member.text("IPv6Address")?,
        });
    }
    let created = fields.text("Created")?.and_then(|text| time::from_text(&text)).unwrap_or(Timestamp::from_nanos(0));
    let spec = spec_from_fields(&mut fields)?;
    let bridge = fields.object("Gantry")?.text("Bridge")?.unwrap_or_default();
    Ok(NetworkInfo {
        id: id.parse().map_err(|_| WireError::malformed("Id", "64 hexadecimal digits"))?,
        name: name.parse().map_err(|_| WireError::malformed("Name", "a network's name"))?,
        created,
        pools: spec.ipam.clone(),
        spec,
        bridge,
        containers,
    })
}

/// Writes the body of a create request.
pub fn create_to_json(name: &str, spec: &NetworkSpec) -> Value {
    let mut body = json!({
        "Name": name,
        "Driver": driver_of(spec, name),
        "Scope": "",
        "EnableIPv6": spec.enable_ipv6,
        "IPAM": { "Driver": "default", "Options": spec.ipam_options, "Config": spec.ipam.iter().map(pool_to_json).collect::<Vec<_>>() },
        "Internal": spec.internal,
        "Attachable": spec.attachable,
        "Options": spec.options,
        "Labels": spec.labels,
    });
    // Unknown to engines older than 28, so it is only sent when it was asked for.
    if let Some(enable) = spec.enable_ipv4 {
        body["EnableIPv4"] = json!(enable);
    }
    body
}

/// Reads the body of a create request: the name and what is wanted.
pub fn create_from_json(body: Value) -> Result<(String, NetworkSpec), WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    let words = |field: &str, message: &str| WireError::Words { field: field.to_owned(), message: message.to_owned() };
    let name = fields.text("Name")?.ok_or_else(|| words("Name", "invalid name: name is empty"))?;
    // Names are unique here whether or not that is asked for, as in dockerd since API 1.44.
    fields.flag("CheckDuplicate")?;
    let spec = spec_from_fields(&mut fields)?;
    fields.finish()?;
    Ok((name, spec))
}

/// Reads the fields that a network's own JSON and the create request have in common.
fn spec_from_fields(fields: &mut Fields) -> Result<NetworkSpec, WireError> {
    let mut config_from = fields.object("ConfigFrom")?;
    let mut ipam = fields.object("IPAM")?;
    if fields.mood() == Mood::Request {
        refuse_kinds(fields, &mut config_from, &mut ipam)?;
        config_from.finish()?;
    }
    let ipam_options = ipam.text_map("Options")?;
    let mut pools = Vec::new();
    for value in ipam.list("Config")? {
        let mut pool = Fields::of(&ipam.path("Config"), value, fields.mood())?;
        pools.extend(pool_from_fields(&mut pool)?);
        pool.finish()?;
    }
    ipam.finish()?;
    let driver = fields.text("Driver")?.unwrap_or_default();
    Ok(NetworkSpec {
        driver: if driver == "default" { "bridge".to_owned() } else { driver },
        options: fields.text_map("Options")?,
        internal: fields.flag("Internal")?,
        attachable: fields.flag("Attachable")?,
        enable_ipv4: fields.get("EnableIPv4", "true or false")?,
        enable_ipv6: fields.get("EnableIPv6", "true or false")?,
        ipam: pools,
        ipam_options,
        labels: fields.text_map("Labels")?,
    })
}

/// Refuses kinds of networks that this engine has not got, as a dockerd without a swarm and without plugins does where it does, too.
fn refuse_kinds(fields: &mut Fields, config_from: &mut Fields, ipam: &mut Fields) -> Result<(), WireError> {
    let denied = |field: &str, message: String| Err(WireError::Denied { field: field.to_owned(), message });
    match fields.text("Scope")?.as_deref() {
        Some("swarm") => return denied("Scope", "cannot create a swarm scoped network when swarm is not active".to_owned()),
        None | Some("local") => {}
        Some(scope) => return Err(WireError::unsupported("Scope", &json!(scope))),
    }
    if fields.flag("Ingress")? {
        return denied("Ingress", "Ingress network can only be global scope network".to_owned());
    }
    if let Some(network) = config_from.text("Network")? {
        return Err(WireError::Missing {
            field: "ConfigFrom".to_owned(),
            message: format!("configuration network {network:?} does not exist"),
        });
    }
    if let Some(driver) = ipam.text("Driver")?.filter(|driver| driver != "default") {
        return Err(WireError::Missing { field: "IPAM.Driver".to_owned(), message: format!("plugin {driver:?} not found") });
    }
    Ok(())
}

fn pool_to_json(pool: &IpamPool) -> Value {
    let mut value = json!({ "Subnet": pool.subnet.to_string() });
    let mut set = |name: &str, field: Value| value[name] = field;
    if let Some(range) = pool.range {
        set("IPRange", json!(range.to_string()));
    }
    if let Some(gateway) = pool.gateway {
        set("Gateway", json!(gateway));
    }
    if !pool.reserved.is_empty() {
        set("AuxiliaryAddresses", json!(pool.reserved));
    }
    value
}

/// Reads a pool; one without a subnet, which the Compose and Docker command lines send, is none.
fn pool_from_fields(fields: &mut Fields) -> Result<Option<IpamPool>, WireError> {
    let range = subnet(fields, "IPRange")?;
    let gateway = match fields.text("Gateway")? {
        None => None,
        Some(text) => {
            // Some engines tell it with the prefix.
            let address = text.split('/').next().unwrap_or_default();
            Some(address.parse().map_err(|_| WireError::malformed(fields.path("Gateway"), "an address"))?)
        }
    };
    let reserved: BTreeMap<_, _> = fields.get("AuxiliaryAddresses", "an object of addresses")?.unwrap_or_default();
    match subnet(fields, "Subnet")? {
        Some(subnet) => Ok(Some(IpamPool { subnet, range, gateway, reserved })),
        None if range.is_none() && gateway.is_none() && reserved.is_empty() => Ok(None),
        None => Err(WireError::Words {
            field: fields.path("Subnet"),
            message: "invalid network config:\ninvalid subnet : invalid CIDR block notation".to_owned(),
        }),
    }
}

fn subnet(fields: &mut Fields, name: &str) -> Result<Option<Subnet>, WireError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let words = |message: String| WireError::Words { field: fields.path(name), message: format!("invalid network config:\n{message}") };
    let wrong = || words(format!("invalid {} {text}: invalid CIDR block notation", if name == "Subnet" { "subnet" } else { "ip-range" }));
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    let address: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
    let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
    if prefix > if address.is_ipv4() { 32 } else { 128 } {
        return Err(wrong());
    }
    let block = Subnet { address: first_address(address, prefix), prefix };
    if block.address != address && name == "Subnet" && fields.mood() == Mood::Request {
        return Err(words(format!("invalid subnet {text}: it should be {block}")));
    }
    Ok(Some(block))
}

/// The block that an address is in.
fn first_address(address: std::net::IpAddr, prefix: u8) -> std::net::IpAddr {
    match address {
        std::net::IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        std::net::IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

/// Writes the body of a connect request.
pub fn connect_to_json(container: &str, endpoint: &EndpointSpec) -> Value {
    json!({ "Container": container, "EndpointConfig": spec::endpoint_to_json(endpoint) })
}

/// Reads the body of a connect request.
pub fn connect_from_json(body: Value) -> Result<(String, EndpointSpec), WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    let container = fields.text("Container")?.ok_or_else(|| WireError::malformed("Container", "a container"))?;
    let mut endpoint = fields.object("EndpointConfig")?;
    let spec = spec::endpoint_from_fields(&mut endpoint)?;
    endpoint.finish()?;
    fields.finish()?;
    Ok((container, spec))
}

/// Writes the body of a disconnect request; `force` forgives a container that is not there.
pub fn disconnect_to_json(container: &str, force: bool) -> Value {
    json!({ "Container": container, "Force": force })
}

/// Reads the body of a disconnect request: the container, and whether it may be absent.
pub fn disconnect_from_json(body: Value) -> Result<(String, bool), WireError> {
    let mut fields = Fields::of("", body, Mood::Request)?;
    let container = fields.text("Container")?.ok_or_else(|| WireError::malformed("Container", "a container"))?;
    let force = fields.flag("Force")?;
    fields.finish()?;
    Ok((container, force))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> IpamPool {
        let block = |text: &str, prefix| Subnet { address: text.parse().expect("an address"), prefix };
        IpamPool {
            subnet: block("10.9.0.0", 16),
            range: Some(block("10.9.4.0", 24)),
            gateway: "10.9.0.9".parse().ok(),
            reserved: BTreeMap::from([("router".to_owned(), "10.9.0.1".parse().expect("an address"))]),
        }
    }

    fn spec() -> NetworkSpec {
        NetworkSpec {
            driver: "bridge".to_owned(),
            options: BTreeMap::from([("com.docker.network.driver.mtu".to_owned(), "1400".to_owned())]),
            internal: true,
            attachable: true,
            enable_ipv4: Some(true),
            enable_ipv6: Some(true),
            ipam: vec![pool()],
            ipam_options: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        }
    }

    #[test]
    fn every_field_of_a_spec_survives() {
        assert_eq!(create_from_json(create_to_json("shop", &spec())).expect("a good body"), ("shop".to_owned(), spec()));
    }

    #[test]
    fn every_field_of_an_info_survives() {
        let info = NetworkInfo {
            id: crate::resource::id::NetworkId::from_bytes([7; 32]),
            name: "shop".parse().expect("a name"),
            created: Timestamp::from_nanos(1_700_000_000_000_000_001),
            spec: spec(),
            pools: vec![pool()],
            bridge: "gt-1".to_owned(),
            containers: vec![NetworkMember {
                id: crate::resource::id::ContainerId::from_bytes([8; 32]),
                name: "web".to_owned(),
                mac: "02:42:0a:09:00:02".to_owned(),
                ipv4: Some("10.9.0.2/16".to_owned()),
                ipv6: None,
            }],
        };
        assert_eq!(from_json(to_json(&info, true)).expect("a good body"), info);
    }

    #[test]
    fn what_we_would_not_do_is_refused() {
        let check = |body: Value, expect: &str| {
            let refused = create_from_json(body).expect_err("a refusal").to_string();
            assert!(refused.contains(expect), "{refused}");
        };
        check(json!({"Name": "a", "Ingress": true}), "Ingress network can only be global scope network");
        check(json!({"Name": "a", "Scope": "swarm"}), "cannot create a swarm scoped network when swarm is not active");
        check(json!({"Name": "a", "Scope": "global"}), "`Scope`");
        check(json!({"Name": "a", "ConfigOnly": true}), "`ConfigOnly`");
        check(json!({"Name": "a", "ConfigFrom": {"Network": "b"}}), "configuration network \"b\" does not exist");
        check(json!({"Name": "a", "IPAM": {"Driver": "x"}}), "plugin \"x\" not found");
        check(json!({"Name": "a", "IPAM": {"Config": [{"Gateway": "10.0.0.1"}]}}), "invalid subnet : invalid CIDR block notation");
        check(json!({"Name": "a", "IPAM": {"Config": [{"Subnet": "10.0.0.1/33"}]}}), "invalid subnet 10.0.0.1/33: invalid CIDR");
        check(json!({"Name": "a", "IPAM": {"Config": [{"Subnet": "10.1.2.3/16"}]}}), "it should be 10.1.0.0/16");
        check(json!({}), "invalid name: name is empty");
    }
}
