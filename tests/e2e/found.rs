//! How Gantry is found: by shells that complete, by readers of manuals, and by `docker` as its plugin.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::bottle::Bottle;
use crate::docker::{Docker, alone};
use crate::program::{Outcome, foreign, run};

const SHOP: &str = "
name: shop
services:
  web: {image: IMAGE, command: sleep 1000, init: true, profiles: [front]}
  worker: {image: IMAGE, command: sleep 1000, init: true}
";

/// The home of whoever works in the bottle.
fn home(bottle: &Bottle) -> PathBuf {
    bottle.root().with_file_name("home")
}

/// A bottle with a link to Gantry where `docker` looks for its plugin.
fn with_link() -> Bottle {
    let bottle = Bottle::with_image();
    let plugins = home(&bottle).join(".docker/cli-plugins");
    let programs = home(&bottle).join("bin");
    for (folder, name) in [(&plugins, "docker-compose"), (&programs, "gantry")] {
        std::fs::create_dir_all(folder).expect("a folder of programs");
        symlink(Bottle::binary(), folder.join(name)).expect("a link");
    }
    bottle.compose(SHOP);
    bottle
}

/// Runs the foreign `docker`.
fn docker(bottle: &Bottle, arguments: &[&str]) -> Outcome {
    run(alone(bottle).args(arguments))
}

fn engine_of(bottle: &Bottle) -> String {
    format!("unix://{}", bottle.socket().display())
}

/// What a shell would complete, by a line of a script of its own.
fn complete(bottle: &Bottle, shell: &str, script: &str) -> Vec<String> {
    let mut command = bottle.command(shell);
    command.env("PATH", format!("{}:/usr/bin:/bin", home(bottle).join("bin").display()));
    let told = run(command.args(["-c", script])).success();
    told.lines().map(str::to_owned).collect()
}

/// In bash: the words before the cursor, as bash takes them apart.
fn in_bash(bottle: &Bottle, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "compopt() {{ :; }}; source <(gantry completion bash); COMP_WORDS=({}); COMP_CWORD={}; _gantry gantry; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1
    );
    complete(bottle, "bash", &script)
}

#[test]
fn bash_completes_commands_services_projects_and_containers() {
    let bottle = with_link();
    assert!(in_bash(&bottle, &["gantry", "sto"]).contains(&"stop".to_owned()));
    assert_eq!(in_bash(&bottle, &["gantry", "stop", "w"]), ["web", "worker"]);
    assert_eq!(in_bash(&bottle, &["gantry", "up", "--scale", "wo"]), ["worker="]);
    assert_eq!(in_bash(&bottle, &["gantry", "--profile", ""]), ["front"]);
    assert_eq!(in_bash(&bottle, &["gantry", "--progress", "=", "pl"]), ["plain"]);
    assert!(in_bash(&bottle, &["gantry", "cp", "wo"]).contains(&"worker:".to_owned()));
    assert_eq!(in_bash(&bottle, &["gantry", "-p", ""]), [""; 1]);
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(in_bash(&bottle, &["gantry", "-p", ""]), ["shop"]);
    assert_eq!(in_bash(&bottle, &["gantry", "image", "rm", "busybox", ":", "t"]), ["test"]);
    let numbers = bottle.shell("$GANTRY __complete exec --index ''").success();
    assert_eq!(numbers, "1\tshop-worker-1\n:4\n");
    // Files that cannot be loaded, and an engine that does not run, are no matter of completion: nothing is said, and none started.
    bottle.compose("services: [");
    let broken = bottle.shell("$GANTRY __complete stop ''");
    assert_eq!((broken.stderr.as_str(), broken.code), ("", 0));
}

#[test]
fn a_completion_starts_no_engine() {
    let bottle = Bottle::new();
    bottle.compose(SHOP);
    for line in ["stop ''", "-p ''", "exec --index ''", "image rm ''"] {
        bottle.shell(&format!("$GANTRY __complete {line}")).success();
    }
    assert!(!bottle.socket().exists());
}

