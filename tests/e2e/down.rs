//! `down`: what goes, what stays, and how long it takes.

use crate::bottle::Bottle;
use crate::up::RUNS;

#[test]
fn down_removes_containers_and_networks_and_volumes_only_when_asked() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    volumes: [data:/data]\nvolumes:\n  data: {{}}\n"));
    let networks = || bottle.get("/networks").as_array().expect("a list").iter().filter(|it| it["Name"] == "project_default").count();
    let volumes = || bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len);
    bottle.gantry(["up", "-d"]).success();
    assert_eq!((networks(), volumes()), (1, 1));
    bottle.gantry(["down"]).success();
    assert_eq!((bottle.containers().len(), networks(), volumes()), (0, 0, 1));
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["down", "-v"]).success();
    assert_eq!((bottle.containers().len(), networks(), volumes()), (0, 0, 0));
    let nothing = bottle.gantry(["down"]);
    assert!(nothing.stderr.contains("No resource found to remove for project \"project\""), "{nothing:?}");
    assert_eq!(nothing.code, 0);
}

#[test]
fn down_works_from_labels_when_the_file_is_gone() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.gantry(["-p", "named", "up", "-d"]).success();
    std::fs::remove_file(bottle.project().join("compose.yaml")).expect("the file is there");
    bottle.gantry(["-p", "named", "down"]).success();
    assert!(bottle.containers().is_empty());
}

#[test]
fn the_stop_signal_is_sent_and_the_grace_period_kept() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:
  a:
    image: IMAGE
    stop_signal: SIGUSR1
    command: [sh, -c, \"trap 'echo told; exit 7' USR1; while :; do sleep 1000 & wait $$!; done\"]
  deaf:
    image: IMAGE
    command: [sleep, '1000']
    stop_grace_period: 200ms
",
    );
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["stop"]).success();
    let code = |name: &str| bottle.inspect(name).expect("it exists")["State"]["ExitCode"].clone();
    assert_eq!((code("project-a-1"), code("project-deaf-1")), (7.into(), 137.into()));
}

#[test]
fn what_cannot_hear_its_stop_signal_is_not_waited_for_and_what_can_is() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:
  deaf:
    image: IMAGE
    command: [sleep, '1000']
  parent:
    image: IMAGE
    command: [sh, -c, \"sh -c 'trap \\\"echo told; exit 0\\\" TERM; touch /tmp/up; while :; do sleep 1000 & wait $$!; done'; sleep 1000\"]
    healthcheck: {test: test -e /tmp/up}
",
    );
    bottle.gantry(["up", "--wait"]).success();
    let outcome = bottle.gantry(["stop"]);
    assert_eq!(outcome.stderr.matches("not waited for").count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(": project-deaf-1, project-parent-1;"), "{}", outcome.stderr);
    assert_eq!(bottle.gantry(["logs", "--no-log-prefix", "parent"]).success(), "told\n");
    assert_eq!(bottle.inspect("project-deaf-1").expect("it exists")["State"]["ExitCode"], 137);
}

#[test]
fn who_waits_for_signals_is_never_taken_for_deaf() {
    let bottle = Bottle::with_image();
    // An init fetches signals with sigwaitinfo(2): it has them neither blocked nor handled just when one comes.
    bottle.compose("services:\n  a:\n    image: IMAGE\n    init: true\n    scale: 12\n    command: [sleep, '1000']\n");
    bottle.gantry(["up", "-d"]).success();
    let told = bottle.gantry(["stop"]);
    assert!(told.code == 0 && !told.stderr.contains("not waited for"), "{}", told.stderr);
    let codes = bottle.containers().into_iter().map(|name| bottle.inspect(&name).expect("it exists")["State"]["ExitCode"].clone());
    assert!(codes.collect::<Vec<_>>() == [143; 12], "the signal was passed on");
}

#[test]
fn orphans_stay_unless_asked() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n  b:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.gantry(["up", "-d"]).success();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    let _ = bottle.gantry(["down"]);
    assert_eq!(bottle.containers(), ["project-b-1"]);
    bottle.gantry(["down", "--remove-orphans"]).success();
    assert!(bottle.containers().is_empty());
}
