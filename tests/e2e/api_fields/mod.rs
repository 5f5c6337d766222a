//! What the API tells, field by field: the ordinary `docker` makes the same things on Docker's engine and on ours, and then every answer
//! that shows them is taken apart and compared. What may differ, and why, is said in `differences`; an entry that nothing needs fails, too.

mod side;
mod tour;

use std::path::Path;

use serde_json::{Map, Value, json};

use self::side::Side;
use crate::api::{encoded, request};
use crate::bottle::Bottle;
use crate::compare::difference::{self, Allowed};
use crate::docker::{Docker, docker};
use crate::program::{run, top};

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
    let mut allowed = Allowed::read(&top().join("tests/e2e/api_fields/differences"));
    allowed.see("api", &ours);
    allowed.see("api", &theirs);
    let mut failures: Vec<String> =
        difference::between("api", &ours, &theirs).iter().filter(|it| !allowed.covers(&it.path)).map(ToString::to_string).collect();
    failures.extend(allowed.unused().map(|pattern| format!("`differences` allows what does not differ: {pattern}")));
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
    let inside = |name: &str, line: &str| run(docker(&bottle).args(["exec", name, "sh", "-c", line])).stdout;
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
