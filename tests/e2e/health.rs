//! Health checks: verdicts, what a probe says when it never succeeds, early probes.

use crate::bottle::Bottle;
use crate::up::RUNS;

#[test]
fn a_check_that_never_succeeds_fails_up_and_shows_its_last_output() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:
  db:
    image: IMAGE
    command: {RUNS}
    healthcheck:
      test: echo the disk is full; exit 1
      interval: 100ms
      retries: 2
  web:
    image: IMAGE
    command: {RUNS}
    depends_on:
      db: {{condition: service_healthy}}
"
    ));
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("project-db-1") && message.contains("unhealthy"), "{message}");
    assert!(message.contains("the disk is full"), "{message}");
    // What waited for it never ran, and is gone again; what failed its check runs on, to be looked at.
    assert_eq!(bottle.containers(), ["project-db-1"]);
    let health = &bottle.inspect("project-db-1").expect("it exists")["State"]["Health"];
    assert_eq!(health["Status"], "unhealthy");
    assert_eq!(health["Log"][0]["ExitCode"], 1);
}

#[test]
fn a_failing_check_turns_a_healthy_container_unhealthy_and_back() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    healthcheck: {{test: 'test ! -e /tmp/ill', interval: 100ms, retries: 2}}\n"
    ));
    bottle.gantry(["up", "--wait"]).success();
    let status = || bottle.inspect("project-a-1").expect("it exists")["State"]["Health"]["Status"].clone();
    bottle.gantry(["exec", "-T", "a", "touch", "/tmp/ill"]).success();
    bottle.eventually("unhealthy", || status() == "unhealthy");
    bottle.gantry(["exec", "-T", "a", "rm", "/tmp/ill"]).success();
    bottle.eventually("healthy again", || status() == "healthy");
}

#[test]
fn an_early_success_does_not_count_while_the_declared_port_only_listens_on_loopback() {
    let bottle = Bottle::with_image();
    let served = "httpd -f -p 127.0.0.1:80 & first=$$!; until test -e /tmp/go; do usleep 10000; done; kill $$first; wait $$first; exec httpd -f -p 80";
    bottle.compose(&format!(
        "services:\n  db:\n    image: IMAGE\n    command: [sh, -c, '{served}']\n    expose: [80]\n    healthcheck: {{test: [CMD, 'true'], interval: 30s}}\n"
    ));
    bottle.gantry(["up", "-d"]).success();
    let status = || bottle.inspect("project-db-1").expect("it exists")["State"]["Health"]["Status"].clone();
    // Its probe succeeds at every call, and yet it is not ready before the real server is.
    bottle.shell("until $GANTRY exec -T db wget -q -O /dev/null http://127.0.0.1/etc/passwd; do :; done").success();
    assert_eq!(status(), "starting");
    bottle.gantry(["exec", "-T", "db", "touch", "/tmp/go"]).success();
    bottle.eventually("healthy", || status() == "healthy");
}
