//! Images on their way to registries: pushed by the ordinary `docker`, by `image push`, and by Compose's `push`.

use serde_json::Value;

use crate::bottle::{Bottle, IMAGE};
use crate::docker::{Docker, docker};
use crate::program::{Outcome, run};
use crate::registry::Registry;

const HERE: &str = "127.0.0.1:5000";

/// What the registry says of a tag, in skopeo's words.
fn inspect(bottle: &Bottle, name: &str, more: &str) -> Value {
    let line = format!("skopeo inspect --tls-verify=false {more} docker://{name}");
    serde_json::from_str(&bottle.shell(&line).success()).expect("JSON")
}

fn id(bottle: &Bottle, name: &str) -> Value {
    bottle.get(&format!("/images/{name}/json"))["Id"].clone()
}

#[test]
fn what_docker_pushes_is_pulled_by_everybody() {
    let bottle = Bottle::with_image();
    let _registry = Registry::start(&bottle, &bottle.project().join("registry"), 5000);
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    let name = format!("{HERE}/team/app:1");
    docker(&["tag", IMAGE, &name]).success();
    let told = docker(&["push", &name]).success();
    assert!(told.contains(&format!("The push refers to repository [{HERE}/team/app]")) && told.contains(": Pushed"), "{told}");
    let digest = inspect(&bottle, &name, "")["Digest"].as_str().expect("a digest").to_owned();
    assert!(told.contains(&format!("1: digest: {digest} size: ")), "{told}");
    assert!(bottle.get(&format!("/images/{IMAGE}/json"))["RepoDigests"].to_string().contains(&digest));
    // What is there is not sent again, and what another repository has is taken from it.
    assert!(docker(&["push", &name]).success().contains(": Layer already exists"));
    let other = format!("{HERE}/team/other:2");
    docker(&["tag", IMAGE, &other]).success();
    let told = docker(&["push", &other]).success();
    assert!(told.contains(": Mounted from team/app") && told.contains(&digest), "{told}");
    // All tags of a repository, and only the name where nobody wants more.
    docker(&["tag", IMAGE, &format!("{HERE}/team/app:2")]).success();
    let told = docker(&["push", "-a", &format!("{HERE}/team/app")]).success();
    assert!(told.contains("1: digest: ") && told.contains("2: digest: "), "{told}");
    assert_eq!(docker(&["push", "-q", &name]).success(), format!("{name}\n"));
    let mut tags: Vec<String> = serde_json::from_value(inspect(&bottle, &name, "")["RepoTags"].clone()).expect("names");
    tags.sort();
    assert_eq!(tags, ["1", "2"]);
    // It comes back as it went, by every tag at once, too.
    let before = id(&bottle, IMAGE);
    docker(&["rmi", "-f", before.as_str().expect("an id")]).success();
    assert_eq!(docker(&["images", "-q"]).success(), "");
    let told = docker(&["pull", "-a", &format!("{HERE}/team/app")]).success();
    assert!(told.contains(&format!("Status: Downloaded newer image for {HERE}/team/app")), "{told}");
    assert!(id(&bottle, &name) == before && id(&bottle, &format!("{HERE}/team/app:2")) == before);
    for (arguments, words) in [
        (["push", "127.0.0.1:5000/no/such:1"], "An image does not exist locally with the tag: 127.0.0.1:5000/no/such"),
        (["push", "127.0.0.1:5000/team/app:no"], "tag does not exist: 127.0.0.1:5000/team/app:no"),
    ] {
        let told = docker(&arguments).failure(1);
        assert!(told.contains(words), "{told}");
    }
    docker(&["tag", &name, "127.0.0.1:1/app:1"]).success();
    assert!(docker(&["push", "127.0.0.1:1/app:1"]).failure(1).contains("cannot reach the registry 127.0.0.1:1"));
    let events = bottle.shell(&format!(
        "curl -s --unix-socket {} 'http://engine/events?since=1&until='$(($(date +%s) + 1))'&filters=%7B%22event%22:%5B%22push%22%5D%7D'",
        bottle.socket().display()
    ));
    let first: Value = serde_json::from_str(events.success().lines().next().expect("an event")).expect("JSON");
    assert_eq!(
        (first["Actor"]["ID"].as_str(), first["Actor"]["Attributes"]["name"].as_str()),
        (Some(&*name), Some("127.0.0.1:5000/team/app"))
    );
}

