//! One of the two: its Compose, its engine's socket, and what a case looks like there.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::normal::Names;
use super::order::{by_container, in_order, labels, said, tamed};
use crate::api;
use crate::bottle::{Bottle, busybox_tar};
use crate::docker::Docker;
use crate::program::{Outcome, foreign, run};

/// What was seen: a path for each scalar.
pub(crate) type Record = BTreeMap<String, String>;

/// One engine with its Compose.
pub(crate) struct Side<'a> {
    bottle: &'a Bottle,
    socket: PathBuf,
    compose: PathBuf,
    is_docker: bool,
}

impl<'a> Side<'a> {
    /// Ours.
    pub(super) fn ours(bottle: &'a Bottle) -> Self {
        Self { bottle, socket: bottle.socket(), compose: Bottle::binary().to_owned(), is_docker: false }
    }

    /// Docker's.
    pub(super) fn docker(bottle: &'a Bottle, docker: &Docker) -> Self {
        let compose = foreign("usr/libexec/docker/cli-plugins/docker-compose");
        Self { bottle, socket: docker.socket(), compose, is_docker: true }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = self.bottle.command(program);
        if self.is_docker {
            command.env_remove("GANTRY_ROOT").env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        }
        command
    }

    /// Loads `app:1`: busybox with a configuration in which every field says something.
    pub(super) fn load_image(&self) {
        let archive = self.bottle.project().join("app.tar");
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
            "config": {
                "Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sleep", "1000"], "WorkingDir": "/tmp", "ExposedPorts": {"80/tcp": {}},
                "Labels": {"org.example.image": "app"}, "StopSignal": "SIGKILL", "Volumes": {"/www": {}},
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:LAYER"]},
            "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "the tests"}],
        });
        std::fs::write(self.bottle.project().join("config.in"), config.to_string()).expect("a file of the archive");
        let line = format!(
            "set -e; mkdir image; cp {} image/layer.tar; layer=$(sha256sum <image/layer.tar | cut -d' ' -f1)\n\
             sed \"s/LAYER/$layer/\" config.in >config.json; config=$(sha256sum <config.json | cut -d' ' -f1); mv config.json image/$config.json\n\
             echo \"[{{\\\"Config\\\":\\\"$config.json\\\",\\\"RepoTags\\\":[\\\"app:1\\\"],\\\"Layers\\\":[\\\"layer.tar\\\"]}}]\" >image/manifest.json\n\
             tar -C image -cf app.tar .; rm -r image config.in",
            busybox_tar().display()
        );
        self.bottle.shell(&line).success();
        let (program, load): (_, &[&str]) =
            if self.is_docker { (foreign("usr/bin/docker"), &["load", "-i"]) } else { (self.compose.clone(), &["image", "load", "-i"]) };
        run(self.command(&program).args(load).arg(archive)).success();
    }

    /// Goes through the steps of a case, and down at the end.
    pub(super) fn play(&self, case: &Path) -> Record {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let place = self.bottle.project().join(&name);
        self.bottle.shell(&format!("cp -r {} {}", case.display(), place.display())).success();
        let steps = std::fs::read_to_string(place.join("steps")).expect("the steps of the case");
        let mut record = Record::new();
        let lines = steps.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for (index, line) in lines.chain(["down -v -t 0", "left"]).enumerate() {
            let path = format!("{:02} {line}", index + 1);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[0] {
                "look" => self.look(&name, &place, &path, &mut record),
                "left" => self.left(&name, &path, &mut record),
                "await" => api::eventually(&self.socket, &format!("{name}: {line}"), || self.is(words[1], words[2])),
                "logged" => self.await_log(words[1], words[2], words.get(3).map_or(1, |times| times.parse().expect("a number"))),
                _ => {
                    let outcome = self.compose(&place, &words);
                    self.names(&name, &place).flatten(&path, &said(&words, &outcome), &mut record);
                    if !outcome.stderr.is_empty() {
                        record.insert(format!("{path}/stderr"), format!("{:?}", outcome.stderr));
                    }
                }
            }
        }
        // Nothing of it is there when the next one begins.
        self.compose(&place, &["--profile", "*", "down", "-v", "-t", "0"]).success();
        record
    }

    fn compose(&self, place: &Path, words: &[&str]) -> Outcome {
        run(self.command(&self.compose).args(words).current_dir(place))
    }

    fn get(&self, path: &str) -> Value {
        let (status, value) = api::request(&self.socket, "GET", path, None);
        assert!(status < 300, "GET {path}: {status} {value}");
        value
    }

    /// Waits until a container has written a word so many times.
    fn await_log(&self, container: &str, word: &str, times: usize) {
        let mut stream = UnixStream::connect(&self.socket).expect("the engine's socket takes connections");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
        write!(stream, "GET /containers/{container}/logs?follow=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: engine\r\n\r\n")
            .expect("the engine reads");
        let (mut seen, mut buffer) = (String::new(), [0; 4096]);
        while seen.matches(word).count() < times {
            let count = stream.read(&mut buffer).expect("the log");
            assert_ne!(count, 0, "{container} never wrote {word}: {seen}");
            seen += &String::from_utf8_lossy(&buffer[..count]);
        }
    }

    fn is(&self, container: &str, state: &str) -> bool {
        let (_, seen) = api::request(&self.socket, "GET", &format!("/containers/{container}/json"), None);
        [&seen["State"]["Status"], &seen["State"]["Health"]["Status"]].iter().any(|it| it.as_str() == Some(state))
    }

    fn labelled(&self, kind: &str, name: &str) -> Vec<Value> {
        let filter = format!("%7B%22label%22%3A%5B%22com.docker.compose.project%3D{name}%22%5D%7D");
        let listed = self.get(&format!("/{kind}?{}filters={filter}", if kind == "containers/json" { "all=1&" } else { "" }));
        let list = if kind == "volumes" { &listed["Volumes"] } else { &listed };
        list.as_array().cloned().unwrap_or_default()
    }

    /// Everything of the project that has an id or an address, in words.
    fn names(&self, name: &str, place: &Path) -> Names {
        let mut names = Names::default();
        names.add(&place.display().to_string(), "CASE");
        // As `ps` cuts a path off.
        names.add(&format!("{}…", &place.display().to_string()[..14]), "CASE…");
        names.add(&self.bottle.root().display().to_string(), "ROOT");
        names.add(&self.bottle.project().parent().expect("a parent").with_extension("docker").display().to_string(), "ROOT");
        let own = std::fs::read_to_string(place.join("compose.yaml")).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for network in self.labelled("networks", name) {
            let word = text(&network["Name"]);
            names.add_id(&text(&network["Id"]), &format!("ID of {word}"));
            for config in network["IPAM"]["Config"].as_array().into_iter().flatten() {
                let subnet = text(&config["Subnet"]);
                if !own.contains(&subnet) {
                    names.add(&subnet, &format!("SUBNET of {word}"));
                    names.add(&text(&config["Gateway"]), &format!("GATEWAY of {word}"));
                }
            }
        }
        for listed in self.labelled("containers/json", name) {
            let container = self.get(&format!("/containers/{}/json", text(&listed["Id"])));
            let word = text(&container["Name"]).trim_start_matches('/').to_owned();
            names.add_id(&text(&container["Id"]), &format!("ID of {word}"));
            for (_, endpoint) in container["NetworkSettings"]["Networks"].as_object().into_iter().flatten() {
                for field in ["IPAddress", "GlobalIPv6Address"] {
                    let address = text(&endpoint[field]);
                    if !own.split(|c: char| !(c.is_ascii_hexdigit() || ".:/".contains(c))).any(|word| word == address) {
                        names.add(&address, "ADDRESS");
                    }
                }
                names.add(&text(&endpoint["MacAddress"]), "MAC");
                names.add_id(&text(&endpoint["EndpointID"]), "ENDPOINT");
            }
            for field in ["SandboxID", "SandboxKey"] {
                names.add(&text(&container["NetworkSettings"][field]), field);
            }
            for (port, bindings) in container["NetworkSettings"]["Ports"].as_object().into_iter().flatten() {
                // Of a range, whoever starts first has the first.
                let wanted = text(&container["HostConfig"]["PortBindings"][port][0]["HostPort"]);
                if wanted.contains('-') {
                    names.add(&text(&bindings[0]["HostPort"]), "ONE OF A RANGE");
                    names.add(&wanted, "A RANGE");
                }
            }
            for mount in container["Mounts"].as_array().into_iter().flatten() {
                let volume = text(&mount["Name"]);
                if volume.len() == 64 {
                    names.add(&volume, &format!("VOLUME at {}", text(&mount["Destination"])));
                    names.add(&format!("{}…", &volume[..14]), &format!("VOLUME at {}…", text(&mount["Destination"])));
                }
            }
        }
        names
    }

    /// All there is to see of a project.
    fn look(&self, name: &str, place: &Path, path: &str, record: &mut Record) {
        let names = self.names(name, place);
        let ps = self.compose(place, &["ps", "-a", "--format", "json"]).success();
        let mut rows: Vec<Value> = ps.lines().map(|line| serde_json::from_str(line).expect("a row of ps")).collect();
        rows.sort_by_key(|row| row["Name"].to_string());
        for row in &mut rows {
            row["Labels"] = row["Labels"].as_str().map_or(Value::Null, labels);
            for list in ["Mounts", "Networks"] {
                row[list] = in_order(&names.in_words(row[list].as_str().unwrap_or_default()));
            }
        }
        let rows: Map<String, Value> = rows.into_iter().map(|row| (row["Name"].as_str().unwrap_or_default().to_owned(), row)).collect();
        names.flatten(&format!("{path}/ps"), &Value::Object(rows), record);
        // Nothing but the files decides it, so once is enough.
        if !record.keys().any(|path| path.contains("look/config/")) {
            let words = ["config", "--format", "json"];
            names.flatten(&format!("{path}/config"), &said(&words, &self.compose(place, &words)), record);
        }
        let words = ["logs", "--no-color"];
        let mut logs = said(&words, &self.compose(place, &words));
        logs["stdout"] = by_container(&logs["stdout"]);
        names.flatten(&format!("{path}/logs"), &logs, record);
        for kind in ["containers/json", "networks", "volumes"] {
            let (kind, _) = kind.split_once('/').unwrap_or((kind, ""));
            let list = self.labelled(if kind == "containers" { "containers/json" } else { kind }, name);
            for listed in list {
                let id = if kind == "volumes" { &listed["Name"] } else { &listed["Id"] };
                let shown =
                    self.get(&format!("/{kind}/{}{}", id.as_str().expect("a name"), if kind == "containers" { "/json" } else { "" }));
                let title = shown["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
                names.flatten(&names.in_words(&format!("{path}/{kind}/{title}")), &tamed(shown, &names), record);
            }
        }
    }

    /// What is left of a project after `down -v`.
    fn left(&self, name: &str, path: &str, record: &mut Record) {
        for kind in ["containers/json", "networks", "volumes"] {
            let title = kind.trim_end_matches("/json");
            record.insert(format!("{path}/{title}"), self.labelled(kind, name).len().to_string());
        }
    }
}
