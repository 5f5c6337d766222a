//! Commands that change things: each by its effect.

use crate::bottle::Bottle;
use crate::up::RUNS;

/// Two services, of which `a` waits for `b`.
fn two() -> Bottle {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    depends_on: [b]\n  b:\n    image: IMAGE\n    command: {RUNS}\n"
    ));
    bottle
}

const A: &str = "project-a-1";
const B: &str = "project-b-1";

fn states(bottle: &Bottle) -> (String, String) {
    (bottle.state(A), bottle.state(B))
}

#[track_caller]
fn assert_states(bottle: &Bottle, a: &str, b: &str) {
    assert_eq!(states(bottle), (a.to_owned(), b.to_owned()));
}

fn id(bottle: &Bottle, name: &str) -> String {
    bottle.inspect(name).expect("it exists")["Id"].to_string()
}

#[test]
fn create_makes_everything_and_starts_nothing() {
    let bottle = two();
    let told = bottle.gantry(["create", "--scale", "b=2"]);
    assert_eq!((told.code, told.stdout.as_str()), (0, ""));
    assert!(told.stderr.contains("Container project-a-1 Created") && !told.stderr.contains("Starting"), "{told:?}");
    assert_eq!(bottle.containers(), [A, B, "project-b-2"]);
    assert_states(&bottle, "created", "created");
    bottle.gantry(["create"]).success();
    assert_eq!(bottle.containers(), [A, B], "the file's number");
    // What changed is made anew, unless that is not wanted, or even if nothing changed.
    let before = id(&bottle, A);
    bottle.gantry(["create", "a"]).success();
    assert_eq!(id(&bottle, A), before);
    bottle.gantry(["create", "--force-recreate", "a"]).success();
    assert_ne!(id(&bottle, A), before);
    let text = std::fs::read_to_string(bottle.project().join("compose.yaml")).expect("the file");
    bottle.write("compose.yaml", &text.replace("depends_on: [b]", "hostname: other"));
    let before = id(&bottle, A);
    bottle.gantry(["create", "--no-recreate", "a"]).success();
    assert_eq!(id(&bottle, A), before);
    bottle.gantry(["create", "a"]).success();
    assert_ne!(id(&bottle, A), before);
    // Orphans.
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n"));
    bottle.gantry(["create"]).success();
    assert_eq!(bottle.containers(), [A, B]);
    bottle.gantry(["create", "--remove-orphans", "-y"]).success();
    assert_eq!(bottle.containers(), [A]);
    // Images: none is pulled where that is not wanted.
    bottle.compose("services:\n  a: {image: '127.0.0.1:9/nothing'}\n");
    let never = bottle.gantry(["create", "--pull", "never"]).failure(1);
    assert!(never.contains("may not be pulled"), "{never}");
    let tried = bottle.gantry(["create", "--pull", "missing", "--quiet-pull"]).failure(1);
    assert!(tried.contains("cannot pull image"), "{tried}");
}

#[test]
fn scale_makes_and_removes_containers_of_the_named_services() {
    let bottle = two();
    bottle.gantry(["up", "-d", "b"]).success();
    bottle.gantry(["scale", "b=3"]).success();
    assert_eq!(bottle.containers(), [B, "project-b-2", "project-b-3"]);
    assert_eq!(bottle.state("project-b-3"), "running");
    bottle.gantry(["scale", "a=2", "b=1"]).success();
    assert_eq!(bottle.containers(), [A, "project-a-2", B]);
    bottle.gantry(["down"]).success();
    bottle.gantry(["scale", "--no-deps", "a=1"]).success();
    assert_eq!(bottle.containers(), [A], "what it depends on is left out");
    bottle.gantry(["scale", "a=1"]).success();
    assert_states(&bottle, "running", "running");
    bottle.gantry(["scale", "a=0"]).success();
    assert_eq!(bottle.containers(), [B]);
    assert!(bottle.gantry(["scale", "nosuch=1"]).failure(1).contains("no such service: nosuch"));
}

