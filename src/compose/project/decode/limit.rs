//! Limits: memory, processors, processes. Those of `deploy.resources` are the same ones under other names.

use std::collections::BTreeMap;

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{flag, integer, text};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::suggest;
use crate::resource::container::{Resources, Ulimit};

/// An attribute of the service, and its name under `deploy.resources`.
const PAIRS: [(&str, &str, &str); 4] = [
    ("cpus", "limits", "cpus"),
    ("mem_limit", "limits", "memory"),
    ("mem_reservation", "reservations", "memory"),
    ("pids_limit", "limits", "pids"),
];

/// Docker's: a container with less memory does not start.
const LEAST_MEMORY: f64 = 6_291_456.0;

pub(super) fn resources(decoder: &mut Decoder<'_>) -> Resources {
    let limits = Limits { node: decoder.node };
    for (name, section, key) in PAIRS {
        let (own, section_node) = (decoder.node.get(name).filter(|node| !is_zero(node)), limits.section(section));
        let (Some(own), Some(section_node)) = (own, section_node) else { continue };
        if quantity(own) != section_node.get(key).map_or(0.0, quantity) {
            let message = format!("services.{}: can't set distinct values on '{name}' and 'deploy.resources.{section}.{key}'", decoder.key);
            let fix = decoder.without(name);
            decoder.error("limit", Some(own.span), message, Some(format!("keep one of the two, or write both as {name} has it"))).fix = fix;
        }
    }
    check(decoder, &limits);
    let node = decoder.node;
    let bytes = |name: &str| limits.get(name).and_then(Node::as_scalar).and_then(|text| text.parse().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be positive; so Docker Compose counts")]
    let nano = |node: &Node| (quantity(node) as f32 * 1e9_f32) as u64;
    Resources {
        memory: bytes("mem_limit"),
        memory_reservation: bytes("mem_reservation"),
        memory_swap: limits.get("memswap_limit").and_then(Node::as_scalar).and_then(|text| text.parse().ok()),
        memory_swappiness: bytes("mem_swappiness"),
        oom_kill_disable: flag(node, "oom_kill_disable").unwrap_or_default(),
        nano_cpus: limits.get("cpus").map(nano),
        cpu_shares: bytes("cpu_shares"),
        cpu_quota: integer(node, "cpu_quota").filter(|quota| *quota != 0),
        cpu_period: bytes("cpu_period"),
        cpuset: text(node, "cpuset").filter(|list| !list.is_empty()),
        cpuset_mems: None,
        pids: limits.get("pids_limit").and_then(Node::as_scalar).and_then(|text| text.parse().ok()),
    }
}

/// The limits of a service, wherever they are written.
struct Limits<'a> {
    node: &'a Node,
}

impl<'a> Limits<'a> {
    fn section(&self, name: &str) -> Option<&'a Node> {
        self.node.get("deploy")?.get("resources")?.get(name).filter(|section| section.as_map().is_some())
    }

    /// What is in force for an attribute; zero is the same as absent.
    fn get(&self, name: &str) -> Option<&'a Node> {
        let pair = PAIRS.iter().find(|(own, ..)| *own == name);
        let deployed = pair.and_then(|(_, section, key)| self.section(section)?.get(key));
        deployed.filter(|node| !is_zero(node)).or_else(|| self.node.get(name).filter(|node| !is_zero(node)))
    }
}

fn is_zero(node: &Node) -> bool {
    node.is_null() || quantity(node) == 0.0
}

/// A number, however it is kept; what is none was reported.
fn quantity(node: &Node) -> f64 {
    match &node.value {
        #[expect(clippy::cast_precision_loss, reason = "compared with others of its kind")]
        Value::Integer(integer) => *integer as f64,
        Value::Float(float) => *float,
        Value::Text(text) => text.parse().unwrap_or_default(),
        _ => 0.0,
    }
}

