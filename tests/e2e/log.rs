//! Logs: all lines, tails, times, followers.

use serde_json::{Value, json};

use crate::bottle::Bottle;

#[test]
fn every_line_is_kept_in_order_and_tails_count_from_the_end() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  a:\n    image: IMAGE\n    command: [seq, '1', '20000']\n");
    bottle.gantry(["up", "-d"]).success();
    bottle.eventually("the end", || bottle.state("project-a-1") == "exited");
    let all = bottle.gantry(["logs", "--no-log-prefix"]).success();
    let expected: String = (1..=20000).map(|number| format!("{number}\n")).collect();
    assert_eq!(all, expected);
    assert_eq!(bottle.gantry(["logs", "--no-log-prefix", "--tail", "2"]).success(), "19999\n20000\n");
    assert!(bottle.gantry(["logs", "--index", "9", "a"]).failure(1).contains("no container #9"));
    let stamped = bottle.gantry(["logs", "-t", "--tail", "1"]).success();
    assert!(stamped.starts_with("a-1  | 20") && stamped.ends_with("Z 20000\n"), "{stamped}");
}

#[test]
fn a_follower_sees_what_comes_and_ends_with_the_container() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:\n  a:\n    image: IMAGE\n    command: [sh, -c, 'echo one; until test -e /tmp/go; do usleep 10000; done; echo two']\n",
    );
    bottle.gantry(["up", "-d"]).success();
    // It follows once it has shown what was there.
    let follow = "($GANTRY logs -f --no-log-prefix > out; echo ended >> out) & until grep -q one out; do sleep 0.05; done";
    let outcome = bottle.shell(&format!("{follow}; $GANTRY exec -T a touch /tmp/go; wait; cat out"));
    // Docker Compose tells of the end, with these control codes even where there is no terminal.
    assert_eq!(outcome.success(), "one\ntwo\n\r\u{1b}[Ka-1 exited with code 0\nended\n");
}

#[test]
fn a_follower_goes_on_with_the_successor_of_a_container() {
    let bottle = Bottle::with_image();
    let project = |word: &str| {
        format!(
            "services:\n  a:\n    image: IMAGE\n    environment: {{WORD: {word}}}\n    command: [sh, -c, 'echo $$WORD; until test -e /tmp/go; do usleep 10000; done']\n"
        )
    };
    bottle.compose(&project("first"));
    bottle.gantry(["up", "-d"]).success();
    bottle.write("next.yaml", &project("second"));
    let line = "$GANTRY logs -f --no-log-prefix > out & follower=$!; until grep -q first out; do read -t 0.05 x < /dev/zero; done; \
                $GANTRY -f next.yaml up -d && $GANTRY exec -T a touch /tmp/go; wait $follower; grep -E '^(first|second)$' out";
    assert_eq!(bottle.shell(&format!("bash -c \"{}\"", line.replace('$', "\\$"))).success(), "first\nsecond\n");
}

#[test]
fn a_time_parts_what_was_written_before_it_from_what_came_after() {
    let bottle = Bottle::with_image();
    let command = "[sh, -c, 'echo one; until test -e /tmp/go; do usleep 10000; done; echo two']";
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {command}\n"));
    bottle.gantry(["up", "-d"]).success();
    let logs = |flags: &[&str]| bottle.gantry([&["logs", "--no-log-prefix"], flags].concat()).success();
    bottle.eventually("the first line", || logs(&[]) == "one\n");
    let between = bottle.shell("date -u +%Y-%m-%dT%H:%M:%S.%NZ").success();
    bottle.gantry(["exec", "-T", "a", "touch", "/tmp/go"]).success();
    bottle.eventually("the end", || bottle.state("project-a-1") == "exited");
    assert_eq!(logs(&[]), "one\ntwo\n");
    assert_eq!(logs(&["--since", between.trim()]), "two\n");
    assert_eq!(logs(&["--until", between.trim()]), "one\n");
}

#[test]
fn the_file_is_in_dockers_form() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  a:\n    image: IMAGE\n    command: [seq, '1', '20000']\n");
    bottle.gantry(["up", "-d"]).success();
    bottle.eventually("the end", || bottle.state("project-a-1") == "exited");
    let path = bottle.inspect("project-a-1").expect("it exists")["LogPath"].as_str().expect("a path").to_owned();
    let first = std::fs::read_to_string(path).expect("the log is a file");
    let line: serde_json::Value = serde_json::from_str(first.lines().next().expect("a line")).expect("JSON");
    assert_eq!((line["log"].as_str(), line["stream"].as_str()), (Some("1\n"), Some("stdout")));
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')));
}

#[test]
fn the_log_of_a_service_that_writes_at_full_speed_has_an_end() {
    let bottle = Bottle::with_image();
    // It has written something before it is asked for, and writes on while it is read.
    bottle.compose("services:\n  a:\n    image: IMAGE\n    command: [sh, -c, 'yes 0123456789']\n");
    bottle.gantry(["up", "-d"]).success();
    bottle.shell("until test $($GANTRY logs --no-log-prefix --tail 10 | wc -l) -eq 10; do :; done").success();
    assert_eq!(bottle.gantry(["logs", "--no-log-prefix", "--tail", "10"]).success(), "0123456789\n".repeat(10));
    bottle.shell("$GANTRY logs > /dev/null").success();
    assert_eq!(bottle.state("project-a-1"), "running");
    bottle.gantry(["down", "-t", "0"]).success();
}

