//! Secrets and configs: where they lie in a container, whose they are, what a change does, and that nobody else sees them.

use std::os::unix::fs::PermissionsExt as _;

use crate::bottle::Bottle;
use crate::docker::Docker;
use crate::up::RUNS;

/// Every form, beside a service with none.
fn project() -> String {
    format!(
        "services:
  with:
    image: IMAGE
    command: {RUNS}
    read_only: true
    secrets:
      - mounted
      - source: mounted
        target: owned
        uid: '1000'
        gid: '2000'
        mode: 0440
      - from_environment
      - {{source: from_environment, target: /etc/deep/down, mode: '0600'}}
    configs:
      - plain
      - {{source: plain, target: etc/below, uid: '7'}}
      - {{source: variable, target: /etc/variable, gid: '8', mode: 0751}}
      - {{source: file, target: /etc/file.conf}}
  without:
    image: IMAGE
    command: {RUNS}
secrets:
  mounted: {{file: ./mounted.txt}}
  from_environment: {{environment: HUSH}}
configs:
  plain: {{content: \"for ${{NAME}}\\n\"}}
  file: {{file: ./file.conf}}
  variable: {{environment: NAME}}
"
    )
}

fn prepared(bottle: &Bottle) {
    bottle.compose(&project());
    bottle.write(".env", "HUSH=tell-nobody\nNAME=you\n");
    bottle.write("mounted.txt", "from a file\n");
    bottle.write("file.conf", "key = value\n");
}

/// Owner, group, mode and content of a file in a container.
fn look(bottle: &Bottle, service: &str, path: &str) -> String {
    let line = format!("stat -c '%u:%g %a' {path} && cat {path}");
    let outcome = bottle.gantry(["exec", "-T", service, "sh", "-c", &line]);
    if outcome.code == 0 { outcome.stdout.trim_end().replace('\n', " ") } else { "none".to_owned() }
}

#[test]
fn each_lies_where_it_should_and_is_whose_it_should_be() {
    let bottle = Bottle::with_image();
    prepared(&bottle);
    std::fs::set_permissions(bottle.project().join("mounted.txt"), std::fs::Permissions::from_mode(0o640)).expect("a mode");
    bottle.gantry(["up", "-d"]).success();
    for (path, expect) in [
        // The host's own file, as it is there.
        ("/run/secrets/mounted", "0:0 640 from a file"),
        ("/run/secrets/owned", "1000:2000 440 from a file"),
        ("/run/secrets/from_environment", "0:0 444 tell-nobody"),
        ("/etc/deep/down", "0:0 600 tell-nobody"),
        ("/plain", "0:0 444 for you"),
        ("/etc/below", "7:0 444 for you"),
        ("/etc/variable", "0:8 751 you"),
        ("/etc/file.conf", "0:0 644 key = value"),
    ] {
        assert_eq!(look(&bottle, "with", path), expect, "{path}");
        assert_eq!(look(&bottle, "without", path), "none", "{path}");
    }
    // What is mounted follows the host, and cannot be written.
    bottle.write("mounted.txt", "changed\n");
    assert_eq!(look(&bottle, "with", "/run/secrets/mounted"), "0:0 640 changed");
    let written = bottle.gantry(["exec", "-T", "with", "sh", "-c", "echo x > /run/secrets/mounted"]);
    assert!(written.code != 0 && written.stderr.contains("Read-only"), "{written:?}");
}

#[test]
fn a_secret_is_shown_to_nobody_else() {
    let bottle = Bottle::with_image();
    prepared(&bottle);
    let mut told = String::new();
    let mut tell = |outcome: crate::program::Outcome| told.push_str(&format!("{outcome:?}"));
    tell(bottle.gantry(["config"]));
    tell(bottle.gantry(["config", "--format", "json"]));
    tell(bottle.gantry(["up", "-d", "--dry-run"]));
    tell(bottle.gantry(["--progress", "plain", "up", "-d"]));
    bottle.write(".env", "HUSH=tell-nobody-else\nNAME=you\n");
    tell(bottle.gantry(["up", "-d", "--dry-run"]));
    tell(bottle.gantry(["ps", "--format", "json"]));
    let inspect = bottle.inspect("project-with-1").expect("it exists");
    told.push_str(&inspect.to_string());
    told.push_str(&bottle.get("/containers/json?all=1&whole=1").to_string());
    told.push_str(&std::fs::read_to_string(bottle.root().join("run/engine.log")).expect("a log"));
    assert!(!told.contains("tell-nobody"), "{told}");
    assert!(told.contains("content changed: /run/secrets/from_environment, /etc/deep/down"), "{told}");
    // On disk it is behind a folder that only root enters, however its own mode reads.
    let mode = std::fs::metadata(bottle.root().join("data/containers")).expect("the folder").permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn a_change_of_content_recreates_its_services_and_no_other() {
    let bottle = Bottle::with_image();
    prepared(&bottle);
    bottle.gantry(["up", "-d"]).success();
    let ids = || ["project-with-1", "project-without-1"].map(|name| bottle.inspect(name).expect("it exists")["Id"].clone());
    let before = ids();
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(ids(), before);
    for (file, text, path, expect) in [
        (".env", "HUSH=another\nNAME=you\n", "/run/secrets/from_environment", "0:0 444 another"),
        (".env", "HUSH=another\nNAME=them\n", "/plain", "0:0 444 for them"),
        ("mounted.txt", "fresh\n", "/run/secrets/owned", "1000:2000 440 fresh"),
    ] {
        let before = ids();
        bottle.write(file, text);
        bottle.gantry(["up", "-d"]).success();
        let after = ids();
        assert!(after[0] != before[0] && after[1] == before[1], "{file}: {before:?} {after:?}");
        assert_eq!(look(&bottle, "with", path), expect);
    }
    // What is mounted was never copied.
    let before = ids();
    bottle.write("file.conf", "other = value\n");
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(ids(), before);
    assert_eq!(look(&bottle, "with", "/etc/file.conf"), "0:0 644 other = value");
}

#[test]
fn what_is_missing_is_named_with_its_place() {
    let bottle = Bottle::with_image();
    prepared(&bottle);
    bottle.write(".env", "NAME=you\n");
    let message = bottle.gantry(["up", "-d"]).failure(1);
    for part in ["environment variable \"HUSH\" required by secret \"from_environment\" is not set", "compose.yaml:", "hint:"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // Who only looks needs no secret.
    bottle.gantry(["ps"]).success();
    bottle.gantry(["config", "-q"]).success();

    prepared(&bottle);
    std::fs::remove_file(bottle.project().join("mounted.txt")).expect("it was there");
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("mounted.txt") && message.contains("compose.yaml:"), "{message}");
    prepared(&bottle);
    std::fs::remove_file(bottle.project().join("file.conf")).expect("it was there");
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("file.conf") && message.contains("compose.yaml:"), "{message}");
    assert_eq!(bottle.state("project-with-1"), "absent");
}

#[test]
fn a_docker_engine_gets_the_same_files() {
    let bottle = Bottle::new();
    let docker = Docker::start(&bottle);
    docker.import();
    bottle.compose(&project().replace("    read_only: true\n", ""));
    bottle.write(".env", "HUSH=tell-nobody\nNAME=you\n");
    bottle.write("mounted.txt", "from a file\n");
    bottle.write("file.conf", "key = value\n");
    let looked = |show: &str| {
        let line =
            "for f in /run/secrets/* /etc/deep/down /plain /etc/below /etc/file.conf; do stat -c '%n %u:%g %a' $f; cat $f; echo; done";
        let name = if show == "with" { "project-with-1" } else { "project-without-1" };
        docker.docker(&["exec", name, "sh", "-c", line]).stdout
    };
    bottle.gantry(["-H", &docker.host(), "up", "-d"]).success();
    let ours = looked("with");
    assert!(ours.contains("/run/secrets/owned 1000:2000 440") && ours.contains("/etc/below 7:0 444"), "{ours}");
    assert!(!looked("without").contains("tell-nobody"));
    docker.docker(&["rm", "-f", "project-with-1", "project-without-1"]).success();
    docker.compose(&["up", "-d"]).success();
    let theirs = looked("with");
    // Docker Compose mounts a file whatever owner and mode were asked for; we honour them.
    let as_asked = theirs.replace("/run/secrets/owned 0:0 644", "/run/secrets/owned 1000:2000 440");
    assert_eq!(ours, as_asked);
    docker.compose(&["down", "-t", "1"]).success();
}
