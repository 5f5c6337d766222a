//! `run`: a command in a container of its own, its flags one by one, its streams and its code.

use std::path::Path;

use serde_json::Value;

use crate::bottle::Bottle;
use crate::registry::Registry;
use crate::up::RUNS;

/// A service that waits for another, which runs, with everything that a one-off does not take over.
fn project() -> Bottle {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:
  app:
    image: IMAGE
    command: [sh, -c, 'echo own command']
    depends_on: [db]
    ports: ['8080:80']
    restart: always
    container_name: fixed
    environment: {{ONE: file, TWO: file}}
    cap_drop: [CHOWN]
  db:
    image: IMAGE
    command: {RUNS}
"
    ));
    bottle
}

/// One-offs' names.
fn one_offs(bottle: &Bottle) -> Vec<String> {
    let mut names = bottle.containers();
    names.retain(|name| name.contains("-run-"));
    names
}

/// What a command in a one-off writes, with these flags.
#[track_caller]
fn says(bottle: &Bottle, flags: &[&str], line: &str) -> String {
    let arguments = [&["run", "--rm", "-T"], flags, &["app", "sh", "-c", line]].concat();
    bottle.gantry(arguments).success().trim().to_owned()
}

#[test]
fn a_one_off_runs_beside_its_service_and_has_its_code() {
    let bottle = project();
    let outcome = bottle.gantry(["run", "-T", "app", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "out\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("err\n") && outcome.stderr.contains("Container project-db-1 Started"), "{outcome:?}");
    assert_eq!(bottle.gantry(["run", "--rm", "-T", "app"]).success(), "own command\n");
    let left = one_offs(&bottle);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].strip_prefix("project-app-run-").is_some_and(|slug| slug.len() == 12), "{left:?}");
    assert_eq!(bottle.containers(), [left[0].clone(), "project-db-1".to_owned()].as_slice());
    let info = bottle.inspect(&left[0]).expect("it is there");
    let label = |name: &str| info["Config"]["Labels"][format!("com.docker.compose.{name}")].clone();
    assert_eq!((label("oneoff"), label("service"), label("container-number")), ("True".into(), "app".into(), Value::Null));
    assert!(label("slug").as_str().is_some_and(|slug| slug.len() == 64 && left[0].ends_with(&slug[..12])));
    assert_eq!((&info["HostConfig"]["RestartPolicy"]["Name"], &info["State"]["ExitCode"]), (&"no".into(), &7.into()));
    assert_eq!(info["HostConfig"]["PortBindings"], serde_json::json!({}));
    // What the service itself has is left alone, whatever its file says by now.
    bottle.gantry(["up", "-d", "--no-deps", "app"]).success();
    let id = bottle.inspect("fixed").expect("it is there")["Id"].clone();
    let text = std::fs::read_to_string(bottle.project().join("compose.yaml")).expect("the file");
    bottle.write("compose.yaml", &text.replace("ONE: file", "ONE: other"));
    assert_eq!(says(&bottle, &[], "echo $ONE"), "other");
    assert_eq!(bottle.inspect("fixed").expect("it is there")["Id"], id);
}

