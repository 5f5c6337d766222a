//! The engine's configuration file: each key does something that is not so without it, and what cannot be obeyed is told with its place.

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::api;
use crate::bottle::Bottle;
use crate::killed::{end, process, succeeded};
use crate::program::run;
use crate::registry::Registry;
use crate::up::RUNS;

/// Writes the file at its usual place; the engine that starts next reads it.
fn configure(bottle: &Bottle, text: &str) {
    bottle.gantry(["engine", "stop"]).success();
    let folder = bottle.root().join("etc");
    std::fs::create_dir_all(&folder).expect("the folder of the configuration");
    std::fs::write(folder.join("engine.json"), text).expect("the configuration");
}

/// An address of the bottle that is none of loopback's.
fn with_address(bottle: &Bottle, address: &str) {
    bottle.shell(&format!("ip address add {address}/32 dev lo")).success();
}

#[test]
fn mirrors_are_asked_in_order_and_then_docker_hub() {
    let bottle = Bottle::new();
    let _one = Registry::start(&bottle, &bottle.project().join("one"), 5001);
    let _two = Registry::start(&bottle, &bottle.project().join("two"), 5002);
    Registry::push(&bottle, "first", "127.0.0.1:5001/library/both:1");
    Registry::push(&bottle, "second", "127.0.0.1:5002/library/both:1");
    Registry::push(&bottle, "second", "127.0.0.1:5002/me/one:1");
    let pull = |name: &str| bottle.gantry(["image", "pull", "-q", name]);
    let said = |image: &str| {
        bottle.compose(&format!("services: {{a: {{image: '{image}', command: [cat, /said]}}}}"));
        bottle.gantry(["up"]).success();
        let said = bottle.gantry(["logs", "--no-log-prefix", "--no-color"]).success();
        bottle.gantry(["down"]).success();
        said
    };
    let message = pull("both:1").failure(1);
    assert!(message.contains("registry-1.docker.io"), "{message}");
    // Nobody listens at the first.
    configure(&bottle, r#"{"registry-mirrors": ["http://127.0.0.1:5000", "http://127.0.0.1:5001", "http://127.0.0.1:5002/"]}"#);
    pull("both:1").success();
    assert_eq!(said("both:1"), "first\n");
    pull("docker.io/me/one:1").success();
    assert_eq!(said("me/one:1"), "second\n");
    let message = pull("none:1").failure(1);
    assert!(message.contains("registry-1.docker.io"), "the last one asked is Docker Hub: {message}");
    // What is no name of Docker Hub's is asked of nobody else.
    let message = pull("r.example/me/one:1").failure(1);
    assert!(message.contains("r.example"), "{message}");
    configure(&bottle, r#"{"registry-mirrors": ["http://127.0.0.1:5002", "http://127.0.0.1:5001"]}"#);
    pull("both:1").success();
    assert_eq!(said("both:1"), "second\n");
}

#[test]
fn insecure_registries_are_spoken_to_in_the_open() {
    let bottle = Bottle::new();
    with_address(&bottle, "192.0.2.10");
    let _registry = Registry::start_at(&bottle, &bottle.project(), "192.0.2.10:5000");
    Registry::push(&bottle, "text", "192.0.2.10:5000/app:1");
    let pull = || bottle.gantry(["image", "pull", "-q", "192.0.2.10:5000/app:1"]);
    let message = pull().failure(1);
    assert!(message.contains("192.0.2.10:5000"), "{message}");
    for entry in ["192.0.2.10:5000", "192.0.2.0/24"] {
        configure(&bottle, &format!(r#"{{"insecure-registries": ["{entry}"]}}"#));
        pull().success();
        bottle.gantry(["image", "rm", "192.0.2.10:5000/app:1"]).success();
    }
}

#[test]
fn networks_get_their_addresses_from_the_pools() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services: {{a: {{image: IMAGE, command: {RUNS}}}}}"));
    let subnet = || {
        bottle.gantry(["up", "-d"]).success();
        let network = bottle.get("/networks/project_default");
        bottle.gantry(["down"]).success();
        network["IPAM"]["Config"][0]["Subnet"].as_str().expect("a subnet").to_owned()
    };
    assert!(subnet().starts_with("172."));
    configure(&bottle, r#"{"default-address-pools": [{"base": "10.201.0.0/16", "size": 28}]}"#);
    let found = subnet();
    assert!(found.starts_with("10.201.") && found.ends_with("/28"), "{found}");
}

#[test]
fn containers_without_name_servers_get_the_configured_ones() {
    let bottle = Bottle::with_image();
    for (address, answer) in [("192.0.2.53", [198, 51, 100, 1]), ("192.0.2.54", [198, 51, 100, 2])] {
        with_address(&bottle, address);
        serve_names(address, answer);
    }
    let start = |name: &str, host: &Value| {
        let spec = json!({ "Image": crate::bottle::IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": host });
        let (status, answer) = api::request(&bottle.socket(), "POST", &format!("/containers/create?name={name}"), Some(&spec));
        assert_eq!(status, 201, "{answer}");
        assert_eq!(api::request(&bottle.socket(), "POST", &format!("/containers/{name}/start"), None).0, 204);
    };
    let address = |name: &str| {
        let answer = bottle.shell(&format!("nsenter -t {} -n busybox nslookup -type=a far.example 127.0.0.11", bottle.pid(name))).stdout;
        answer.lines().skip(2).find_map(|line| line.strip_prefix("Address: ").map(str::to_owned))
    };
    let file = |name: &str| std::fs::read_to_string(format!("/proc/{}/root/etc/resolv.conf", bottle.pid(name))).expect("its file");
    start("without", &json!({}));
    start("host-without", &json!({ "NetworkMode": "host" }));
    assert_eq!(address("without"), None);
    assert!(!file("host-without").contains("192.0.2.53"));
    configure(&bottle, r#"{"dns": ["192.0.2.53"]}"#);
    bottle.gantry(["image", "ls"]).success();
    start("default", &json!({}));
    start("own", &json!({ "Dns": ["192.0.2.54"] }));
    start("host", &json!({ "NetworkMode": "host" }));
    assert_eq!(address("default").as_deref(), Some("198.51.100.1"));
    assert_eq!(address("own").as_deref(), Some("198.51.100.2"));
    assert!(file("host").starts_with("nameserver 192.0.2.53\n"), "{}", file("host"));
    // As in Docker it is not the container's own.
    assert_eq!(bottle.inspect("default").expect("it runs")["HostConfig"]["Dns"], Value::Null);
}

/// Answers every question at this address with `answer`, as long as the test's process lives.
fn serve_names(address: &str, answer: [u8; 4]) {
    let socket = UdpSocket::bind((address, 53)).expect("a port of the bottle");
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            // The question as it came (12 bytes of header, a name, four bytes), and after it one record that points back to the name.
            let end = 12 + query[12..length].iter().position(|byte| *byte == 0).expect("a name") + 5;
            let header = [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
            let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &answer].concat();
            socket.send_to(&[&header, &query[12..end], &record].concat(), client).expect("it is sent");
        }
    });
}

#[test]
fn logs_are_rotated_as_configured() {
    let bottle = Bottle::with_image();
    bottle.compose("services: {a: {image: IMAGE, command: [seq, '1000', '3000']}}");
    let logged = || {
        bottle.gantry(["up", "-d", "--force-recreate"]).success();
        bottle.eventually("it ends", || bottle.state("project-a-1") == "exited");
        let container = bottle.inspect("project-a-1").expect("it exists");
        let id = container["Id"].as_str().expect("an id").to_owned();
        let files = bottle.shell(&format!("ls $GANTRY_ROOT/data/containers/{id} | grep -c '^log'")).success();
        (container["HostConfig"]["LogConfig"]["Config"].clone(), files.trim().to_owned())
    };
    assert_eq!(logged(), (serde_json::json!({}), "1".to_owned()));
    configure(&bottle, r#"{"log-opts": {"max-size": "10k", "max-file": "4"}}"#);
    assert_eq!(logged(), (serde_json::json!({ "max-size": "10k", "max-file": "4" }), "4".to_owned()));
}

#[test]
fn the_api_is_served_at_the_hosts() {
    let bottle = Bottle::new();
    let at = |socket: &str| bottle.shell(&format!("curl -sS --unix-socket {socket} http://engine/_ping")).stdout;
    let other = bottle.project().join("other.sock").display().to_string();
    bottle.gantry(["image", "ls"]).success();
    assert_ne!(at(&other), "OK");
    configure(&bottle, &format!(r#"{{"hosts": ["unix://{other}"]}}"#));
    bottle.gantry(["image", "ls"]).success();
    assert_eq!((at(&other).as_str(), at(&bottle.socket().display().to_string()).as_str()), ("OK", "OK"));
    configure(&bottle, "{\n  \"hosts\": [\"tcp://0.0.0.0:2375\"]\n}");
    let message = bottle.gantry(["image", "ls"]).failure(1);
    assert!(message.contains("engine.json:2:13: `hosts`: cannot listen at tcp://0.0.0.0:2375: "), "{message}");
}

#[test]
fn data_lies_where_it_is_to_lie_until_the_engine_is_stopped() {
    let bottle = Bottle::new();
    let lies_at = |folder: &str| bottle.shell(&format!("test -e {folder}/images.json")).code == 0;
    let data = bottle.project().join("data").display().to_string();
    let usual = bottle.root().join("data").display().to_string();
    configure(&bottle, &format!(r#"{{"data-root": "{data}"}}"#));
    bottle.import();
    assert!(lies_at(&data) && !lies_at(&usual));
    assert_eq!(bottle.get("/info")["DockerRootDir"], data);
    bottle.compose(&format!("services: {{a: {{image: IMAGE, command: {RUNS}}}}}"));
    bottle.gantry(["up", "-d"]).success();
    let pid = bottle.pid("project-a-1");
    // Meanwhile the file says something else: who runs keeps its data, whichever process is killed.
    let file = bottle.root().join("etc/engine.json");
    std::fs::write(&file, "{}").expect("the configuration");
    for role in ["engine", "keeper", "engine"] {
        let killed = process(&bottle, role);
        end(killed);
        if role == "keeper" {
            succeeded(&bottle, killed);
        }
        bottle.gantry(["ps"]).success();
        assert_eq!(bottle.pid("project-a-1"), pid);
    }
    bottle.gantry(["down"]).success();
    bottle.gantry(["engine", "stop"]).success();
    bottle.import();
    assert!(lies_at(&usual));
}

#[test]
fn the_socket_is_opened_to_a_group() {
    let bottle = Bottle::new();
    let access = || bottle.shell("stat -c '%a %g' $GANTRY_ROOT/run/engine.sock").success();
    bottle.gantry(["image", "ls"]).success();
    assert_eq!(access(), "600 0\n");
    configure(&bottle, r#"{"group": "daemon"}"#);
    bottle.gantry(["image", "ls"]).success();
    assert_eq!(access(), "660 1\n");
    configure(&bottle, r#"{"group": "nobody-has-this"}"#);
    let message = bottle.gantry(["image", "ls"]).failure(1);
    assert!(message.contains("engine.json:1:11: `group`: /etc/group has no group `nobody-has-this`"), "{message}");
}

#[test]
fn ports_are_published_at_the_configured_address_and_forwarding_stays_off() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services: {{a: {{image: IMAGE, command: {RUNS}, ports: ['8080:80']}}}}"));
    let up = || {
        bottle.gantry(["up", "-d"]).success();
        let bindings = bottle.inspect("project-a-1").expect("it runs")["NetworkSettings"]["Ports"]["80/tcp"].clone();
        let forwarding = bottle.shell("cat /proc/sys/net/ipv4/ip_forward").success();
        bottle.gantry(["down"]).success();
        (bindings[0]["HostIp"].as_str().unwrap_or_default().to_owned(), forwarding.trim().to_owned())
    };
    bottle.shell("echo 0 >/proc/sys/net/ipv4/ip_forward").success();
    configure(&bottle, r#"{"ip": "127.0.0.1", "ip-forward": false}"#);
    assert_eq!(up(), ("127.0.0.1".to_owned(), "0".to_owned()));
    configure(&bottle, "{}");
    assert_eq!(up(), ("0.0.0.0".to_owned(), "1".to_owned()));
}

#[test]
fn registries_are_reached_through_the_proxy() {
    let bottle = Bottle::new();
    with_address(&bottle, "192.0.2.20");
    let proxy = std::net::TcpListener::bind("192.0.2.20:3128").expect("a port of the bottle");
    let heard = std::thread::spawn(move || {
        let (client, _) = proxy.accept().expect("a client");
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).expect("a request");
        line
    });
    let text = r#"{"proxies": {"https-proxy": "http://192.0.2.20:3128"}}"#;
    let _ = bottle.gantry(["image", "pull", "-q", "r.example/app:1"]).failure(1);
    assert!(!heard.is_finished(), "without the key nobody comes");
    configure(&bottle, text);
    let _ = bottle.gantry(["image", "pull", "-q", "r.example/app:1"]).failure(1);
    assert_eq!(heard.join().expect("no panic"), "CONNECT r.example:443 HTTP/1.1\r\n");
}

#[test]
fn a_file_that_cannot_be_obeyed_is_told_with_its_place() {
    let bottle = Bottle::new();
    let check = |text: &str, expected: &str| {
        configure(&bottle, text);
        let message = bottle.gantry(["image", "ls"]).failure(1);
        assert!(message.contains(&format!("{}/etc/engine.json:{expected}", bottle.root().display())), "{message}");
    };
    check(
        "{\n  \"dns\": [],\n  \"userland-proxy\": false\n}",
        "3:3: `userland-proxy` is no key that this engine obeys (the keys are data-root,",
    );
    check("{\"dns\": [\"10.0.0.53\",]}", "1:22: it is no JSON: ");
    check("{\"dns\": \"10.0.0.53\"}", "1:9: `dns` is a text (a list of texts is expected)");
    // A file that was good when the engine started, and is not when the next one does: containers go on, and who asks is told.
    configure(&bottle, "{}");
    bottle.import();
    bottle.compose(&format!("services: {{a: {{image: IMAGE, command: {RUNS}}}}}"));
    bottle.gantry(["up", "-d"]).success();
    let pid = bottle.pid("project-a-1");
    let file = bottle.root().join("etc/engine.json");
    std::fs::write(&file, "{").expect("the configuration");
    end(process(&bottle, "engine"));
    let message = bottle.gantry(["ps"]).failure(1);
    assert!(message.contains("engine.json:1:1: it is no JSON: EOF while parsing an object"), "{message}");
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    std::fs::write(&file, "{}").expect("the configuration");
    bottle.shell("until $GANTRY ps; do :; done").success();
    assert_eq!(bottle.pid("project-a-1"), pid);
}

/// `gantry engine` in the foreground, ended with the test.
pub(crate) struct Foreground(std::process::Child);

impl Foreground {
    /// Starts one and waits until it serves.
    pub(crate) fn start(bottle: &Bottle, arguments: &[&str]) -> Self {
        let mut command = bottle.command(Bottle::binary());
        let mut child = command.arg("engine").args(arguments).stderr(Stdio::piped()).spawn().expect("the engine");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut said = Vec::new();
        let serves = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push(line.clone());
            line.contains("serving")
        });
        assert!(serves, "the engine does not serve: {said:?}");
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        crate::program::end(&mut self.0);
    }
}

#[test]
fn a_file_is_named_on_the_command_line_and_stays_named() {
    let bottle = Bottle::new();
    configure(&bottle, "this is not read");
    bottle.write("pools.json", r#"{"default-address-pools": [{"base": "10.202.0.0/16", "size": 24}]}"#);
    let missing = run(bottle.command(Bottle::binary()).args(["engine", "--config", "nowhere.json"])).failure(1);
    assert!(missing.contains("cannot read the engine's configuration") && missing.contains("nowhere.json: No such file"), "{missing}");
    let engine = Foreground::start(&bottle, &["--config", "pools.json"]);
    bottle.import();
    bottle.compose(&format!("services: {{a: {{image: IMAGE, command: {RUNS}}}}}"));
    let subnet = || {
        bottle.gantry(["up", "-d"]).success();
        let subnet = bottle.get("/networks/project_default")["IPAM"]["Config"][0]["Subnet"].as_str().expect("a subnet").to_owned();
        bottle.gantry(["down"]).success();
        subnet
    };
    assert!(subnet().starts_with("10.202."));
    // An engine that is started again goes by the same file.
    end(process(&bottle, "gantry-engine"));
    assert!(subnet().starts_with("10.202."));
    drop(engine);
}