#[test]
fn zsh_and_fish_complete_services() {
    let bottle = with_link();
    let zsh = "compdef() { :; }; compadd() { print -rl -- \"${@[$@[(i)--]+1,-1]}\"; }; source <(gantry completion zsh); words=(gantry stop w); CURRENT=3; _gantry";
    let told = complete(&bottle, "zsh", zsh);
    assert_eq!(told, ["web", "worker"]);
    let told = complete(&bottle, "fish", "gantry completion fish | source; complete -C 'gantry stop w'");
    let names: Vec<&str> = told.iter().map(|line| line.split('\t').next().unwrap_or_default()).collect();
    assert_eq!(names, ["web", "worker"]);
}

#[test]
fn manual_pages_are_good() {
    let bottle = Bottle::new();
    bottle.gantry(["man", "pages/man1"]).success();
    let pages = bottle.shell("cd pages/man1 && ls").success();
    assert!(["gantry.1", "gantry-up.1", "gantry-image-build.1"].iter().all(|page| pages.lines().any(|line| line == *page)), "{pages}");
    assert_eq!(bottle.shell("mandoc -T lint -W error pages/man1/*.1").success(), "");
    assert!(bottle.shell("mandoc -T html pages/man1/gantry-up.1").success().contains("--wait"));
}

#[test]
fn docker_compose_runs_gantry_as_its_plugin() {
    let bottle = with_link();
    let engine = engine_of(&bottle);
    assert!(
        docker(&bottle, &["-H", &engine, "info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{.Vendor}};{{end}}"])
            .success()
            .contains("compose Gantry;")
    );
    assert!(docker(&bottle, &["compose", "up", "--help"]).success().contains("Usage: docker compose up"));
    docker(&bottle, &["-H", &engine, "compose", "up", "-d", "--wait"]).success();
    assert_eq!(bottle.containers(), ["shop-worker-1"]);
    assert!(docker(&bottle, &["--log-level", "error", "-H", &engine, "compose", "ps"]).success().contains("shop-worker-1"));
    let completed = docker(&bottle, &["__complete", "compose", "stop", "w"]).success();
    assert_eq!(completed.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect::<Vec<_>>(), ["web", "worker", ":4"]);
    docker(&bottle, &["-H", &engine, "compose", "down"]).success();
    assert_eq!(bottle.containers(), [""; 0]);
}

#[test]
fn who_ends_docker_ends_its_plugin() {
    let bottle = with_link();
    let engine = engine_of(&bottle);
    let mut command = bottle.server(foreign("usr/bin/docker"));
    let mut attached = command.args(["-H", &engine, "compose", "up"]).stdin(std::process::Stdio::null()).spawn().expect("docker starts");
    bottle.eventually("the service runs", || bottle.state("shop-worker-1") == "running");
    // The first process bounds it in time, and its group would hear the signal, too; `docker` alone is to.
    bottle.shell(&format!("kill -TERM $(cat /proc/{0}/task/{0}/children)", attached.id())).success();
    attached.wait().expect("docker ends");
    bottle.eventually("the service has been stopped", || bottle.state("shop-worker-1") == "exited");
}

#[test]
fn a_link_is_the_standalone_tool() {
    let bottle = with_link();
    let link = home(&bottle).join(".docker/cli-plugins/docker-compose");
    let standalone = |arguments: &[&str]| run(bottle.command(&link).env("DOCKER_HOST", engine_of(&bottle)).args(arguments));
    assert!(standalone(&["up", "--help"]).success().contains("Usage: docker-compose up"));
    standalone(&["up", "-d"]).success();
    assert_eq!(bottle.state("shop-worker-1"), "running");
    assert!(standalone(&["completion", "bash"]).success().contains("complete -F _docker-compose docker-compose"));
}

#[test]
fn the_engine_that_docker_is_set_to_is_used() {
    let bottle = with_link();
    let real = Docker::start(&bottle);
    let engine = real.host();
    docker(&bottle, &["context", "create", "real", "--docker", &format!("host={engine}")]).success();
    docker(&bottle, &["context", "use", "real"]).success();
    assert!(docker(&bottle, &["compose", "version"]).success().contains(&engine));
}
