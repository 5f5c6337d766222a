//! Hooks: what runs before a service starts, after each start and before each stop, where, as whom, and what becomes of a failure.

use std::os::unix::fs::PermissionsExt as _;

use crate::bottle::Bottle;
use crate::docker::Docker;
use crate::up::RUNS;

/// A folder of the project that everybody may write to.
fn shared(bottle: &Bottle) {
    let folder = bottle.project().join("shared");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    let log = folder.join("log");
    std::fs::write(&log, "").expect("a file");
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o666)).expect("a mode");
}

fn told(bottle: &Bottle, name: &str) -> String {
    std::fs::read_to_string(bottle.project().join("shared").join(name)).unwrap_or_default()
}

fn around() -> String {
    format!(
        "services:
  with:
    image: IMAGE
    command: {RUNS}
    user: app
    environment: {{GONE: here, STAYS: here}}
    volumes: ['./shared:/shared']
    post_start:
      - command: [sh, -c, 'echo start $$(id -u) $$(pwd) $$WHO $${{GONE-gone}} $$STAYS >> /shared/log']
        user: root
        working_dir: /www
        environment: {{WHO: me, GONE: }}
      - command: sh -c 'echo then $$(id -u) $$(pwd) $${{WHO-nobody}} $$GONE >> /shared/log; grep CapBnd /proc/self/status > /shared/few'
      - command: [sh, -c, 'grep CapBnd /proc/self/status > /shared/all']
        privileged: true
    pre_stop:
      - command: [sh, -c, 'echo stop >> /shared/log']
  without:
    image: IMAGE
    command: {RUNS}
    volumes: ['./shared:/shared']
"
    )
}

#[test]
fn commands_run_after_each_start_and_before_each_stop_and_not_beside_a_kill() {
    let bottle = Bottle::with_image();
    shared(&bottle);
    bottle.compose(&around());
    let start = "start 0 /www me gone here\nthen 1000 / nobody here\n";
    let mut expect = start.to_owned();
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(told(&bottle, "log"), expect);
    assert_ne!(told(&bottle, "few"), told(&bottle, "all"));
    assert!(told(&bottle, "all").trim().ends_with("ffffff"), "{}", told(&bottle, "all"));
    for (command, more) in [
        (&["up", "-d"][..], String::new()),
        (&["restart"], format!("stop\n{start}")),
        (&["stop"], "stop\n".to_owned()),
        (&["start"], start.to_owned()),
        (&["up", "-d", "--force-recreate"], format!("stop\n{start}")),
        (&["kill"], String::new()),
        (&["start"], start.to_owned()),
        (&["rm", "-sf"], "stop\n".to_owned()),
        (&["up", "-d"], start.to_owned()),
        (&["down"], "stop\n".to_owned()),
    ] {
        bottle.gantry(command).success();
        expect.push_str(&more);
        assert_eq!(told(&bottle, "log"), expect, "{command:?}");
    }
    bottle.gantry(["run", "-d", "with", "sleep", "1000"]).success();
    assert_eq!(told(&bottle, "log"), expect + start);
}

#[test]
fn what_hooks_write_is_shown_while_somebody_looks() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:
  web:
    image: IMAGE
    command: [sh, -c, 'until test -e /tmp/go; do sleep 0.05; done; echo gone']
    pre_start:
      - command: [echo, first of all]
    post_start:
      - command: [sh, -c, 'echo from the hook; echo to the other >&2; printf unfinished; touch /tmp/go']
",
    );
    let outcome = bottle.gantry(["up"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for line in ["web-1 -> | from the hook\n", "web-1 -> | unfinished\n", "web-pre_start-0 -> | first of all\n", "web-1  | gone\n"] {
        assert!(outcome.stdout.contains(line), "{line}: {outcome:?}");
    }
    assert!(outcome.stderr.contains("web-1 -> | to the other\n"), "{outcome:?}");
    assert!(!outcome.stdout.contains("web-pre_start-0 exited"), "{outcome:?}");
    bottle.gantry(["down"]).success();

    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    command: {}\n    pre_stop: [{{command: [echo, good bye]}}]\n",
        RUNS.replace("trap", "echo begun; trap")
    ));
    let line = "$GANTRY up > out 2>&1 & pid=$!; until grep -q begun out; do read -t 0.05 x < /dev/zero; done; kill -INT $pid; wait $pid; echo code $?; cat out";
    let outcome = bottle.shell(&format!("bash -c '{line}'"));
    assert!(outcome.stdout.contains("code 130") && outcome.stdout.contains("a-1 -> | good bye\n"), "{outcome:?}");
}

#[test]
fn a_command_that_fails_is_told_with_its_place_and_its_last_lines() {
    let bottle = Bottle::with_image();
    let project = |start: &str, stop: &str| {
        format!(
            "services:\n  web:\n    image: IMAGE\n    command: {RUNS}\n    post_start: [{{command: [{start}]}}]\n    pre_stop: [{{command: [{stop}]}}]\n"
        )
    };
    bottle.compose(&project("sh, -c, 'echo that is why; exit 3'", "'true'"));
    let message = bottle.gantry(["up", "-d"]).failure(1);
    for part in ["service \"web\" post_start[0]: hook exited with status 3", "| that is why", "compose.yaml:5:", "services.web.post_start"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(bottle.state("project-web-1"), "running");

    bottle.compose(&project("no-such-program", "'true'"));
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("post_start[0]") && message.contains("no-such-program"), "{message}");

    bottle.compose(&project("'true'", "sh, -c, 'exit 4'"));
    // What is recreated would be stopped first, with today's hook.
    bottle.gantry(["kill"]).success();
    bottle.gantry(["up", "-d"]).success();
    for command in ["stop", "down"] {
        let message = bottle.gantry([command]).failure(1);
        assert!(message.contains("service \"web\" pre_stop[0]: hook exited with status 4"), "{message}");
        assert_eq!(bottle.state("project-web-1"), "running");
    }
    bottle.gantry(["kill"]).success();
    bottle.gantry(["down"]).success();
}

