//! SIGKILL at any moment: engine, keeper, shim, client.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::api::Events;
use crate::bottle::Bottle;
use crate::up::RUNS;
use crate::world::processes_of;

/// The process of this bottle whose command line holds `word`.
pub(crate) fn process(bottle: &Bottle, word: &str) -> i32 {
    let folder = bottle.project().parent().expect("a parent").to_owned();
    let found = processes_of(&folder);
    found
        .iter()
        .find(|(_, line)| line.split(' ').take(2).any(|name| name == word || name.ends_with(&format!("-{word}"))))
        .unwrap_or_else(|| panic!("no {word} in {found:?}"))
        .0
}

/// Waits until another keeper than this one has claimed the root.
pub(crate) fn succeeded(bottle: &Bottle, keeper: i32) {
    let claimed = format!("k=$(cat $GANTRY_ROOT/run/keeper.pid) && test -n \"$k\" && test \"$k\" != {keeper} && test -d /proc/$k");
    bottle.shell(&format!("until {claimed}; do :; done")).success();
}

/// Waits until the server behind port 8080 listens.
fn listens(bottle: &Bottle) {
    bottle.shell("until curl -s --max-time 5 -o /dev/null http://127.0.0.1:8080/group; do :; done").success();
}

/// The parent of a process: of a container's first one, its shim.
pub(crate) fn parent(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    status.lines().find_map(|line| line.strip_prefix("PPid:").and_then(|rest| rest.trim().parse().ok())).expect("a parent")
}

/// Kills it.
pub(crate) fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the process is there");
}

#[test]
fn the_engine_is_killed_under_load_and_no_request_and_no_line_is_lost() {
    let bottle = Bottle::with_image();
    // Each client looks the name up for each request, and counts those that fail; together they make hundreds a second.
    let client = "n=0; while test $$n -lt 400; do timeout 10 wget -q -O /dev/null http://web/group || echo failed $$n; n=$$((n+1)); done; echo finished";
    bottle.compose(&format!(
        "services:
  web:
    image: IMAGE
    command: [httpd, -f, -p, '80', -h, /etc]
    ports: ['8080:80']
  client:
    image: IMAGE
    command: [sh, -c, '{client}']
    depends_on: [web]
    scale: 3
  writer:
    image: IMAGE
    command: [sh, -c, 'until test -e /tmp/go; do usleep 10000; done; seq 1 1000000; exit 7']
"
    ));
    // The server is asked only once it listens, and the writer begins when told.
    bottle.gantry(["up", "-d", "web"]).success();
    listens(&bottle);
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["exec", "-T", "writer", "touch", "/tmp/go"]).success();
    let next_commands = (0..3).map(|_| {
        let busy = ["writer-1", "client-1", "client-2", "client-3"].map(|name| bottle.state(&format!("project-{name}")));
        end(process(&bottle, "engine"));
        let killed = std::time::Instant::now();
        bottle.gantry(["ps"]).success();
        let worked = killed.elapsed();
        bottle.shell("for i in 1 2 3 4 5; do curl -sS --max-time 5 -o /dev/null http://127.0.0.1:8080/group || exit 1; done").success();
        (worked, busy)
    });
    let next_commands: Vec<_> = next_commands.collect();
    assert_eq!(next_commands[0].1, ["running"; 4], "some had ended before an engine was killed");
    // The machine may be busy with other things; that it can be done within a second is the promise.
    let soonest = next_commands.iter().map(|(worked, _)| *worked).min().expect("three");
    assert!(soonest < std::time::Duration::from_secs(1), "the next command worked after {soonest:?}");
    for number in 1..=3 {
        bottle.eventually("the client ends", || bottle.state(&format!("project-client-{number}")) == "exited");
    }
    bottle.eventually("the writer ends", || bottle.state("project-writer-1") == "exited");
    assert_eq!(bottle.gantry(["logs", "--no-log-prefix", "client"]).success(), "finished\n".repeat(3));
    assert_eq!(bottle.inspect("project-writer-1").expect("it exists")["State"]["ExitCode"], 7);
    let expected: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    let lines = bottle.gantry(["logs", "--no-log-prefix", "writer"]).success();
    assert!(lines == expected, "lines are missing: {} of {}", lines.len(), expected.len());
}

#[test]
fn the_engine_is_killed_while_it_commits_and_the_container_goes_on() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.gantry(["up", "-d"]).success();
    // Enough that it is still being packed when its engine is killed.
    bottle.gantry(["exec", "-T", "a", "dd", "if=/dev/urandom", "of=/large", "bs=1M", "count=128"]).success();
    let mut events = Events::subscribe(&bottle.socket());
    let mut call = UnixStream::connect(bottle.socket()).expect("the engine listens");
    call.write_all(b"POST /commit?container=project-a-1&repo=half HTTP/1.1\r\nHost: engine\r\nContent-Length: 0\r\n\r\n")
        .expect("a request");
    let deadline = Instant::now() + Duration::from_secs(60);
    while events.next(deadline).expect("it is frozen")["Action"] != "pause" {}
    end(process(&bottle, "engine"));
    bottle.gantry(["exec", "-T", "a", "true"]).success();
    assert_eq!(bottle.state("project-a-1"), "running");
    assert!(!bottle.get("/images/json").to_string().contains("half"), "it was committed before the engine was killed");
    // Who is frozen by somebody stays so.
    bottle.gantry(["pause"]).success();
    end(process(&bottle, "engine"));
    assert_eq!(bottle.state("project-a-1"), "paused");
}