#[test]
fn flags_reach_the_container_and_without_them_it_is_the_files() {
    let bottle = project();
    bottle.write("one.env", "ONE=first file\nTHREE=three-${FOUR}\n");
    bottle.write("two.env", "THREE=second file\n");
    bottle.write(".env", "FIVE=five\n");
    std::fs::create_dir(bottle.project().join("data")).expect("a folder");
    bottle.write("data/file", "mounted\n");
    let shown = "echo $ONE,$TWO,$THREE,$FIVE";
    assert_eq!(says(&bottle, &[], shown), "file,file,,");
    let variables =
        ["-e", "ONE=flag", "--env", "FOUR=4", "-e", "FIVE", "-e", "NOWHERE", "--env-from-file", "one.env", "--env-from-file", "two.env"];
    assert_eq!(says(&bottle, &variables, shown), "flag,file,three-4,five");
    assert_eq!(says(&bottle, &["--env-from-file", "one.env"], "echo $ONE"), "first file");
    for (flags, line, with, without) in [
        (["-v", "./data:/data:ro"].as_slice(), "cat /data/file 2>/dev/null; touch /data/x 2>/dev/null && echo written", "mounted", ""),
        (&["-v", "kept:/kept"], "grep -c ' /kept ' /proc/mounts", "1", "0"),
        (&["-v", "/anonymous"], "grep -c ' /anonymous ' /proc/mounts", "1", "0"),
        (&["-u", "app"], "id -u", "1000", "0"),
        (&["-w", "/www"], "pwd", "/www", "/"),
        (&["--cap-add", "NET_ADMIN"], "grep CapBnd /proc/self/status | cut -c 21", "3", "2"),
        (&["--cap-add", "cap_chown"], "touch /x && chown app /x 2>/dev/null && echo given", "given", ""),
        (&["--cap-drop", "ALL"], "grep CapBnd /proc/self/status | cut -f 2", "0000000000000000", "00000000a80425fa"),
    ] {
        let line = format!("{line} || true");
        assert_eq!(says(&bottle, &[], &line), without, "without {flags:?}");
        assert_eq!(says(&bottle, flags, &line), with, "with {flags:?}");
    }
    // An entry point of one's own drops the service's command, and '' clears it.
    assert_eq!(bottle.gantry(["run", "--rm", "-T", "--entrypoint", "echo 'in front'", "app"]).success(), "in front\n");
    assert_eq!(bottle.gantry(["run", "--rm", "-T", "--entrypoint", "echo in", "app", "back"]).success(), "in back\n");
    assert_eq!(bottle.gantry(["run", "--rm", "-T", "--entrypoint", "", "app", "echo", "plain"]).success(), "plain\n");
    bottle.gantry(["run", "-T", "--name", "mine", "-l", "team=blue", "--label", "x=", "app", "true"]).success();
    let labels = bottle.inspect("mine").expect("it has the name")["Config"]["Labels"].clone();
    assert_eq!((&labels["team"], &labels["x"]), (&"blue".into(), &"".into()));
    let taken = bottle.gantry(["run", "-T", "--name", "mine", "app", "true"]).failure(1);
    assert!(taken.contains("mine"), "{taken}");
    // What stands behind the service's name is the command's, hyphens and all.
    assert_eq!(bottle.gantry(["run", "--rm", "-T", "app", "echo", "-d", "--rm", "-n"]).success(), "-d --rm -n\n");
}

