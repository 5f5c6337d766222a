//! Bad input and bad luck: each message names the service, the place and the way out; nothing half-made stays.

use crate::bottle::Bottle;
use crate::up::RUNS;

/// Runs `up -d` on the project; it must fail and say all of `words`.
#[track_caller]
fn refused(bottle: &Bottle, project: &str, words: &[&str]) -> String {
    bottle.compose(project);
    let message = bottle.gantry(["up", "-d"]).failure(1);
    for word in words {
        assert!(message.contains(word), "`{word}` is not in:\n{message}");
    }
    message
}

/// No container, network or volume of the project is there.
#[track_caller]
fn nothing_stays(bottle: &Bottle) {
    assert_eq!(bottle.containers(), Vec::<String>::new());
    let networks = bottle.get("/networks");
    assert!(networks.as_array().expect("a list").iter().all(|it| it["Name"] != "project_default"), "{networks}");
    let volumes = bottle.get("/volumes");
    assert!(volumes["Volumes"].as_array().is_none_or(Vec::is_empty), "{volumes}");
}

#[test]
fn what_is_wrong_in_the_file_is_said_all_at_once_with_its_place() {
    let bottle = Bottle::with_image();
    refused(
        &bottle,
        "services:\n  web:\n    image: IMAGE\n    comand: [true]\n    ports: {a: b}\n    restart: sometimes\n",
        &["compose.yaml:4", "comand", "command", "compose.yaml:5", "ports", "compose.yaml:6", "sometimes"],
    );
    refused(
        &bottle,
        "services:\n  web:\n    image: ${MISSING:?set it to the image}\n",
        &["compose.yaml:3", "MISSING", "set it to the image"],
    );
    refused(&bottle, "services:\n  web:\n    image: IMAGE\n    gpus: all\n", &["compose.yaml:4", "gpus", "not yet"]);
    refused(&bottle, "services:\n  web:\n    image: IMAGE\n    cap_add: [NET_ADMN]\n", &["compose.yaml:4", "NET_ADMN", "NET_ADMIN"]);
    refused(
        &bottle,
        "services:\n  a:\n    image: IMAGE\n    depends_on: [b]\n  b:\n    image: IMAGE\n    depends_on: [a]\n",
        &["cycle", "a -> b -> a"],
    );
    assert!(bottle.containers().is_empty());
}

#[test]
fn a_missing_image_and_an_unreachable_registry_are_named() {
    let bottle = Bottle::with_image();
    refused(
        &bottle,
        "services:\n  web:\n    image: 127.0.0.1:1/nothing:here\n",
        &["services.web.image", "compose.yaml:3:12", "127.0.0.1:1", "hint:"],
    );
    nothing_stays(&bottle);
}

#[test]
fn a_command_that_is_not_in_the_image_is_named() {
    let bottle = Bottle::with_image();
    refused(
        &bottle,
        "services:\n  web:\n    image: IMAGE\n    command: [no-such-program, x]\n",
        &["services.web.command", "compose.yaml:4:15", "no-such-program", "hint:"],
    );
    nothing_stays(&bottle);
    // What runs beside it stays, and what replaces a container that ran.
    let beside = format!("services:\n  other:\n    image: IMAGE\n    command: {RUNS}\n  web:\n    image: IMAGE\n");
    bottle.compose(&format!("{beside}    command: {RUNS}\n"));
    bottle.gantry(["up", "-d"]).success();
    refused(&bottle, &format!("{beside}    command: [no-such-program, x]\n"), &["no-such-program"]);
    assert_eq!(bottle.inspect("project-web-1").expect("it replaced another")["State"]["ExitCode"], 127);
    assert_eq!(bottle.state("project-other-1"), "running");
    bottle.gantry(["down"]).success();
}

#[test]
fn what_only_the_engine_can_know_is_named_with_its_place_too() {
    let bottle = Bottle::with_image();
    let service = "services:\n  web:\n    image: IMAGE\n";
    for (rest, words) in [
        ("", ["services.web", "compose.yaml:2:3", "no command specified"]),
        ("    command: sh\n    user: nosuch\n", ["services.web.user", "compose.yaml:5:11", "nosuch"]),
        ("    command: sh\n    stop_signal: SIGNOSUCH\n", ["services.web.stop_signal", "compose.yaml:5:18", "SIGNOSUCH"]),
        (
            "    command: sh\n    sysctls:\n      net.ipv4.ip_default_ttl: many\n",
            ["services.web.sysctls", "compose.yaml:6:32", "net.ipv4.ip_default_ttl"],
        ),
        ("    command: sh\n    pid: container:nosuch\n", ["services.web.pid", "compose.yaml:5:10", "No such container: nosuch"]),
        ("    command: sh\n    ipc: container:nosuch\n", ["services.web.ipc", "compose.yaml:5:10", "No such container: nosuch"]),
        (
            "    command: sh\n    network_mode: container:nosuch\n",
            ["services.web.network_mode", "compose.yaml:5:19", "No such container: nosuch"],
        ),
        ("    networks: [n]\nnetworks:\n  n: {external: true}\n", ["networks.n", "compose.yaml:6:3", "could not be found"]),
        ("    volumes: ['data:/d']\nvolumes:\n  data: {external: true}\n", ["volumes.data", "compose.yaml:6:3", "not found"]),
    ] {
        let message = refused(&bottle, &format!("{service}{rest}"), &words);
        assert!(message.contains("hint:"), "{message}");
        nothing_stays(&bottle);
    }
}

