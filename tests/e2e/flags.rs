//! The flags of `up` and `down`, each with and without.

use crate::bottle::Bottle;
use crate::registry::Registry;
use crate::up::RUNS;

fn id(bottle: &Bottle, name: &str) -> String {
    bottle.inspect(name).expect("it exists")["Id"].to_string()
}

/// Says a word, and ends with a code once a file of the project is there.
fn ends(word: &str, code: i32) -> String {
    format!("[sh, -c, 'echo {word}; until test -e /go/{word}; do sleep 0.05; done; exit {code}']")
}

#[test]
fn the_first_end_or_the_first_failure_ends_all() {
    let bottle = Bottle::with_image();
    let stays = RUNS.replace("exit 0", "exit 9");
    bottle.compose(&format!(
        "services:
  first: {{image: IMAGE, command: {}, volumes: ['./go:/go']}}
  second: {{image: IMAGE, command: {}, volumes: ['./go:/go']}}
  stays: {{image: IMAGE, command: {stays}}}
",
        ends("first", 0),
        ends("second", 4)
    ));
    let go = bottle.project().join("go");
    std::fs::create_dir(&go).expect("a folder");
    let up = |flags: &str, files: &[&str]| {
        // A file after the other, each when what was to end before has ended.
        let mut line = format!("rm -f go/* out; $GANTRY up {flags} > out 2> err & ");
        for file in files {
            line.push_str(&format!("until grep -q {file} out; do read -t 0.05 x < /dev/zero; done; touch go/{file}; "));
            line.push_str(&format!("until grep -q '{file}-1 exited' out; do read -t 0.05 x < /dev/zero; done; "));
        }
        bottle.write("line", &format!("{line} wait $!; echo code $?; cat err"));
        let outcome = bottle.shell("bash ./line");
        assert_eq!(bottle.state("project-stays-1"), "exited", "{flags}: {outcome:?}");
        outcome.stdout
    };
    for (flags, files, code) in [
        ("--abort-on-container-exit", ["first"].as_slice(), 0),
        ("--abort-on-container-exit", &["second"], 4),
        // A clean end is none of its business; that nothing is stopped then shows in the other's own code.
        ("--abort-on-container-failure", &["first", "second"], 4),
        ("--exit-code-from second", &["second"], 4),
        // The one that is asked for was stopped for another's end.
        ("--exit-code-from stays", &["first"], 9),
        ("--exit-code-from stays --abort-on-container-failure", &["first", "second"], 9),
        ("--exit-code-from first --abort-on-container-failure", &["first", "second"], 0),
    ] {
        let told = up(flags, files);
        assert!(told.starts_with(&format!("code {code}\n")) && told.contains("Aborting on container exit..."), "{flags} {files:?}: {told}");
    }
}

#[test]
fn what_is_made_anew_is_what_the_flags_say() {
    let bottle = Bottle::with_image();
    let project = |host: &str| {
        format!(
            "services:
  a: {{image: IMAGE, command: {RUNS}, hostname: {host}, depends_on: [b], volumes: [/data]}}
  b: {{image: IMAGE, command: {RUNS}, hostname: {host}}}
"
        )
    };
    let ids = || (id(&bottle, "project-a-1"), id(&bottle, "project-b-1"));
    let volume = || bottle.inspect("project-a-1").expect("it exists")["Mounts"][0]["Name"].to_string();
    let mut number = 0;
    // What of a and of b is made anew by this, after a change of both.
    let mut renewed = |flags: &[&str]| {
        number += 1;
        bottle.compose(&project(&format!("h{number}")));
        bottle.gantry(["up", "-d"]).success();
        bottle.compose(&project(&format!("h{number}x")));
        let before = ids();
        bottle.gantry([&["up", "-d"], flags].concat()).success();
        let after = ids();
        (before.0 != after.0, before.1 != after.1)
    };
    assert_eq!(renewed(&[]), (true, true));
    assert_eq!(renewed(&["a"]), (true, true));
    assert_eq!(renewed(&["--no-recreate"]), (false, false));
    assert_eq!(renewed(&["--no-deps", "a"]), (true, false));
    // Without a change.
    let renewed = |flags: &[&str]| {
        bottle.gantry(["up", "-d"]).success();
        let before = (ids(), volume());
        bottle.gantry([&["up", "-d"], flags].concat()).success();
        let after = (ids(), volume());
        (before.0.0 != after.0.0, before.0.1 != after.0.1, before.1 != after.1)
    };
    assert_eq!(renewed(&[]), (false, false, false));
    assert_eq!(renewed(&["--always-recreate-deps", "a"]), (false, true, false));
    assert_eq!(renewed(&["-V", "a"]), (true, false, true));
    assert_eq!(renewed(&["--force-recreate", "a"]), (true, false, false));
    assert_eq!(renewed(&["--force-recreate"]), (true, true, false), "from its predecessor's predecessor");
    assert_eq!(renewed(&["--renew-anon-volumes", "-y"]), (true, true, true));
}

