//! Testcontainers for Python and for Node, with PostgreSQL, Redis and a reaper that has the engine's socket.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bottle::Bottle;
use crate::client::{client, script, with_mirror};
use crate::docker::docker;
use crate::program::run;
use crate::registry::Registry;

/// A bottle with the images, and with the reapers that both clients ask for unless they are told otherwise.
fn furnish(bottle: &Bottle) -> Registry {
    let registry = Registry::of_the_shop(bottle, 5000);
    with_mirror(bottle);
    bottle.import();
    let names = ["-t", "testcontainers/ryuk:0.8.1", "-t", "testcontainers/ryuk:0.14.0"];
    run(docker(bottle).env("DOCKER_BUILDKIT", "0").arg("build").args(names).arg(script("testcontainers"))).success();
    registry
}

/// One of the two tours.
fn tour(bottle: &Bottle, program: &str, name: &str) -> Command {
    let mut command = client(bottle, &bottle.socket(), program);
    command
        .arg(script("testcontainers").join(name))
        // It takes the machine that runs the tests for a container when that is one.
        .env("TESTCONTAINERS_HOST_OVERRIDE", "localhost")
        // The first is Python's, the second Node's.
        .env("RYUK_RECONNECTION_TIMEOUT", "1s")
        .env("TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT", "1s");
    command
}

#[track_caller]
fn assert_all_is_gone(bottle: &Bottle) {
    bottle.eventually("nothing is left", || bottle.containers().is_empty());
    let networks = bottle.get("/networks");
    let names: Vec<_> = networks.as_array().expect("a list").iter().filter_map(|it| it["Name"].as_str()).collect();
    assert!(names.iter().all(|name| ["bridge", "host", "none"].contains(name)), "{names:?}");
}

/// Ends a client that has started two containers as no client can prepare for, and sees the reaper remove them.
fn assert_the_reaper_cleans_up(program: &str, name: &str) {
    let bottle = Bottle::new();
    let _registry = furnish(&bottle);
    let mut process = tour(&bottle, program, name).arg("stay").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut number = None;
    let mut told = BufReader::new(process.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let is_up = told.any(|line| {
        number = number.or_else(|| line.strip_prefix("process: ")?.parse().ok());
        line == "both are up"
    });
    assert!(is_up, "the client ended before its containers were up");
    let containers = bottle.containers();
    assert!(containers.len() == 3 && containers.iter().any(|name| name.starts_with("testcontainers-ryuk-")), "{containers:?}");
    kill(Pid::from_raw(number.expect("the number of its process")), Signal::SIGKILL).expect("it runs");
    process.wait().expect("it has ended");
    assert_all_is_gone(&bottle);
    // The volume of the database had no name, and went with its container.
    assert_eq!(bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn testcontainers_for_python_has_its_databases() {
    let bottle = Bottle::new();
    let _registry = furnish(&bottle);
    let told = run(&mut tour(&bottle, "python", "tour.py")).success();
    for line in [
        "postgres: [['bell'], ['lamp']]",
        "postgres in the container: 2",
        "redis: 42",
        "redis in the container: 42",
        "image: built:tour",
        "status: running",
        "logs: ['hello from the page', 'copied in', 'asked', '']",
        "copied out: copied in",
        "the tour is over",
    ] {
        assert!(told.lines().any(|said| said == line), "`{line}` is not in:\n{told}");
    }
    assert_all_is_gone(&bottle);
}

#[test]
fn testcontainers_for_node_has_its_databases() {
    let bottle = Bottle::new();
    let _registry = furnish(&bottle);
    let told = run(&mut tour(&bottle, "node", "tour.mjs")).success();
    for line in [
        r#"postgres: [{"name":"bell"},{"name":"lamp"}]"#,
        "postgres in the container: 0 2",
        "redis: 42",
        "redis in the container: 42",
        "redis again: PONG",
        "page: hello from the page",
        r#"logs: ["hello from the page","copied in","asked",""]"#,
        "committed: true",
        "one shot: 64",
        "the tour is over",
    ] {
        assert!(told.lines().any(|said| said == line), "`{line}` is not in:\n{told}");
    }
    assert_all_is_gone(&bottle);
}

#[test]
fn what_python_left_behind_is_reaped() {
    assert_the_reaper_cleans_up("python", "tour.py");
}

#[test]
fn what_node_left_behind_is_reaped() {
    assert_the_reaper_cleans_up("node", "tour.mjs");
}