#[test]
fn what_is_built_here_is_pushed_as_it_is_and_runs_on_docker() {
    let bottle = Bottle::with_image();
    let _registry = Registry::start(&bottle, &bottle.project().join("registry"), 5000);
    let name = format!("{HERE}/built:1");
    bottle.write("Dockerfile", &format!("FROM {IMAGE}\nRUN echo said > /said\nCMD [\"cat\", \"/said\"]\n"));
    bottle.gantry(["image", "build", "-t", &name, "."]).success();
    let told = bottle.gantry(["image", "push", &name]).success();
    assert!(told.starts_with("1: digest: sha256:"), "{told}");
    let raw = inspect(&bottle, &name, "--raw");
    assert_eq!(raw["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    // The same image has the same digest whenever it is pushed.
    assert_eq!(bottle.gantry(["image", "push", "-q", &name]).success(), told);
    bottle.shell(&format!("skopeo copy --insecure-policy --src-tls-verify=false docker://{name} oci:layout:1")).success();
    let docker = Docker::start(&bottle);
    docker.docker(&["pull", &name]).success();
    assert_eq!(docker.docker(&["run", "--rm", "--network", "none", &name]).success(), "said\n");
}

#[test]
fn only_whom_the_registry_knows_may_push() {
    let bottle = Bottle::with_image();
    let folder = bottle.project();
    // The password is `secret`.
    bottle.write("users", "ann:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
    let _registry = Registry::with_users(&bottle, &folder, 5001, &folder.join("users"));
    let name = "127.0.0.1:5001/mine:1";
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    docker(&["tag", IMAGE, name]).success();
    assert!(docker(&["push", name]).failure(1).contains("no basic auth credentials"));
    assert!(bottle.gantry(["image", "push", name]).failure(1).contains("no basic auth credentials"));
    docker(&["login", "-u", "ann", "-p", "secret", "127.0.0.1:5001"]).success();
    assert!(docker(&["push", name]).success().contains("1: digest: "));
    // Ours finds the same credentials.
    bottle.gantry(["image", "push", name]).success();
    let told = inspect(&bottle, name, "--creds ann:secret");
    let remote = |header: &str| {
        let line = format!("curl -s {header} --unix-socket {} http://engine/distribution/{name}/json", bottle.socket().display());
        serde_json::from_str::<Value>(&bottle.shell(&line).success()).expect("JSON")
    };
    assert!(remote("")["message"].as_str().is_some_and(|text| text.contains("authentication required")));
    // {"username":"ann","password":"secret"}
    let header = "-H 'X-Registry-Auth: eyJ1c2VybmFtZSI6ImFubiIsInBhc3N3b3JkIjoic2VjcmV0In0='";
    let found = remote(header);
    assert_eq!((&found["Descriptor"]["digest"], &found["Platforms"][0]["architecture"]), (&told["Digest"], &told["Architecture"]));
}

#[test]
fn a_project_pushes_what_it_builds() {
    let bottle = Bottle::with_image();
    let _registry = Registry::start(&bottle, &bottle.project().join("registry"), 5000);
    bottle.write("Dockerfile", &format!("FROM {IMAGE}\nLABEL a=b\n"));
    bottle.compose(&format!(
        "services:
  web: {{image: '{HERE}/web:1', build: {{context: ., tags: ['{HERE}/web:2']}}, depends_on: [db]}}
  db: {{image: '{HERE}/db:1', build: .}}
  other: {{image: IMAGE}}
  nameless: {{build: .}}
  nowhere: {{image: '127.0.0.1:1/no:1', build: .}}
"
    ));
    let tags = |name: &str| -> String {
        let line = format!("skopeo list-tags --tls-verify=false docker://{HERE}/{name}");
        let told: Value = serde_json::from_str(&bottle.shell(&line).stdout).unwrap_or_default();
        let mut tags: Vec<&str> = told["Tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        tags.sort_unstable();
        if told["Tags"].is_null() { "null".to_owned() } else { format!("{tags:?}") }
    };
    let push = |flags: &str| -> Outcome { bottle.gantry(["push"].into_iter().chain(flags.split_whitespace())) };
    let unbuilt = push("db").failure(1);
    assert!(unbuilt.contains(&format!("cannot push image {HERE}/db:1")) && unbuilt.contains("compose.yaml:3"), "{unbuilt}");
    bottle.gantry(["build"]).success();
    assert!(push("--dry-run web").success().contains(&format!("push image {HERE}/web:1")));
    assert_eq!(tags("web"), "null");
    let told = push("web");
    assert!(told.code == 0 && told.stderr.contains(&format!(" {HERE}/web:1 Pushed")), "{told:?}");
    assert_eq!((tags("web").as_str(), tags("db").as_str()), (r#"["1", "2"]"#, "null"));
    let quiet = push("-q --include-deps web");
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""));
    assert_eq!(tags("db"), r#"["1"]"#);
    let skipped = push("other nameless");
    assert!(skipped.code == 0 && skipped.stderr.contains(" other Skipped") && skipped.stderr.contains(" nameless Skipped"), "{skipped:?}");
    let failed = push("").failure(1);
    assert!(failed.contains("cannot reach the registry 127.0.0.1:1"), "{failed}");
    let warned = push("--ignore-push-failures");
    assert!(warned.code == 0 && warned.stderr.contains("warning: cannot push image 127.0.0.1:1/no:1"), "{warned:?}");
    bottle.write("Dockerfile", &format!("FROM {IMAGE}\nLABEL a=c\n"));
    let before = inspect(&bottle, &format!("{HERE}/db:1"), "")["Digest"].clone();
    bottle.gantry(["build", "--push", "db"]).success();
    assert_ne!(inspect(&bottle, &format!("{HERE}/db:1"), "")["Digest"], before);
}