fn before(second: &str) -> String {
    format!(
        "services:
  db:
    image: IMAGE
    command: {RUNS}
  web:
    image: IMAGE
    command: {RUNS}
    scale: 2
    depends_on: [db]
    environment: {{A: service, B: service}}
    secrets: [{{source: word, target: /word, mode: 0444}}]
    volumes: ['./shared:/shared', /anonymous]
    pre_start:
      - command: [sh, -c, 'ping -c1 -W2 db >/dev/null && echo one $$A $$B $$(cat /word) $$(id -u) >> /shared/log && echo kept > /anonymous/file']
        environment: {{B: hook}}
      - command: [sh, -c, '{second}']
        user: app
        working_dir: /tmp
  without:
    image: IMAGE
    command: {RUNS}
secrets: {{word: {{file: ./word}}}}
"
    )
}

#[test]
fn containers_run_once_before_a_service_starts_with_its_volumes_and_networks() {
    let bottle = Bottle::with_image();
    shared(&bottle);
    bottle.write("word", "hush");
    bottle.compose(&before("echo two $$(id -u) $$(pwd) >> /shared/log"));
    let once = "one service hook hush 0\ntwo 1000 /tmp\n";
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(told(&bottle, "log"), once);
    assert_eq!(bottle.containers(), ["project-db-1", "project-web-1", "project-web-2", "project-without-1"]);
    // The first container's anonymous volume outlives the hook that shared it.
    assert_eq!(bottle.gantry(["exec", "-T", "web", "cat", "/anonymous/file"]).success(), "kept\n");
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["up", "-d", "--scale", "web=3"]).success();
    bottle.gantry(["restart", "web"]).success();
    assert_eq!(told(&bottle, "log"), once);
    bottle.gantry(["up", "-d", "--force-recreate"]).success();
    assert_eq!(told(&bottle, "log"), once.repeat(2));
    bottle.gantry(["down", "-v"]).success();
    assert!(bottle.containers().is_empty());
}

#[test]
fn a_container_that_fails_before_a_start_stays_until_the_next_run() {
    let bottle = Bottle::with_image();
    shared(&bottle);
    bottle.write("word", "hush");
    let fails = before("echo because; exit 4");
    bottle.compose(&fails);
    let message = bottle.gantry(["up", "-d"]).failure(1);
    for part in [
        "service \"web\" pre_start[1]: hook exited with status 4",
        "| because",
        "services.web.pre_start",
        "compose.yaml:",
        "project-web-pre_start-1",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(bottle.state("project-web-1"), "created");
    assert_eq!(bottle.state("project-web-pre_start-0"), "absent");
    assert_eq!(bottle.state("project-web-pre_start-1"), "exited");
    assert!(!bottle.gantry(["ps", "-a"]).success().contains("pre_start"));
    bottle.compose(&before("true"));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.state("project-web-pre_start-1"), "absent");
    assert_eq!(bottle.state("project-web-2"), "running");

    bottle.gantry(["down", "-v"]).success();
    bottle.compose(&fails);
    let _ = bottle.gantry(["up", "-d"]).failure(1);
    bottle.gantry(["down", "-v"]).success();
    assert!(bottle.containers().is_empty(), "{:?}", bottle.containers());
}

#[test]
fn a_run_that_was_killed_amid_a_hook_is_gone_on_with() {
    let bottle = Bottle::with_image();
    shared(&bottle);
    bottle.write("word", "hush");
    bottle.compose(&before("echo begun >> /shared/second; until test -e /shared/go; do sleep 0.05; done"));
    let line = "$GANTRY up -d & pid=$!; until test -e shared/second; do read -t 0.05 x < /dev/zero; done; kill -KILL $pid; wait $pid; true";
    bottle.shell(&format!("bash -c '{line}'")).success();
    bottle.eventually("the hook runs", || bottle.state("project-web-pre_start-1") == "running");
    assert_eq!(bottle.state("project-web-1"), "created");
    bottle.write("shared/go", "");
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(told(&bottle, "second"), "begun\nbegun\n");
    assert_eq!(bottle.containers(), ["project-db-1", "project-web-1", "project-web-2", "project-without-1"]);
    assert_eq!(bottle.state("project-web-1"), "running");
}

#[test]
fn a_docker_engine_runs_the_same_hooks() {
    let bottle = Bottle::new();
    let docker = Docker::start(&bottle);
    docker.import();
    shared(&bottle);
    bottle.compose(
        &around().replace("    post_start:", "    pre_start: [{command: [sh, -c, 'echo before >> /shared/log']}]\n    post_start:"),
    );
    bottle.gantry(["-H", &docker.host(), "up", "-d"]).success();
    let start = "start 0 /www me gone here\nthen 1000 / nobody here\n";
    assert_eq!(told(&bottle, "log"), format!("before\n{start}"));
    bottle.gantry(["-H", &docker.host(), "down"]).success();
    assert_eq!(told(&bottle, "log"), format!("before\n{start}stop\n"));
    // And Docker Compose, which knows those that run in containers, makes the same of them.
    bottle.compose(&around());
    docker.compose(&["up", "-d"]).success();
    docker.compose(&["down"]).success();
    assert_eq!(told(&bottle, "log"), format!("before\n{start}stop\n{start}stop\n"));
}
