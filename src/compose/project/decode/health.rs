//! Health checks.

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{duration, flag, integer};
use crate::compose::project::node::Node;
use crate::resource::container::{HealthCheck, HealthTest};

pub(super) fn check(decoder: &mut Decoder<'_>) -> Option<HealthCheck> {
    let node = decoder.node.get("healthcheck").filter(|node| node.as_map().is_some())?;
    let test = test(decoder, node);
    // What is not written is the image's, or the engine's default; zero says so, as it does in Docker's API.
    let or = |key: &str| duration(node, key).unwrap_or_default();
    if let (Some(interval), None) = (node.get("start_interval"), node.get("start_period")) {
        let message = format!("{} requires start_period to be set", decoder.path("healthcheck.start_interval"));
        decoder.refuse("healthcheck", Some(interval.span), message, Some("add `start_period: 30s`, for which it is meant".to_owned()));
    }
    let retries = integer(node, "retries").unwrap_or_default();
    if u32::try_from(retries).is_err() {
        let message = format!("{} cannot be {retries}", decoder.path("healthcheck.retries"));
        decoder.refuse("healthcheck", node.get("retries").map(|retries| retries.span), message, Some("write 1 or more".to_owned()));
    }
    Some(HealthCheck {
        interval: or("interval"),
        timeout: or("timeout"),
        retries: u32::try_from(retries).unwrap_or_default(),
        start_period: or("start_period"),
        start_interval: or("start_interval"),
        test,
    })
}

fn test(decoder: &mut Decoder<'_>, node: &Node) -> HealthTest {
    if flag(node, "disable") == Some(true) {
        return HealthTest::Disabled;
    }
    let Some(test) = node.get("test") else { return HealthTest::Inherit };
    let Some(items) = test.as_list() else { return HealthTest::Inherit };
    let words: Vec<String> = items.iter().filter_map(Node::as_scalar).collect();
    match words.split_first() {
        None => HealthTest::Inherit,
        Some((word, _)) if word == "NONE" => HealthTest::Disabled,
        Some((word, [first, rest @ ..])) if word == "CMD" => HealthTest::Exec(std::iter::once(first).chain(rest).cloned().collect()),
        Some((word, [line])) if word == "CMD-SHELL" => HealthTest::Shell(line.clone()),
        // What follows the line are the shell's own arguments, as in Docker.
        Some((word, rest @ [_, ..])) if word == "CMD-SHELL" => {
            HealthTest::Exec(["/bin/sh", "-c"].into_iter().map(str::to_owned).chain(rest.iter().cloned()).collect())
        }
        Some((word, _)) => {
            let (message, hint) = match word.as_str() {
                "CMD" => ("names no command", "[\"CMD\", \"program\", \"argument\"]".to_owned()),
                "CMD-SHELL" => ("has no line for the shell", "[\"CMD-SHELL\", \"program argument\"]".to_owned()),
                _ => (
                    "must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"",
                    format!("[\"CMD\", {}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")),
                ),
            };
            let message = format!("{} {message}", decoder.path("healthcheck.test"));
            decoder.error("healthcheck", Some(test.span), message, Some(format!("write `test: {hint}`")));
            HealthTest::Inherit
        }
    }
}
