//! A service's place on its networks: names, addresses, interfaces.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{integer, network, text, texts};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::model::ServiceNetwork;
use crate::compose::project::node::Node;
use crate::compose::project::source::Span;

/// The one option of a bridge's endpoints.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

pub(super) fn networks(decoder: &mut Decoder<'_>) -> BTreeMap<String, ServiceNetwork> {
    let mut networks = BTreeMap::new();
    let mut interfaces: BTreeMap<String, Span> = BTreeMap::new();
    for (key, entry) in decoder.node.get("networks").and_then(Node::as_map).into_iter().flatten() {
        decoder.defined("networks", "network", key, entry.key);
        let network = network(decoder, key, &entry.node);
        if let Some(name) = &network.interface_name {
            let span = entry.node.get("interface_name").map_or(entry.node.span, |name| name.span);
            if let Some(first) = interfaces.insert(name.clone(), span) {
                let path = decoder.path(&format!("networks.{key}"));
                let problem = Diagnostic::error("interface-name", format!("{path}: two interfaces cannot both be called `{name}`"));
                decoder.problems.push(problem.at(span).with(first, "the other one"));
            }
        }
        networks.insert(key.clone(), network);
    }
    networks
}

/// The service's own address, which is that of the first of its networks.
pub(super) fn mac_address(decoder: &mut Decoder<'_>, networks: &BTreeMap<String, ServiceNetwork>) -> Option<String> {
    let path = decoder.path("mac_address");
    let address = mac(decoder, decoder.node, &path)?.replace('-', ":").to_ascii_lowercase();
    let span = decoder.node.get("mac_address").map(|value| value.span);
    if let Some(mode) = decoder.node.get("network_mode").and_then(Node::as_text).filter(|mode| !mode.is_empty()) {
        let message = format!("{path}: with `network_mode: {mode}` there is no interface of its own to have it");
        decoder.refuse("address", span, message, Some("put the service on a network of the project, or remove the address".to_owned()));
    }
    let first = networks.iter().min_by_key(|(key, network)| (std::cmp::Reverse(network.priority), *key));
    let is_other = |other: &String| other.replace('-', ":").to_ascii_lowercase() != address;
    if let Some((key, _)) = first.filter(|(_, network)| network.mac_address.as_ref().is_some_and(is_other)) {
        let message = format!("{path}: the service-level mac_address should have the same value as network {key}");
        decoder.refuse("address", span, message, Some("keep one of the two".to_owned()));
    }
    Some(address)
}

fn network(decoder: &mut Decoder<'_>, key: &str, node: &Node) -> ServiceNetwork {
    let path = decoder.path(&format!("networks.{key}"));
    let mut addresses = Vec::new();
    for item in node.get("link_local_ips").and_then(Node::as_list).unwrap_or_default() {
        let written = item.as_text().unwrap_or_default();
        match written.parse::<IpAddr>() {
            Ok(address) if is_link_local(address) => addresses.push(address),
            _ => {
                let message = format!("{path}.link_local_ips: `{written}` is no link-local IP address");
                decoder.refuse("address", Some(item.span), message, Some("those are within 169.254.0.0/16 and fe80::/10".to_owned()));
            }
        }
    }
    ServiceNetwork {
        aliases: texts(node, "aliases"),
        ipv4_address: address(decoder, node, &path, "ipv4_address", key),
        ipv6_address: address(decoder, node, &path, "ipv6_address", key),
        link_local_ips: addresses,
        mac_address: mac(decoder, node, &format!("{path}.mac_address")),
        interface_name: interface_name(decoder, node, &path),
        priority: integer(node, "priority").unwrap_or_default(),
        gw_priority: integer(node, "gw_priority").unwrap_or_default(),
    }
}

/// A static address, which lies in a block of its network where that names any.
fn address<T: FromStr + Into<IpAddr> + Copy>(decoder: &mut Decoder<'_>, node: &Node, path: &str, attribute: &str, key: &str) -> Option<T> {
    let value = node.get(attribute)?;
    let written = value.as_text().filter(|written| !written.is_empty())?;
    let version = if attribute == "ipv4_address" { "IPv4" } else { "IPv6" };
    let Ok(address) = written.parse::<T>() else {
        let message = format!("{path}.{attribute}: `{written}` is no {version} address");
        decoder.refuse("address", Some(value.span), message, None);
        return None;
    };
    let blocks: Vec<_> = decoder
        .document
        .get("networks")
        .and_then(|networks| networks.get(key)?.get("ipam")?.get("config")?.as_list())
        .into_iter()
        .flatten()
        .filter_map(|pool| network::subnet(pool.get("subnet")?.as_text()?))
        .filter(|block| block.address.is_ipv4() == address.into().is_ipv4())
        .collect();
    if !blocks.is_empty() && !blocks.iter().any(|block| network::contains(*block, address.into())) {
        let blocks = blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let message = format!("{path}.{attribute}: {written} lies outside of the network's {blocks}");
        decoder.refuse("address", Some(value.span), message, Some("choose one within, or change the network's `ipam`".to_owned()));
    }
    Some(address)
}

fn mac(decoder: &mut Decoder<'_>, node: &Node, path: &str) -> Option<String> {
    let value = node.get("mac_address")?;
    let written = value.as_text().filter(|written| !written.is_empty())?;
    let parts: Vec<&str> = written.split([':', '-']).collect();
    let octet = |part: &&str| if part.len() == 2 { u8::from_str_radix(part, 16).ok() } else { None };
    let octets: Option<Vec<u8>> = parts.iter().map(octet).collect();
    match octets.as_deref() {
        // The lowest bit of the first is set in a group's address.
        Some([first, _, _, _, _, _]) if first & 1 == 0 => {}
        _ => {
            let message = format!("{path}: `{written}` is no hardware address of an interface");
            decoder.refuse(
                "address",
                Some(value.span),
                message,
                Some("write six octets, the first of them even: `02:42:ac:11:00:02`".to_owned()),
            );
        }
    }
    Some(written.to_owned())
}

fn interface_name(decoder: &mut Decoder<'_>, node: &Node, path: &str) -> Option<String> {
    for (option, entry) in node.get("driver_opts").and_then(Node::as_map).into_iter().flatten() {
        if option != INTERFACE_NAME {
            let message = format!("{path}.driver_opts: the option `{option}` is not supported");
            decoder.refuse(
                "not-yet",
                Some(entry.key),
                message,
                Some(format!("there is `{INTERFACE_NAME}`; remove the other to go on without it")),
            );
        }
    }
    let option = node.get("driver_opts").and_then(|options| text(options, INTERFACE_NAME));
    let name = text(node, "interface_name").or(option).filter(|name| !name.is_empty())?;
    let span = node.get("interface_name").or_else(|| node.get("driver_opts")).map(|value| value.span);
    let fits =
        name.len() <= 15 && name != "." && name != ".." && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
    if !fits {
        let message = format!("{path}.interface_name: `{name}` cannot name an interface");
        decoder.refuse("interface-name", span, message, Some("at most 15 characters, without spaces, `/` and `:`".to_owned()));
    }
    Some(name)
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
