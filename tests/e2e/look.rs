//! The commands that look: `ls`, `images`, `top`, `stats`, `events`, `volumes`, beside what Docker Compose says of the same engine.

use serde_json::Value;

use crate::bottle::Bottle;
use crate::docker::docker;
use crate::program::{Outcome, foreign, run};
use crate::up::RUNS;

fn project(bottle: &Bottle) {
    bottle.compose(&format!(
        "name: shop
services:
  web:
    image: IMAGE
    command: {RUNS}
    scale: 2
    volumes: [data:/data]
  job:
    image: IMAGE
    command: sleep 1000
    volumes: [other:/other]
volumes: {{data: {{labels: {{a: b}}}}, other: {{}}}}
"
    ));
}

/// Docker Compose of Debian's forky, on our engine.
fn compose(bottle: &Bottle, arguments: &[&str]) -> Outcome {
    let host = format!("unix://{}", bottle.socket().display());
    run(bottle.command(foreign("usr/libexec/docker/cli-plugins/docker-compose")).env("DOCKER_HOST", host).args(arguments))
}

#[test]
fn lists_are_docker_composes_to_the_letter() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.gantry(["up", "-d"]).success();
    for arguments in [
        &["ls"][..],
        &["ls", "--format", "json"],
        &["ls", "-q", "--filter", "name=^sh"],
        &["ls", "-q", "--filter", "name=^op"],
        &["ls", "-a"],
        &["images", "-q"],
        &["volumes"],
        &["volumes", "-q"],
        &["volumes", "web"],
        &["volumes", "--format", "{{.Name}} {{.Driver}}"],
        &["top", "job"],
    ] {
        assert_eq!(bottle.gantry(arguments).success(), compose(&bottle, arguments).success(), "{arguments:?}");
    }
    // Ages differ by what passes between the two.
    let images =
        |text: String| text.lines().map(|line| line.rsplit_once("MB").map_or(line, |(head, _)| head).to_owned()).collect::<Vec<_>>();
    assert_eq!(images(bottle.gantry(["images"]).success()), images(compose(&bottle, &["images"]).success()));
    let json: Value = serde_json::from_str(&bottle.gantry(["images", "web", "--format", "json"]).success()).expect("JSON");
    assert_eq!(
        (json[0]["ContainerName"].as_str(), json[0]["Tag"].as_str(), json[0]["Platform"].as_str()),
        (Some("shop-web-1"), Some("test"), Some("linux/amd64"))
    );
    let labels: Value = serde_json::from_str(bottle.gantry(["volumes", "web", "--format", "json"]).success().trim()).expect("JSON");
    assert!(labels["Labels"].as_str().is_some_and(|it| it.contains("a=b")) && labels["Scope"] == "local", "{labels}");

    bottle.gantry(["stop", "-t", "1"]).success();
    assert_eq!(bottle.gantry(["ls", "-q"]).success(), "");
    assert_eq!(bottle.gantry(["ls", "-a"]).success(), compose(&bottle, &["ls", "-a"]).success());
    assert_eq!(bottle.gantry(["top"]).success(), "");
    // Where the files are gone, labels are enough.
    std::fs::remove_file(bottle.project().join("compose.yaml")).expect("the file");
    assert_eq!(bottle.gantry(["-p", "shop", "volumes", "-q"]).success(), "shop_data\nshop_other\n");
    assert!(bottle.gantry(["-p", "shop", "images"]).success().contains("shop-job-1"));
    for (arguments, words) in [
        (&["ls", "--filter", "status=up"][..], "invalid filter 'status'"),
        (&["ls", "--filter", "name=("], "regular expression"),
        (&["ls", "--format", "yaml"], "invalid value"),
        (&["-p", "shop", "images", "nosuch"], "no such service: nosuch"),
        (&["-p", "shop", "images", "--format", "yaml"], "invalid value"),
        (&["-p", "shop", "volumes", "nosuch"], "no such service: nosuch"),
        (&["-p", "shop", "volumes", "--format", "{{.Nope}}"], "Nope"),
        (&["-p", "shop", "top", "nosuch"], "no such service: nosuch"),
        (&["-p", "shop", "stats", "--no-stream", "nosuch"], "no such service: nosuch"),
        (&["-p", "shop", "stats", "--format", "{{.Nope}}"], "Nope"),
        (&["-p", "shop", "events", "--since", "yesterday"], "yesterday"),
        (&["-p", "shop", "events", "--until", "0s", "nosuch"], "no such service: nosuch"),
        (&["-p", "shop", "logs", "--since", "yesterday"], "yesterday"),
    ] {
        let refused = bottle.gantry(arguments).failure(1);
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
}

#[test]
fn figures_are_told_of_what_runs() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "name: shop
services:
  web:
    image: IMAGE
    command: {RUNS}
  busy:
    image: IMAGE
    command: [sh, -c, 'while :; do :; done']
  over: {{image: IMAGE, command: ['true']}}
