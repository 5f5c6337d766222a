//! Pulls, by hand and by `up`: which images are brought in, which are passed over, and what is said of those that cannot be had.

use serde_json::{Value, json};

use crate::bottle::Bottle;
use crate::registry::Registry;
use crate::up::RUNS;

const HERE: &str = "127.0.0.1:5000";

/// What an image's name means in the engine.
fn id(bottle: &Bottle, name: &str) -> String {
    let list = bottle.get("/images/json");
    let tagged = list.as_array().expect("a list").iter().find(|image| {
        let tags = image["RepoTags"].as_array().map(Vec::as_slice).unwrap_or_default();
        tags.iter().any(|tag| tag.as_str() == Some(&format!("{HERE}/{name}")))
    });
    tagged.map(|image| image["Id"].as_str().expect("an id").to_owned()).unwrap_or_default()
}

fn push(bottle: &Bottle, said: &str, names: &[&str]) {
    names.iter().for_each(|name| Registry::push(bottle, said, &format!("{HERE}/{name}")));
}

#[test]
fn what_is_pulled_is_what_services_flags_and_policies_say() {
    let bottle = Bottle::new();
    let _registry = Registry::start(&bottle, &bottle.project(), 5000);
    push(&bottle, "one", &["app:1", "app:latest", "dep:1", "hook:1"]);
    bottle.compose(&format!(
        "services:
  a: {{image: '{HERE}/app:1', depends_on: [d]}}
  d: {{image: '{HERE}/dep:1'}}
  h: {{image: '{HERE}/app:1', pre_start: [{{image: '{HERE}/hook:1', command: [cat, /said]}}]}}
  l: {{image: '{HERE}/app'}}
  m: {{image: '{HERE}/app:1', pull_policy: missing}}
  n: {{image: '{HERE}/never:1', pull_policy: never}}
  w: {{image: '{HERE}/app:1', pull_policy: weekly}}
"
    ));
    let pull = |flags: &str| bottle.gantry(["pull"].into_iter().chain(flags.split_whitespace()));
    let told = |outcome: &crate::program::Outcome, name: &str, word: &str| outcome.stderr.contains(&format!(" Image {HERE}/{name} {word}"));
    // A service's own image, those of its dependencies, and those of its hooks.
    let first = pull("a");
    assert!(first.code == 0 && told(&first, "app:1", "Pulled") && !told(&first, "dep:1", ""), "{first:?}");
    assert_eq!(id(&bottle, "dep:1"), "");
    pull("--include-deps a").success();
    assert_ne!(id(&bottle, "dep:1"), "");
    assert_eq!(id(&bottle, "hook:1"), "");
    pull("h").success();
    assert_ne!(id(&bottle, "hook:1"), "");
    // All of it; what is never pulled is passed over and says so.
    let whole = pull("");
    assert!(whole.code == 0 && told(&whole, "never:1", "Skipped") && told(&whole, "app", "Pulled"), "{whole:?}");
    // What is here is pulled again only where it may have moved, or everything is to be.
    let old = (id(&bottle, "app:1"), id(&bottle, "app:latest"));
    push(&bottle, "two", &["app:1", "app:latest"]);
    let missing = pull("--policy missing a l");
    assert!(missing.code == 0 && told(&missing, "app:1", "Skipped") && told(&missing, "app", "Pulled"), "{missing:?}");
    assert!(id(&bottle, "app:1") == old.0 && id(&bottle, "app:latest") != old.1);
    let by_file = pull("m");
    assert!(by_file.code == 0 && told(&by_file, "app:1", "Skipped"), "{by_file:?}");
    assert_eq!(id(&bottle, "app:1"), old.0);
    pull("--policy always m").success();
    assert_ne!(id(&bottle, "app:1"), old.0);
    let above = pull("--policy always n").failure(1);
    assert!(above.contains("never:1") && above.contains("compose.yaml:7:"), "{above}");
    // An age is up when somebody asks.
    let old = id(&bottle, "app:1");
    push(&bottle, "three", &["app:1"]);
    pull("w").success();
    assert_ne!(id(&bottle, "app:1"), old);
    // Quietly, and with what older versions knew.
    let old = id(&bottle, "app:1");
    push(&bottle, "four", &["app:1"]);
    let quiet = pull("-q a");
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""));
    assert_ne!(id(&bottle, "app:1"), old);
    let deprecated = pull("-q --parallel --no-parallel=false a");
    assert_eq!((deprecated.code, deprecated.stderr.matches("deprecated and has no effect").count()), (0, 2), "{deprecated:?}");
}

