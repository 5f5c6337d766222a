//! The cases of tests/config, judged by Docker Compose: it prints what we print, as YAML and as JSON, and refuses what we refuse, but where a
//! case says in `differs` why not.

#[path = "../config/arguments.rs"]
mod arguments;
#[path = "../config/case.rs"]
mod case;

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arguments::arguments;
use case::{Case, Options};
use serde_json::Value;

use crate::program::{Outcome, bounded, foreign, run, run_with_input};

/// A `config` of a case; nobody but the case says what is in its environment.
fn config(mut command: Command, options: &Options, flags: &[&str]) -> Outcome {
    command.current_dir(&options.folder).env_clear().envs(&options.environment);
    command.args(arguments(options)).args(flags);
    match &options.stdin {
        Some(file) => run_with_input(&mut command, &std::fs::read(file).expect("what is read")),
        None => run(&mut command),
    }
}

fn gantry() -> Command {
    bounded(env!("CARGO_BIN_EXE_gantry"))
}

fn composes() -> Command {
    bounded(foreign("usr/libexec/docker/cli-plugins/docker-compose"))
}

/// Compose 5 leaves out that a missing folder of the host is made: it is the default.
fn without_defaults(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept: Vec<String> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let indent = |line: &str| line.len() - line.trim_start().len();
        if line.trim() != "create_host_path: true" {
            kept.push((*line).to_owned());
        } else if kept.last().is_some_and(|last| last.trim() == "bind:")
            && lines.get(index + 1).is_none_or(|next| indent(next) < indent(line))
        {
            kept.last_mut().expect("a line").push_str(" {}");
        }
    }
    kept.iter().map(|line| format!("{line}\n")).collect()
}

/// What Go's JSON has otherwise, and Docker Compose itself cannot read again: no models, names with capitals, an `exec` of nothing, limits
/// without their zeros, nothing for an empty list.
fn leveled(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| match key.as_str() {
                "create_host_path" => **value != Value::Bool(true),
                "exec" => value.get("command") != Some(&Value::Null),
                "soft" | "hard" => value.as_i64() != Some(0),
                "models" => false,
                _ => true,
            });
            let name = |key: &String| if matches!(key.as_str(), "Path" | "Rate" | "Weight") { key.to_lowercase() } else { key.clone() };
            Value::Object(kept.map(|(key, value)| (name(key), leveled(value))).collect())
        }
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => Value::Array(items.iter().map(leveled).collect()),
        other => other.clone(),
    }
}

/// Returns what Docker Compose prints otherwise.
fn difference(case: &Case) -> Option<String> {
    let below = tempfile::tempdir().expect("a folder");
    let folder = case.unpack(below.path());
    let options = case.options(&folder);
    let is_raw = options.flags.iter().any(|flag| flag == "--no-interpolate");
    let ours = if options.flags.is_empty() { case.section("expected.yaml") } else { case.section("expected.out") };
    let theirs = config(composes(), &options, &[]);
    let text = theirs.stdout.replace(&folder.display().to_string(), "CASE");
    // A section ends with a line break.
    let text = if text.is_empty() || text.ends_with('\n') { text } else { format!("{text}\n") };
    let printed = (theirs.code == 0).then(|| if is_raw { text.clone() } else { without_defaults(&text) });
    if printed.as_deref() != ours {
        return Some(format!("--- theirs\n{}\n{}", printed.unwrap_or_default(), theirs.stderr));
    }
    if !options.flags.is_empty() || ours.is_none() {
        return None;
    }
    let json = |outcome: &Outcome| serde_json::from_str::<Value>(&outcome.stdout).ok().as_ref().map(leveled);
    let flags = ["--format", "json"];
    let (theirs, ours) = (config(composes(), &options, &flags), config(gantry(), &options, &flags));
    (json(&theirs) != json(&ours)).then(|| format!("--- theirs\n{}\n--- ours\n{}", theirs.stdout, ours.stdout))
}

#[test]
fn docker_compose_prints_what_we_print() {
    let cases = case::all();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match (difference(case), case.section("differs").is_some()) {
                (None, true) => wrong.lock().expect("no panic").push(format!("{}: differs no longer", case.name())),
                (Some(difference), false) => wrong.lock().expect("no panic").push(format!("{}\n{difference}", case.name())),
                _ => {}
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} cases\n{}", wrong.len(), wrong.join("\n"));
}