#[test]
fn the_keeper_is_killed_and_nothing_is_noticed() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  web:\n    image: IMAGE\n    command: [httpd, -f, -p, '80', -h, /etc]\n    ports: ['8080:80']\n");
    bottle.gantry(["up", "-d"]).success();
    listens(&bottle);
    let pid = bottle.pid("project-web-1");
    let keeper = process(&bottle, "keeper");
    end(keeper);
    bottle.shell("curl -sS --max-time 5 -o /dev/null http://127.0.0.1:8080/group").success();
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.pid("project-web-1"), pid);
    // And the one after it brings back an engine.
    succeeded(&bottle, keeper);
    end(process(&bottle, "engine"));
    bottle.gantry(["ps"]).success();
    assert_eq!(bottle.pid("project-web-1"), pid);
}

#[test]
fn a_root_whose_socket_was_removed_gets_no_second_engine() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.gantry(["up", "-d"]).success();
    let (pid, keeper) = (bottle.pid("project-a-1"), process(&bottle, "keeper"));
    // The socket alone, and then all there is beside the data.
    for line in ["rm $GANTRY_ROOT/run/engine.sock", "rm -r $GANTRY_ROOT/run"] {
        bottle.shell(line).success();
        let message = bottle.gantry(["ps"]).failure(1);
        assert!(message.contains(&format!("kill {keeper}")), "{message}");
    }
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "the container runs on");
    // The way out that was told: containers end in order, and the next call starts anew.
    bottle
        .shell(&format!("kill {keeper}; while test -e /proc/{keeper} && ! grep -q '^State:.Z' /proc/{keeper}/status; do :; done"))
        .success();
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.state("project-a-1"), "running");
}

#[test]
fn a_shim_is_killed_its_container_goes_and_comes_back_by_its_policy() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    user: app\n    restart: always\n  b:\n    image: IMAGE\n    command: {RUNS}\n    user: app\n"));
    bottle.gantry(["up", "-d"]).success();
    for name in ["project-a-1", "project-b-1"] {
        let pid = bottle.pid(name);
        end(parent(i32::try_from(pid).expect("a process id")));
        if name == "project-a-1" {
            bottle.eventually("a runs again", || bottle.state(name) == "running" && bottle.pid(name) != pid);
        } else {
            bottle.eventually("b has ended", || bottle.state(name) == "exited");
            assert_eq!(bottle.inspect(name).expect("it exists")["State"]["ExitCode"], 137);
        }
        assert!(!std::path::Path::new(&format!("/proc/{pid}/root/bin")).exists(), "the process of {name} is gone");
    }
}

#[test]
fn the_client_is_killed_at_any_moment_and_the_next_up_completes() {
    let bottle = Bottle::with_image();
    let services: String = (0..6).map(|number| format!("  s{number}:\n    image: IMAGE\n    command: {RUNS}\n")).collect();
    bottle.compose(&format!("services:\n{services}"));
    for milliseconds in [3, 10, 20, 30, 45, 60, 90] {
        let _ = bottle.shell(&format!("timeout -s KILL 0.{milliseconds:03} $GANTRY up -d"));
        bottle.gantry(["up", "-d"]).success();
        let expected: Vec<_> = (0..6).map(|number| format!("project-s{number}-1")).collect();
        assert_eq!(bottle.containers(), expected);
        assert!(expected.iter().all(|name| bottle.state(name) == "running"));
        bottle.gantry(["down"]).success();
        assert!(bottle.containers().is_empty());
    }
}

#[test]
fn a_container_whose_state_was_not_written_down_runs_on() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    ports: ['8080']\n  b:\n    image: IMAGE\n    command: {RUNS}\n    restart: always\n"
    ));
    bottle.gantry(["up", "-d"]).success();
    let names = ["project-a-1", "project-b-1"];
    let seen = |name: &str| {
        let told = bottle.inspect(name).expect("it exists");
        (told["State"]["Pid"].clone(), told["State"]["StartedAt"].clone(), told["NetworkSettings"].clone())
    };
    let before = names.map(seen);
    // A record that is damaged, and one that is of the life before, as a full disk leaves it.
    let state = |name: &str| {
        let id = bottle.inspect(name).expect("it exists")["Id"].as_str().expect("an id").to_owned();
        bottle.root().join("data/containers").join(id).join("state.json")
    };
    let (a, b) = (state(names[0]), state(names[1]));
    let old = std::fs::read(&a).expect("a record");
    bottle.gantry(["restart", "-t", "0", "a"]).success();
    let restarted = seen(names[0]);
    assert_ne!(restarted.0, before[0].0);
    std::fs::write(&a, old).expect("the record before");
    std::fs::write(&b, "").expect("a damaged record");
    end(process(&bottle, "engine"));
    assert_eq!(names.map(seen), [restarted, before[1].clone()]);
    // And where no keeper can tell either, the policy decides.
    std::fs::write(&b, "").expect("a damaged record");
    let pid = bottle.pid(names[1]);
    let (keeper, engine) = (process(&bottle, "keeper"), process(&bottle, "engine"));
    bottle.shell(&format!("kill -STOP {engine} && kill -KILL {keeper} && kill -KILL {engine}")).success();
    bottle.gantry(["ps"]).success();
    bottle.eventually("b runs again", || bottle.state(names[1]) == "running" && bottle.pid(names[1]) != pid);
    bottle.gantry(["down"]).success();
}
