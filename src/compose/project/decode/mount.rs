//! Mounts: `volumes` and `tmpfs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{dictionary, flag, text};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::fix::Fix;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::source::Span;
use crate::compose::project::{scalar, short};
use crate::resource::container::{BindRecursion, Mount, MountSource};

pub(super) fn mounts(decoder: &mut Decoder<'_>) -> Vec<Mount> {
    let mut mounts = Vec::new();
    let mut places: BTreeMap<String, Span> = BTreeMap::new();
    let items: Vec<Node> = decoder.items("volumes").to_vec();
    for item in &items {
        if let Some(mount) = mount(decoder, item) {
            places.insert(mount.target.clone(), item.span);
            mounts.push(mount);
        }
    }
    let items: Vec<Node> = decoder.items("tmpfs").to_vec();
    for item in &items {
        let Some(mount) = item.as_text().and_then(|written| tmpfs(decoder, item.span, written)) else { continue };
        if let Some(place) = places.get(&mount.target) {
            let message = format!("{}: target {} already mounted", decoder.path("tmpfs"), mount.target);
            let problem = Diagnostic::error("mount", message).at(item.span).with(*place, "mounted here");
            decoder.problems.push(problem.hint("keep one of the two"));
        }
        mounts.push(mount);
    }
    mounts
}

fn mount(decoder: &mut Decoder<'_>, node: &Node) -> Option<Mount> {
    node.as_map()?;
    let place = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let path = decoder.path("volumes");
    let Some(target) = text(node, "target").filter(|target| !target.is_empty()) else {
        decoder
            .error(
                "mount",
                Some(node.span),
                format!("{path}: a mount needs a `target`, the path inside the container"),
                Some("add `target: /path`".to_owned()),
            )
            .fix = Some(Fix::Add(node.span, "target: /path".to_owned()));
        return None;
    };
    if !target.starts_with('/') {
        let hint = Some("write `source:/path`, or `/path` for an anonymous volume".to_owned());
        decoder.refuse("mount", Some(place("target")), format!("{path}: the target `{target}` must be an absolute path"), hint);
        return None;
    }
    let kind = text(node, "type")?;
    let source = text(node, "source").filter(|source| !source.is_empty());
    let options = node.get(&kind);
    for other in ["bind", "volume", "tmpfs"] {
        if other != kind
            && let Some(extra) = node.get(other).filter(|extra| !extra.is_null())
        {
            decoder.refuse("mount", Some(extra.span), format!("{path}: `{other}` says nothing about a mount of type {kind}"), None);
        }
    }
    let source = match kind.as_str() {
        "bind" => bind(decoder, node, options, source)?,
        "volume" => {
            if let Some(name) = &source {
                decoder.defined("volumes", "volume", name, place("source"));
            }
            MountSource::Volume {
                name: source,
                no_copy: options.and_then(|options| flag(options, "nocopy")).unwrap_or_default(),
                subpath: options.and_then(|options| text(options, "subpath")).filter(|subpath| !subpath.is_empty()),
                labels: options.map(|options| dictionary(options, "labels")).unwrap_or_default(),
            }
        }
        "tmpfs" => {
            if source.is_some() {
                decoder.refuse("mount", Some(place("source")), format!("{path}: a tmpfs has no source"), None);
            }
            MountSource::Tmpfs {
                size: options.and_then(|options| text(options, "size")).and_then(|size| scalar::bytes(&size)),
                mode: options.and_then(|options| options.get("mode")).and_then(|node| mode(decoder, node)),
                options: Vec::new(),
            }
        }
        "image" | "npipe" | "cluster" => {
            decoder.refuse("not-yet", Some(place("type")), format!("{path}: mounts of type {kind} are not yet supported"), None);
            return None;
        }
        // Reported as no such word.
        _ => return None,
    };
    Some(Mount { target, read_only: flag(node, "read_only").unwrap_or_default(), source })
}

