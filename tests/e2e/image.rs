//! Images in and out: `image save`, `load`, `ls`, `rm`, `prune`, and `login`, `logout`.

use crate::bottle::{Bottle, IMAGE};
use crate::docker::{Docker, docker};
use crate::program::run;
use crate::registry::Registry;

/// What an image gives back when it is run.
fn runs(bottle: &Bottle, image: &str) {
    bottle.compose(&format!("services: {{a: {{image: '{image}', command: [echo, it runs]}}}}\n"));
    assert!(bottle.gantry(["up", "--pull", "never", "--force-recreate"]).success().contains("it runs"), "{image}");
    bottle.gantry(["down"]).success();
}

#[test]
fn what_is_saved_is_loaded_again() {
    let bottle = Bottle::with_image();
    bottle.gantry(["image", "tag", IMAGE, "other/name:2"]).success();
    let id = bottle.gantry(["image", "ls", "-q", "--no-trunc"]).success();
    bottle.gantry(["image", "save", "-o", "saved.tar", IMAGE, "other/name:2"]).success();
    bottle.shell(&format!("$GANTRY image save {IMAGE} | cat > piped.tar")).success();
    bottle.gantry(["image", "rm", "-f", IMAGE, "other/name:2"]).success();
    assert_eq!(bottle.gantry(["image", "ls", "-q"]).success(), "");
    let loaded = bottle.gantry(["image", "load", "-i", "saved.tar"]).success();
    assert!(loaded.contains(&format!("Loaded image: {IMAGE}")) && loaded.contains("Loaded image: other/name:2"), "{loaded}");
    assert_eq!(bottle.gantry(["image", "ls", "-q", "--no-trunc"]).success().lines().next(), id.lines().next());
    runs(&bottle, "other/name:2");
    bottle.gantry(["image", "rm", IMAGE, "other/name:2"]).success();
    bottle.shell("$GANTRY image load < piped.tar").success();
    runs(&bottle, IMAGE);
    for (arguments, words) in [
        (&["image", "save", "-o", "x.tar", "nosuch:1"][..], "nosuch:1"),
        (&["image", "save"], "required"),
        (&["image", "save", "-o", "no/such/x.tar", IMAGE], "no/such/x.tar"),
        (&["image", "load", "-i", "nosuch.tar"], "nosuch.tar"),
        (&["image", "load", "-i", "compose.yaml"], "compose.yaml"),
        (&["image", "rm", "nosuch:1"], "nosuch:1"),
        (&["image", "prune", "-f", "--filter", "x"], "KEY=VALUE"),
        (&["image", "prune", "-f", "--filter", "color=red"], "color"),
    ] {
        let refused = bottle.gantry(arguments).failure(1);
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
    assert!(!bottle.project().join("x.tar").exists());
}

#[test]
fn archives_travel_between_us_docker_and_skopeo() {
    let bottle = Bottle::with_image();
    bottle.gantry(["image", "save", "-o", "ours.tar", IMAGE]).success();
    bottle
        .shell(&format!("skopeo --insecure-policy copy docker-archive:ours.tar:{IMAGE} docker-archive:skopeo.tar:skopeo/name:1"))
        .success();
    bottle.shell(&format!("skopeo --insecure-policy copy docker-archive:ours.tar:{IMAGE} oci-archive:oci.tar:oci:1")).success();
    bottle.gantry(["image", "load", "-i", "skopeo.tar"]).success();
    runs(&bottle, "skopeo/name:1");
    bottle.gantry(["image", "load", "-i", "oci.tar"]).success();
    {
        let docker = Docker::start(&bottle);
        assert!(docker.docker(&["load", "-i", &bottle.project().join("ours.tar").display().to_string()]).success().contains(IMAGE));
        let out = docker.docker(&["run", "--rm", "--network", "none", IMAGE, "echo", "it runs"]);
        assert_eq!(out.success(), "it runs\n");
        docker.docker(&["tag", IMAGE, "dockers/name:3"]).success();
        docker.docker(&["save", "-o", &bottle.project().join("dockers.tar").display().to_string(), "dockers/name:3"]).success();
    }
    bottle.gantry(["image", "load", "-i", "dockers.tar"]).success();
    runs(&bottle, "dockers/name:3");
}

#[test]
fn only_what_nothing_uses_is_pruned() {
    let bottle = Bottle::with_image();
    // The same name for another image leaves the first without one.
    bottle.shell("mkdir empty && echo x > empty/f && tar cf other.tar -C empty .").success();
    bottle.gantry(["image", "import", "other.tar", "lost:1"]).success();
    bottle.shell("echo y > empty/f && tar cf other.tar -C empty .").success();
    bottle.gantry(["image", "import", "other.tar", "lost:1"]).success();
    let count = || bottle.get("/images/json").as_array().map_or(0, Vec::len);
    assert_eq!(count(), 3);
    assert_eq!(bottle.gantry_with_input(&["image", "prune"], b"n\n").code, 0);
    assert_eq!(count(), 3);
    let pruned = bottle.gantry_with_input(&["image", "prune"], b"y\n").success();
    assert!(pruned.contains("Deleted Images:\ndeleted: sha256:") && pruned.contains("Total reclaimed space:"), "{pruned}");
    assert_eq!(count(), 2);
    bottle.compose("services: {a: {image: IMAGE, command: ['true']}}\n");
    bottle.gantry(["up", "-d"]).success();
    let pruned = bottle.gantry(["image", "prune", "-a", "-f"]).success();
    assert!(pruned.contains("untagged: lost:1") && !pruned.contains(IMAGE), "{pruned}");
    run(docker(&bottle).args(["image", "prune", "-a", "-f"])).success();
    assert_eq!(count(), 1);
}

#[test]
fn who_is_let_in_is_remembered_until_he_leaves() {
    let bottle = Bottle::with_image();
    let folder = bottle.project();
    // The password is `secret`.
    bottle.write("users", "ann:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
    let _registry = Registry::with_users(&bottle, &folder, 5001, &folder.join("users"));
    let config = || std::fs::read_to_string(bottle.root().with_file_name("home").join(".docker/config.json")).unwrap_or_default();
    let login = |password: &[u8]| bottle.gantry_with_input(&["login", "-u", "ann", "--password-stdin", "127.0.0.1:5001"], password);
    assert!(login(b"wrong\n").failure(1).contains("127.0.0.1:5001"));
    assert_eq!(config(), "");
    assert!(login(b"secret\n").success().contains("Login Succeeded"));
    assert!(config().contains("127.0.0.1:5001"));
    // What is remembered is sent along; without it, nothing is given out.
    bottle.gantry(["image", "tag", IMAGE, "127.0.0.1:5001/mine:1"]).success();
    bottle.gantry(["image", "save", "-o", "mine.tar", "127.0.0.1:5001/mine:1"]).success();
    let push = "skopeo --insecure-policy copy --dest-tls-verify=false --dest-creds ann:secret docker-archive:mine.tar docker://127.0.0.1:5001/mine:1";
    bottle.shell(push).success();
    bottle.gantry(["image", "rm", "127.0.0.1:5001/mine:1"]).success();
    bottle.gantry(["image", "pull", "127.0.0.1:5001/mine:1"]).success();
    let docker = |line: &str| run(docker(&bottle).args(line.split(' ')));
    assert!(docker("login -u ann -p secret 127.0.0.1:5001").success().contains("Login Succeeded"));
    assert_ne!(docker("login -u ann -p wrong 127.0.0.1:5001").code, 0);
    assert_eq!(bottle.gantry(["logout", "127.0.0.1:5001"]).success(), "Removing login credentials for 127.0.0.1:5001\n");
    assert_eq!(bottle.gantry(["logout", "127.0.0.1:5001"]).success(), "Not logged in to 127.0.0.1:5001\n");
    bottle.gantry(["image", "rm", "127.0.0.1:5001/mine:1"]).success();
    bottle.gantry(["image", "pull", "127.0.0.1:5001/mine:1"]).failure(1);
    for (arguments, words) in [
        (&["login", "--password-stdin", "127.0.0.1:5001"][..], "--username"),
        (&["login", "-p", "x", "--password-stdin", "r"], "cannot be used with"),
        (&["login", "127.0.0.1:5001"], "no terminal"),
        (&["login", "-u", "", "-p", "x", "r.example"], "empty"),
        (&["login", "-u", "x", "-p", "y", "a b"], "not a registry"),
        (&["logout", "a b"], "not a registry"),
    ] {
        let refused = bottle.gantry(arguments).failure(1);
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
}
