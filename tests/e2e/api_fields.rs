//! What the API tells, field by field: the ordinary `docker` makes the same things on Docker's engine and on ours, and then every answer
//! that shows them is taken apart and compared. What may differ, and why, is said in `api_fields.differences`; an entry that nothing needs
//! fails, too.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::api::request;
use crate::bottle::{Bottle, busybox_tar};
use crate::compare::difference::{self, Allowed};
use crate::compare::normal::Names;
use crate::compare::side::Record;
use crate::docker::Docker;
use crate::program::{foreign, run, top};

/// What is made, a line each, as the command line takes it.
const TOUR: &[&str] = &[
    "network create --label a=b net1",
    "network create --internal --ipv6 --subnet 10.77.0.0/16 --subnet fd77::/64 --ip-range 10.77.5.0/24 --gateway 10.77.0.9 --aux-address \
     r=10.77.0.8 --attachable -o com.docker.network.driver.mtu=1400 net2",
    "volume create --label v=w vol1",
    "volume create -o type=tmpfs -o device=tmpfs -o o=size=1m vol2",
    "run -d --name plain fields:1",
    "run -d --name rich --hostname h --domainname d.e -u app:extra -e A=b -e FROM_IMAGE -p 8080:80 -p 127.0.0.1:9001:90/udp --expose 70 -v \
     vol1:/data:ro -v /etc:/host --tmpfs /t:size=1m --mount type=volume,target=/anon --mount type=tmpfs,target=/t2,tmpfs-size=4096 \
     --network net1 --network-alias al --label l=m --restart on-failure:3 --stop-signal SIGINT --stop-timeout 3 -w /tmp --entrypoint sleep \
     --cap-add NET_ADMIN --cap-drop CHOWN --dns 9.9.9.9 --dns-search x.y --dns-option ndots:2 --add-host z:1.1.1.1 --group-add 2000 --ipc \
     shareable --memory 64m --cpus 0.5 --cpu-shares 100 --pids-limit 50 --ulimit nofile=100:200 --shm-size 1m --sysctl \
     net.core.somaxconn=100 --init --device /dev/null:/dev/xx:r --security-opt no-new-privileges --log-opt max-size=1m --oom-score-adj 5 \
     --read-only --annotation an=no --health-cmd true --health-interval 1h --health-start-period 2s --cgroupns private fields:1 1000",
    "network connect --ip 10.77.5.7 --alias x net2 rich",
    "run -d --name tty -it --network none --pid host fields:1 sh",
    "run -d --name hosted --network host --privileged fields:1",
    "run -d --name beside --network container:plain -v vol2:/two fields:1",
    "create --name linked --link plain:pl --cidfile cid --runtime io.containerd.runc.v2 --cpuset-cpus 0 fields:1",
    "run --name gone fields:1 sh -c exit",
    "run --rm fields:1 true",
    "exec plain true",
    "pause plain",
    "unpause plain",
    "kill -s HUP tty",
    "rename gone went",
    "cp plain:/etc/passwd passwd",
    "export -o exported.tar plain",
    "top plain",
    "restart -t 0 plain",
    "network disconnect net2 rich",
    "network connect --ip 10.77.5.7 --alias x net2 rich",
];

/// What is taken away again, for the events of it.
const LEAVE: &[&str] = &[
    "stop rich",
    "stop -t 0 tty beside",
    "rm -f -v rich beside hosted tty went linked plain",
    "network rm net1 net2",
    "volume rm vol1",
    "volume prune -af",
    "network prune -f",
    "container prune -f",
];

