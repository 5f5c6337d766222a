//! Builds that cannot come to anything: they are told so at once, with the thing, the place and the way out.

use crate::bottle::Bottle;
use crate::build::write_context;
use crate::docker::docker;
use crate::program::{foreign, run};

/// Builds the context `c`, which fails; returns what was told.
fn refused(bottle: &Bottle, flags: &[&str], dockerfile: &str) -> String {
    write_context(bottle, "c", dockerfile);
    bottle.gantry([&["--progress", "plain", "image", "build"], flags, &["c"]].concat()).failure(1)
}

#[test]
fn a_network_that_does_not_exist_fails_before_the_first_step() {
    let bottle = Bottle::with_image();
    let dockerfile = "FROM IMAGE\nRUN --network=none true\nRUN true\n";
    let told = refused(&bottle, &["--network", "nowhere"], dockerfile);
    assert!(told.contains("network nowhere not found") && told.contains("make it first"), "{told}");
    assert!(!told.contains("RUN"), "a step was begun: {told}");
    bottle.compose("services: {a: {image: IMAGE, command: 'true'}}\nnetworks: {default: {name: somewhere}}\n");
    bottle.gantry(["create"]).success();
    bottle.gantry(["image", "build", "--network", "somewhere", "c"]).success();
}

#[test]
fn a_platform_of_no_machine_is_refused_where_it_stands() {
    let bottle = Bottle::with_image();
    let told = refused(&bottle, &["--platform", "foo/bar"], "FROM scratch\nCOPY Dockerfile /\n");
    assert!(told.contains("there is no system `foo`"), "{told}");
    let told =
        refused(&bottle, &["--build-arg", "P=foo"], "ARG P\nFROM scratch AS unused\nFROM --platform=$P scratch\nCOPY Dockerfile /\n");
    assert!(told.contains("Dockerfile:3:1: --platform: `foo` is no platform that is known"), "{told}");
    let post =
        "tar -C c -c . | curl -s -X POST -H 'Content-Type: application/x-tar' --data-binary @- --unix-socket $GANTRY_ROOT/run/engine.sock";
    let told = bottle.shell(&format!("{post} 'http://engine/build?platform=linux/bar'")).success();
    assert!(told.contains("there is no architecture `bar`"), "{told}");
}

#[test]
fn an_image_for_another_platform_is_named_with_its_own() {
    let bottle = Bottle::with_image();
    let told = refused(&bottle, &[], "FROM --platform=linux/s390x IMAGE\nCOPY Dockerfile /\n");
    assert!(told.contains("is here for linux/amd64, and linux/s390x is asked for"), "{told}");
    assert!(told.contains("build or load it for linux/s390x first, or ask for linux/amd64"), "{told}");
    assert!(told.contains("Dockerfile:1:1") && !told.contains("--debug-shell"), "{told}");
    // What is copied from is told with its place as well.
    let told = refused(&bottle, &[], "FROM IMAGE\nCOPY --from=127.0.0.1:9/nothing:1 /x /y\n");
    assert!(told.contains("Dockerfile:2:1"), "{told}");
}

/// Where buildx is, `docker build` asks for BuildKit. It is told that there is none here, and pulls none to run in a container.
#[test]
fn a_build_by_buildkit_is_told_the_way_out() {
    let bottle = Bottle::with_image();
    write_context(&bottle, "c", "FROM IMAGE\nRUN true\n");
    bottle.compose("services:\n  a:\n    build: c\n");
    std::fs::create_dir_all(bottle.project().join("docker")).expect("a folder");
    let plugins = serde_json::json!({ "cliPluginsExtraDirs": [foreign("usr/libexec/docker/cli-plugins")] });
    bottle.write("docker/config.json", &plugins.to_string());
    let command = |arguments: &[&str]| {
        let mut command = docker(&bottle);
        command.env("DOCKER_CONFIG", bottle.project().join("docker")).args(arguments);
        command
    };
    for arguments in [
        &["build", "c"][..],
        &["build", "-q", "c"],
        &["buildx", "build", "--load", "c"],
        &["buildx", "build", "c"],
        &["compose", "build"],
        &["builder", "prune", "-f"],
    ] {
        let told = run(&mut command(arguments));
        assert_ne!(told.code, 0, "{arguments:?}: {told:?}");
        assert!(told.stderr.contains("DOCKER_BUILDKIT=0") && told.stderr.contains("gantry image build"), "{arguments:?}: {told:?}");
        assert!(!told.stderr.contains("docker-container") && !told.stderr.contains("moby/buildkit"), "{arguments:?}: {told:?}");
    }
    for arguments in [&["build", "-t", "c:1", "c"][..], &["compose", "build"]] {
        run(command(arguments).env("DOCKER_BUILDKIT", "0")).success();
    }
}

#[test]
fn a_base_that_can_be_no_image_is_refused_where_it_stands() {
    let bottle = Bottle::with_image();
    let told = refused(&bottle, &[], "FROM IMAGE AS a\nFROM BB\n");
    assert!(told.contains("Dockerfile:2:1: invalid image reference `BB`: the repository name must be lower case"), "{told}");
    let error = told.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert_eq!(error.matches("invalid image reference").count(), 1, "{told}");
    let (_, answer) = crate::api::request(&bottle.socket(), "GET", "/images/get?names=BB", None);
    assert_eq!(answer["message"], "invalid image reference `BB`: the repository name must be lower case");
}

#[test]
fn where_no_step_failed_there_is_no_state_before_it() {
    let bottle = Bottle::with_image();
    assert!(refused(&bottle, &[], "FROM IMAGE\nRUN false\n").contains("--debug-shell"));
    let told = refused(&bottle, &[], "FROM 127.0.0.1:1/nothing:here\nRUN true\n");
    assert!(told.contains("127.0.0.1:1") && !told.contains("--debug-shell"), "{told}");
}

#[test]
fn an_encoding_other_than_utf_8_is_for_comments() {
    let bottle = Bottle::with_image();
    let build = |path: &str, bytes: &[u8]| {
        write_context(&bottle, "c", "FROM IMAGE\nCOPY . /c\n");
        std::fs::write(bottle.project().join("c").join(path), bytes).expect("a file");
        bottle.gantry(["--progress", "plain", "image", "build", "-q", "c"])
    };
    let base = crate::bottle::IMAGE.as_bytes();
    build("Dockerfile", &[&b"# caf\xe9\nFROM "[..], base, b"\nRUN true\n"].concat()).success();
    let told = build("Dockerfile", &[&b"FROM "[..], base, b"\nENV A=caf\xe9\n"].concat()).failure(1);
    assert!(told.contains("c/Dockerfile:2:10: a letter is not in UTF-8; save the file as UTF-8"), "{told}");
    // As the docker command line takes it.
    std::fs::write(bottle.project().join("c/out"), "").expect("a file");
    build(".dockerignore", b"# caf\xe9\nout\n").success();
}
