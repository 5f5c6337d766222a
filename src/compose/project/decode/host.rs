//! What a service has of the machine: names and addresses, devices, kernel parameters, namespaces, log.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{dictionary, text};
use crate::compose::project::node::Node;
use crate::compose::project::suggest;
use crate::resource::container::{Device, DeviceRule, LogSpec, NamespaceMode, are_permissions};
use crate::resource::{extra_host, sysctl};

pub(super) fn extra_hosts(decoder: &mut Decoder<'_>) -> Vec<(String, String)> {
    let mut hosts = Vec::new();
    for (line, span) in decoder.lines("extra_hosts") {
        let Some((name, address)) = line.split_once('=') else { continue };
        if extra_host::check(name, address).is_err() {
            let message = format!("{}: `{address}` is no address for {name}", decoder.path("extra_hosts"));
            decoder.refuse(
                "extra-hosts",
                Some(span),
                message,
                Some("write `name=address`, or `name=host-gateway` for the machine itself".to_owned()),
            );
        }
        hosts.push((name.to_owned(), address.to_owned()));
    }
    hosts
}

pub(super) fn dns(decoder: &mut Decoder<'_>) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for (line, span) in decoder.lines("dns") {
        match line.parse() {
            Ok(address) => servers.push(address),
            Err(_) => {
                let message = format!("{}: `{line}` is no address of a name server", decoder.path("dns"));
                decoder.refuse("dns", Some(span), message, Some("write its IPv4 or IPv6 address".to_owned()));
            }
        }
    }
    servers
}

pub(super) fn devices(decoder: &mut Decoder<'_>) -> Vec<Device> {
    let items: Vec<Node> = decoder.items("devices").iter().filter(|item| item.as_map().is_some()).cloned().collect();
    let mut devices = Vec::new();
    for item in &items {
        let place = |key: &str| Some(item.get(key).map_or(item.span, |value| value.span));
        let path = decoder.path("devices");
        let read = |key: &str| text(item, key).filter(|text| !text.is_empty());
        let (Some(source), Some(target)) = (read("source"), read("target")) else {
            let missing = if read("source").is_none() { "source" } else { "target" };
            decoder.refuse(
                "device",
                Some(item.span),
                format!("{path}: a device needs a `{missing}`"),
                Some(format!("add `{missing}: /dev/…`")),
            );
            continue;
        };
        if !source.starts_with('/') && source.contains('/') && source.contains('=') {
            let hint = "name the device's path, `/dev/…`";
            decoder.refuse(
                "not-yet",
                place("source"),
                format!("{path}: devices of the CDI (`{source}`) are not yet supported"),
                Some(hint.to_owned()),
            );
            continue;
        }
        for (key, value) in [("source", &source), ("target", &target)] {
            if !value.starts_with('/') {
                let hint = Some("write `/dev/host:/dev/container:rwm`".to_owned());
                decoder.refuse("device", place(key), format!("{path}: `{value}` must be an absolute path"), hint);
            }
        }
        let permissions = read("permissions").unwrap_or_else(|| "rwm".to_owned());
        if !are_permissions(&permissions) {
            let message = format!("{path}: `{permissions}` are no permissions of a device");
            decoder.refuse("device", place("permissions"), message, Some("some of r (read), w (write) and m (mknod) are".to_owned()));
        }
        devices.push(Device { source, target, permissions });
    }
    devices
}

pub(super) fn device_rules(decoder: &mut Decoder<'_>) -> Vec<String> {
    let lines = decoder.lines("device_cgroup_rules");
    for (line, span) in &lines {
        if let Err(message) = line.parse::<DeviceRule>() {
            let message = format!("{}: {message}", decoder.path("device_cgroup_rules"));
            decoder.refuse("device", Some(*span), message, Some("write kind, numbers and permissions, as in `c 1:3 rwm`".to_owned()));
        }
    }
    lines.into_iter().map(|(line, _)| line).collect()
}