/// Requests whose answer is what an engine without a swarm, without plugins, or with another thing of that name says.
const ANSWERS: &[(&str, &str, &str)] = &[
    ("GET", "/swarm", ""),
    ("POST", "/swarm/leave", ""),
    ("GET", "/swarm/unlockkey", ""),
    ("POST", "/swarm/unlock", "{}"),
    ("GET", "/services", ""),
    ("GET", "/services/x", ""),
    ("POST", "/services/create", "{}"),
    ("DELETE", "/services/x", ""),
    ("GET", "/nodes", ""),
    ("DELETE", "/nodes/x", ""),
    ("GET", "/tasks", ""),
    ("GET", "/tasks/x", ""),
    ("GET", "/secrets", ""),
    ("POST", "/secrets/create", "{}"),
    ("DELETE", "/secrets/x", ""),
    ("GET", "/configs", ""),
    ("POST", "/configs/create", "{}"),
    ("GET", "/v1.30/configs/x", ""),
    ("GET", "/plugins", ""),
    ("GET", "/plugins/x/json", ""),
    ("DELETE", "/plugins/x", ""),
    ("POST", "/plugins/x/disable", ""),
    ("POST", "/session", ""),
    ("GET", "/containers/plain/checkpoints", ""),
    ("POST", "/containers/plain/checkpoints", "{}"),
    ("DELETE", "/containers/plain/checkpoints/x", ""),
    ("PUT", "/volumes/vol1?version=1", "{}"),
    ("OPTIONS", "/info", ""),
    ("PUT", "/containers/json", ""),
    ("GET", "/nope", ""),
    ("GET", "/v1.52/info", ""),
    ("GET", "/networks/nope", ""),
    ("GET", "/networks/net1?scope=swarm", ""),
    ("GET", "/networks/net1?verbose=maybe", ""),
    ("DELETE", "/networks/bridge", ""),
    ("DELETE", "/networks/nope", ""),
    ("GET", "/volumes/nope", ""),
    ("DELETE", "/volumes/nope", ""),
    ("DELETE", "/volumes/nope?force=1", ""),
    ("DELETE", "/volumes/vol1", ""),
    ("GET", "/networks?filters=%7B%22bad%22:%5B%22x%22%5D%7D", ""),
    ("GET", "/networks?filters=%7B%22dangling%22:%5B%22x%22%5D%7D", ""),
    ("GET", "/networks?filters=%7B%22scope%22:%5B%22swarm%22%5D%7D", ""),
    ("GET", "/volumes?filters=%7B%22bad%22:%5B%22x%22%5D%7D", ""),
    ("GET", "/volumes?filters=%7B%22dangling%22:%5B%22x%22%5D%7D", ""),
    ("POST", "/networks/prune?filters=%7B%22bad%22:%5B%22x%22%5D%7D", ""),
    ("POST", "/volumes/prune?filters=%7B%22bad%22:%5B%22x%22%5D%7D", ""),
    ("POST", "/containers/prune?filters=%7B%22bad%22:%5B%22x%22%5D%7D", ""),
    ("GET", "/events?since=1&until=2", ""),
    ("GET", "/system/df?type=bad", ""),
    ("POST", "/networks/create", r#"{"Name": ""}"#),
    ("POST", "/networks/create", r#"{"Name": "bridge"}"#),
    ("POST", "/networks/create", r#"{"Name": "net1"}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "Driver": "overlay"}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "Driver": "nope"}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "Driver": "host"}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "Ingress": true}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "ConfigFrom": {"Network": "q"}}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "Scope": "swarm"}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "IPAM": {"Driver": "zz"}}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "IPAM": {"Config": [{"Subnet": "10.78.0.5/16"}]}}"#),
    ("POST", "/networks/create", r#"{"Name": "x", "IPAM": {"Config": [{"Subnet": "bad"}]}}"#),
    ("POST", "/volumes/create", r#"{"Name": "x1", "Driver": "nope"}"#),
    ("POST", "/volumes/create", r#"{"Name": "b@d"}"#),
    ("POST", "/volumes/create", r#"{"Name": "x"}"#),
    ("POST", "/volumes/create", r#"{"Name": "x1", "ClusterVolumeSpec": {"Group": "g"}}"#),
    ("POST", "/volumes/create", r#"{"Name": "vol1"}"#),
];

/// Which versions are asked: the oldest, the newest, and those at which something came or went.
const VERSIONS: [u16; 9] = [24, 40, 43, 44, 45, 47, 48, 49, 51];

/// One engine.
struct Side<'a> {
    bottle: &'a Bottle,
    socket: PathBuf,
    names: Names,
    record: Record,
}

impl<'a> Side<'a> {
    fn new(bottle: &'a Bottle, socket: &Path) -> Self {
        Self { bottle, socket: socket.to_owned(), names: Names::default(), record: Record::new() }
    }

    fn docker(&self, line: &str) -> String {
        let mut command = self.bottle.command(foreign("usr/bin/docker"));
        command.arg("-H").arg(format!("unix://{}", self.socket.display())).args(line.split_whitespace());
        run(&mut command).success()
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
    fn play(&mut self) {
        let changes = "-c|ENV FROM_IMAGE=yes|-c|EXPOSE 80|-c|LABEL im=age|-c|CMD [\"sleep\",\"1000\"]";
        let mut import = self.bottle.command(foreign("usr/bin/docker"));
        import.arg("-H").arg(format!("unix://{}", self.socket.display())).arg("import").args(changes.split('|'));
        run(import.arg(busybox_tar()).arg("fields:1")).success();
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
            let mut found: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|it| it["Name"].as_str()).collect();
            found.sort_unstable();
            self.keep(&format!("networks by filter/{name}"), &json!(found));
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
        let mut command = self.bottle.command(foreign("usr/bin/docker"));
        command.arg("-H").arg(format!("unix://{}", self.socket.display()));
        let text = run(command.args(["events", "--since", "0", "--until", now.trim(), "--format", "{{json .}}"])).success();
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

/// What an engine is free in: the order of mounts, variables and ports; and whether it tells an empty list of wishes as such or as `null`,
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

fn encoded(text: &str) -> String {
    text.replace('{', "%7B").replace('}', "%7D").replace('"', "%22").replace('[', "%5B").replace(']', "%5D")
}

#[test]
fn what_the_api_tells_is_what_dockers_tells() {
    // Each side in a bottle, and a thread, of its own: neither sees the other's ports and networks.
    let play = |is_docker: bool| {
        let bottle = Bottle::new();
        let docker = is_docker.then(|| Docker::start(&bottle));
        let socket = docker.as_ref().map_or_else(|| bottle.socket(), Docker::socket);
        if !is_docker {
            // Whoever connects first starts the engine.
            bottle.gantry(["image", "ls"]).success();
        }
        let mut side = Side::new(&bottle, &socket);
        side.play();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if is_docker { "api_fields.docker" } else { "api_fields.ours" });
        let text: String = side.record.iter().map(|(path, value)| format!("{path} = {value}\n")).collect();
        std::fs::write(kept, text).expect("a record");
        side.record
    };
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| play(false));
        let theirs = scope.spawn(|| play(true));
        (ours.join().expect("our side"), theirs.join().expect("Docker's side"))
    });
    let mut allowed = Allowed::read(&top().join("tests/e2e/api_fields.differences"));
    allowed.see("api", &ours);
    allowed.see("api", &theirs);
    let mut failures: Vec<String> =
        difference::between("api", &ours, &theirs).iter().filter(|it| !allowed.covers(&it.path)).map(ToString::to_string).collect();
    failures.extend(allowed.unused().map(|pattern| format!("`api_fields.differences` allows what does not differ: {pattern}")));
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}

/// Makes a container with a host configuration, starts it, and shows it.
fn started(bottle: &Bottle, name: &str, mut body: Value) -> Value {
    let socket = bottle.socket();
    body["Image"] = json!("busybox:test");
    let (status, made) = request(&socket, "POST", &format!("/containers/create?name={name}"), Some(&body));
    assert_eq!(status, 201, "{made}");
    let (status, answer) = request(&socket, "POST", &format!("/containers/{name}/start"), None);
    assert_eq!(status, 204, "{answer}");
    bottle.inspect(name).expect("a container")
}

#[test]
fn what_is_asked_for_by_rare_fields_is_done() {
    let bottle = Bottle::with_image();
    let sleep = json!(["sleep", "1000"]);
    // Every exposed port is led to from one that the engine chooses, but for those that have one.
    let shown = started(
        &bottle,
        "ports",
        json!({
            "Cmd": ["httpd", "-f", "-p", "80", "-h", "/etc"], "ExposedPorts": {"80/tcp": {}, "81/udp": {}},
            "HostConfig": {"PublishAllPorts": true, "PortBindings": {"81/udp": [{"HostPort": "8181"}]}},
        }),
    );
    let port = shown["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].as_str().expect("a port").to_owned();
    assert_eq!(shown["NetworkSettings"]["Ports"]["81/udp"][0]["HostPort"], "8181");
    assert_eq!((&shown["HostConfig"]["PublishAllPorts"], &shown["HostConfig"]["PortBindings"]["80/tcp"]), (&json!(true), &Value::Null));
    bottle.shell(&format!("until curl -sS --max-time 5 http://127.0.0.1:{port}/passwd | grep -q root; do :; done")).success();

    // What is hidden, and what can only be read, is what was asked for, and no more.
    let paths = json!({"MaskedPaths": ["/proc/version"], "ReadonlyPaths": ["/proc/sys"]});
    let shown = started(&bottle, "paths", json!({"Cmd": sleep, "HostConfig": paths}));
    assert_eq!(shown["HostConfig"]["MaskedPaths"], json!(["/proc/version"]));
    let inside = |name: &str, line: &str| {
        let mut command = bottle.command(foreign("usr/bin/docker"));
        command.arg("-H").arg(format!("unix://{}", bottle.socket().display()));
        run(command.args(["exec", name, "sh", "-c", line])).stdout
    };
    assert_eq!(inside("paths", "cat /proc/version; wc -c < /proc/interrupts | grep -vq '^0$' && echo seen"), "seen\n");
    assert_eq!(inside("paths", "echo 1 > /proc/sys/net/ipv4/ip_forward || echo no"), "no\n");

    // A container without a network has the loopback interface.
    let shown = started(&bottle, "alone", json!({"Cmd": sleep, "NetworkDisabled": true}));
    assert_eq!(shown["HostConfig"]["NetworkMode"], "none");
    assert_eq!(inside("alone", "ls /sys/class/net"), "lo\n");
    let listed = bottle.get("/networks/none");
    assert_eq!(listed["Containers"].as_object().map(Map::len), Some(1));

    // The lines of a check are run by the shell that was asked for.
    let check = json!({"Test": ["CMD-SHELL", "test \"$0\" = asked"], "Interval": 60_000_000_000_i64});
    started(&bottle, "shell", json!({"Cmd": sleep, "Healthcheck": check, "Shell": ["/bin/sh", "-c"]}));
    bottle.eventually("the check fails", || bottle.inspect("shell").is_some_and(|it| it["State"]["Health"]["Log"][0]["ExitCode"] == 1));
    let check = json!({"Test": ["CMD-SHELL", "asked"], "Interval": 60_000_000_000_i64});
    started(&bottle, "echo", json!({"Cmd": sleep, "Healthcheck": check, "Shell": ["/bin/echo"]}));
    bottle
        .eventually("the check echoes", || bottle.inspect("echo").is_some_and(|it| it["State"]["Health"]["Log"][0]["Output"] == "asked\n"));

    // A link on the engine's own network is a name there.
    started(&bottle, "linked", json!({"Cmd": sleep, "HostConfig": {"Links": ["paths:other"]}}));
    let address =
        |name: &str| bottle.inspect(name).expect("it is there")["NetworkSettings"]["IPAddress"].as_str().unwrap_or_default().to_owned();
    assert!(inside("linked", "nslookup other 2>/dev/null").contains(&address("paths")));
    assert_eq!(bottle.inspect("linked").expect("it is there")["HostConfig"]["Links"], json!(["/paths:/linked/other"]));
    // And a variable, as of old.
    assert_eq!(inside("linked", "tr '\\0' '\\n' < /proc/1/environ | grep OTHER"), "OTHER_NAME=/linked/other\n");
}

#[test]
fn events_are_those_asked_for() {
    let bottle = Bottle::with_image();
    started(&bottle, "web", json!({"Cmd": ["true"], "Labels": {"tier": "front"}}));
    bottle.eventually("it ends", || bottle.state("web") == "exited");
    let now = bottle.shell("date +%s.%N").success();
    let seen = |filters: &str| {
        let mut command = bottle.command("curl");
        let address = format!("http://engine/events?until={}&filters={}", now.trim(), encoded(filters));
        let text = run(command.args(["-sS", "-g", "--unix-socket"]).arg(bottle.socket()).arg(address)).success();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
        events.map(|it| format!("{} {}", it["Type"].as_str().unwrap_or("-"), it["Action"].as_str().unwrap_or("-"))).collect::<Vec<_>>()
    };
    let life = ["container create", "network connect", "container start", "network disconnect", "container die"];
    // An end without a beginning is all that was, an image's coming included.
    let all = seen("");
    assert!(all.first().is_some_and(|first| first.starts_with("image ")) && all.ends_with(&life.map(str::to_owned)), "{all:?}");
    let containers = ["container create", "container start", "container die"];
    assert_eq!(seen(r#"{"type":["container"]}"#), containers);
    assert_eq!(seen(r#"{"label":["tier=front"]}"#), containers);
    assert_eq!(seen(r#"{"container":["web"],"event":["die","start"]}"#), ["container start", "container die"]);
    assert_eq!(seen(r#"{"network":["bridge"]}"#), ["network connect", "network disconnect"]);
    assert_eq!(seen(r#"{"scope":["swarm"]}"#), Vec::<String>::new());
    for nothing in ["secret", "config", "node", "service", "plugin", "daemon"] {
        assert_eq!(seen(&format!(r#"{{"{nothing}":["x"]}}"#)), Vec::<String>::new());
    }
    let (status, refused) = request(&bottle.socket(), "GET", "/events?since=5&until=2", None);
    assert!(status == 400 && refused["message"].as_str().is_some_and(|it| it.contains("cannot be after")), "{status} {refused}");
}