#[test]
fn wait_tells_each_end_and_has_the_last_ones_code() {
    let bottle = Bottle::with_image();
    let ends = |code| format!("[sh, -c, \"until test -e /go/{code}; do sleep 0.1; done; exit {code}\"]");
    bottle.compose(&format!(
        "services:\n  first: {{image: IMAGE, command: {}, volumes: ['./go:/go']}}\n  second: {{image: IMAGE, command: {}, volumes: ['./go:/go']}}\n  stays:\n    image: IMAGE\n    command: {RUNS}\n",
        ends(3),
        ends(4)
    ));
    std::fs::create_dir(bottle.project().join("go")).expect("a folder");
    bottle.gantry(["up", "-d"]).success();
    let ids = ["project-first-1", "project-second-1"].map(|name| bottle.inspect(name).expect("it runs")["Id"].as_str().map(str::to_owned));
    let line = "$GANTRY wait first second > out & until test $(grep -c ' 03 .*engine.sock' /proc/net/unix) -ge 2; do read -t 0.05 x < /dev/zero; done; touch go/3; until grep -q 'code 3' out; do read -t 0.05 x < /dev/zero; done; touch go/4; wait $!; echo ends with $?";
    bottle.write("line", line);
    let outcome = bottle.shell("bash ./line; cat out").success();
    let [first, second] = ids.map(|id| id.expect("an id"));
    assert_eq!(
        outcome,
        format!("ends with 4\ncontainer \"{first}\" exited with status code 3\ncontainer \"{second}\" exited with status code 4\n")
    );
    // Only what runs can be waited for.
    for services in ["first", "nosuch"] {
        let told = bottle.gantry(["wait", services]).failure(1);
        assert!(told.contains("no containers for project \"project\""), "{told}");
    }
    // With the project after it, orphans included.
    std::fs::remove_dir_all(bottle.project().join("go")).expect("the folder");
    std::fs::create_dir(bottle.project().join("go")).expect("a folder");
    bottle.gantry(["up", "-d"]).success();
    bottle.write("line", "$GANTRY wait --down-project first & until grep -q ' 03 .*engine.sock' /proc/net/unix; do read -t 0.05 x < /dev/zero; done; touch go/3; wait $!; echo ends with $?");
    assert!(bottle.shell("bash ./line").success().contains("ends with 3"));
    assert!(bottle.containers().is_empty(), "{:?}", bottle.containers());
}

#[test]
fn attach_joins_what_runs_already() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:
  reads: {image: IMAGE, stdin_open: true, scale: 2, command: [sh, -c, 'while read x; do echo \"$$(hostname) got $$x\"; test $$x != end || exit 6; done; exit 5']}
  told:
    image: IMAGE
    command: [sh, -c, \"trap 'echo told; exit 7' USR1; echo begun; while :; do sleep 0.1; done\"]
",
    );
    bottle.gantry(["up", "-d"]).success();
    let host = |number: u32| bottle.inspect(&format!("project-reads-{number}")).expect("it runs")["Config"]["Hostname"].clone();
    // The lowest, or the one of the number; nothing of what is typed comes without standard input.
    let outcome = bottle.shell("mkfifo keys; exec 3<>keys; echo one >&3; echo end >&3; exec $GANTRY attach --index 2 reads < keys");
    assert_eq!((outcome.code, outcome.stdout), (6, format!("{0} got one\n{0} got end\n", host(2).as_str().unwrap_or_default())));
    let line = "$GANTRY attach --no-stdin reads < /dev/zero > out & pid=$!; until grep -q got out; do echo said | $GANTRY exec -T reads sh -c 'cat > /proc/1/fd/1; echo got > /proc/1/fd/1'; done; $GANTRY kill reads; wait $pid; echo code $?";
    bottle.write("line", line);
    let outcome = bottle.shell("bash ./line; cat out");
    assert!(outcome.stdout.contains("said") && outcome.stdout.contains("code 137"), "{outcome:?}");
    // Signals go on to what runs, or end only this command.
    let signal = |flag: &str| {
        let line = format!(
            "rm -f out; $GANTRY attach {flag} told < /dev/null > out & pid=$!; until grep -q here out; do $GANTRY exec -T told sh -c 'echo here > /proc/1/fd/1'; done; kill -USR1 $pid; wait $pid; echo code $?; cat out"
        );
        bottle.write("line", &line);
        bottle.shell("bash ./line").stdout
    };
    let kept = signal("--sig-proxy=false");
    assert!(kept.contains("code 130") && !kept.contains("told"), "{kept}");
    assert_eq!(bottle.state("project-told-1"), "running");
    let passed = signal("");
    assert!(passed.contains("code 7") && passed.contains("told"), "{passed}");
    // What cannot be attached to.
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["pause", "reads"]).success();
    for (arguments, told) in [
        (["attach", "told", "--index=7"].as_slice(), "service \"told\" is not running container #7"),
        (&["attach", "nosuch"], "service \"nosuch\" is not running"),
        (&["attach", "reads"], "You cannot attach to a paused container, unpause it first"),
        (&["attach", "--detach-keys", "ctrl-", "told"], "Invalid escape keys (ctrl-) provided"),
    ] {
        let message = bottle.gantry(arguments).failure(1);
        assert!(message.contains(told), "{arguments:?}: {message}");
    }
    bottle.gantry(["unpause", "reads"]).success();
}