pub(super) fn sysctls(decoder: &mut Decoder<'_>) -> BTreeMap<String, String> {
    for (name, entry) in decoder.node.get("sysctls").and_then(Node::as_map).into_iter().flatten() {
        if sysctl::namespace_of(name).is_none() {
            let message = format!("{}: sysctl \"{name}\" is not in a separate kernel namespace", decoder.path("sysctls"));
            let hint = match name.as_str() {
                "kernel.hostname" => "write `hostname`",
                _ => "it is the whole machine's: set it there; a service can set net.*, fs.mqueue.*, and kernel.shm*, .sem and .msg*",
            };
            decoder.refuse("sysctl", Some(entry.key), message, Some(hint.to_owned()));
        }
        if entry.node.as_scalar().is_some_and(|value| value.is_empty()) {
            decoder.refuse("sysctl", Some(entry.key), format!("{}: {name} has no value", decoder.path("sysctls")), None);
        }
    }
    dictionary(decoder.node, "sysctls")
}

/// The options that engines have, by what is before the sign.
const SECURITY: [&str; 5] = ["apparmor", "label", "no-new-privileges", "seccomp", "systempaths"];

pub(super) fn security_options(decoder: &mut Decoder<'_>) -> Vec<String> {
    let lines = decoder.lines("security_opt");
    for (line, span) in &lines {
        let (key, value) = line.split_once('=').or_else(|| line.split_once(':')).unwrap_or((line, ""));
        let known = match key {
            "no-new-privileges" => matches!(value, "" | "true" | "false"),
            "systempaths" => value == "unconfined",
            "apparmor" | "label" | "seccomp" => !value.is_empty(),
            _ => false,
        };
        if !known {
            let hint = match (key, suggest::nearest(key, SECURITY)) {
                ("no-new-privileges", _) => "write `no-new-privileges`, or `no-new-privileges=false`".to_owned(),
                ("systempaths", _) => "write `systempaths=unconfined`".to_owned(),
                (key, _) if SECURITY.contains(&key) => format!("write `{key}=…`"),
                (_, Some(near)) => format!("did you mean `{near}`?"),
                _ => format!("there are {}", SECURITY.join(", ")),
            };
            let message = format!("{}: there is no security option `{line}`", decoder.path("security_opt"));
            decoder.refuse("security-opt", Some(*span), message, Some(hint));
        }
    }
    lines.into_iter().map(|(line, _)| line).collect()
}

/// A namespace that is the machine's or, where there is a word for it, its own.
pub(super) fn namespace(decoder: &mut Decoder<'_>, name: &str, own: &str) -> NamespaceMode {
    match text(decoder.node, name).as_deref() {
        None | Some("") => NamespaceMode::Private,
        Some("host") => NamespaceMode::Host,
        Some(word) if word == own => NamespaceMode::Private,
        Some(word) => {
            let message = format!("{}: there is no mode `{word}`", decoder.path(name));
            let hint = if own.is_empty() { "there is `host`".to_owned() } else { format!("there are `host` and `{own}`") };
            decoder.refuse("mode", decoder.node.get(name).map(|node| node.span), message, Some(hint));
            NamespaceMode::Private
        }
    }
}

/// Reports what would need users to be mapped, or another program to run containers.
pub(super) fn refuse_foreign(decoder: &mut Decoder<'_>) {
    for (name, known, hint) in [
        ("userns_mode", &["", "host"][..], "there is `host`: this engine maps no users"),
        ("runtime", &["", "runc", "io.containerd.runc.v2"], "remove it: containers are run by Gantry itself, as runc would"),
    ] {
        let Some(node) = decoder.node.get(name) else { continue };
        let Some(word) = node.as_text().filter(|word| !known.contains(word)) else { continue };
        let message = format!("{}: `{word}` is not supported", decoder.path(name));
        decoder.refuse("not-yet", Some(node.span), message, Some(hint.to_owned()));
    }
}

pub(super) fn logging(decoder: &mut Decoder<'_>) -> LogSpec {
    let Some(node) = decoder.node.get("logging") else { return LogSpec::default() };
    let driver = text(node, "driver").unwrap_or_default();
    LogSpec::of_driver(&driver, &dictionary(node, "options")).unwrap_or_else(|error| {
        let options = node.get("options").and_then(Node::as_map);
        let place = match error.option() {
            Some(name) => options.and_then(|options| options.get(name)).map(|entry| entry.key),
            None => node.get("driver").map(|driver| driver.span),
        };
        let hint = error.option().is_none().then(|| "remove `driver`, and follow the output with `logs`".to_owned());
        let message = format!("{}: {error}", decoder.path("logging"));
        let code = if error.option().is_none() { "not-yet" } else { "logging" };
        decoder.refuse(code, place.or(Some(node.span)), message, hint);
        LogSpec::default()
    })
}
