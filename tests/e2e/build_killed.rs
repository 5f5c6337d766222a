//! SIGKILL while a command of a build runs: nothing of it is left, and what was done before it is remembered.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bottle::Bottle;
use crate::build::{image, write_context};
use crate::killed::{end, process};
use crate::world::{World, await_ends, groups_of, processes_of};

/// A step that draws lots, and one that does what a secret says, of which no key knows: it ends, fails, or goes on for ever.
const DOCKERFILE: &str = "FROM IMAGE
ARG MARK
RUN cat /proc/sys/kernel/random/uuid > /drawn; echo drew $(cat /drawn)
RUN --mount=type=secret,id=order --mount=type=cache,target=/c \\
    touch /c/seen /written; echo begun; case $(cat /run/secrets/order) in go) ;; fail) exit 9;; *) sleep 100000 & sleep 100000;; esac
";

/// A bottle that has built once, and how its host looks then.
fn prepared() -> (Bottle, World) {
    let bottle = Bottle::with_image();
    write_context(&bottle, "c", DOCKERFILE);
    write_context(&bottle, "first", "FROM IMAGE\nRUN true\n");
    for order in ["go", "fail", "stay"] {
        bottle.write(order, order);
    }
    bottle.gantry(["image", "build", "-q", "first"]).success();
    settled(&bottle);
    let world = World::look(&folder(&bottle));
    (bottle, world)
}

fn folder(bottle: &Bottle) -> PathBuf {
    bottle.project().parent().expect("a parent").to_owned()
}

/// The arguments of a build with this order. The mark makes each of its commands one of the bottle's processes.
fn arguments(bottle: &Bottle, order: &str) -> Vec<String> {
    let all = ["--progress", "plain", "image", "build", "-t", "c:1", "--secret", &format!("id=order,src={order}"), "--build-arg"];
    let mark = format!("MARK={}", folder(bottle).display());
    all.into_iter().chain([mark.as_str(), "c"]).map(str::to_owned).collect()
}

/// Waits until no step has a folder.
fn settled(bottle: &Bottle) {
    bottle.shell("while ls $GANTRY_ROOT/data/containers | grep -q .; do :; done").success();
    // A bridge whose last port has gone is told so a little later.
    bottle.shell("while ip -o link | grep -v -e LOOPBACK -e NO-CARRIER | grep -q .; do :; done").success();
}

