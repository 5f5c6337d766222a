//! examples/quickstart: the README's first command, and what its project does.

use std::ffi::OsString;

use crate::bottle::Bottle;
use crate::program::{bounded, bounded_by, run, top};

#[test]
fn the_example_runs_and_its_page_opens() {
    let bottle = Bottle::new();
    let image = bottle.project().join("image");
    std::fs::create_dir(&image).expect("a folder");
    let mut compiler = bounded("rustc");
    compiler.args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static"]);
    run(compiler.args(["--target", "x86_64-unknown-linux-gnu", "-o"]).arg(image.join("app")).arg(top().join("examples/quickstart/app.rs")))
        .success();
    bottle.shell("tar -C image --owner=0 --group=0 -cf app.tar app").success();
    bottle.gantry(["image", "import", "--change", "ENTRYPOINT [\"/app\"]", "app.tar", "quickstart-app:latest"]).success();
    let example = top().join("examples/quickstart");
    let gantry = |arguments: &[&str]| run(bottle.command(Bottle::binary()).args(arguments).current_dir(&example));
    gantry(&["up", "--detach"]).success();
    bottle.eventually("the worker counts", || gantry(&["logs", "worker"]).stdout.contains("counted to 1"));
    let page = bottle.shell("curl -sS --max-time 5 http://127.0.0.1:8080/").success();
    assert!(page.contains("Hello from Gantry"), "{page}");
    gantry(&["down", "--volumes"]).success();
    assert!(bottle.containers().is_empty());
}

#[test]
fn the_readmes_first_command_runs_it_and_its_second_word_takes_it_away() {
    let bottle = Bottle::new();
    // Found by its folder, in which `tests/run` has built it: here it would take minutes.
    let script = |word: &str| {
        let mut command = bounded_by(900, top().join("examples/quickstart/run"));
        // It is run as by a person, whom Cargo has told nothing: what it tells a test makes crates anew that asked for it.
        for name in told_by_cargo() {
            command.env_remove(name);
        }
        run(command.arg(word).env("GANTRY_ROOT", bottle.root()).env("PORT", "8081"))
    };
    let said = script("up").success();
    assert!(said.contains("http://127.0.0.1:8081/"), "{said}");
    let page = bottle.shell("curl -sS --max-time 5 http://127.0.0.1:8081/").success();
    assert!(page.contains("Hello from Gantry"), "{page}");
    script("down").success();
    assert_eq!(bottle.shell("ip -o link").success().lines().count(), 1, "only the loopback interface is left");
}

/// The variables that Cargo sets for a test.
fn told_by_cargo() -> impl Iterator<Item = OsString> {
    let of_the_user = ["CARGO_HOME", "CARGO_TARGET_DIR"];
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(move |name| {
        name.to_str().is_some_and(|name| (name.starts_with("CARGO") || name == "OUT_DIR") && !of_the_user.contains(&name))
    })
}
