//! The engine itself: what it tells, its end, and where the time of a command goes.

use crate::bottle::Bottle;
use crate::killed::{end, process};
use crate::up::RUNS;

#[test]
fn an_engine_tells_of_itself_until_it_is_stopped() {
    let bottle = Bottle::new();
    bottle.gantry(["engine", "status"]).failure(1);
    bottle.import();
    assert!(bottle.gantry(["engine", "status"]).success().contains("images: 1"));
    assert!(bottle.gantry(["engine", "logs"]).success().contains("serving"));
    bottle.gantry(["engine", "stop"]).success();
    bottle.gantry(["engine", "status"]).failure(1);
    bottle.gantry(["engine", "stop"]).success();
}

#[test]
fn an_engine_whose_socket_was_removed_is_told_of() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.gantry(["up", "-d"]).success();
    bottle.shell("mv $GANTRY_ROOT/run/engine.sock $GANTRY_ROOT/run/aside").success();
    let keeper = std::fs::read_to_string(bottle.root().join("run/keeper.pid")).expect("the keeper's number");
    let way = format!("its socket {} was removed: end it with `kill {keeper}`", bottle.socket().display());
    for line in [["engine", "status"], ["engine", "stop"], ["engine", "logs"], ["image", "ls"]] {
        let told = bottle.gantry(line).failure(1);
        assert!(told.contains(&way), "{line:?}: {told}");
    }
    assert!(bottle.gantry(["version"]).success().contains(&way));
    bottle.shell("mv $GANTRY_ROOT/run/aside $GANTRY_ROOT/run/engine.sock").success();
    assert!(bottle.gantry(["engine", "status"]).success().contains("containers: 1 running"));
    bottle.gantry(["down"]).success();
}

#[test]
fn a_trace_has_spans_of_every_process() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.shell("GANTRY_TRACE=trace.json $GANTRY up -d").success();
    let text = std::fs::read_to_string(bottle.project().join("trace.json")).expect("the trace");
    let closed = format!("{}]", text.trim_end().trim_end_matches(','));
    let events: Vec<serde_json::Value> = serde_json::from_str(&closed).expect("JSON once it is closed");
    for role in ["gantry", "engine", "shim of ", "init of "] {
        let named = |event: &&serde_json::Value| event["args"]["name"].as_str().is_some_and(|name| name.starts_with(role));
        let process = &events.iter().find(named).unwrap_or_else(|| panic!("no {role} in {text}"))["pid"];
        assert!(events.iter().any(|event| event["ph"] == "X" && event["pid"] == *process), "{role} has no span in {text}");
    }
}

#[test]
fn an_engine_whose_terminal_is_gone_goes_on() {
    let bottle = Bottle::with_image();
    bottle.gantry(["engine", "stop"]).success();
    // Who reads its first line leaves; what it says then reaches nobody.
    bottle.compose("services:\n  a:\n    image: IMAGE\n    command: [sleep, '1000']\n    stop_grace_period: 100ms\n");
    let line = "mkfifo said; $GANTRY engine > said 2>&1 & engine=$!; head -n 1 < said; $GANTRY up -d && $GANTRY down; code=$?; kill $engine; wait $engine; exit $code";
    bottle.shell(line).success();
}

#[test]
fn a_full_disk_does_not_keep_a_project_from_going_down() {
    let bottle = Bottle::new();
    bottle.shell("mount -t tmpfs -o size=24m tmpfs $GANTRY_ROOT").success();
    bottle.import();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    volumes: ['data:/data']\nvolumes: {{data: }}\n"));
    bottle.gantry(["up", "-d"]).success();
    let fill = |name: &str| {
        let line =
            format!("dd if=/dev/zero of=$GANTRY_ROOT/{name} bs=4k 2>/dev/null; test $(df --output=avail $GANTRY_ROOT | tail -n 1) -eq 0");
        bottle.shell(&line).success();
    };
    fill("filler");
    // Nor the next engine from starting.
    end(process(&bottle, "engine"));
    assert_eq!(bottle.state("project-a-1"), "running");
    bottle.gantry(["engine", "stop"]).success();
    fill("more");
    bottle.gantry(["down", "-v"]).success();
    assert!(bottle.containers().is_empty());
    // What makes room is written down in room that is kept for it.
    bottle
        .shell("dd if=/dev/zero of=$GANTRY_ROOT/more bs=4k 2>/dev/null; test $(df --output=avail $GANTRY_ROOT | tail -n 1) -eq 0")
        .success();
    bottle.gantry(["image", "prune", "-a", "-f"]).success();
    assert_eq!(bottle.gantry(["image", "ls", "-q"]).success(), "");
    bottle.shell("test $(df --output=avail $GANTRY_ROOT | tail -n 1) -gt 0").success();
    bottle.gantry(["engine", "stop"]).success();
    // Its keeper closes the log a moment later.
    crate::world::await_ends(&bottle.root());
    bottle.shell("umount $GANTRY_ROOT").success();
}
