//! Arguments of a build: those before the first stage, those that every build has, and proxies.

use std::collections::{BTreeMap, BTreeSet};

use super::body::Body;
use super::bound::Room;
use super::environment::Environment;
use super::instruction::Instruction;
use super::lexer::Lexer;
use super::problem::Problem;

/// Usable in a RUN without ARG when they are given, in small letters and in capitals.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// They speak to the builder, not to commands.
pub(super) const UNSEEN: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// The arguments that every build has, unless they are given.
pub(super) fn automatic(build_platform: &str, target_platform: &str, stage: Option<&str>, given: &BTreeMap<String, String>) -> Environment {
    let mut arguments = Environment::default();
    for (start, platform) in [("BUILD", build_platform), ("TARGET", target_platform)] {
        let mut parts = platform.split('/');
        let mut next = || parts.next().unwrap_or_default();
        let (system, architecture, variant) = (next(), next(), next());
        for (end, value) in [("PLATFORM", platform), ("OS", system), ("OSVERSION", ""), ("ARCH", architecture), ("VARIANT", variant)] {
            let name = format!("{start}{end}");
            let value = given.get(&name).map_or(value, String::as_str);
            arguments.set(&name, value);
        }
    }
    let stage = stage.filter(|it| !it.is_empty()).unwrap_or("default");
    arguments.set("TARGETSTAGE", given.get("TARGETSTAGE").map_or(stage, String::as_str));
    arguments
}

/// Adds the ARG instructions before the first stage.
pub(super) fn global(
    mut arguments: Environment,
    instructions: &[Instruction],
    given: &BTreeMap<String, String>,
    escape: char,
) -> Result<Environment, Problem> {
    let mut room = Room::default();
    for instruction in instructions {
        let wrong = |name: &str, reason: String| Problem::new(format!("ARG {name}: {reason}")).at(instruction.place);
        let Body::Arguments(pairs) = &instruction.body else { continue };
        for (name, default) in pairs {
            let value = match (given.get(name), default) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => {
                    let expanded = Lexer::new(escape).expand(default, &arguments, &mut room);
                    expanded.map_err(|reason| wrong(name, reason))?.text
                }
                (None, None) => continue,
            };
            room.set(name, &value).map_err(|reason| wrong(name, reason))?;
            arguments.set(name, &value);
        }
    }
    Ok(arguments)
}

/// The proxies that were given, each in small letters and in capitals.
pub(super) fn proxies(given: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut proxies = Environment::default();
    for (name, value) in given {
        if let Some(known) = PROXIES.iter().find(|it| it.eq_ignore_ascii_case(name)) {
            proxies.set(&known.to_uppercase(), value);
            proxies.set(known, value);
        }
    }
    proxies.pairs()
}

/// What was given and nothing declares.
pub(super) fn unconsumed<'a>(
    given: &BTreeMap<String, String>,
    automatic: &Environment,
    instructions: impl Iterator<Item = &'a Instruction>,
) -> Vec<String> {
    let mut declared: BTreeSet<&str> = automatic.names().into_iter().collect();
    for instruction in instructions {
        if let Body::Arguments(pairs) = &instruction.body {
            declared.extend(pairs.iter().map(|it| it.0.as_str()));
        }
    }
    let builder =
        |name: &str| name.starts_with("BUILDKIT_") || name == "SOURCE_DATE_EPOCH" || PROXIES.iter().any(|it| it.eq_ignore_ascii_case(name));
    given.keys().filter(|name| !declared.contains(name.as_str()) && !builder(name)).cloned().collect()
}
