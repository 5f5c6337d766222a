//! The devcontainers CLI: containers that one develops in, on an image, on a Dockerfile and on a Compose project.

use crate::bottle::Bottle;
use crate::client::{client, script, with_mirror};
use crate::docker::docker;
use crate::program::{Outcome, foreign, run};
use crate::registry::Registry;

/// A project of tests/clients/devcontainers in a bottle.
struct Project<'a> {
    bottle: &'a Bottle,
    _registry: Registry,
}

impl<'a> Project<'a> {
    fn new(bottle: &'a Bottle, kind: &str) -> Self {
        let registry = Registry::of_the_shop(bottle, 5000);
        with_mirror(bottle);
        bottle.gantry(["image", "ls"]).success();
        bottle.shell(&format!("cp -r {} .devcontainer", script("devcontainers").join(kind).display())).success();
        bottle.write("main.py", "print('hello from', __file__)\n");
        Self { bottle, _registry: registry }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Outcome {
        let compose = foreign("usr/libexec/docker/cli-plugins/docker-compose");
        run(client(self.bottle, &self.bottle.socket(), "devcontainer")
            .env("OUTSIDE", "outside")
            .env("DOCKER", foreign("usr/bin/docker"))
            .env("DOCKER_BUILDKIT", "0")
            .args([command, "--workspace-folder", ".", "--docker-path"])
            .arg(script("devcontainers/docker"))
            .arg("--docker-compose-path")
            .arg(compose)
            .args(arguments))
    }

    /// `devcontainer up`; returns the container.
    #[track_caller]
    fn up(&self, arguments: &[&str]) -> String {
        let told = self.run("up", arguments).success();
        let answer: serde_json::Value = serde_json::from_str(told.lines().last().unwrap_or_default()).expect("an answer in JSON");
        assert_eq!(answer["outcome"], "success", "{told}");
        answer["containerId"].as_str().expect("a container").to_owned()
    }

    #[track_caller]
    fn exec(&self, line: &str) -> String {
        self.run("exec", &["sh", "-c", line]).success()
    }
}

#[test]
fn a_container_to_develop_in_is_made_of_an_image() {
    let bottle = Bottle::new();
    let project = Project::new(&bottle, "image");
    let container = project.up(&[]);
    assert_eq!(project.exec("pwd; id -un; python3 main.py"), "/workspaces/project\nroot\nhello from /workspaces/project/main.py\n");
    // What its commands left, and its environments.
    assert_eq!(project.exec("cat /cache/created /tmp/one /tmp/two /tmp/started"), "created\none\ntwo\nstarted\n");
    assert_eq!(project.exec("echo $INSIDE, $REMOTE"), "yes, yes and outside\n");
    assert_eq!(project.run("exec", &["sh", "-c", "exit 7"]).code, 7);
    // The folder is the project's own.
    project.exec("echo written > inside");
    assert_eq!(bottle.shell("cat inside").success(), "written\n");
    // Another `up` finds it, and starts it when it has ended.
    assert_eq!(project.up(&[]), container);
    run(docker(&bottle).args(["stop", "-t", "1", &container])).success();
    assert_eq!(project.up(&[]), container);
    assert_eq!(project.exec("cat /tmp/started"), "started\nstarted\n");
    assert_ne!(project.up(&["--remove-existing-container"]), container);
    assert_eq!(bottle.containers().len(), 1);
}

#[test]
fn a_container_to_develop_in_is_made_of_a_dockerfile() {
    let bottle = Bottle::new();
    let project = Project::new(&bottle, "build");
    project.up(&["--buildkit", "never"]);
    assert_eq!(project.exec("id -un; cat /etc/word; python3 /opt/main.py"), "developer\nbuilt\nhello from /opt/main.py\n");
}

#[test]
fn a_container_to_develop_in_is_a_service_of_a_project() {
    let bottle = Bottle::new();
    let project = Project::new(&bottle, "compose");
    let container = project.up(&[]);
    assert_eq!(project.exec("pwd; python3 main.py"), "/workspace\nhello from /workspace/main.py\n");
    assert_eq!(bottle.containers(), ["project_devcontainer-app-1", "project_devcontainer-cache-1"]);
    let ping = "import socket; it = socket.create_connection(('cache', 6379)); it.sendall(b'PING\\r\\n'); print(it.recv(7))";
    assert_eq!(project.exec(&format!("python3 -c \"{ping}\"")), "b'+PONG\\r\\n'\n");
    assert_eq!(project.up(&[]), container);
}
