//! Docker Compose, the real one, on our engine's socket: the projects of tests/clients/compose, one intent each, and the shop.
//!
//! What is asserted is asked of the API or of the containers; what Compose prints is compared with what it prints on Docker.

mod attribute;
mod command;
mod follow;
mod same;

use std::process::Command;

use serde_json::Value;

use crate::bottle::Bottle;
use crate::client::script;
use crate::docker::docker;
use crate::program::{Outcome, foreign, run, run_with_input};

/// One project in a bottle.
struct Project {
    bottle: Bottle,
    name: &'static str,
    environment: Vec<(&'static str, &'static str)>,
}

impl Project {
    /// Puts the projects into a bottle whose engine runs, and takes one of them.
    fn new(name: &'static str) -> Self {
        let bottle = Bottle::with_image();
        bottle.shell(&format!("cp -r {}/. .", script("compose").display())).success();
        Self { bottle, name, environment: Vec::new() }
    }

    /// A variable of whoever runs Compose.
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Docker Compose on the project. Its classic builder is the one both sides know.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(self.name, arguments)
    }

    /// The same on another of the projects.
    fn command_of(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.bottle.server(foreign("usr/libexec/docker/cli-plugins/docker-compose"));
        command
            .env("DOCKER_HOST", format!("unix://{}", self.bottle.socket().display()))
            .env("DOCKER_BUILDKIT", "0")
            .envs(self.environment.iter().copied())
            .args(["--progress", "plain", "-f"])
            .arg(format!("{name}.yaml"))
            .args(arguments);
        command
    }

    /// Runs Docker Compose.
    fn compose(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.command(arguments))
    }

    /// The same with something on its standard input.
    fn compose_with_input(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        run_with_input(&mut self.command(arguments), input)
    }

    /// Runs the ordinary `docker`.
    fn docker(&self, arguments: &[&str]) -> Outcome {
        run(docker(&self.bottle).args(arguments))
    }

    /// Starts the project, and waits as Compose can.
    #[track_caller]
    fn up(&self) {
        self.compose(&["up", "-d", "--wait"]).success();
    }

    /// Runs a line in a service's first container.
    #[track_caller]
    fn says(&self, service: &str, line: &str) -> String {
        self.compose(&["exec", "-T", service, "sh", "-c", line]).success()
    }

    /// The full name of a service's first container.
    fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.name)
    }

    /// A service's first container, as it is seen.
    #[track_caller]
    fn inspect(&self, service: &str) -> Value {
        self.bottle.inspect(&self.container(service)).expect("the container exists")
    }

    /// Names of the engine's volumes.
    fn volumes(&self) -> Vec<String> {
        let listed = self.docker(&["volume", "ls", "--format", "{{.Name}}"]).success();
        listed.lines().map(str::to_owned).collect()
    }

    /// Ends the project; nothing is left of it but these volumes.
    #[track_caller]
    fn down_to(&self, volumes: &[&str]) {
        self.compose(&["down", "-v", "-t", "1", "--rmi", "local", "--remove-orphans"]).success();
        assert_eq!(self.bottle.containers(), Vec::<String>::new());
        assert_eq!(self.docker(&["network", "ls", "--format", "{{.Name}}"]).success(), "bridge\nhost\nnone\n");
        assert_eq!(self.volumes(), volumes);
    }

    /// Ends the project; nothing is left of it.
    #[track_caller]
    fn down(&self) {
        self.down_to(&[]);
    }
}
