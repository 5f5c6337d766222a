//! Namespaces, links and volumes of other services and containers.

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::Node;
use crate::compose::project::other::{Link, Other, ServiceIpc, ServiceNetworkMode, ServicePid, VolumesFrom};
use crate::resource::name::NetworkName;

/// The forms of a namespace that is another's.
const SHARED: &str = "`service:NAME` and `container:NAME`";

pub(super) fn network_mode(decoder: &mut Decoder<'_>) -> ServiceNetworkMode {
    let Some(node) = decoder.node.get("network_mode") else { return ServiceNetworkMode::Networks };
    let Some(written) = node.as_text().filter(|written| !written.is_empty()) else { return ServiceNetworkMode::Networks };
    if let Some(networks) = decoder.node.get("networks").filter(|networks| !networks.is_empty()) {
        let message = format!("service {} declares mutually exclusive `network_mode` and `networks`", decoder.key);
        let (span, fix) = (networks.span, decoder.without("network_mode"));
        decoder.error("network-mode", Some(span), message, Some("keep one of the two".to_owned())).fix = fix;
    }
    match written {
        "none" => ServiceNetworkMode::None,
        "host" => ServiceNetworkMode::Host,
        "bridge" | "default" => ServiceNetworkMode::Bridge,
        _ => match shared(decoder, "network_mode", node, written) {
            Shared::By(other) => ServiceNetworkMode::With(other),
            Shared::Wrong => ServiceNetworkMode::Networks,
            Shared::No if written.parse::<NetworkName>().is_ok() => ServiceNetworkMode::Named(written.to_owned()),
            Shared::No => {
                let hint = format!("there are none, host, bridge, {SHARED}, and names of networks");
                wrong(decoder, "network_mode", node, written, hint);
                ServiceNetworkMode::Networks
            }
        },
    }
}

pub(super) fn pid(decoder: &mut Decoder<'_>) -> ServicePid {
    let Some(node) = decoder.node.get("pid") else { return ServicePid::Private };
    match node.as_text().unwrap_or_default() {
        "" => ServicePid::Private,
        "host" => ServicePid::Host,
        written => match shared(decoder, "pid", node, written) {
            Shared::By(other) => ServicePid::With(other),
            Shared::Wrong => ServicePid::Private,
            Shared::No => {
                wrong(decoder, "pid", node, written, format!("there are host, {SHARED}"));
                ServicePid::Private
            }
        },
    }
}

pub(super) fn ipc(decoder: &mut Decoder<'_>) -> ServiceIpc {
    let Some(node) = decoder.node.get("ipc") else { return ServiceIpc::Private };
    match node.as_text().unwrap_or_default() {
        "" | "private" => ServiceIpc::Private,
        "shareable" => ServiceIpc::Shareable,
        "none" => ServiceIpc::None,
        "host" => ServiceIpc::Host,
        written => match shared(decoder, "ipc", node, written) {
            Shared::By(other) => ServiceIpc::With(other),
            Shared::Wrong => ServiceIpc::Private,
            Shared::No => {
                wrong(decoder, "ipc", node, written, format!("there are private, shareable, none, host, {SHARED}"));
                ServiceIpc::Private
            }
        },
    }
}

/// `SERVICE[:ALIAS]` and `CONTAINER[:ALIAS]`.
pub(super) fn links(decoder: &mut Decoder<'_>) -> Vec<Link> {
    let mut links = Vec::new();
    for (key, of_service) in [("links", true), ("external_links", false)] {
        let items: Vec<Node> = decoder.items(key).to_vec();
        let mode = decoder.node.get("network_mode").and_then(Node::as_text).filter(|mode| !mode.is_empty());
        if let (Some(mode), Some(first)) = (mode, items.first()) {
            let message = format!("{} has no effect with `network_mode: {mode}`", decoder.path(key));
            decoder.problems.push(Diagnostic::warning("inert", message).at(first.span));
        }
        for item in &items {
            let Some(written) = item.as_text() else { continue };
            let (target, alias) = written.split_once(':').unwrap_or((written, written));
            let to = if of_service { target.parse().ok().map(Other::Service) } else { Some(Other::Container(target.to_owned())) };
            match to {
                Some(to) if !target.is_empty() && !alias.is_empty() && !alias.contains(':') => {
                    links.push(Link { to, alias: alias.to_owned() });
                }
                _ => {
                    let one = if of_service { "SERVICE" } else { "CONTAINER" };
                    let message = format!("{}: `{written}` is no link", decoder.path(key));
                    decoder.refuse("link", Some(item.span), message, Some(format!("write `{one}` or `{one}:ALIAS`")));
                }
            }
        }
    }
    links
}

/// `SERVICE[:ro]` and `container:NAME[:ro]`.
pub(super) fn volumes_from(decoder: &mut Decoder<'_>) -> Vec<VolumesFrom> {
    let items: Vec<Node> = decoder.items("volumes_from").to_vec();
    let mut sources = Vec::new();
    for item in &items {
        let Some(written) = item.as_text() else { continue };
        let bare = written.strip_prefix("container:");
        let (name, mode) = bare.unwrap_or(written).split_once(':').unwrap_or((bare.unwrap_or(written), "rw"));
        let from = if bare.is_some() { Some(Other::Container(name.to_owned())) } else { name.parse().ok().map(Other::Service) };
        match from {
            Some(from) if !name.is_empty() && matches!(mode, "ro" | "rw") => {
                sources.push(VolumesFrom { from, read_only: mode == "ro" });
            }
            _ => {
                let message = format!("{}: `{written}` names nobody's volumes", decoder.path("volumes_from"));
                let hint = "write `SERVICE` or `container:NAME`, with `:ro` after it where they are not to be written";
                decoder.refuse("volumes-from", Some(item.span), message, Some(hint.to_owned()));
            }
        }
    }
    sources
}

/// What a mode says of another container.
enum Shared {
    By(Other),
    /// Nothing.
    No,
    /// It names none; that was reported.
    Wrong,
}

fn shared(decoder: &mut Decoder<'_>, key: &str, node: &Node, written: &str) -> Shared {
    let other = match (written.strip_prefix("service:"), written.strip_prefix("container:")) {
        (Some(service), _) => service.parse().ok().map(Other::Service),
        (_, Some(container)) => Some(container).filter(|name| !name.is_empty()).map(|name| Other::Container(name.to_owned())),
        _ => return Shared::No,
    };
    match other {
        Some(other) => Shared::By(other),
        None => {
            wrong(decoder, key, node, written, format!("name whose it is: {SHARED}"));
            Shared::Wrong
        }
    }
}

fn wrong(decoder: &mut Decoder<'_>, key: &str, node: &Node, written: &str, hint: String) {
    let message = format!("{}: there is no mode `{written}`", decoder.path(key));
    decoder.refuse("mode", Some(node.span), message, Some(hint));
}
