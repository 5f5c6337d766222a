//! `up`: order, gates, what is kept and what is recreated, scale, orphans, attached output.

use std::time::Instant;

use crate::api::Events;
use crate::bottle::Bottle;

/// A service that runs until it is told to stop.
pub(crate) const RUNS: &str = r#"[sh, -c, "trap 'exit 0' TERM; while :; do sleep 1000 & wait $$!; done"]"#;

/// Three services in a chain, gated on completion and health.
fn chain() -> String {
    format!(
        "services:
  job:
    image: IMAGE
    command: [sh, -c, 'echo done > /shared/job']
    volumes: [shared:/shared]
  db:
    image: IMAGE
    command: {RUNS}
    depends_on:
      job: {{condition: service_completed_successfully}}
    healthcheck:
      test: [CMD, test, -e, /tmp/ready]
      interval: 1s
  web:
    image: IMAGE
    command: {RUNS}
    depends_on:
      db: {{condition: service_healthy}}
volumes:
  shared: {{}}
"
    )
}

#[test]
fn services_start_in_order_and_wait_for_their_gates() {
    let bottle = Bottle::with_image();
    bottle.compose(&chain().replace("trap 'exit 0' TERM; while", "touch /tmp/ready; trap 'exit 0' TERM; while"));
    let mut events = Events::subscribe(&bottle.socket());
    bottle.gantry(["up", "-d"]).success();
    let deadline = Instant::now() + std::time::Duration::from_secs(5);
    let mut order = Vec::new();
    while !order.iter().any(|it: &String| it == "start web-1") {
        let event = events.next(deadline).expect("web starts");
        let name = event["Actor"]["Attributes"]["name"].as_str().unwrap_or_default().trim_start_matches("project-").to_owned();
        order.push(format!("{} {name}", event["Action"].as_str().unwrap_or_default()));
    }
    let place = |what: &str| order.iter().position(|it| it == what).unwrap_or_else(|| panic!("{what} is not in {order:?}"));
    assert!(place("die job-1") < place("start db-1"), "{order:?}");
    assert!(place("health_status: healthy db-1") < place("start web-1"), "{order:?}");
    assert_eq!(bottle.state("project-web-1"), "running");
    assert_eq!(bottle.state("project-job-1"), "exited");
}

#[test]
fn a_second_up_changes_nothing_and_an_edit_recreates_only_what_it_touches() {
    let bottle = Bottle::with_image();
    let project = |colour: &str| {
        format!(
            "services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    environment: {{COLOUR: {colour}}}\n  b:\n    image: IMAGE\n    command: {RUNS}\n"
        )
    };
    bottle.compose(&project("red"));
    bottle.gantry(["up", "-d"]).success();
    let id = |name: &str| bottle.inspect(name).expect("it exists")["Id"].clone();
    let (a, b) = (id("project-a-1"), id("project-b-1"));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!((id("project-a-1"), id("project-b-1")), (a.clone(), b.clone()));

    bottle.compose(&project("blue"));
    let plan = bottle.gantry(["up", "-d", "--dry-run"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(format!("{}{}", plan.stdout, plan.stderr).contains("environment"), "the changed field is named: {plan:?}");
    assert_eq!(id("project-a-1"), a, "a dry run changes nothing");
    bottle.gantry(["up", "-d"]).success();
    assert_ne!(id("project-a-1"), a);
    assert_eq!(id("project-b-1"), b);
    assert_eq!(bottle.containers(), ["project-a-1", "project-b-1"]);

    bottle.gantry(["up", "-d", "--force-recreate"]).success();
    assert_ne!(id("project-b-1"), b);
}

#[test]
fn scale_and_orphans() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    scale: 2\n  b:\n    image: IMAGE\n    command: {RUNS}\n"
    ));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.containers(), ["project-a-1", "project-a-2", "project-b-1"]);
    bottle.gantry(["up", "-d", "--scale", "a=3"]).success();
    assert_eq!(bottle.containers(), ["project-a-1", "project-a-2", "project-a-3", "project-b-1"]);
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    let warned = bottle.gantry(["up", "-d"]);
    assert!(warned.stderr.contains("project-b-1"), "{warned:?}");
    assert_eq!(bottle.containers(), ["project-a-1", "project-b-1"]);
    bottle.gantry(["up", "-d", "--remove-orphans"]).success();
    assert_eq!(bottle.containers(), ["project-a-1"]);
}