#[test]
fn no_start_makes_everything_and_starts_nothing() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a: {{image: IMAGE, command: {RUNS}}}\n"));
    bottle.gantry(["up", "--no-start"]).success();
    assert_eq!(bottle.state("project-a-1"), "created");
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.state("project-a-1"), "running");
}

#[test]
fn what_is_shown_is_what_the_flags_say() {
    let bottle = Bottle::with_image();
    let says = |word: &str| format!("{{image: IMAGE, command: [sh, -c, 'echo {word} $$((40+2))'], depends_on: DEPENDS}}");
    bottle.compose(&format!(
        "services:\n  a: {}\n  b: {}\n  c: {}\n",
        says("from-a").replace("DEPENDS", "[b]"),
        says("from-b").replace("DEPENDS", "[]"),
        says("from-c").replace("DEPENDS", "[]")
    ));
    // What is not shown is not waited for, either.
    let all_ended =
        || ["a", "b", "c"].iter().all(|name| !["running", "created"].contains(&bottle.state(&format!("project-{name}-1")).as_str()));
    let shown = |flags: &[&str]| {
        bottle.eventually("the last ones have ended", all_ended);
        let text = bottle.gantry([&["up"], flags].concat()).success();
        ["a", "b", "c"].into_iter().filter(|name| text.contains(&format!("from-{name} 42"))).collect::<String>()
    };
    for (flags, expected) in [
        ([].as_slice(), "abc"),
        (&["a"], "a"),
        (&["a", "--attach-dependencies"], "ab"),
        (&["--attach", "b"], "b"),
        (&["--attach", "b", "--attach", "c"], "bc"),
        (&["a", "--attach", "b"], "b"),
        (&["--no-attach", "b"], "ac"),
        (&["--no-attach", "b", "--no-attach", "c"], "a"),
    ] {
        assert_eq!(shown(flags), expected, "{flags:?}");
    }
    let line = |flags: &[&str]| {
        bottle.eventually("the last ones have ended", all_ended);
        let text = bottle.gantry([&["up", "--attach", "a"], flags].concat()).success();
        text.lines().find(|line| line.contains("from-a 42")).unwrap_or_default().to_owned()
    };
    assert_eq!(line(&[]), "a-1  | from-a 42");
    assert_eq!(line(&["--no-log-prefix"]), "from-a 42");
    let stamped = line(&["--timestamps"]);
    let time = stamped.strip_prefix("a-1  | ").and_then(|rest| rest.strip_suffix(" from-a 42"));
    assert!(time.is_some_and(|time| time.len() == 30 && time.ends_with('Z') && time.starts_with("20")), "{stamped}");
    assert!(line(&["--no-log-prefix", "--timestamps"]).starts_with("20"));
    let colored = |flags: &[&str]| bottle.gantry([&["--ansi", "always", "up"], flags].concat()).success().contains("\u{1b}[36ma-1");
    assert!(colored(&[]) && !colored(&["--no-color"]));
}