"
    ));
    bottle.gantry(["up", "-d"]).success();
    bottle.eventually("the job ends", || bottle.state("shop-over-1") == "exited");
    let rows = |arguments: &[&str]| -> Vec<Value> {
        let text = bottle.gantry(arguments).success();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let running = rows(&["stats", "--no-stream", "--format", "json"]);
    let names: Vec<&str> = running.iter().filter_map(|row| row["Name"].as_str()).collect();
    assert_eq!(names, ["shop-busy-1", "shop-web-1"]);
    let share = |row: &Value| row["CPUPerc"].as_str().and_then(|text| text.trim_end_matches('%').parse::<f64>().ok()).expect("a share");
    assert!(share(&running[0]) > share(&running[1]) && share(&running[0]) > 1.0, "{running:?}");
    assert_eq!((running[0]["PIDs"].as_str(), running[0]["ID"].as_str().map(str::len)), (Some("1"), Some(12)));
    assert!(!running[0]["MemUsage"].as_str().unwrap_or_default().starts_with("0B"), "{running:?}");
    let all = rows(&["stats", "-a", "--no-stream", "--no-trunc", "--format", "json", "over"]);
    assert_eq!((all.len(), all[0]["CPUPerc"].as_str(), all[0]["ID"].as_str().map(str::len)), (1, Some("--"), Some(64)));
    let header = |text: String| {
        text.lines().next().unwrap_or_default().split("  ").filter(|it| !it.is_empty()).map(|it| it.trim().to_owned()).collect::<Vec<_>>()
    };
    let theirs = compose(&bottle, &["stats", "--no-stream"]).success();
    assert_eq!(header(bottle.gantry(["stats", "--no-stream"]).success()), header(theirs));
    // A stream goes on, and ends with its reader.
    let looks = bottle.shell("$GANTRY stats --format '{{.Name}}' web | head -n 3").success();
    assert_eq!(looks, "shop-web-1\nshop-web-1\nshop-web-1\n");
    let limited = "services: {web: {image: IMAGE, command: sleep 1000, mem_limit: 64m}}\n";
    bottle.compose(&format!("name: small\n{limited}"));
    bottle.gantry(["up", "-d"]).success();
    let usage = rows(&["stats", "--no-stream", "--format", "json"]);
    assert!(usage[0]["MemUsage"].as_str().is_some_and(|text| text.ends_with("/ 64MiB")), "{usage:?}");
}

#[test]
fn what_happened_and_happens_is_told() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["restart", "-t", "1", "job"]).success();
    let told = bottle.gantry(["events", "--since", "1h", "--until", "0s", "--json"]).success();
    let events: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |service: &str| events.iter().filter(|it| it["service"] == service).filter_map(|it| it["action"].as_str()).collect::<Vec<_>>();
    assert_eq!(of("web").iter().filter(|action| **action == "create").count(), 2);
    let job = of("job");
    assert!(
        job.starts_with(&["create", "start"]) && job.contains(&"die") && job.iter().filter(|it| **it == "start").count() == 2,
        "{job:?}"
    );
    let attributes = events[0]["attributes"].as_object().expect("attributes");
    assert!(
        attributes.contains_key("name") && !attributes.keys().any(|key| key.starts_with("com.docker.compose.") || key == "dev.gantry.spec")
    );
    let only = bottle.gantry(["events", "--since", "1h", "--until", "0s", "job"]).success();
    assert!(only.contains(" container start "), "{only}");
    assert!(only.lines().step_by(2).all(|line| line.contains(" container ") && line.contains("name=shop-job-1")), "{only}");
    // One that is to come ends the stream.
    let line = "$GANTRY events --json job > told & until $GANTRY kill job 2>/dev/null && grep -q kill told; do $GANTRY start job >/dev/null 2>&1; done; kill $!";
    bottle.shell(line).success();
    bottle.gantry(["exec", "-T", "web", "sh", "-c", "echo word > /proc/1/fd/1"]).success();
    bottle.shell("until $GANTRY logs --no-log-prefix --since 1h web | grep -qx word; do :; done").success();
    let lines = "$GANTRY logs --no-log-prefix --since 1h --until 1h web | wc -l";
    assert_eq!(bottle.shell(lines).success().trim(), "0");
}

#[test]
fn the_docker_command_line_looks_through_our_socket() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["exec", "-T", "job", "sh", "-c", "head -c 300000 /dev/urandom > /tmp/big"]).success();
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments)).success();
    assert!(docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "shop-job-1"]).starts_with("shop-job-1 1"));
    assert!(docker(&["top", "shop-job-1"]).contains("sleep 1000"));
    assert!(docker(&["events", "--since", "1h", "--until", "0s", "--filter", "container=shop-job-1"]).contains("container start"));
    let sizes = docker(&["ps", "-s", "--format", "{{.Names}} {{.Size}}"]);
    assert!(sizes.lines().any(|line| line.starts_with("shop-job-1 3") && line.contains("kB (virtual")), "{sizes}");
    assert!(docker(&["inspect", "-s", "-f", "{{.SizeRw}}", "shop-job-1"]).trim().parse::<u64>().is_ok_and(|size| size >= 300_000));
    bottle.compose("name: said\nservices: {a: {image: IMAGE, command: [echo, hello]}}\n");
    bottle.gantry(["up"]).success();
    assert_eq!(docker(&["logs", "--details", "said-a-1"]), " hello\n");
}