#[test]
fn a_missing_bind_source_is_named() {
    let bottle = Bottle::with_image();
    refused(
        &bottle,
        &format!(
            "services:\n  web:\n    image: IMAGE\n    command: {RUNS}\n    volumes: [{{type: volume, source: data, target: /y}}, {{type: bind, source: ./absent, target: /x, bind: {{create_host_path: false}}}}]\nvolumes: {{data: }}\n"
        ),
        &["services.web.volumes", "compose.yaml:5", "absent", "hint:"],
    );
    nothing_stays(&bottle);
}

#[test]
fn a_job_that_fails_is_named_with_what_it_said() {
    let bottle = Bottle::with_image();
    refused(
        &bottle,
        &format!(
            "services:\n  job:\n    image: IMAGE\n    command: [sh, -c, 'echo no such table; exit 4']\n  web:\n    image: IMAGE\n    command: {RUNS}\n    depends_on: {{job: {{condition: service_completed_successfully}}}}\n"
        ),
        &["job", "exit 4", "no such table", "compose.yaml:2:3", "hint:"],
    );
    // What ran stays with its output; what waited for it was never more than half made.
    assert_eq!(bottle.containers(), ["project-job-1"]);
}

#[test]
fn a_server_that_ends_instead_of_becoming_healthy_is_blamed_itself() {
    let bottle = Bottle::with_image();
    let server = |restart: &str| {
        format!(
            "services:\n  db:\n    image: IMAGE\n    command: [sh, -c, 'echo no place for data; exit 3']\n    restart: {restart}\n    healthcheck: {{test: 'true', interval: 1h}}\n"
        )
    };
    let web = format!("  web:\n    image: IMAGE\n    command: {RUNS}\n    depends_on: {{db: {{condition: service_healthy}}}}\n");
    bottle.compose(&(server("'no'") + &web));
    let told = bottle.gantry(["up", "-d"]).failure(1);
    for word in ["container project-db-1 exited (3)", "compose.yaml:2:3", "no place for data", "`gantry logs db` shows all it wrote"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!told.contains("healthcheck"), "{told}");
    bottle.gantry(["down"]).success();
    bottle.compose(&server("always"));
    bottle.gantry(["up", "-d"]).success();
    // From now on it rests for seconds between its lives.
    bottle.eventually("five restarts", || bottle.inspect("project-db-1").is_some_and(|it| it["RestartCount"].as_u64() >= Some(5)));
    let told = bottle.gantry(["up", "--wait", "--wait-timeout", "1"]).failure(1);
    for word in ["not healthy after 1s", "container project-db-1 is restarting", "compose.yaml:2:3", "no place for data"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn who_waits_for_the_health_of_one_without_a_check_is_told_what_to_write() {
    let bottle = Bottle::with_image();
    let waits = "depends_on: {db: {condition: service_healthy}}";
    bottle.compose(&format!(
        "services:\n  db: {{image: IMAGE, command: {RUNS}}}\n  web:\n    image: IMAGE\n    command: {RUNS}\n    {waits}\n"
    ));
    let told = bottle.gantry(["up", "-d"]).failure(1);
    for word in ["project-db-1 has no healthcheck configured", "compose.yaml:2:3", "`condition: service_started`"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn who_does_not_wait_for_the_first_probe_is_shown_what_early_ones_say() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  web:\n    image: IMAGE\n    command: {RUNS}\n    healthcheck: {{test: 'echo no answer yet; false', interval: 1h}}\n"
    ));
    bottle.gantry(["up", "-d"]).success();
    let asked = "curl -s --unix-socket $GANTRY_ROOT/run/engine.sock http://x/containers/project-web-1/json";
    bottle.shell(&format!("until {asked} | grep -q '\"Output\":\"no answer yet'; do :; done")).success();
    let told = bottle.gantry(["up", "-d", "--wait", "--wait-timeout", "1"]).failure(1);
    for word in ["project-web-1 is starting", "ended with code 1: no answer yet", "services.web.healthcheck"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn who_is_not_root_is_told_what_to_do_in_one_sentence() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  a:\n    image: IMAGE\n");
    // The binary lies in a folder that only root may enter; a copy is run by another user.
    let folder = bottle.project().parent().expect("a parent").display().to_string();
    let line = format!(
        "chmod -R a+rX {folder}/project; chmod a+rx {folder} && cp $GANTRY gantry && setpriv --reuid=65534 --regid=65534 --clear-groups ./gantry ps"
    );
    let message = bottle.shell(&line).failure(1);
    assert!(message.contains("run this with sudo"), "{message}");
    assert_eq!(message.trim().lines().count(), 1, "{message}");
}

#[test]
fn what_is_no_archive_is_named() {
    let bottle = Bottle::new();
    bottle.write("page", "this is no archive of any kind, and yet it is longer than one block of a tar would be".repeat(20).as_str());
    for line in [&["image", "import", "page", "a:b"][..], &["image", "load", "-i", "page"]] {
        let message = bottle.gantry(line).failure(1);
        assert!(message.contains("page") && message.contains("as a tar"), "{message}");
    }
    assert_eq!(bottle.get("/images/json").as_array().map(Vec::len), Some(0));
}