#[test]
fn an_interrupt_stops_what_was_named_and_leaves_what_it_depends_on() {
    let bottle = Bottle::with_image();
    let deaf = r#"[sh, -c, "trap 'echo refused' TERM; echo begun; while :; do sleep 0.1; done"]"#;
    bottle.compose(&format!(
        "services:\n  a: {{image: IMAGE, command: {deaf}, stop_grace_period: 1h, depends_on: [b]}}\n  b: {{image: IMAGE, command: {RUNS}}}\n"
    ));
    let line = |services: &str| {
        let line = format!(
            "$GANTRY up -t 0 {services} > out 2>&1 & pid=$!; until grep -q begun out; do read -t 0.05 x < /dev/zero; done; kill -INT $pid; wait $pid; echo code $?"
        );
        bottle.write("line", &line);
        let outcome = bottle.shell("rm -f out; bash ./line");
        assert!(outcome.stdout.contains("code 130"), "{outcome:?}");
        (bottle.state("project-a-1"), bottle.state("project-b-1"))
    };
    assert_eq!(line("a"), ("exited".to_owned(), "running".to_owned()));
    assert_eq!(line(""), ("exited".to_owned(), "exited".to_owned()));
}

#[test]
fn orphans_of_up_go_when_the_environment_says_so() {
    let bottle = Bottle::with_image();
    let service = |name: &str| format!("services:\n  {name}: {{image: IMAGE, command: {RUNS}}}\n");
    bottle.compose(&service("a"));
    bottle.gantry(["up", "-d"]).success();
    bottle.compose(&service("b"));
    assert!(!bottle.shell("COMPOSE_IGNORE_ORPHANS=1 $GANTRY up -d").stderr.contains("orphan"));
    assert!(bottle.gantry(["up", "-d"]).stderr.contains("Found orphan containers ([project-a-1])"));
    bottle.write(".env", "COMPOSE_REMOVE_ORPHANS=true\n");
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.containers(), ["project-b-1"]);
}

#[test]
fn images_come_and_go_as_the_flags_say() {
    let bottle = Bottle::with_image();
    let folder = bottle.project();
    let _registry = Registry::start(&bottle, &folder, 5000);
    Registry::push_redis(&bottle, 5000);
    let image = "127.0.0.1:5000/redis:7";
    bottle.compose(&format!("services:\n  a: {{image: '{image}', command: [redis-server, --version]}}\n"));
    let here = |name: &str| bottle.gantry(["image", "ls"]).success().lines().any(|line| name.split(':').all(|part| line.contains(part)));
    let up = |flags: &[&str]| bottle.gantry([&["up", "-d"], flags].concat());
    assert!(up(&["--pull", "never"]).failure(1).contains("may not be pulled"));
    // What is to be built is never pulled; a service without a `build` is used as it is here.
    assert!(up(&["--pull", "build"]).failure(1).contains("may not be pulled"));
    let first = up(&[]);
    assert!(first.stderr.contains("Pulled") && first.stderr.contains("Pull complete"), "{first:?}");
    assert!(!up(&["--pull", "missing", "--force-recreate"]).stderr.contains("Pulled"));
    assert!(up(&["--pull", "always"]).stderr.contains("Pulled"));
    let built = up(&["--pull", "build", "--force-recreate"]);
    assert!(built.code == 0 && built.stderr.contains("Recreated") && !built.stderr.contains("Pulled"), "{built:?}");
    bottle.write("built.yaml", &format!("services:\n  a: {{image: '{image}', build: ., command: [redis-server, --version]}}\n"));
    for command in [&["up", "-d"][..], &["create"], &["run", "-T"]] {
        let service = if command[0] == "run" { &["a"][..] } else { &[] };
        let refused = bottle.gantry([&["-f", "built.yaml"], command, &["--pull", "build"], service].concat()).failure(1);
        assert!(
            refused.contains(&format!("cannot build image {image}: cannot read the Dockerfile")) && refused.contains("built.yaml:2:"),
            "{refused}"
        );
    }
    bottle.gantry(["-f", "built.yaml", "up", "-d", "--pull", "build", "--no-build"]).success();
    // `down` leaves images, or removes those that were built, or all.
    let down = |flags: &[&str]| bottle.gantry([&["down"], flags].concat());
    down(&[]).success();
    assert!(here("redis:7"));
    up(&[]).success();
    down(&["--rmi", "local"]).success();
    assert!(here("redis:7"), "it was not built here");
    up(&[]).success();
    let told = down(&["--rmi", "all"]);
    assert!(told.code == 0 && told.stderr.contains(&format!("Image {image} Removed")), "{told:?}");
    assert!(!here("redis:7"));
    // Quietly.
    let quiet = up(&["--quiet-pull"]);
    assert!(quiet.stderr.contains("Pulled") && !quiet.stderr.contains("Pull complete"), "{quiet:?}");
    // What others use is told of and stays.
    bottle.shell("mkdir other && cp compose.yaml other/ && cd other && $GANTRY up -d").success();
    let told = down(&["--rmi", "all"]);
    assert!(told.code == 0 && told.stderr.contains("Resource is still in use"), "{told:?}");
    assert!(here("redis:7"));
    // Without a file, by what the containers were made from.
    std::fs::remove_file(folder.join("other/compose.yaml")).expect("the file");
    bottle.gantry(["-p", "other", "down", "--rmi", "all"]).success();
    assert!(!here("redis:7"));
}

