//! The calls on images as foreign clients make them: lists and their filters, inspects of every age, archives, removals, and what is told of them.

use serde_json::{Value, json};

use crate::api::{encoded, request};
use crate::bottle::{Bottle, IMAGE, busybox_tar};
use crate::docker::docker;
use crate::program::{Outcome, run};
use crate::registry::Registry;

/// A call whose answer is a stream, by curl.
fn stream(bottle: &Bottle, call: &str) -> String {
    bottle.shell(&format!("curl -s --unix-socket {} {call}", bottle.socket().display())).success()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Makes an image of one small file.
fn make(bottle: &Bottle, content: &str, name: &str, changes: &[&str]) {
    bottle.shell(&format!("mkdir -p made && echo {content} > made/file && tar -C made -cf made.tar .")).success();
    let changes = changes.iter().flat_map(|change| ["--change", change]);
    let file = bottle.project().join("made.tar").display().to_string();
    run(docker(bottle).arg("import").args(changes).args([file.as_str(), name])).success();
}

#[test]
fn lists_are_filtered_as_docker_filters_them() {
    let bottle = Bottle::with_image();
    make(&bottle, "one", "a/one:1", &["LABEL color=red"]);
    make(&bottle, "two", "a/two:1", &["LABEL color=blue", "LABEL big=yes"]);
    // The same name for another image leaves the first without one.
    make(&bottle, "three", "a/three:1", &[]);
    make(&bottle, "four", "a/three:1", &[]);
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    let check = |filters: &[&str], expect: &[&str]| {
        let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
        let arguments: Vec<&str> = ["images", "--format", "{{.Repository}}:{{.Tag}}"].into_iter().chain(filters).collect();
        let told = docker(&arguments).success();
        assert_eq!(told.lines().collect::<Vec<_>>(), expect, "{arguments:?}");
    };
    check(&[], &["a/three:1", "<none>:<none>", "a/two:1", "a/one:1", IMAGE]);
    check(&["dangling=true"], &["<none>:<none>"]);
    check(&["dangling=false"], &["a/three:1", "a/two:1", "a/one:1", IMAGE]);
    check(&["reference=a/*"], &["a/three:1", "a/two:1", "a/one:1"]);
    check(&["reference=a/one", "reference=*:test"], &["a/one:1", IMAGE]);
    check(&["label=color"], &["a/two:1", "a/one:1"]);
    check(&["label=color=blue", "label=big"], &["a/two:1"]);
    check(&["before=a/two:1"], &["a/one:1", IMAGE]);
    check(&["since=a/one:1", "before=a/three:1"], &["<none>:<none>", "a/two:1"]);
    check(&["until=24h"], &[]);
    let get = |path: &str| request(&bottle.socket(), "GET", path, None);
    for (filters, status, words) in [
        (json!({"before": ["nosuch"]}), 404, "No such image: nosuch:latest"),
        (json!({"dangling": ["x"]}), 400, "invalid filter 'dangling="),
        (json!({"color": ["x"]}), 400, "invalid filter 'color'"),
    ] {
        let (found, answer) = get(&format!("/images/json?filters={}", encoded(&filters.to_string())));
        assert!(found == status && answer["message"].to_string().contains(words), "{filters}: {answer}");
    }
    // Containers and shared layers are counted for who asks, and old clients are told what they know.
    docker(&["create", "--name", "made", IMAGE, "true"]).success();
    docker(&["tag", IMAGE, "busybox:again"]).success();
    let line = |path: &str| {
        let (_, list) = get(path);
        list.as_array().expect("a list").iter().find(|line| line["RepoTags"].to_string().contains(IMAGE)).expect("the image").clone()
    };
    let newest = line("/v1.51/images/json?shared-size=1");
    assert_eq!((&newest["Containers"], &newest["SharedSize"], newest.get("VirtualSize")), (&json!(1), &json!(0), None));
    let oldest = line("/v1.40/images/json?filter=busybox");
    assert_eq!((&oldest["Containers"], &oldest["SharedSize"], &oldest["VirtualSize"]), (&json!(-1), &json!(-1), &oldest["Size"]));
    let (_, list) = get("/v1.42/images/json");
    assert!(list.to_string().contains("<none>@<none>"), "{list}");
}

#[test]
fn an_image_is_shown_in_full() {
    let bottle = Bottle::with_image();
    let source = bottle.project().join("made.tar").display().to_string();
    make(&bottle, "one", "shown:1", &["CMD [\"x\"]", "ENV A=b"]);
    run(docker(&bottle).args(["import", "-m", "a remark", &source, "shown:2"])).success();
    let get = |path: &str| request(&bottle.socket(), "GET", path, None);
    let (_, shown) = get("/v1.51/images/shown:1/json");
    assert_eq!((&shown["Config"]["Cmd"], &shown["Config"]["Env"]), (&json!(["x"]), &json!(["A=b"])));
    assert_eq!((&shown["RepoTags"], &shown["RepoDigests"]), (&json!(["shown:1"]), &json!([])));
    assert!(shown["Config"].get("Hostname").is_none() && shown.get("VirtualSize").is_none());
    let upper = shown["GraphDriver"]["Data"]["UpperDir"].as_str().expect("a folder");
    assert_eq!(bottle.shell(&format!("cat {upper}/file")).success(), "one\n");
    assert_eq!(get("/v1.51/images/shown:2/json").1["Comment"], "a remark");
    let (_, old) = get("/v1.43/images/shown:1/json");
    assert!(old["Config"]["Hostname"] == "" && old["VirtualSize"] == old["Size"] && old["ContainerConfig"].is_object());
    let arm = encoded(&json!({"os": "linux", "architecture": "arm64"}).to_string());
    for (path, status, words) in [
        ("/images/shown/json".to_owned(), 404, "No such image: shown:latest"),
        ("/images/Shown/json".to_owned(), 400, "lower case"),
        (format!("/images/shown:1/json?platform={arm}"), 404, "does not match the specified platform (linux/arm64)"),
        (format!("/images/shown:1/history?platform={arm}"), 404, "does not match"),
        (format!("/images/shown:1/get?platform={arm}"), 404, "does not match"),
        (format!("/images/shown:1/json?manifests=1&platform={arm}"), 400, "conflicting options"),
        ("/images/shown:1/json?platform=linux".to_owned(), 400, "platform"),
        ("/images/search?term=x".to_owned(), 501, "Docker Hub"),
    ] {
        let (found, answer) = get(&path);
        assert!(found == status && answer["message"].to_string().contains(words), "{path}: {found} {answer}");
    }
    for (query, status) in [("repo=a:1&tag=2", 201), ("repo=sha256", 400), ("repo=A", 400), ("repo=a&tag=-x", 400), ("", 400)] {
        assert_eq!(request(&bottle.socket(), "POST", &format!("/images/shown:1/tag?{query}"), None).0, status, "{query}");
    }
    assert_eq!(get("/images/a:2/json").1["Id"], shown["Id"]);
}

#[test]
fn archives_go_out_and_come_in_by_the_docker_command_line() {
    let bottle = Bottle::with_image();
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    make(&bottle, "one", "kept:1", &[]);
    docker(&["tag", "kept:1", "kept:2"]).success();
    let file = |name: &str| bottle.project().join(name).display().to_string();
    docker(&["save", "-o", &file("saved.tar"), "kept", IMAGE]).success();
    let id = docker(&["images", "-q", "--no-trunc", "kept:1"]).success().trim().to_owned();
    docker(&["save", "-o", &file("byid.tar"), &id]).success();
    docker(&["rmi", "kept:1", "kept:2", IMAGE]).success();
    bottle.shell("gzip -k saved.tar").success();
    let told = docker(&["load", "-i", &file("saved.tar.gz")]).success();
    for name in ["kept:1", "kept:2", IMAGE] {
        assert!(told.contains(&format!("Loaded image: {name}\n")), "{told}");
    }
    docker(&["rmi", "kept:1", "kept:2"]).success();
    assert!(docker(&["load", "-i", &file("byid.tar")]).success().contains(&format!("Loaded image ID: {id}\n")));
    // Progress is for who asks for it, and what goes wrong is told in the stream.
    docker(&["rmi", &id]).success();
    let load = |query: &str, name: &str| lines(&stream(&bottle, &format!("-X POST -T {} 'http://engine/images/load{query}'", file(name))));
    let told = load("?quiet=0", "saved.tar");
    assert!(told.iter().any(|line| line["status"] == "Loading layer" && line["progressDetail"]["total"].is_u64()), "{told:?}");
    docker(&["rmi", "kept:1", "kept:2"]).success();
    let told = load("", "saved.tar");
    assert!(told.iter().all(|line| line["stream"].is_string()) && told.len() == 3, "{told:?}");
    make(&bottle, "other", "kept:1", &[]);
    assert!(load("", "saved.tar").iter().any(|line| line.to_string().contains("The image kept:1 already exists, renaming the old one")));
    assert!(load("", "made.tar")[0]["errorDetail"]["message"].is_string());
    let arm = encoded(&json!({"os": "linux", "architecture": "arm64"}).to_string());
    assert_eq!(load(&format!("?platform={arm}"), "saved.tar"), Vec::<Value>::new());
    // A tar becomes an image, from the client or from a place that the engine reaches.
    let _registry = Registry::start(&bottle, &bottle.project().join("registry"), 5000);
    docker(&["tag", IMAGE, "127.0.0.1:5000/app:1"]).success();
    docker(&["push", "127.0.0.1:5000/app:1"]).success();
    let (_, remote) = request(&bottle.socket(), "GET", "/distribution/127.0.0.1:5000/app:1/json", None);
    assert_eq!(remote["Platforms"], json!([{"architecture": "amd64", "os": "linux"}]));
    assert_eq!(request(&bottle.socket(), "GET", "/distribution/127.0.0.1:5000/app:2/json", None).0, 404);
    let manifest: Value =
        serde_json::from_str(&bottle.shell("skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/app:1").success())
            .expect("JSON");
    let url = format!("http://127.0.0.1:5000/v2/app/blobs/{}", manifest["layers"][0]["digest"].as_str().expect("a digest"));
    docker(&["import", "--platform", "linux/arm64", &url, "fetched:1"]).success();
    let (_, fetched) = request(&bottle.socket(), "GET", "/images/fetched:1/json", None);
    assert_eq!((fetched["Comment"].as_str(), &fetched["Architecture"]), (Some(&*format!("Imported from {url}")), &json!("arm64")));
    assert!(docker(&["import", "http://127.0.0.1:1/x.tar", "x:1"]).failure(1).contains("127.0.0.1:1"));
}

#[test]
fn removals_refuse_list_and_tell_what_docker_does() {
    let bottle = Bottle::with_image();
    let docker = |arguments: &[&str]| -> Outcome { run(docker(&bottle).args(arguments)) };
    let tar = busybox_tar().display().to_string();
    make(&bottle, "one", "gone:1", &["LABEL a=b"]);
    docker(&["tag", "gone:1", "gone:2"]).success();
    let id = docker(&["images", "-q", "--no-trunc", "gone:1"]).success().trim().to_owned();
    let short = &id["sha256:".len()..][..12];
    let refused = docker(&["rmi", short]).failure(1);
    assert!(
        refused.contains(&format!("unable to delete {short} (must be forced) - image is referenced in multiple repositories")),
        "{refused}"
    );
    assert_eq!(docker(&["rmi", "gone:2"]).success(), "Untagged: gone:2\n");
    docker(&["create", "--name", "made", "gone:1", "x"]).success();
    assert!(docker(&["rmi", "gone:1"]).failure(1).contains("(must force) - container "));
    assert!(docker(&["rmi", short]).failure(1).contains("(must be forced) - image is being used by stopped container"));
    docker(&["rm", "made"]).success();
    docker(&["tag", "gone:1", "gone:2"]).success();
    let told = docker(&["rmi", "-f", short]).success();
    assert!(told.starts_with(&format!("Untagged: gone:1\nUntagged: gone:2\nDeleted: {id}\nDeleted: sha256:")), "{told}");
    assert!(docker(&["rmi", "gone:1"]).failure(1).contains("No such image: gone:1"));
    // A prune by label takes what has it, or what has it not.
    make(&bottle, "two", "kept:1", &["LABEL keep=yes"]);
    docker(&["import", &tar, "lost:1"]).success();
    let prune =
        |filters: &Value| request(&bottle.socket(), "POST", &format!("/images/prune?filters={}", encoded(&filters.to_string())), None).1;
    assert_eq!(prune(&json!({"dangling": ["true"]})), json!({"ImagesDeleted": null, "SpaceReclaimed": 0}));
    assert_eq!(prune(&json!({"dangling": ["false"], "until": ["24h"]}))["ImagesDeleted"], Value::Null);
    let pruned = prune(&json!({"dangling": ["false"], "label!": ["keep"]}));
    assert!(pruned["ImagesDeleted"].to_string().contains(r#"{"Untagged":"lost:1"}"#), "{pruned}");
    assert_eq!(docker(&["images", "--format", "{{.Repository}}"]).success(), "kept\n");
    let until = bottle.shell("echo $(($(date +%s) + 1))").success();
    let filter = encoded(&json!({"type": ["image"]}).to_string());
    let told = lines(&stream(&bottle, &format!("'http://engine/events?since=1&until={}&filters={filter}'", until.trim())));
    let actions: Vec<&str> =
        told.iter().filter(|event| event["Actor"]["ID"] == id.as_str()).map(|event| event["Action"].as_str().expect("a word")).collect();
    assert_eq!(actions, ["tag", "import", "tag", "untag", "tag", "untag", "untag", "delete"]);
    let last: Vec<&str> = told.iter().rev().take(3).map(|event| event["Action"].as_str().expect("a word")).collect();
    assert_eq!(last, ["prune", "delete", "untag"]);
}