/// Reports what no engine would take.
fn check(decoder: &mut Decoder<'_>, limits: &Limits<'_>) {
    let of = |name: &str| limits.get(name).map(|node| (quantity(node), node.span));
    let amount = |name: &str| of(name).map(|(amount, _)| amount);
    let refuse = |decoder: &mut Decoder<'_>, name: &str, what: &str, hint: Option<&str>| {
        let message = format!("{} {what}", decoder.path(name));
        decoder.refuse("limit", of(name).map(|(_, span)| span), message, hint.map(str::to_owned));
    };
    for name in ["mem_limit", "mem_reservation"] {
        if amount(name).is_some_and(|bytes| bytes < LEAST_MEMORY) {
            refuse(decoder, name, "is below 6 MB, with which nothing starts", Some("write a size with its unit, as in `512m`"));
        }
    }
    if let (Some(memory), Some(reservation)) = (amount("mem_limit"), amount("mem_reservation"))
        && reservation > memory
    {
        refuse(decoder, "mem_reservation", "is above the limit of memory", Some("reserve less than `mem_limit`"));
    }
    match (amount("mem_limit"), amount("memswap_limit").filter(|swap| *swap > 0.0)) {
        (None, Some(_)) => {
            let hint = "it is the limit of memory and swap together: write `mem_limit`, too";
            refuse(decoder, "memswap_limit", "needs a limit of memory, too", Some(hint));
        }
        (Some(memory), Some(swap)) if swap < memory => {
            let hint = "it is the limit of memory and swap together: write at least as much as `mem_limit`";
            refuse(decoder, "memswap_limit", "is below the limit of memory", Some(hint));
        }
        _ => {}
    }
    if amount("mem_swappiness").is_some_and(|swappiness| swappiness > 100.0) {
        refuse(decoder, "mem_swappiness", "is not in the range of 0 to 100", None);
    }
    // Docker Compose cannot tell it from an absent one.
    if let Some(zero) = decoder.node.get("mem_swappiness").filter(|node| node.as_scalar().as_deref() == Some("0")) {
        let message = format!("{} has no effect: 0 is the same as absent", decoder.path("mem_swappiness"));
        decoder.problems.push(Diagnostic::warning("inert", message).at(zero.span).hint("write 1 for as little as can be"));
    }
    for name in ["cpus", "cpu_shares", "cpu_period"] {
        if amount(name).is_some_and(|number| number < 0.0) {
            refuse(decoder, name, "must not be negative", None);
        }
    }
    if amount("cpus").is_some() {
        for name in ["cpu_quota", "cpu_period"] {
            if amount(name).is_some_and(|number| number > 0.0) {
                let message =
                    format!("cannot stand beside {}", if decoder.node.get("cpus").is_some() { "cpus" } else { "deploy.resources" });
                refuse(decoder, name, &message, Some("`cpus` is a quota of its own: keep one of the two"));
            }
        }
    }
    if amount("cpu_period").is_some_and(|period| (0.0..1e3).contains(&period) || period > 1e6) {
        refuse(decoder, "cpu_period", "is not in the range of 1000 to 1000000 microseconds", None);
    }
    if amount("cpu_quota").is_some_and(|quota| (0.0..1e3).contains(&quota)) {
        refuse(decoder, "cpu_quota", "is below 1000 microseconds", None);
    }
    if let Some(cpuset) = decoder.node.get("cpuset").filter(|node| node.as_text().is_some_and(|list| !is_list(list))) {
        let message = format!("{}: `{}` is no list of processors", decoder.path("cpuset"), cpuset.as_text().unwrap_or_default());
        decoder.refuse("limit", Some(cpuset.span), message, Some("write numbers and ranges, as in \"0-3,5\"".to_owned()));
    }
}

/// Whether a text is a list of numbers and ranges.
fn is_list(text: &str) -> bool {
    text.is_empty()
        || text.split(',').all(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            first.parse::<u16>().is_ok_and(|first| last.parse::<u16>().is_ok_and(|last| first <= last))
        })
}

/// A number of bytes that is not the default.
pub(super) fn shm_size(node: &Node) -> Option<u64> {
    text(node, "shm_size").and_then(|text| text.parse().ok()).filter(|size| *size > 0)
}

pub(super) fn oom_score_adj(decoder: &mut Decoder<'_>) -> Option<i32> {
    let number = integer(decoder.node, "oom_score_adj").filter(|number| *number != 0)?;
    if !(-1000..=1000).contains(&number) {
        let span = decoder.node.get("oom_score_adj").map(|node| node.span);
        let message = format!("{} is not in the range of -1000 to 1000", decoder.path("oom_score_adj"));
        decoder.refuse("limit", span, message, None);
    }
    i32::try_from(number).ok()
}

/// Reads process limits: those of the service, or of its build, by their path in the service.
pub(super) fn ulimits(decoder: &mut Decoder<'_>, limits: Option<&Node>, path: &str) -> BTreeMap<String, Ulimit> {
    let mut ulimits = BTreeMap::new();
    for (name, entry) in limits.and_then(Node::as_map).into_iter().flatten() {
        let path = decoder.path(&format!("{path}.{name}"));
        if !Ulimit::NAMES.contains(&name.as_str()) {
            let near = suggest::nearest(name, Ulimit::NAMES).map(|near| format!("did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| format!("there are {}", Ulimit::NAMES.join(", ")));
            decoder.refuse("ulimit", Some(entry.key), format!("{path}: there is no such process limit"), Some(hint));
        }
        let limit = match &entry.node.value {
            Value::Integer(number) => Ulimit { soft: *number, hard: *number },
            _ => match (integer(&entry.node, "soft"), integer(&entry.node, "hard")) {
                (Some(soft), Some(hard)) => Ulimit { soft, hard },
                _ => continue,
            },
        };
        if limit.soft < -1 || limit.hard < -1 {
            let hint = Some("-1 is without limit".to_owned());
            decoder.refuse("ulimit", Some(entry.node.span), format!("{path} must not be negative"), hint);
        } else if limit.hard != -1 && (limit.soft == -1 || limit.soft > limit.hard) {
            let message = format!("{path}: the soft limit is above the hard limit {}", limit.hard);
            decoder.refuse("ulimit", Some(entry.node.span), message, Some("raise `hard`, or lower `soft`".to_owned()));
        }
        ulimits.insert(name.clone(), limit);
    }
    ulimits
}