#[test]
fn images_built_for_a_project_go_with_it() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a: {{image: IMAGE, command: {RUNS}}}\n"));
    // As a build of Docker Compose labels them: of a service there is, and of one there was.
    let change = |service: &str| format!("LABEL com.docker.compose.project=project com.docker.compose.service={service}");
    bottle.shell("mkdir image && echo x > image/x && tar -C image -cf image.tar .").success();
    for service in ["a", "gone"] {
        bottle.gantry(["image", "import", "--change", &change(service), "image.tar", &format!("project-{service}:latest")]).success();
    }
    let here = |service: &str| bottle.gantry(["image", "ls"]).success().contains(&format!("project-{service}"));
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["down"]).success();
    assert!(here("a") && here("gone"));
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["down", "--rmi", "local"]).success();
    assert!(!here("a") && here("gone"));
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["down", "--rmi", "local", "--remove-orphans"]).success();
    assert!(!here("gone"));
    assert!(bottle.gantry(["image", "ls"]).success().contains("busybox"), "it was not built for the project");
}

#[test]
fn privileges_open_input_and_replicas_come_from_the_file() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:
  plain: {{image: IMAGE, command: {RUNS}}}
  mighty: {{image: IMAGE, command: {RUNS}, privileged: true}}
  reads: {{image: IMAGE, command: [sh, -c, 'read x; exit 3'], stdin_open: true}}
  ends: {{image: IMAGE, command: [sh, -c, 'read x; exit 3']}}
  many: {{image: IMAGE, command: {RUNS}, deploy: {{replicas: 2}}}}
"
    ));
    bottle.gantry(["up", "-d"]).success();
    let bounding = |service: &str| bottle.gantry(["exec", "-T", service, "grep", "CapBnd", "/proc/1/status"]).success();
    assert!(bounding("plain").ends_with("00000000a80425fb\n") && bounding("mighty") > bounding("plain"));
    bottle.eventually("without open input there is nothing to read", || bottle.state("project-ends-1") == "exited");
    assert_eq!(bottle.state("project-reads-1"), "running");
    assert_eq!(bottle.containers().iter().filter(|name| name.starts_with("project-many-")).count(), 2);
}
