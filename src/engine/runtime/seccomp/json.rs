//! Profiles in Docker's JSON.

use serde::Deserialize;

use crate::engine::runtime::capability::CapabilitySet;
use crate::engine::runtime::seccomp::rule::{Action, Comparison, Condition, Rule};
use crate::engine::runtime::seccomp::{ProfileError, Program, compile};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<Architecture>,
    #[serde(default)]
    syscalls: Vec<Calls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Architecture {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Calls {
    name: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Filter,
    #[serde(default)]
    excludes: Filter,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// Compiles a profile.
pub(super) fn compile(text: &str, capabilities: CapabilitySet) -> Result<Program, ProfileError> {
    let profile: Profile = serde_json::from_str(text).map_err(|error| ProfileError(error.to_string()))?;
    let otherwise = action(&profile.default_action, profile.default_errno_ret)?;
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut rules = Vec::new();
    for calls in &profile.syscalls {
        if !includes(&calls.includes, capabilities, &kernel)? || excludes(&calls.excludes, capabilities, &kernel)? {
            continue;
        }
        let action = action(&calls.action, calls.errno_ret.or(profile.default_errno_ret))?;
        let names: Vec<&str> = calls.names.iter().chain(&calls.name).map(String::as_str).collect();
        let conditions = calls.args.iter().flatten().map(condition).collect::<Result<Vec<_>, _>>()?;
        let twice = conditions.iter().enumerate().any(|(at, one)| conditions[..at].iter().any(|other| other.index == one.index));
        if twice {
            // Conditions on the same argument are alternatives, as runc has it.
            rules.extend(conditions.into_iter().map(|condition| Rule { names: names.clone(), conditions: vec![condition], action }));
        } else {
            rules.push(Rule { names, conditions, action });
        }
    }
    Ok(compile::compile(&rules, otherwise, architectures(&profile)))
}

/// x86_64, x86, x32.
fn architectures(profile: &Profile) -> [bool; 3] {
    let native = profile.arch_map.iter().find(|entry| entry.architecture == "SCMP_ARCH_X86_64");
    let below = native.into_iter().flat_map(|entry| entry.sub_architectures.iter().flatten());
    let named: Vec<_> = profile.architectures.iter().chain(below).collect();
    let has = |name: &str| named.iter().any(|known| *known == name);
    // The machine's own is always allowed to call; libseccomp starts with it.
    [true, has("SCMP_ARCH_X86"), has("SCMP_ARCH_X32")]
}

fn action(name: &str, error: Option<u16>) -> Result<Action, ProfileError> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" => Action::Fail(error.unwrap_or(1)),
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_TRACE" => Action::Trace(error.unwrap_or(1)),
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        other => return Err(ProfileError(format!("the action `{other}` is not supported"))),
    })
}

fn condition(argument: &Argument) -> Result<Condition, ProfileError> {
    if argument.index > 5 {
        return Err(ProfileError(format!("a system call has no argument {}", argument.index)));
    }
    let plain = |comparison| Condition { index: argument.index, comparison, value: argument.value };
    Ok(match argument.op.as_str() {
        "SCMP_CMP_NE" => plain(Comparison::NotEqual),
        "SCMP_CMP_LT" => plain(Comparison::Less),
        "SCMP_CMP_LE" => plain(Comparison::AtMost),
        "SCMP_CMP_EQ" => plain(Comparison::Equal),
        "SCMP_CMP_GE" => plain(Comparison::AtLeast),
        "SCMP_CMP_GT" => plain(Comparison::Greater),
        // The value is the mask, the second one what is compared.
        "SCMP_CMP_MASKED_EQ" => {
            Condition { index: argument.index, comparison: Comparison::Masked { mask: argument.value }, value: argument.value_two }
        }
        other => return Err(ProfileError(format!("the comparison `{other}` is not supported"))),
    })
}

/// Every wish must be met.
fn includes(filter: &Filter, capabilities: CapabilitySet, kernel: &str) -> Result<bool, ProfileError> {
    let arch = filter.arches.is_empty() || filter.arches.iter().any(|arch| arch == "amd64");
    let caps = filter.caps.iter().all(|name| has(capabilities, name));
    let new = filter.min_kernel.as_deref().map_or(Ok(true), |wanted| at_least(kernel, wanted))?;
    Ok(arch && caps && new)
}

/// One is enough.
fn excludes(filter: &Filter, capabilities: CapabilitySet, kernel: &str) -> Result<bool, ProfileError> {
    let arch = filter.arches.iter().any(|arch| arch == "amd64");
    let caps = filter.caps.iter().any(|name| has(capabilities, name));
    let new = filter.min_kernel.as_deref().map_or(Ok(false), |wanted| at_least(kernel, wanted))?;
    Ok(arch || caps || new)
}

fn has(capabilities: CapabilitySet, name: &str) -> bool {
    capabilities.has(name.strip_prefix("CAP_").unwrap_or(name))
}

fn at_least(kernel: &str, wanted: &str) -> Result<bool, ProfileError> {
    let parse = |text: &str| -> Option<(u32, u32)> {
        let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let wanted = parse(wanted).ok_or_else(|| ProfileError(format!("`{wanted}` is not a version of the kernel")))?;
    Ok(parse(kernel).is_some_and(|kernel| kernel >= wanted))
}