#[test]
fn stop_start_and_restart_keep_the_containers() {
    let bottle = two();
    assert!(bottle.gantry(["start"]).failure(1).contains("has no container to start"));
    assert_eq!(bottle.gantry(["stop"]).code, 0);
    assert_eq!(bottle.gantry(["restart"]).code, 0, "what was not made is not restarted");
    bottle.gantry(["up", "-d"]).success();
    let ids = (id(&bottle, A), id(&bottle, B));
    bottle.gantry(["stop", "a"]).success();
    assert_states(&bottle, "exited", "running");
    bottle.gantry(["stop"]).success();
    assert_states(&bottle, "exited", "exited");
    let again = bottle.gantry(["stop"]);
    assert!(again.stderr.contains("Container project-a-1 Stopped"), "{again:?}");
    let started = bottle.gantry(["start", "a"]);
    assert_eq!((started.code, started.stdout.as_str()), (0, ""));
    assert_states(&bottle, "running", "running");
    let nothing = bottle.gantry(["start"]);
    assert_eq!((nothing.code, nothing.stdout.as_str(), nothing.stderr.as_str()), (0, "", ""));
    let began = |name: &str| bottle.inspect(name).expect("it exists")["State"]["StartedAt"].clone();
    let (a, b) = (began(A), began(B));
    bottle.gantry(["restart", "a"]).success();
    assert_ne!(began(A), a);
    assert_eq!(began(B), b);
    let a = began(A);
    let told = bottle.gantry(["restart"]);
    assert!(told.stderr.contains("project-a-1 Started"), "{told:?}");
    assert!(began(A) != a && began(B) != b);
    assert_eq!((id(&bottle, A), id(&bottle, B)), ids);
    for command in ["stop", "restart", "kill", "rm", "pause", "unpause", "start"] {
        let told = bottle.gantry([command, "nosuch"]).failure(1);
        assert!(told.contains("no such service: nosuch"), "{command}: {told}");
    }
}

#[test]
fn a_dependant_restarts_with_what_it_waits_for_if_it_says_so() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a: {{image: IMAGE, command: {RUNS}, depends_on: {{b: {{condition: service_started, restart: true}}}}}}\n  b: {{image: IMAGE, command: {RUNS}}}\n  c: {{image: IMAGE, command: {RUNS}, depends_on: [b]}}\n"
    ));
    bottle.gantry(["up", "-d"]).success();
    let began =
        || ["a", "b", "c"].map(|name| bottle.inspect(&format!("project-{name}-1")).expect("it exists")["State"]["StartedAt"].clone());
    let before = began();
    bottle.gantry(["restart", "b"]).success();
    let after = began();
    assert!(before[0] != after[0] && before[1] != after[1] && before[2] == after[2]);
    bottle.gantry(["restart", "--no-deps", "b"]).success();
    assert_eq!(began()[0], after[0]);
    assert_ne!(began()[1], after[1]);
}

