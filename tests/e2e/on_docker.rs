//! The same scenarios on a Docker Engine in the place of ours: those that need nothing of our own pass unchanged, and what needs more says
//! so in a line.
//!
//! This program runs itself, with a variable that gives each bottle a Docker Engine ([`crate::bottle::ON_DOCKER`]).

use crate::bottle::{Bottle, ON_DOCKER};
use crate::docker::Docker;
use crate::program::{bounded_by, run};

/// Scenarios that pass on a Docker Engine. Those of no list look into our engine's own files and processes, or start it themselves.
const SCENARIOS: &[&str] = &[];

/// Commands that need more than Docker's API, and what they say on a Docker Engine.
const NEEDING: &[(&str, &str)] = &[
    ("engine stop", "is not one of Gantry's, and is stopped by whoever started it"),
    ("engine logs", "is not one of Gantry's, and keeps its log where whoever started it says"),
    ("image cache ls", "is not one of Gantry's, and does not tell what it keeps in Gantry's terms"),
];

/// Runs the scenarios of a file.
#[track_caller]
fn pass(topic: &str) {
    let scenarios: Vec<_> = SCENARIOS.iter().filter(|name| name.split_once("::").is_some_and(|(file, _)| file == topic)).collect();
    assert!(!scenarios.is_empty(), "none of {topic}");
    let own = std::env::current_exe().expect("this program");
    let outcome = run(bounded_by(1200, own).env(ON_DOCKER, "1").args(["--test-threads=1", "--exact"]).args(&scenarios));
    let counted = format!("{} passed", scenarios.len());
    assert!(outcome.code == 0 && outcome.stdout.contains(&counted), "{}\n{}", outcome.stdout, outcome.stderr);
}

macro_rules! topics {
    ($($topic:ident),*) => { $(#[test] fn $topic() { pass(stringify!($topic)); })* };
}

topics!(attribute, command, copy, down, exec, flags, health, hook, look, network, port, reconcile, run, secret, terminal, up, volume);

#[test]
fn what_needs_more_than_dockers_api_says_so_in_a_line() {
    let bottle = Bottle::new();
    let docker = Docker::start(&bottle);
    for (line, expect) in NEEDING {
        let told = bottle.shell(&format!("$GANTRY -H {} {line}", docker.host())).failure(1);
        let first = told.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("error: the engine at {}", docker.host())) && first.contains(expect), "{line}: {told}");
    }
}