#[test]
fn what_cannot_be_pulled_is_told_and_keeps_back_what_it_should() {
    let bottle = Bottle::new();
    let _registry = Registry::start(&bottle, &bottle.project(), 5000);
    push(&bottle, "one", &["good:1", "other:1"]);
    bottle.compose(&format!(
        "services:
  absent: {{image: '{HERE}/absent:1'}}
  built: {{image: '{HERE}/built:1', build: .}}
  good: {{image: '{HERE}/good:1'}}
  other: {{image: '{HERE}/other:1', build: .}}
"
    ));
    let pull = |flags: &str| bottle.gantry(["pull"].into_iter().chain(flags.split_whitespace()));
    let failed = pull("absent").failure(1);
    assert!(failed.contains(&format!("cannot pull image {HERE}/absent:1")) && failed.contains("compose.yaml:2:19"), "{failed}");
    // What can be built is left out, or named at the end, when all others are here.
    let left_out = pull("--ignore-buildable built other");
    assert!(left_out.code == 0 && left_out.stderr.contains(&format!(" Image {HERE}/other:1 Skipped")), "{left_out:?}");
    assert_eq!(id(&bottle, "other:1"), "");
    let message = bottle.gantry(["--parallel", "1", "pull", "built", "good", "other"]).failure(1);
    assert!(message.contains("`gantry build built`") && message.contains("built:1: "), "{message}");
    assert!(!id(&bottle, "good:1").is_empty() && !id(&bottle, "other:1").is_empty());
    // A failure is a warning where that was asked for, and the others come.
    bottle.gantry(["image", "rm", &format!("{HERE}/good:1")]).success();
    let warned = bottle.gantry(["--parallel", "1", "pull", "--ignore-pull-failures"]);
    assert!(warned.code == 0 && warned.stderr.contains(&format!("warning: cannot pull image {HERE}/absent:1")), "{warned:?}");
    assert!(warned.stderr.contains("`gantry build built`") && !id(&bottle, "good:1").is_empty(), "{warned:?}");
}

#[test]
fn images_are_pulled_when_the_policy_says_so() {
    let bottle = Bottle::with_image();
    // Nothing listens there: whatever is pulled fails.
    bottle.import_as("127.0.0.1:1/app:1");
    let project = |policy: &str| {
        bottle.compose(&format!("services:\n  a:\n    image: 127.0.0.1:1/app:1\n    command: {RUNS}\n    pull_policy: {policy}\n"));
    };
    for policy in ["missing", "if_not_present", "never", "daily", "weekly", "every_1h30m"] {
        project(policy);
        let told = bottle.gantry(["up", "-d"]);
        assert_eq!(told.code, 0, "{policy}: {}", told.stderr);
    }
    for policy in ["always", "refresh", "every_0s"] {
        project(policy);
        let message = bottle.gantry(["up", "-d"]).failure(1);
        assert!(message.contains("127.0.0.1:1/app:1") && message.contains("compose.yaml:3"), "{policy}: {message}");
        // The command line is above the file.
        bottle.gantry(["up", "-d", "--pull", "missing"]).success();
    }
    project("never");
    bottle.gantry(["pull"]).success();
    bottle.gantry(["down"]).success();
    bottle.gantry(["image", "rm", "127.0.0.1:1/app:1"]).success();
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("may not be pulled") && message.contains("compose.yaml:3"), "{message}");
}

#[test]
fn an_image_comes_for_the_platform_that_is_asked_for() {
    let bottle = Bottle::with_image();
    let _registry = Registry::start(&bottle, &bottle.project().join("registry"), 5000);
    Registry::push(&bottle, "hello", "127.0.0.1:5000/app:amd64");
    let at = "http://127.0.0.1:5000/v2/app";
    let accept = "-H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'";
    let put = |tag: &str, manifest: &Value| {
        bottle.write("manifest.json", &manifest.to_string());
        let kind = manifest["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
        let put = format!("curl -sS --fail -X PUT -H 'Content-Type: {kind}' --data-binary @manifest.json {at}/manifests/{tag}");
        bottle.shell(&put).success();
        let digest = bottle.shell("sha256sum < manifest.json | cut -d' ' -f1").success();
        json!({"mediaType": kind, "digest": format!("sha256:{}", digest.trim()), "size": manifest.to_string().len(),
            "platform": {"os": "linux", "architecture": tag}})
    };
    // The same for another machine, and both under one name.
    let mut manifest: Value =
        serde_json::from_str(&bottle.shell(&format!("curl -sS {accept} {at}/manifests/amd64")).success()).expect("JSON");
    let amd64 = put("amd64", &manifest);
    let config = manifest["config"]["digest"].as_str().expect("a digest");
    let begin = format!("curl -sS -X POST -D - -o /dev/null {at}/blobs/uploads/ | tr -d '\\r' | sed -n 's/^Location: //p'");
    let send = "curl -sS --fail -X PUT -H 'Content-Type: application/octet-stream' --data-binary @config.json \"$l&digest=$d\"";
    let line = format!(
        "curl -sS {at}/blobs/{config} | sed 's/\"amd64\"/\"386\"/' > config.json; d=sha256:$(sha256sum < config.json | cut -d' ' -f1); l=$({begin}); {send}; echo $d $(wc -c < config.json)"
    );
    let pushed = bottle.shell(&line).success();
    let (digest, size) = pushed.trim().split_once(' ').expect("two words");
    manifest["config"]["digest"] = digest.into();
    manifest["config"]["size"] = size.parse::<u64>().expect("a size").into();
    let other = put("386", &manifest);
    put("1", &json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [amd64, other]}));

    let comes = |more: &str| {
        // A service that could also be built runs with what its registry has.
        bottle
            .compose(&format!("services:\n  a:\n    image: 127.0.0.1:5000/app:1\n    build: ./nowhere\n    command: [cat, /said]\n{more}"));
        bottle.gantry(["up", "-d"]).success();
        let image = bottle.get("/images/127.0.0.1:5000/app:1/json")["Architecture"].clone();
        bottle.gantry(["down", "--rmi", "all"]).success();
        image
    };
    assert_eq!((comes(""), comes("    platform: linux/386\n")), ("amd64".into(), "386".into()));
}
