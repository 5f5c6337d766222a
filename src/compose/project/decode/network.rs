//! Networks and volumes of a project.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::compose::project::decode::{dictionary, flag, text};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::fix::Fix;
use crate::compose::project::model::{Network, Volume};
use crate::compose::project::node::{Entry, Node};
use crate::resource::name::{NetworkName, VolumeName};
use crate::resource::network::{IpamPool, NetworkSpec, Subnet};
use crate::resource::volume::VolumeSpec;

pub(super) fn network(key: &str, entry: &Entry, problems: &mut Vec<Diagnostic>) -> Option<Network> {
    let node = &entry.node;
    node.as_map()?;
    let name = text(node, "name").unwrap_or_else(|| key.to_owned());
    if let Err(error) = name.parse::<NetworkName>() {
        problems.push(
            Diagnostic::refusal("name", format!("networks.{key}: {error}"))
                .at(node.get("name").map_or(entry.key, |name| name.span))
                .hint("give it a `name`"),
        );
    }
    let external = flag(node, "external").unwrap_or_default();
    let driver = text(node, "driver").unwrap_or_default();
    if !external && !matches!(driver.as_str(), "" | "default" | "bridge") {
        let at = node.get("driver").map_or(entry.key, |driver| driver.span);
        let problem = Diagnostic::refusal("not-yet", format!("networks.{key}: the network driver `{driver}` is not yet supported")).at(at);
        problems.push(problem.hint("there is `bridge`"));
    }
    let ipam = node.get("ipam").map(|ipam| pools(key, ipam, problems)).unwrap_or_default();
    let spec = NetworkSpec {
        driver: if driver == "default" { String::new() } else { driver },
        options: dictionary(node, "driver_opts"),
        internal: flag(node, "internal").unwrap_or_default(),
        attachable: flag(node, "attachable").unwrap_or_default(),
        enable_ipv4: flag(node, "enable_ipv4"),
        enable_ipv6: flag(node, "enable_ipv6"),
        ipam,
        ipam_options: BTreeMap::new(),
        labels: dictionary(node, "labels"),
    };
    Some(Network { name, external, spec })
}

fn pools(key: &str, ipam: &Node, problems: &mut Vec<Diagnostic>) -> Vec<IpamPool> {
    if let Some(driver) = text(ipam, "driver").filter(|driver| !matches!(driver.as_str(), "" | "default")) {
        let at = ipam.get("driver").map_or(ipam.span, |driver| driver.span);
        problems.push(
            Diagnostic::refusal("not-yet", format!("networks.{key}: the ipam driver `{driver}` is not yet supported"))
                .at(at)
                .hint("there is `default`"),
        );
    }
    for (option, entry) in ipam.get("options").and_then(Node::as_map).into_iter().flatten() {
        let message = format!("networks.{key}: the default ipam driver has no option `{option}`");
        problems.push(Diagnostic::refusal("not-yet", message).at(entry.key).hint("remove it to go on without it"));
    }
    let mut pools = Vec::new();
    for item in ipam.get("config").and_then(Node::as_list).unwrap_or_default() {
        let mut report = Report { key, item, problems };
        pools.extend(pool(&mut report));
    }
    pools
}

struct Report<'a> {
    key: &'a str,
    item: &'a Node,
    problems: &'a mut Vec<Diagnostic>,
}

impl Report<'_> {
    fn wrong(&mut self, node: &Node, message: &str) {
        let problem = Diagnostic::refusal("ipam", format!("networks.{}.ipam: {message}", self.key)).at(node.span);
        self.problems.push(problem.hint("write addresses of one block, as in `subnet: 172.28.0.0/16` and `gateway: 172.28.0.1`"));
    }

    fn address(&mut self, node: &Node) -> Option<IpAddr> {
        let written = node.as_text()?;
        let address = written.parse().ok();
        if address.is_none() {
            self.wrong(node, &format!("`{written}` is no IP address"));
        }
        address
    }

    fn block(&mut self, node: &Node) -> Option<Subnet> {
        let written = node.as_text()?;
        let Some(block) = subnet(written) else {
            self.wrong(node, &format!("`{written}` is no address block such as 172.28.0.0/16"));
            return None;
        };
        let first = Subnet { address: mask(block.address, block.prefix), prefix: block.prefix };
        if first != block {
            self.wrong(node, &format!("`{written}` is not the first address of its block; write `{first}`"));
        }
        Some(first)
    }
}