#[test]
fn wait_fails_when_a_service_dies_and_returns_when_all_are_well() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  good:\n    image: IMAGE\n    command: {RUNS}\n    healthcheck: {{test: [CMD, 'true'], interval: 1s}}\n"
    ));
    bottle.gantry(["up", "--wait"]).success();
    assert_eq!(bottle.inspect("project-good-1").expect("it runs")["State"]["Health"]["Status"], "healthy");
    for code in [0, 2] {
        // Without a check, a Docker Engine may have seen it run, and well.
        if !bottle.is_on_docker() {
            bottle.compose(&format!("services:\n  dies:\n    image: IMAGE\n    command: [sh, -c, 'exit {code}']\n"));
            let message = bottle.gantry(["up", "--wait"]).failure(1);
            assert!(message.contains("dies"), "{message}");
        }
        bottle.compose(&format!(
            "services:\n  dies:\n    image: IMAGE\n    command: [sh, -c, 'exit {code}']\n    healthcheck: {{test: [CMD, 'false'], interval: 1h}}\n"
        ));
        let message = bottle.gantry(["up", "--wait"]).failure(1);
        assert!(message.contains("dies"), "{message}");
    }
}

#[test]
fn attached_up_shows_lines_with_prefixes_and_ends_with_its_services() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  one:\n    image: IMAGE\n    command: [echo, first]\n  longer:\n    image: IMAGE\n    command: [sh, -c, 'echo second >&2; exit 3']\n");
    let outcome = bottle.gantry(["up"]);
    assert!(outcome.stdout.contains("one-1     | first\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("longer-1  | second\n"), "{outcome:?}");
    assert!(outcome.stdout.contains("longer-1 exited with code 3"), "{outcome:?}");
    assert_eq!(outcome.code, 0);
}

#[test]
fn control_c_stops_an_attached_up_with_130() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {}\n", RUNS.replace("trap", "echo begun; trap")));
    let line = "$GANTRY up > out 2>&1 & pid=$!; until grep -q begun out; do read -t 0.05 x < /dev/zero; done; kill -INT $pid; wait $pid; echo code $?";
    let outcome = bottle.shell(&format!("bash -c '{line}'"));
    assert!(outcome.stdout.contains("code 130"), "{outcome:?}");
    assert_eq!(bottle.state("project-a-1"), "exited");
}

#[test]
fn detached_up_returns_at_once_however_it_is_called_and_the_stack_lives() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    for line in [
        "x=$($GANTRY up -d); test -z \"$x\"",
        "$GANTRY up -d 2>&1 | cat >/dev/null",
        "setsid $GANTRY up -d </dev/null >/dev/null 2>&1",
        "g=/sys/fs/cgroup/unified; test -d $g || g=/sys/fs/cgroup; g=$g/job-$$; mkdir $g && sh -c \"echo \\$\\$ > $g/cgroup.procs && exec $GANTRY up -d\" && echo 1 > $g/cgroup.kill; until rmdir $g; do :; done",
    ] {
        // From nothing: the keeper is born in this very call.
        bottle.gantry(["down"]).success();
        bottle.gantry(["engine", "stop"]).success();
        bottle.shell(line).success();
        assert_eq!(bottle.state("project-a-1"), "running", "{line}");
    }
}

#[test]
fn attributes_reach_the_container() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:
  a:
    image: IMAGE
    command: {RUNS}
    container_name: mine
    hostname: box
    user: app
    working_dir: /www
    environment: {{NAME: value}}
    env_file: more.env
    labels: {{team: blue}}
    read_only: true
    tmpfs: /scratch
    cap_drop: [ALL]
    cap_add: [NET_ADMIN]
    init: true
    stop_signal: SIGUSR1
    tty: false
"
    ));
    bottle.write("more.env", "MORE=yes\nNAME=loses\n");
    bottle.gantry(["up", "-d"]).success();
    let inside = |line: &str| bottle.gantry(["exec", "-T", "a", "sh", "-c", line]).success().trim().to_owned();
    assert_eq!(inside("hostname"), "box");
    assert_eq!(inside("id -u; id -g; pwd"), "1000\n1000\n/www");
    assert_eq!(inside("echo $NAME $MORE"), "value yes");
    assert_eq!(inside("touch /x 2>/dev/null || echo refused; touch /scratch/x && echo written"), "refused\nwritten");
    assert_eq!(inside("grep CapBnd /proc/1/status").split_whitespace().last(), Some("0000000000001000"));
    assert_eq!(inside("cat /proc/1/comm"), "gantry-init");
    let inspect = bottle.inspect("mine").expect("it exists");
    assert_eq!(inspect["Config"]["Labels"]["team"], "blue");
    assert_eq!(inspect["Config"]["StopSignal"], "SIGUSR1");
}