#[test]
fn who_keeps_no_log_does_not_hide_those_of_the_others() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  loud:\n    image: IMAGE\n    command: [echo, heard]\n  mute:\n    image: IMAGE\n    command: [echo, unheard]\n    logging: {driver: none}\n");
    bottle.gantry(["up", "-d"]).success();
    bottle.eventually("both end", || bottle.state("project-loud-1") == "exited" && bottle.state("project-mute-1") == "exited");
    let logs = bottle.gantry(["logs", "--no-log-prefix"]);
    assert_eq!((logs.code, logs.stdout.as_str()), (0, "heard\n"));
    assert!(logs.stderr.contains("project-mute-1"), "{}", logs.stderr);
}

#[test]
fn output_goes_where_logging_says_and_up_shows_what_attach_says() {
    let bottle = Bottle::with_image();
    let service = |name: &str, more: &str| format!("  {name}:\n    image: IMAGE\n    command: [seq, '1', '1000']\n{more}");
    let services = [
        service("plain", ""),
        service(
            "detailed",
            "    environment: {STAGE: test, LEVEL: two, LEFT: out}
    labels: {team: blue, org.example.shop: x, shop: left}
    logging:
      options: {labels: 'team,none', labels-regex: '^org[.]', env: STAGE, env-regex: VEL$, tag: '{{.Name}} of {{.ImageName}}'}
",
        ),
        service("rotated", "    logging: {driver: json-file, options: {max-size: 10k, max-file: 3}}\n"),
        service("packed", "    logging: {options: {max-size: 10k, max-file: 3, compress: 'true'}}\n"),
        service("silent", "    logging: {driver: none}\n"),
        service("apart", "    attach: false\n"),
    ];
    bottle.compose(&format!("services:\n{}", services.concat()));
    // An override that says nothing about it changes nothing.
    bottle.write("compose.override.yaml", "services: {rotated: {logging: }}\n");
    let shown = bottle.gantry(["up"]).success();
    assert!(shown.contains("plain-1     | 1000\n") && shown.contains("silent-1 exited with code 0"), "{shown}");
    assert!(!shown.contains("apart-1") && !shown.contains("silent-1    | "), "{shown}");
    let logs = |name: &str| bottle.gantry(["logs", "--no-log-prefix", name]);
    assert_eq!(logs("plain").success().lines().count(), 1000);
    assert_eq!(logs("apart").success().lines().count(), 1000);
    let rotated = logs("rotated").success();
    assert!(rotated.ends_with("999\n1000\n") && rotated.lines().count() < 1000, "{}", rotated.lines().count());
    let packed: Vec<u32> = logs("packed").success().lines().map(|line| line.parse().expect("a number")).collect();
    // Whole from some line on: how many fit into three files depends on the digits of their times.
    let first = 1001 - u32::try_from(packed.len()).expect("few");
    assert_eq!(packed, (first..=1000).collect::<Vec<_>>());
    assert!((2..800).contains(&first), "{first}");
    assert!(bottle.gantry(["logs", "--no-log-prefix", "-n", "200", "packed"]).success().starts_with("801\n"));
    assert_eq!(logs("silent").stdout, "");
    let files = |name: &str| {
        let inspect = bottle.inspect(&format!("project-{name}-1")).expect("it exists");
        let path = std::path::PathBuf::from(inspect["LogPath"].as_str().unwrap_or_default());
        let folder = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
        let log = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let names = folder.into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names: Vec<String> = names.filter(|name| !log.is_empty() && name.starts_with(&log)).collect();
        (names.len(), names.iter().filter(|name| name.ends_with(".gz")).count())
    };
    assert_eq!((files("plain"), files("rotated"), files("packed"), files("silent")), ((1, 0), (3, 0), (3, 2), (0, 0)));
    let first = |name: &str| {
        let path = bottle.inspect(&format!("project-{name}-1")).expect("it exists")["LogPath"].as_str().expect("a path").to_owned();
        let text = std::fs::read_to_string(path).expect("the log");
        serde_json::from_str::<Value>(text.lines().next().expect("a line")).expect("JSON")
    };
    assert_eq!(first("plain").get("attrs"), None);
    let tag = "project-detailed-1 of busybox:test";
    let details = json!({"STAGE": "test", "LEVEL": "two", "team": "blue", "org.example.shop": "x", "tag": tag});
    assert_eq!(first("detailed")["attrs"], details);
    assert_eq!(logs("detailed").success().lines().count(), 1000);
    let driver = |name: &str| bottle.inspect(&format!("project-{name}-1")).expect("it exists")["HostConfig"]["LogConfig"]["Type"].clone();
    assert_eq!((driver("plain"), driver("silent")), (json!("json-file"), json!("none")));
}