fn bind(decoder: &mut Decoder<'_>, node: &Node, options: Option<&Node>, source: Option<String>) -> Option<MountSource> {
    let path = decoder.path("volumes");
    let Some(source) = source else {
        decoder.error(
            "mount",
            Some(node.span),
            format!("{path}: field Source must not be empty"),
            Some("give the bind a `source`".to_owned()),
        );
        return None;
    };
    if short::is_windows(&source) {
        decoder.refuse("mount", Some(node.span), format!("{path}: `{source}` is a path of Windows"), None);
        return None;
    }
    let propagation = options.and_then(|options| text(options, "propagation")).filter(|propagation| !propagation.is_empty());
    if let Some(propagation) = propagation.as_deref().filter(|propagation| !short::is_propagation(propagation)) {
        let span = options.and_then(|options| options.get("propagation")).map(|value| value.span);
        let hint = Some("one of shared, slave, private, rshared, rslave, rprivate".to_owned());
        decoder.refuse("mount", span, format!("{path}: there is no propagation `{propagation}`"), hint);
    }
    let create = options.and_then(|options| flag(options, "create_host_path")).unwrap_or(true);
    let recursion = recursion(decoder, node, options);
    Some(MountSource::Bind { path: PathBuf::from(source), create, propagation, recursion })
}

fn recursion(decoder: &mut Decoder<'_>, node: &Node, options: Option<&Node>) -> BindRecursion {
    let word = options.and_then(|options| options.get("recursive"));
    let path = decoder.path("volumes");
    let recursion = match word.and_then(Node::as_text).unwrap_or_default() {
        "" | "enabled" => return BindRecursion::Enabled,
        "disabled" => return BindRecursion::Disabled,
        "writable" => BindRecursion::Writable,
        "readonly" => BindRecursion::Readonly,
        other => {
            let hint = Some("one of enabled, disabled, writable, readonly".to_owned());
            decoder.refuse("mount", word.map(|word| word.span), format!("{path}: `recursive` cannot be `{other}`"), hint);
            return BindRecursion::Enabled;
        }
    };
    if !flag(node, "read_only").unwrap_or_default() {
        let message = format!(
            "{path}: `recursive: {}` says how mounts below a read-only bind are, and this one is not read-only",
            word.and_then(Node::as_text).unwrap_or_default()
        );
        decoder.refuse("mount", word.map(|word| word.span), message, Some("add `read_only: true`".to_owned()));
    }
    recursion
}

/// Permission bits; YAML reads `0755`, in quotes or not, as octal.
fn mode(decoder: &mut Decoder<'_>, node: &Node) -> Option<u32> {
    let bits = match node.value {
        Value::Integer(number) => u32::try_from(number).ok().filter(|bits| *bits <= 0o7777),
        Value::Float(_) => None,
        // Reported as of the wrong type.
        _ => return None,
    };
    if bits.is_none() {
        let message = format!("{}: `{}` are no permission bits", decoder.path("volumes"), node.as_scalar().unwrap_or_default());
        decoder.refuse("mount", Some(node.span), message, Some("write octal digits, as in `mode: 01777`".to_owned()));
    }
    bits
}

/// `PATH[:OPTIONS]`, the options as mount(8) writes them.
fn tmpfs(decoder: &mut Decoder<'_>, span: Span, written: &str) -> Option<Mount> {
    let (target, list) = written.split_once(':').unwrap_or((written, ""));
    let path = decoder.path("tmpfs");
    if !target.starts_with('/') {
        decoder.refuse("mount", Some(span), format!("{path}: `{target}` must be an absolute path"), None);
        return None;
    }
    let (mut size, mut mode, mut read_only, mut options) = (None, None, false, Vec::new());
    for option in list.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", value)) if scalar::bytes(value).is_some() => size = scalar::bytes(value),
            Some(("mode", value)) if u32::from_str_radix(value, 8).is_ok_and(|bits| bits <= 0o7777) => {
                mode = u32::from_str_radix(value, 8).ok();
            }
            Some(("size" | "mode", value)) => {
                decoder.refuse("mount", Some(span), format!("{path}: invalid value `{value}` in `{option}`"), None);
            }
            None if option == "ro" => read_only = true,
            None if option == "rw" => read_only = false,
            _ => options.push(option.to_owned()),
        }
    }
    Some(Mount { target: short::clean_target(target), read_only, source: MountSource::Tmpfs { size, mode, options } })
}