/// A service that takes its time: it says that it was told, and goes on.
const SLOW: &str = r#"[sh, -c, "trap 'echo told' TERM; echo begun; while :; do sleep 0.1; done"]"#;

#[test]
fn timeouts_of_the_command_line_stand_above_the_files() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {SLOW}\n    stop_grace_period: 1h\n"));
    for arguments in [["stop", "-t", "0"].as_slice(), &["restart", "--timeout", "0"], &["down", "-t", "0"], &["down", "--timeout=0"]] {
        bottle.gantry(["up", "-d"]).success();
        bottle.gantry(arguments).success();
    }
    assert!(bottle.containers().is_empty());
    // And they are waited for: who was told has the time to answer.
    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    stop_grace_period: 10ms\n    command: {}\n    volumes: ['./:/p']\n",
        SLOW.replace("echo told", "sleep 0.3; echo told > /p/told; exit 0")
    ));
    for (arguments, is_told) in [(["down"].as_slice(), false), (&["down", "-t", "60"], true)] {
        bottle.gantry(["up", "-d"]).success();
        bottle.eventually("it listens", || bottle.gantry(["logs"]).stdout.contains("begun"));
        bottle.gantry(arguments).success();
        assert_eq!(bottle.project().join("told").exists(), is_told, "{arguments:?}");
    }
}

#[test]
fn kill_tells_everything_that_runs_and_orphans_only_when_asked() {
    let bottle = two();
    bottle.gantry(["up", "-d"]).success();
    let nothing = |told: &str| assert!(told.contains("No container to kill"), "{told}");
    bottle.gantry(["kill", "a"]).success();
    assert_states(&bottle, "exited", "running");
    assert_eq!(bottle.inspect(A).expect("it exists")["State"]["ExitCode"], 137);
    nothing(&bottle.gantry(["kill", "a"]).stderr);
    bottle.gantry(["kill", "-s", "SIGTERM", "b"]).success();
    bottle.eventually("it heard", || bottle.state(B) == "exited");
    assert_eq!(bottle.inspect(B).expect("it exists")["State"]["ExitCode"], 0);
    bottle.gantry(["up", "-d"]).success();
    let wrong = bottle.gantry(["kill", "-s", "NOSUCH"]).failure(1);
    assert!(wrong.to_lowercase().contains("invalid signal: nosuch"), "{wrong}");
    // One-offs, too.
    let one_off = bottle.gantry(["run", "-d", "b", "sleep", "1000"]).success();
    bottle.gantry(["kill", "b"]).success();
    assert_eq!((bottle.state(B), bottle.state(one_off.trim())), ("exited".to_owned(), "exited".to_owned()));
    // Orphans.
    bottle.compose(&format!("services:\n  b:\n    image: IMAGE\n    command: {RUNS}\n"));
    nothing(&bottle.gantry(["kill"]).stderr);
    assert_eq!(bottle.state(A), "running");
    bottle.gantry(["kill", "--remove-orphans"]).success();
    assert_eq!(bottle.state(A), "exited");
    bottle.gantry(["start"]).success();
    bottle.shell("COMPOSE_REMOVE_ORPHANS=1 $GANTRY kill").success();
    assert_states(&bottle, "exited", "exited");
}

