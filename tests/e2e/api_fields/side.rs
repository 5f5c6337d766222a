//! One of the two engines, looked at from all sides.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::tour::{ANSWERS, LEAVE, TOUR, VERSIONS};
use crate::api::{encoded, request};
use crate::bottle::{Bottle, busybox_tar};
use crate::compare::normal::Names;
use crate::compare::side::Record;
use crate::docker::docker_at;
use crate::program::run;

/// One engine.
pub(super) struct Side<'a> {
    bottle: &'a Bottle,
    socket: PathBuf,
    names: Names,
    pub(super) record: Record,
}

impl<'a> Side<'a> {
    pub(super) fn new(bottle: &'a Bottle, socket: &Path) -> Self {
        Self { bottle, socket: socket.to_owned(), names: Names::default(), record: Record::new() }
    }

    fn docker(&self, line: &str) -> String {
        run(docker_at(self.bottle, &self.socket).args(line.split_whitespace())).success()
    }

    fn get(&self, path: &str) -> Value {
        let (status, value) = request(&self.socket, "GET", path, None);
        assert!(status < 300, "GET {path}: {status} {value}");
        value
    }

    /// Everything that has an id or an address, in words.
    fn learn(&mut self) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut names = Names::default();
        names.add(&self.bottle.root().join("data").display().to_string(), "ROOT");
        names.add(&self.bottle.project().parent().expect("a parent").with_extension("docker").join("data").display().to_string(), "ROOT");
        for image in self.get("/images/json").as_array().into_iter().flatten() {
            let id = text(&image["Id"]);
            names.add_id(id.trim_start_matches("sha256:"), "IMAGE");
        }
        for network in self.get("/networks").as_array().into_iter().flatten() {
            let name = text(&network["Name"]);
            names.add_id(&text(&network["Id"]), &format!("ID of {name}"));
            for pool in network["IPAM"]["Config"].as_array().into_iter().flatten().filter(|_| name != "net2") {
                names.add(&text(&pool["Subnet"]), &format!("SUBNET of {name}"));
                names.add(&text(&pool["Gateway"]), &format!("GATEWAY of {name}"));
            }
        }
        for listed in self.get("/containers/json?all=1").as_array().into_iter().flatten() {
            let container = self.get(&format!("/containers/{}/json", text(&listed["Id"])));
            let name = text(&container["Name"]).trim_start_matches('/').to_owned();
            names.add_id(&text(&container["Id"]), &format!("ID of {name}"));
            for (network, endpoint) in container["NetworkSettings"]["Networks"].as_object().into_iter().flatten() {
                names.add(&text(&endpoint["IPAddress"]), &format!("ADDRESS of {name} on {network}"));
                names.add(&text(&endpoint["GlobalIPv6Address"]), &format!("ADDRESS6 of {name} on {network}"));
                names.add(&text(&endpoint["MacAddress"]), "MAC");
                names.add_id(&text(&endpoint["EndpointID"]), "ENDPOINT");
            }
            for field in ["SandboxID", "SandboxKey"] {
                names.add(&text(&container["NetworkSettings"][field]), field);
            }
            for mount in container["Mounts"].as_array().into_iter().flatten() {
                let volume = text(&mount["Name"]);
                if volume.len() == 64 {
                    names.add(&volume, &format!("VOLUME at {}", text(&mount["Destination"])));
                }
            }
        }
        self.names = names;
    }

    fn keep(&mut self, path: &str, value: &Value) {
        self.names.flatten(path, value, &mut self.record);
    }

    /// Makes everything, and looks at it from all sides.
    pub(super) fn play(&mut self) {
        let changes = "-c|ENV FROM_IMAGE=yes|-c|EXPOSE 80|-c|LABEL im=age|-c|CMD [\"sleep\",\"1000\"]";
        let mut docker = docker_at(self.bottle, &self.socket);
        run(docker.arg("import").args(changes.split('|')).arg(busybox_tar()).arg("fields:1")).success();
        for line in TOUR {
            self.docker(line);
        }
        crate::api::eventually(&self.socket, "rich is healthy", || {
            request(&self.socket, "GET", "/containers/rich/json", None).1["State"]["Health"]["Status"] == "healthy"
        });
        self.learn();
        self.look_at_containers();
        self.look_at_the_rest();
        self.ask();
        for line in LEAVE {
            self.docker(line);
        }
        self.look_at_events();
    }

    fn look_at_containers(&mut self) {
        for name in ["plain", "rich", "tty", "hosted", "beside", "linked", "went"] {
            for version in [24, 44, 45, 51] {
                let shown = self.get(&format!("/v1.{version}/containers/{name}/json"));
                self.keep(&format!("inspect 1.{version}/{name}"), &tamed(shown));
            }
        }
        let sized = self.get("/containers/plain/json?size=1");
        self.keep("inspect with size", &json!({ "SizeRw": sized["SizeRw"].is_u64(), "SizeRootFs": sized["SizeRootFs"].is_u64() }));
        for version in [24, 45, 46, 51] {
            let listed = self.get(&format!("/v1.{version}/containers/json?all=1"));
            self.keep(
                &format!("list 1.{version}"),
                &by(&listed, |line| self.names.in_words(line["Id"].as_str().unwrap_or_default()), tamed),
            );
        }
    }

    fn look_at_the_rest(&mut self) {
        for version in VERSIONS {
            let info = self.get(&format!("/v1.{version}/info"));
            self.keep(&format!("info 1.{version}"), &info);
            let disk = self.get(&format!("/v1.{version}/system/df"));
            self.keep(&format!("df 1.{version}"), &self.disk_in_order(disk));
        }
        for kind in ["container", "image", "volume", "build-cache"] {
            let disk = self.get(&format!("/system/df?type={kind}"));
            self.keep(&format!("df of {kind}"), &self.disk_in_order(disk));
        }
        let version = self.get("/version");
        self.keep("version", &version);
        for version in [24, 28, 51] {
            let networks = self.get(&format!("/v1.{version}/networks"));
            self.keep(&format!("networks 1.{version}"), &by(&networks, |it| it["Name"].to_string(), tamed));
        }
        for name in ["net1", "net2", "bridge", "host", "none"] {
            let network = self.get(&format!("/networks/{name}"));
            self.keep(&format!("network {name}"), &tamed(network));
        }
        for (name, filters) in [
            ("all", ""),
            ("dangling", r#"{"dangling":["true"]}"#),
            ("custom", r#"{"type":["custom"]}"#),
            ("labelled", r#"{"label":["a=b"]}"#),
            ("bridges", r#"{"driver":["bridge"],"scope":["local"]}"#),
            ("named", r#"{"name":["net"]}"#),
        ] {
            let listed = self.get(&format!("/networks?filters={}", encoded(filters)));
            let found: Map<String, Value> =
                listed.as_array().into_iter().flatten().filter_map(|it| Some((it["Name"].as_str()?.to_owned(), json!("listed")))).collect();
            self.keep(&format!("networks by filter/{name}"), &Value::Object(found));
        }
        let volumes = self.get("/volumes");
        let listed = by(&volumes["Volumes"], |it| self.names.in_words(it["Name"].as_str().unwrap_or_default()), tamed);
        self.keep("volumes", &json!({ "Volumes": listed, "Warnings": volumes["Warnings"] }));
        let volume = self.get("/volumes/vol1");
        self.keep("volume vol1", &volume);
    }

    fn ask(&mut self) {
        for (method, path, body) in ANSWERS {
            let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_str(body).expect("JSON"));
            let (status, answer) = request(&self.socket, method, path, body.as_ref());
            let asked = format!("{method} {path} {}", body.map(|body| body.to_string()).unwrap_or_default()).replace('/', ":");
            self.keep(&format!("answers/{asked}"), &json!({ "status": status, "answer": answer }));
        }
    }

    /// The disk's use, with words for what depends on the file system.
    fn disk_in_order(&self, mut disk: Value) -> Value {
        let line = |mut line: Value| {
            for field in ["Size", "SharedSize", "SizeRw", "SizeRootFs", "VirtualSize", "Created"] {
                if line.get(field).is_some_and(Value::is_number) {
                    line[field] = json!("NUMBER");
                }
            }
            tamed(line)
        };
        for (kind, key) in [("Images", "/RepoTags/0"), ("Containers", "/Id"), ("Volumes", "/Name")] {
            if disk[kind].is_array() {
                let name = |it: &Value| self.names.in_words(it.pointer(key).and_then(Value::as_str).unwrap_or_default());
                disk[kind] = by(&disk[kind], name, line);
            }
        }
        if disk["LayersSize"] != json!(0) {
            disk["LayersSize"] = json!("NUMBER");
        }
        disk
    }

    /// Events of each thing, in the order they came for it.
    fn look_at_events(&mut self) {
        let now = self.bottle.shell("date +%s.%N").success();
        let mut docker = docker_at(self.bottle, &self.socket);
        let text = run(docker.args(["events", "--since", "0", "--until", now.trim(), "--format", "{{json .}}"])).success();
        let mut things: Map<String, Value> = Map::new();
        for line in text.lines() {
            let mut event: Value = serde_json::from_str(line).expect("an event");
            let action = event["Action"].as_str().unwrap_or_default().to_owned();
            let actor = self.names.in_words(event["Actor"]["ID"].as_str().unwrap_or_default());
            let thing = format!("{} {actor}", event["Type"].as_str().unwrap_or_default()).replace('/', ":");
            // Probes of a health check come when they come; what went at once has no word for its id; images have scenarios of their own.
            let is_image = event["Type"] == "image";
            if is_image || thing.len() > 60 || (actor == "ID of rich" && action.starts_with("exec_")) {
                continue;
            }
            for field in ["time", "timeNano"] {
                event.as_object_mut().expect("an event").remove(field);
            }
            for (name, word) in [("execID", "EXEC"), ("execDuration", "SECONDS")] {
                if event["Actor"]["Attributes"].get(name).is_some() {
                    event["Actor"]["Attributes"][name] = json!(word);
                }
            }
            let is_gone = |id: &Value| id.as_str().is_some_and(|id| id.len() == 64 && self.names.in_words(id) == id);
            if event["Actor"]["Attributes"].get("container").is_some_and(is_gone) {
                event["Actor"]["Attributes"]["container"] = json!("ID of one that went at once");
            }
            let list = things.entry(thing).or_insert_with(|| json!([]));
            let list = list.as_array_mut().expect("a list");
            list.push(event);
            // In dockerd two hands tell of an end that was asked for, and either may be first.
            if let [.., one, other] = &mut list[..]
                && one["Action"] == "stop"
                && other["Action"] == "die"
            {
                std::mem::swap(one, other);
            }
        }
        self.keep("events", &Value::Object(things));
    }
}

/// A list as an object, since an engine is free in its order.
fn by(list: &Value, key: impl Fn(&Value) -> String, tame: impl Fn(Value) -> Value) -> Value {
    let key = |it: &Value| key(it).trim_matches('"').replace('/', "");
    Value::Object(list.as_array().into_iter().flatten().map(|it| (key(it), tame(it.clone()))).collect())
}

/// What an engine, or the command line before it, is free in: the order of mounts, variables, ports and subnets; and whether it tells an empty list of wishes as such or as `null`,
/// of which dockerd repeats what the client happened to send.
fn tamed(mut shown: Value) -> Value {
    fn emptied(value: &mut Value) {
        match value {
            Value::Array(list) if list.is_empty() => *value = Value::Null,
            Value::Object(fields) if fields.is_empty() => *value = Value::Null,
            Value::Object(fields) => fields.values_mut().for_each(emptied),
            _ => {}
        }
    }
    for field in ["Config", "HostConfig", "IPAM"] {
        if shown.get(field).is_some() {
            emptied(&mut shown[field]);
        }
    }
    for (field, key) in [("Mounts", "Destination"), ("Ports", "PublicPort")] {
        if let Some(list) = shown.get_mut(field).and_then(Value::as_array_mut) {
            list.sort_by_key(|it| it[key].to_string());
        }
    }
    if let Some(list) = shown.pointer_mut("/HostConfig/Binds").and_then(Value::as_array_mut) {
        list.sort_by_key(Value::to_string);
    }
    if let Some(list) = shown.pointer_mut("/IPAM/Config").and_then(Value::as_array_mut) {
        list.sort_by_key(|it| it["Subnet"].to_string());
    }
    for place in ["Config", "State"] {
        if shown.get(place).is_none() {
            continue;
        }
        if let Some(list) = shown[place].get_mut("Env").and_then(Value::as_array_mut) {
            list.sort_by_key(Value::to_string);
        }
        for field in ["Pid", "StartedAt", "FinishedAt"] {
            if shown[place].get(field).is_some_and(|it| !it.is_null() && it != "0001-01-01T00:00:00Z" && *it != json!(0)) {
                shown[place][field] = json!("SOME");
            }
        }
        if shown[place].get("Health").is_some() {
            shown[place]["Health"]["Log"] = json!("PROBES");
        }
    }
    if shown.get("Created").is_some_and(Value::is_i64) {
        shown["Created"] = json!("SECONDS");
    }
    shown
}
