//! Published and exposed ports.

use std::collections::BTreeSet;

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{integer, text};
use crate::compose::project::diagnostic::Severity;
use crate::compose::project::node::Node;
use crate::compose::project::short;
use crate::resource::container::{ContainerPort, PortBinding, Protocol};

pub(super) fn bindings(decoder: &mut Decoder<'_>) -> Vec<PortBinding> {
    let items: Vec<Node> = decoder.items("ports").to_vec();
    items.iter().filter_map(|item| binding(decoder, item)).collect()
}

fn binding(decoder: &mut Decoder<'_>, node: &Node) -> Option<PortBinding> {
    node.as_map()?;
    // Both are the same on one host.
    if let Some(mode) = text(node, "mode").filter(|mode| !matches!(mode.as_str(), "" | "ingress" | "host")) {
        let span = node.get("mode").map(|mode| mode.span);
        let message = format!("{}: there is no mode `{mode}`", decoder.path("ports"));
        decoder.refuse("port", span, message, Some("there are ingress and host".to_owned()));
    }
    let mut wrong = |key: &str, severity: Severity, message: String| {
        let span = node.get(key).map_or(node.span, |value| value.span);
        let message = format!("{}: {message}", decoder.path("ports"));
        let hint = "write `target: 80`, and `published: \"8080\"`, `host_ip: 127.0.0.1`, `protocol: tcp` as needed".to_owned();
        decoder.error("port", Some(span), message, Some(hint)).severity = severity;
    };
    let Some(target) = node.get("target") else {
        wrong("target", Severity::Error, "a port needs a `target`, the port inside the container".to_owned());
        return None;
    };
    let number = integer(node, "target")?;
    let Some(port) = u16::try_from(number).ok().filter(|port| *port != 0) else {
        wrong("target", Severity::Refusal, format!("{} is no port", target.as_scalar().unwrap_or_default()));
        return None;
    };
    let word = text(node, "protocol").unwrap_or_else(|| "tcp".to_owned());
    let Some(protocol) = protocol(&word) else {
        wrong("protocol", Severity::Refusal, format!("`{word}` is no protocol; there are tcp, udp and sctp"));
        return None;
    };
    let host_ip = match text(node, "host_ip").filter(|ip| !ip.is_empty()) {
        None => None,
        Some(ip) => match ip.parse() {
            Ok(ip) => Some(ip),
            Err(_) => {
                wrong("host_ip", Severity::Error, format!("invalid ip address `{ip}`"));
                return None;
            }
        },
    };
    let published = match text(node, "published").filter(|published| !published.is_empty()) {
        None => 0..=0,
        Some(published) => match short::range(&published) {
            Some(range) => range,
            None => {
                wrong("published", Severity::Refusal, format!("`{published}` is no port of the host"));
                return None;
            }
        },
    };
    Some(PortBinding {
        container: ContainerPort { port, protocol },
        host_ip,
        host_port: *published.start(),
        host_port_end: *published.end(),
    })
}

fn protocol(word: &str) -> Option<Protocol> {
    match word.to_ascii_lowercase().as_str() {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}

pub(super) fn exposed(decoder: &mut Decoder<'_>) -> BTreeSet<ContainerPort> {
    let mut ports = BTreeSet::new();
    let items: Vec<Node> = decoder.items("expose").to_vec();
    for item in &items {
        let Some(written) = item.as_scalar() else { continue };
        let (numbers, word) = written.split_once('/').unwrap_or((&written, "tcp"));
        match (short::range(numbers), protocol(word)) {
            (Some(range), Some(protocol)) => ports.extend(range.map(|port| ContainerPort { port, protocol })),
            _ => {
                let message = format!("{}: `{written}` is no port", decoder.path("expose"));
                decoder.refuse("port", Some(item.span), message, Some("write `80`, `80/udp` or `80-90`".to_owned()));
            }
        }
    }
    ports
}
