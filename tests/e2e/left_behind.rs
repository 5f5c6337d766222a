//! After `down -v` and `engine stop` the host is as it was: in a bottle, and on the host beside a running Docker.

use crate::bottle::Bottle;
use crate::docker::Docker;
use crate::up::RUNS;
use crate::world::{World, await_ends};

const PROJECT: &str = "services:
  web:
    image: IMAGE
    command: [httpd, -f, -p, '80', -h, /etc]
    ports: ['8099:80']
    scale: 1
    volumes: [data:/data, /anonymous]
    networks: [front, back]
    healthcheck: {test: [CMD, 'true'], interval: 1s}
  deaf:
    image: IMAGE
    command: [sleep, '1000']
    stop_grace_period: 100ms
    networks: [back]
    tmpfs: /scratch
networks:
  front: {}
  back: {internal: true}
volumes:
  data: {}
";

fn round(bottle: &Bottle) {
    bottle.import();
    bottle.compose(PROJECT);
    bottle.gantry(["up", "--wait"]).success();
    assert_eq!(bottle.shell("curl -s --max-time 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:8099/group").success(), "200");
    bottle.gantry(["down", "-v"]).success();
    bottle.gantry(["engine", "stop"]).success();
}

#[test]
fn nothing_in_a_bottle() {
    let bottle = Bottle::new();
    let folder = bottle.project().parent().expect("a parent").to_owned();
    let before = World::look(&folder);
    round(&bottle);
    before.assert_same(&World::look(&folder));
    let run: Vec<_> =
        std::fs::read_dir(bottle.root().join("run")).map(|found| found.flatten().map(|it| it.file_name()).collect()).unwrap_or_default();
    // What tells the next engine, and people, of this one.
    let kept = ["engine.log", "events", "forwarding.json", "keeper.lock"];
    let left: Vec<_> = run.into_iter().filter(|name| !kept.iter().any(|kept| name == kept)).collect();
    assert!(left.is_empty(), "{left:?}");
    for kind in ["containers", "networks", "volumes"] {
        let left = std::fs::read_dir(bottle.root().join("data").join(kind)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "records of {kind}");
    }
}

#[test]
fn nothing_where_somebody_removed_the_root_of_an_idle_engine() {
    let bottle = Bottle::new();
    let folder = bottle.project().parent().expect("a parent").to_owned();
    let before = World::look(&folder);
    bottle.gantry(["image", "ls"]).success();
    std::fs::remove_dir_all(bottle.root()).expect("the root goes");
    // The kernel says when each has ended; an idle engine waits ten seconds for another call.
    await_ends(&folder);
    before.assert_same(&World::look(&folder));
}

#[test]
fn nothing_on_the_host_beside_docker_whose_own_containers_are_untouched() {
    let bottle = Bottle::new();
    let docker = Docker::start(&bottle);
    docker.run_server();
    let folder = bottle.project().parent().expect("a parent").to_owned();
    let before = World::look(&folder);
    round(&bottle);
    before.assert_same(&World::look(&folder));
    docker.assert_server_answers();
    // And while both run, each reaches its own, Docker's dropping FORWARD policy notwithstanding.
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: [httpd, -f, -p, '80', -h, /etc]\n    ports: ['8098:80']\n  b:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.gantry(["up", "-d"]).success();
    bottle.shell("until curl -s --max-time 5 -o /dev/null http://127.0.0.1:8098/group; do :; done").success();
    bottle.gantry(["exec", "-T", "b", "timeout", "5", "wget", "-q", "-O", "/dev/null", "http://a/group"]).success();
    docker.assert_server_answers();
    bottle.gantry(["down", "-v"]).success();
    bottle.gantry(["engine", "stop"]).success();
    docker.assert_server_answers();
    drop(docker);
}