#[test]
fn a_volume_of_the_project_is_the_projects_even_if_only_a_flag_mounts_it() {
    let bottle = project();
    let text = std::fs::read_to_string(bottle.project().join("compose.yaml")).expect("the file");
    bottle.write("compose.yaml", &format!("{text}volumes: {{mine: {{}}}}\n"));
    says(&bottle, &["-v", "mine:/mine", "-v", "other:/other"], "touch /mine/x /other/x");
    let volumes = bottle.get("/volumes")["Volumes"].clone();
    let mut names: Vec<&str> = volumes.as_array().expect("a list").iter().filter_map(|it| it["Name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["other", "project_mine"]);
}

#[test]
fn ports_are_published_only_when_asked() {
    let bottle = project();
    let published = |flags: &[&str]| {
        let id = bottle.gantry([&["run", "-d", "--rm"], flags, &["app", "sleep", "1000"]].concat()).success();
        let list = bottle.get(&format!("/containers/{}/json", id.trim()))["NetworkSettings"]["Ports"].clone();
        bottle.gantry(["kill"]).success();
        bottle.eventually("the one-off is gone", || one_offs(&bottle).is_empty());
        list["80/tcp"][0]["HostPort"].as_str().map(str::to_owned)
    };
    assert_eq!(published(&[]), None);
    assert_eq!(published(&["-p", "9000:80"]).as_deref(), Some("9000"));
    assert_eq!(published(&["--publish", "127.0.0.1:9001-9002:80-81"]).as_deref(), Some("9001"));
    assert_eq!(published(&["--service-ports"]).as_deref(), Some("8080"));
    assert_eq!(published(&["-P"]).as_deref(), Some("8080"));
}

#[test]
fn names_of_the_service_are_answered_to_only_when_asked() {
    let bottle = project();
    bottle.gantry(["up", "-d", "db"]).success();
    let resolves = |flags: &[&str]| {
        let id = bottle.gantry([&["run", "-d", "--rm"], flags, &["app", "sleep", "1000"]].concat()).success();
        let code = bottle.gantry(["exec", "-T", "db", "nslookup", "-type=a", "app"]).code;
        bottle
            .shell(&format!("curl -sS --unix-socket $GANTRY_ROOT/run/engine.sock -X POST http://e/containers/{}/kill", id.trim()))
            .success();
        bottle.eventually("the one-off is gone", || one_offs(&bottle).is_empty());
        code == 0
    };
    assert!(!resolves(&[]));
    assert!(resolves(&["--use-aliases"]));
}

#[test]
fn dependencies_are_waited_for_unless_they_are_left_out() {
    let bottle = Bottle::with_image();
    let text = format!(
        "services:
  app: {{image: IMAGE, depends_on: {{db: {{condition: service_healthy}}}}}}
  db:
    image: IMAGE
    command: {}
    healthcheck: {{test: test -e /tmp/ready, interval: 100ms}}
",
        RUNS.replace("trap", "touch /tmp/ready; trap")
    );
    bottle.compose(&text);
    assert_eq!(bottle.gantry(["run", "--rm", "-T", "--no-deps", "app", "echo", "alone"]).success(), "alone\n");
    assert!(bottle.containers().is_empty(), "{:?}", bottle.containers());
    bottle.gantry(["run", "--rm", "-T", "app", "true"]).success();
    assert_eq!(bottle.inspect("project-db-1").expect("it was started")["State"]["Health"]["Status"], "healthy");
    // What runs already is not started again, and what does not get well is told; nothing that was made for it is left.
    bottle.gantry(["down"]).success();
    bottle.compose(&text.replace("test -e /tmp/ready", "'false'").replace("100ms", "100ms, retries: 1"));
    let told = bottle.gantry(["run", "-T", "app", "true"]).failure(1);
    assert!(told.contains("dependency failed to start: container project-db-1 is unhealthy"), "{told}");
    assert!(one_offs(&bottle).is_empty());
}

#[test]
fn what_is_typed_arrives_and_a_terminal_needs_one() {
    let bottle = project();
    assert_eq!(bottle.gantry_with_input(&["run", "--rm", "app", "cat"], b"piped\n").success(), "piped\n");
    assert_eq!(bottle.gantry_with_input(&["run", "--rm", "-T", "-i", "app", "wc", "-c"], b"12345").success(), "5\n");
    assert_eq!(bottle.gantry_with_input(&["run", "--rm", "-T", "--interactive=false", "app", "wc", "-c"], b"12345").success(), "0\n");
    for flag in ["--tty", "--no-tty=false"] {
        let refused = bottle.gantry(["run", "--rm", flag, "app", "true"]).failure(1);
        assert!(refused.contains("the input device is not a TTY") && refused.contains("-T"), "{refused}");
    }
    assert!(one_offs(&bottle).is_empty(), "refused before anything is made");
    let tty = |flags: &str| bottle.shell(&format!("script -qec '$GANTRY run --rm --no-deps {flags} app tty' /dev/null")).stdout;
    assert!(tty("").contains("/dev/pts/0"));
    assert!(tty("-T").contains("not a tty"));
}

#[test]
fn a_detached_one_off_goes_on_and_goes_by_itself_with_rm() {
    let bottle = project();
    let id = bottle.gantry(["run", "-d", "app", "sh", "-c", "sleep 0.2; echo done"]).success();
    assert_eq!(id.trim().len(), 64, "{id}");
    let state = || bottle.get(&format!("/containers/{}/json", id.trim()))["State"]["Status"].clone();
    bottle.eventually("it ends and stays", || state() == "exited");
    let id = bottle.gantry(["run", "-d", "--rm", "app", "true"]).success();
    bottle.eventually("it ends and goes", || bottle.inspect(id.trim()).is_none());
    // Even if the client is killed.
    let line = "$GANTRY run --rm --name mine -T app sh -c 'echo begun; sleep 0.3' > out & until grep -q begun out; do read -t 0.05 x < /dev/zero; done; kill -9 $!";
    bottle.write("line", line);
    bottle.shell("bash ./line").success();
    bottle.eventually("it ends and goes", || bottle.inspect("mine").is_none());
}

#[test]
fn codes_tell_what_became_of_it() {
    let bottle = project();
    let code = |arguments: &[&str]| bottle.gantry([&["run", "--rm", "-T", "--no-deps", "app"], arguments].concat()).code;
    assert_eq!(code(&["no-such-program"]), 127);
    assert_eq!(code(&["/etc/passwd"]), 126);
    assert_eq!(code(&["sh", "-c", "kill -9 $$; sleep 1000 & kill -9 $!; exit 137"]), 137);
    assert_eq!(code(&["sh", "-c", "exit 143"]), 143);
    assert!(bottle.containers().is_empty(), "{:?}", bottle.containers());
    // A command that cannot be started leaves nothing behind, with --rm or without.
    let told = bottle.gantry(["run", "-T", "--no-deps", "app", "no-such-program"]).failure(127);
    assert!(told.contains("no-such-program") && told.contains("compose.yaml:2:3"), "{told}");
    assert!(bottle.containers().is_empty(), "{:?}", bottle.containers());
    assert_eq!(bottle.gantry(["run", "-T", "-u", "nosuch", "app", "true"]).code, 1);
}

#[test]
fn signals_go_to_the_command() {
    let bottle = project();
    for (signal, program, expected) in [
        ("TERM", "trap 'echo told; exit 5' TERM", 5),
        ("INT", "trap 'echo told; exit 6' INT", 6),
        ("HUP", "trap 'echo told; exit 7' HUP", 7),
        ("USR1", "trap 'echo told; exit 8' USR1", 8),
        // What the kernel does to one that does not listen: nothing, as it is process 1; with a reaper before it, it ends.
        ("TERM", "exec sh -c 'sh -c \"kill -TERM \\$\\$\"; exit $?'", 143),
    ] {
        let line = format!(
            "rm -f out; $GANTRY run --rm -T --no-deps app sh -c '{}; echo begun; while :; do sleep 0.1; done' > out & pid=$!; \
             until grep -q begun out || ! kill -0 $pid 2>/dev/null; do read -t 0.05 x < /dev/zero; done; kill -{signal} $pid; wait $pid; echo code $?",
            program.replace('\'', "'\\''")
        );
        bottle.write("line", &line);
        let outcome = bottle.shell("bash ./line");
        assert!(outcome.stdout.contains(&format!("code {expected}")), "{signal} {program}: {outcome:?}");
    }
}

#[test]
fn orphans_are_told_of_and_removed_when_asked() {
    let bottle = project();
    bottle.gantry(["run", "-T", "app", "true"]).success();
    let left = one_offs(&bottle);
    let told = bottle.gantry(["run", "--rm", "-T", "app", "true"]);
    assert!(told.stderr.contains(&format!("Found orphan containers ([{}])", left[0])), "{told:?}");
    bottle.gantry(["run", "--rm", "-T", "--remove-orphans", "app", "true"]).success();
    assert!(one_offs(&bottle).is_empty());
}

#[test]
fn quiet_tells_nothing_and_a_dry_run_does_nothing() {
    let bottle = project();
    let plan = bottle.gantry(["run", "--dry-run", "-T", "app", "true"]).success();
    assert!(plan.contains("create container project-app-run-") && plan.contains("start container project-db-1"), "{plan}");
    assert!(bottle.containers().is_empty());
    let loud = bottle.gantry(["run", "--rm", "-T", "app", "echo", "x"]);
    assert!(loud.stderr.contains("project-db-1"), "{loud:?}");
    let quiet = bottle.gantry(["run", "--rm", "-T", "-q", "app", "echo", "x"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("x\n", ""));
}

#[test]
fn images_are_pulled_as_the_flags_say() {
    let bottle = Bottle::with_image();
    let folder = bottle.project();
    let _registry = Registry::start(&bottle, Path::new(&folder), 5000);
    Registry::push_redis(&bottle, 5000);
    bottle.compose("services:\n  app: {image: '127.0.0.1:5000/redis:7', command: [redis-server, --version]}\n");
    let image = "127.0.0.1:5000/redis:7";
    let forget = || bottle.gantry(["image", "rm", image]).success();
    let run = |flags: &[&str]| bottle.gantry([&["run", "--rm", "-T"], flags, &["app"]].concat());
    let never = run(&["--pull", "never"]).failure(1);
    assert!(never.contains("is not here, and may not be pulled"), "{never}");
    let first = run(&[]);
    assert!(first.stderr.contains("Pulled") && first.stderr.contains("Pull complete"), "{first:?}");
    assert!(!run(&["--pull", "missing"]).stderr.contains("Pull"));
    assert!(run(&["--pull", "always"]).stderr.contains("Pulled"));
    forget();
    let quiet = run(&["--quiet-pull"]);
    assert!(quiet.stderr.contains("Pulled") && !quiet.stderr.contains("Pull complete"), "{quiet:?}");
}

#[test]
fn want_of_memory_is_named() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  app: {image: IMAGE, mem_limit: 16m, memswap_limit: 16m, command: [sh, -c, 'exec tail /dev/zero']}\n");
    let told = bottle.gantry(["run", "--rm", "-T", "app"]).failure(137);
    assert!(told.contains("want of memory"), "{told}");
}