fn pool(report: &mut Report<'_>) -> Option<IpamPool> {
    let item = report.item;
    item.as_map()?;
    let Some(block) = item.get("subnet") else {
        report.wrong(item, "an address pool needs a `subnet`");
        return None;
    };
    let subnet = report.block(block)?;
    let range = item.get("ip_range").and_then(|node| report.block(node));
    let gateway = item.get("gateway").and_then(|node| report.address(node));
    let mut reserved = BTreeMap::new();
    for (name, entry) in item.get("aux_addresses").and_then(Node::as_map).into_iter().flatten() {
        if let Some(address) = report.address(&entry.node) {
            reserved.insert(name.clone(), address);
        }
    }
    let outside = |address: IpAddr| !contains(subnet, address);
    for key in ["gateway", "ip_range"] {
        let address = if key == "gateway" { gateway } else { range.map(|range| range.address) };
        if let (Some(node), true) = (item.get(key), address.is_some_and(outside)) {
            report.wrong(node, &format!("the {key} lies outside {subnet}"));
        }
    }
    Some(IpamPool { subnet, range, gateway, reserved })
}

/// Whether an address lies in a block.
pub(super) fn contains(block: Subnet, address: IpAddr) -> bool {
    address.is_ipv4() == block.address.is_ipv4() && mask(address, block.prefix) == mask(block.address, block.prefix)
}

/// Reads an address block.
pub(super) fn subnet(text: &str) -> Option<Subnet> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some(Subnet { address, prefix })
}

/// Clears the bits of an address behind a prefix.
fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            IpAddr::V4((address.to_bits() & u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits() & u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0)).into())
        }
    }
}

pub(super) fn volume(key: &str, entry: &Entry, problems: &mut Vec<Diagnostic>) -> Option<Volume> {
    let node = &entry.node;
    node.as_map()?;
    let name = text(node, "name").unwrap_or_else(|| key.to_owned());
    if let Err(error) = name.parse::<VolumeName>() {
        problems.push(
            Diagnostic::refusal("name", format!("volumes.{key}: {error}"))
                .at(node.get("name").map_or(entry.key, |name| name.span))
                .hint("give it a `name`"),
        );
    }
    let external = flag(node, "external").unwrap_or_default();
    for attribute in ["driver", "driver_opts", "labels"] {
        if let (true, Some(extra)) = (external, node.get(attribute)) {
            let message = format!("volumes.{key}: conflicting parameters \"external\" and \"{attribute}\" specified");
            let problem =
                Diagnostic::error("external", message).at(extra.span).hint("an external volume exists already; remove one of the two");
            let entry = node.as_map().and_then(|map| map.get(attribute));
            problems.push(match entry {
                Some(entry) => problem.fix(Fix::Remove(entry.key, entry.node.span)),
                None => problem,
            });
        }
    }
    let driver = text(node, "driver").unwrap_or_default();
    if !external && !matches!(driver.as_str(), "" | "local") {
        let at = node.get("driver").map_or(entry.key, |driver| driver.span);
        problems.push(
            Diagnostic::refusal("not-yet", format!("volumes.{key}: the volume driver `{driver}` is not yet supported"))
                .at(at)
                .hint("there is `local`"),
        );
    }
    Some(Volume {
        name,
        external,
        spec: VolumeSpec { driver, options: dictionary(node, "driver_opts"), labels: dictionary(node, "labels") },
    })
}