#[test]
fn rm_removes_what_has_ended_after_it_asked() {
    let bottle = two();
    assert!(bottle.gantry(["rm"]).stderr.contains("No stopped containers"));
    bottle.gantry(["up", "-d"]).success();
    assert!(bottle.gantry(["rm", "-f"]).stderr.contains("No stopped containers"));
    bottle.gantry(["stop", "a"]).success();
    for answer in [b"n\n".as_slice(), b"\n", b""] {
        let told = bottle.gantry_with_input(&["rm"], answer);
        assert!(told.code == 0 && told.stderr.contains("Going to remove project-a-1"), "{told:?}");
        assert_states(&bottle, "exited", "running");
    }
    bottle.gantry_with_input(&["rm"], b"y\n").success();
    assert_states(&bottle, "absent", "running");
    assert_eq!(bottle.gantry(["rm", "-f", "-s", "b"]).success(), "Going to remove project-b-1\n");
    assert_states(&bottle, "absent", "absent");
    // Anonymous volumes go only with -v.
    bottle.compose("services:\n  a: {image: IMAGE, command: ['true'], volumes: [/data]}\n");
    let volumes = || bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len);
    bottle.gantry(["up"]).success();
    bottle.gantry(["rm", "-f"]).success();
    assert_eq!(volumes(), 1);
    bottle.gantry(["up"]).success();
    bottle.gantry(["rm", "-fv"]).success();
    assert_eq!(volumes(), 1);
    // What `run` left is not its business.
    bottle.gantry(["run", "-T", "a"]).success();
    for all in [&[][..], &["--all"], &["-a"]] {
        let told = bottle.gantry([&["rm", "-f"], all].concat()).stderr;
        assert!(told.contains("No stopped containers"), "{told}");
        assert_eq!(told.contains("--all of rm is deprecated and has no effect"), !all.is_empty(), "{told}");
    }
}

#[test]
fn pause_freezes_and_unpause_lets_go_on() {
    let bottle = two();
    for command in ["pause", "unpause"] {
        assert_eq!(bottle.gantry([command]).code, 0, "nothing is there");
    }
    bottle.gantry(["up", "-d"]).success();
    let told = bottle.gantry(["pause", "a"]);
    assert!(told.stderr.contains("Container project-a-1 Paused"), "{told:?}");
    assert_states(&bottle, "paused", "running");
    assert!(bottle.gantry(["pause", "a"]).failure(1).contains("is already paused"));
    assert!(bottle.gantry(["exec", "-T", "a", "true"]).failure(1).contains("is paused, unpause the container before exec"));
    let told = bottle.gantry(["unpause", "a"]);
    assert!(told.stderr.contains("Container project-a-1 Unpaused"), "{told:?}");
    assert_states(&bottle, "running", "running");
    assert!(bottle.gantry(["unpause", "a"]).failure(1).contains("is not paused"));
    bottle.gantry(["pause"]).success();
    assert_states(&bottle, "paused", "paused");
    // `up` lets them go on, and `down` does not wait for who cannot move.
    bottle.gantry(["up", "-d"]).success();
    assert_states(&bottle, "running", "running");
    bottle.gantry(["pause"]).success();
    bottle.gantry(["down"]).success();
    assert!(bottle.containers().is_empty());
}

#[test]
fn start_can_wait_and_says_what_was_not_well_in_time() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a: {{image: IMAGE, command: {RUNS}, healthcheck: {{test: 'echo the reason; exit 3', interval: 100ms, retries: 1000}}}}\n"
    ));
    bottle.gantry(["create"]).success();
    bottle.gantry(["start"]).success();
    for arguments in [["start", "--wait", "--wait-timeout", "4"].as_slice(), &["up", "--wait", "--wait-timeout=4"]] {
        bottle.gantry(["stop"]).success();
        let told = bottle.gantry(arguments).failure(1);
        for word in ["application not healthy after 4s", "container project-a-1 is starting", "code 3: the reason", "compose.yaml:2:"] {
            assert!(told.contains(word), "{arguments:?}: {told}");
        }
    }
    bottle.compose(
        &format!("services:\n  a: {{image: IMAGE, command: {RUNS}, healthcheck: {{test: test -e /tmp/ready, interval: 100ms}}}}\n")
            .replace("trap", "touch /tmp/ready; trap"),
    );
    bottle.gantry(["create"]).success();
    bottle.gantry(["start", "--wait"]).success();
    assert_eq!(bottle.inspect(A).expect("it runs")["State"]["Health"]["Status"], "healthy");
}