/// Begins a build that does not end; once its last step runs, something is done to it, given the client's process. Returns what the first
/// step drew, and how the client ended.
fn interrupted(bottle: &Bottle, act: impl FnOnce(i32)) -> (String, i32) {
    let mut command = bottle.command(Bottle::binary());
    let mut client = command.args(arguments(bottle, "stay")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a client");
    let mut lines = BufReader::new(client.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut told = Vec::new();
    assert!(
        lines.by_ref().any(|line| {
            told.push(line);
            told.last().is_some_and(|line| line.ends_with(" begun"))
        }),
        "{told:?}"
    );
    let marker = bottle.project().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let all = processes_of(&folder(bottle));
    let is_client = |line: &str| line.starts_with(&Bottle::binary().display().to_string()) && line.contains(&marker);
    act(all.iter().find(|(_, line)| is_client(line)).unwrap_or_else(|| panic!("no client in {all:?}")).0);
    // Whoever still tells something is heard.
    lines.for_each(drop);
    let status = client.wait().expect("the client ends");
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or_default();
    (drawn(told.iter().map(String::as_str)), code)
}

fn drawn<'a>(mut lines: impl Iterator<Item = &'a str>) -> String {
    // The step's own line has it, too, as it stands in the Dockerfile.
    lines.find_map(|line| line.split_once(" drew ").filter(|(_, lot)| !lot.starts_with('$'))).expect("lots were drawn").1.to_owned()
}

/// Builds to the end, by what was done before.
#[track_caller]
fn assert_finished(bottle: &Bottle, drew: &str) {
    assert!(image(bottle, "c:1").is_none(), "half an image has a name");
    let told = bottle.gantry(arguments(bottle, "go"));
    assert!(told.code == 0 && told.stderr.lines().filter(|line| line.ends_with(" CACHED")).count() == 1, "{told:?}");
    let read = crate::program::run(crate::docker::docker(bottle).args(["run", "--rm", "c:1", "cat", "/drawn"])).success();
    assert_eq!(read.trim(), drew);
}

#[test]
fn a_build_whose_client_is_killed_leaves_nothing() {
    let (bottle, before) = prepared();
    let mut drew = String::new();
    // By force, and as from the keyboard.
    for (signal, expect) in [(Signal::SIGKILL, 137), (Signal::SIGINT, 130)] {
        // Another text for each, so that both do the first step.
        write_context(&bottle, "c", &DOCKERFILE.replace("echo drew", &format!("echo {signal}; echo drew")));
        let (first, code) = interrupted(&bottle, |client| kill(Pid::from_raw(client), signal).expect("it runs"));
        assert_eq!(code, expect);
        settled(&bottle);
        before.assert_same(&World::look(&folder(&bottle)));
        drew = first;
    }
    assert_finished(&bottle, &drew);
}

#[test]
fn a_build_that_nobody_hears_ends() {
    let (bottle, before) = prepared();
    write_context(&bottle, "c", "FROM IMAGE\nARG MARK\nRUN yes\n");
    let mut command = bottle.command(Bottle::binary());
    let mut client = command.args(arguments(&bottle, "stay")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a client");
    let mut lines = BufReader::new(client.stderr.take().expect("a pipe")).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.ends_with(" y")), "it runs");
    drop(lines);
    // As of a program that SIGPIPE ends.
    assert_eq!(client.wait().expect("it ends").code(), Some(141));
    settled(&bottle);
    before.assert_same(&World::look(&folder(&bottle)));
}

#[test]
fn the_next_engine_sweeps_what_a_killed_one_built() {
    let (bottle, before) = prepared();
    let engine = process(&bottle, "engine");
    let (drew, code) = interrupted(&bottle, |_| end(engine));
    assert_eq!(code, 1, "the client of a killed engine fails");
    bottle.gantry(["image", "ls"]).success();
    assert_ne!(process(&bottle, "engine"), engine);
    settled(&bottle);
    let names =
        |world: &World| format!("{world:?}").replace(&process(&bottle, "engine").to_string(), "N").replace(&engine.to_string(), "N");
    assert_eq!(names(&World::look(&folder(&bottle))), names(&before));
    assert_finished(&bottle, &drew);
}

#[test]
fn a_step_that_fails_takes_nothing_with_it() {
    let (bottle, before) = prepared();
    let failed = bottle.gantry(arguments(&bottle, "fail"));
    let drew = drawn(failed.stderr.lines());
    let told = failed.failure(1);
    assert!(told.contains("exit code: 9") && told.contains("Dockerfile:4:1") && told.contains("| begun"), "{told}");
    settled(&bottle);
    before.assert_same(&World::look(&folder(&bottle)));
    assert_finished(&bottle, &drew);
}

#[test]
fn an_engine_that_is_stopped_ends_its_builds() {
    let (bottle, _) = prepared();
    let (drew, code) = interrupted(&bottle, |_| drop(bottle.gantry(["engine", "stop"]).success()));
    assert_eq!(code, 1);
    // The keeper answers, and leaves after its engine.
    await_ends(&folder(&bottle));
    assert_eq!(groups_of(&folder(&bottle)), "");
    assert_eq!(bottle.shell("ip -o link | grep -vc LOOPBACK; nft list ruleset").stdout, "0\n");
    assert_eq!(fs::read_dir(bottle.root().join("data/containers")).expect("the folder").count(), 0);
    bottle.gantry(["image", "ls"]).success();
    assert_finished(&bottle, &drew);
}
