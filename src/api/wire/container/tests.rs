//! What is told of a container survives, and sounds like Docker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::*;
use crate::api::wire::container::summary::{Passing, Summary};
use crate::resource::container::{
    ContainerInfo, ContainerPort, ContainerSpec, ContainerState, EffectiveConfig, EndpointSpec, EndpointState, ExitStatus, HealthResult,
    HealthState, HealthStatus, IpcMode, MountInfo, MountSource, NamespaceMode, NetworkMode, Protocol, PublishedPort,
};
use crate::resource::id::{ContainerId, Digest, ExecId, NetworkId};
use crate::resource::time::Timestamp;

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn info(state: ContainerState) -> ContainerInfo {
    let text = |text: &str| text.to_owned();
    let port = ContainerPort { port: 80, protocol: Protocol::Tcp };
    let endpoint = EndpointSpec { aliases: vec![text("web")], ..EndpointSpec::default() };
    let labels = BTreeMap::from([(text("a"), text("b"))]);
    let spec = ContainerSpec {
        image: text("redis:7"),
        entrypoint: Some(vec![text("/entry")]),
        command: Some(vec![text("serve"), text("two words")]),
        environment: BTreeMap::from([(text("A"), Some(text("b")))]),
        working_dir: Some(text("/srv")),
        user: Some(text("app")),
        hostname: Some(text("web")),
        labels: labels.clone(),
        exposed: [port, ContainerPort { port: 443, protocol: Protocol::Tcp }].into(),
        network: NetworkMode::Named(text("shop")),
        endpoints: BTreeMap::from([(text("shop"), endpoint.clone())]),
        shm_size: Some(64 << 20),
        ..ContainerSpec::default()
    };
    ContainerInfo {
        id: ContainerId::from_bytes([1; 32]),
        name: "shop-web-1".parse().expect("a name"),
        created: at(100),
        image: Digest::from_bytes([2; 32]),
        health: Some(HealthState {
            status: HealthStatus::Unhealthy,
            failing_streak: 2,
            log: vec![HealthResult { start: at(101), end: at(102), exit_code: -1, output: text("slow") }],
        }),
        effective: EffectiveConfig {
            entrypoint: vec![text("/entry")],
            command: vec![text("serve"), text("two words")],
            environment: vec![text("A=b")],
            working_dir: text("/srv"),
            user: text("app"),
            labels,
            exposed: spec.exposed.clone(),
            volumes: BTreeSet::new(),
            stop_signal: None,
            health: None,
            hostname: text("web"),
        },
        endpoints: vec![EndpointState {
            network: NetworkId::from_bytes([3; 32]),
            network_name: text("shop"),
            // Docker's JSON does not tell a wished hardware address from a given one.
            mac: Some(text("02:42:0a:01:00:02")),
            spec: endpoint,
            ipv4: "10.1.0.2".parse().ok().map(|address| (address, 16)),
            ipv6: "fd00::2".parse().ok().map(|address| (address, 64)),
            gateway: "10.1.0.1".parse().ok(),
            gateway6: "fd00::1".parse().ok(),
            dns_names: vec![text("shop-web-1"), text("web")],
        }],
        published: vec![PublishedPort { container: port, host_ip: "0.0.0.0".parse().expect("an address"), host_port: 8080 }],
        mounts: vec![MountInfo {
            kind: text("volume"),
            name: Some(text("data")),
            source: PathBuf::from("/var/data"),
            target: text("/data"),
            writable: true,
            anonymous: true,
            propagation: String::new(),
        }],
        restart_count: 3,
        log_path: Some(PathBuf::from("/log")),
        file_digests: BTreeMap::new(),
        execs: vec![ExecId::from_bytes([4; 32])],
        spec,
        state,
    }
}

fn status(code: i32) -> ExitStatus {
    ExitStatus { code, out_of_memory: code == 137, error: "e".to_owned() }
}

#[test]
fn every_field_survives_an_inspect() {
    for paused in [false, true] {
        let info = info(ContainerState::Running { pid: 7, started_at: at(101), paused });
        assert_eq!(read::from_json(inspect::to_json(&info)).expect("good"), info);
    }
    let at_rest = [
        ContainerState::Created,
        ContainerState::Restarting { status: status(1), started_at: at(101), finished_at: at(102) },
        ContainerState::Exited { status: status(137), started_at: Some(at(101)), finished_at: at(102) },
        ContainerState::Exited { status: status(127), started_at: None, finished_at: at(102) },
        ContainerState::Removing,
        ContainerState::Dead,
    ];
    for state in at_rest {
        // Ports lead to what runs.
        let info = ContainerInfo { published: Vec::new(), ..info(state) };
        assert_eq!(read::from_json(inspect::to_json(&info)).expect("good"), info);
    }
}

#[test]
fn mounts_without_a_name_are_told_from_the_others() {
    let mut info = info(ContainerState::Created);
    info.published = Vec::new();
    let source = MountSource::Volume { name: Some("data".to_owned()), no_copy: false, subpath: None, labels: BTreeMap::new() };
    info.spec.mounts = vec![crate::resource::container::Mount { target: "/data".to_owned(), read_only: false, source }];
    info.mounts[0].anonymous = false;
    assert_eq!(read::from_json(inspect::to_json(&info)).expect("good"), info);
}

#[test]
fn what_follows_from_a_wish_is_told_with_it() {
    let told = |change: &dyn Fn(&mut ContainerSpec), field: &str| {
        let mut info = info(ContainerState::Created);
        change(&mut info.spec);
        inspect::to_json(&info)["HostConfig"][field].clone()
    };
    assert_eq!(told(&|_| {}, "MemorySwap"), 0);
    assert_eq!(told(&|spec| spec.resources.memory = Some(5), "MemorySwap"), 10);
    let unlimited = |spec: &mut ContainerSpec| (spec.resources.memory, spec.resources.memory_swap) = (Some(5), Some(-1));
    assert_eq!(told(&unlimited, "MemorySwap"), -1);
    assert_eq!(told(&|_| {}, "SecurityOpt"), serde_json::Value::Null);
    assert_eq!(told(&|spec| spec.pid = NamespaceMode::Host, "SecurityOpt"), serde_json::json!(["label=disable"]));
    assert_eq!(told(&|spec| spec.ipc = IpcMode::Host, "SecurityOpt"), serde_json::json!(["label=disable"]));
    let privileged = |spec: &mut ContainerSpec| {
        spec.privileged = true;
        spec.security_options = vec!["no-new-privileges".to_owned()];
    };
    assert_eq!(told(&privileged, "SecurityOpt"), serde_json::json!(["no-new-privileges", "label=disable"]));
}

#[test]
fn a_line_of_the_list_is_dockers() {
    let info = info(ContainerState::Running { pid: 7, started_at: at(101), paused: false });
    let line = serde_json::json!(Summary::of(&info, Passing::of(&info, &info.spec.image, at(104))));
    assert_eq!(line["Command"], "/entry serve 'two words'");
    assert_eq!(line["Status"], "Up 3 seconds (unhealthy)");
    assert_eq!(line["Names"][0], "/shop-web-1");
    assert_eq!(line["HostConfig"]["NetworkMode"], "shop");
    let ports = serde_json::json!([
        {"PrivatePort": 443, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}
    ]);
    assert_eq!(line["Ports"], ports);
    assert_eq!(read::id_of_summary(&line), Some("01".repeat(32).as_str()));
    // In two parts it is the same.
    let passing = serde_json::to_string(&Passing::of(&info, &info.spec.image, at(104))).expect("JSON");
    let parts = [&*summary::lasting(&info), b",", passing.trim_start_matches('{').as_bytes()].concat();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&parts).expect("JSON"), line);
}

#[test]
fn who_shares_a_network_has_no_ports_there() {
    for network in [NetworkMode::None, NetworkMode::Host, NetworkMode::Container("other".to_owned())] {
        let mut info = info(ContainerState::Running { pid: 7, started_at: at(101), paused: false });
        info.published = Vec::new();
        assert_eq!(inspect::to_json(&info)["NetworkSettings"]["Ports"]["443/tcp"], serde_json::Value::Null);
        assert_eq!(
            serde_json::json!(Summary::of(&info, Passing::of(&info, &info.spec.image, at(104))))["Ports"].as_array().map(Vec::len),
            Some(2)
        );
        info.spec.network = network;
        assert_eq!(inspect::to_json(&info)["NetworkSettings"]["Ports"], serde_json::json!({}));
        assert_eq!(serde_json::json!(Summary::of(&info, Passing::of(&info, &info.spec.image, at(104))))["Ports"], serde_json::json!([]));
    }
}

#[test]
fn states_sound_like_docker() {
    let check = |state: ContainerState, health: Option<HealthStatus>, expect: &str| {
        let health = health.map(|status| HealthState { status, failing_streak: 0, log: Vec::new() });
        assert_eq!(state::sentence(&state, health.as_ref(), at(220)), expect);
    };
    let running = |paused| ContainerState::Running { pid: 1, started_at: at(217), paused };
    check(running(false), None, "Up 3 seconds");
    check(running(false), Some(HealthStatus::Starting), "Up 3 seconds (health: starting)");
    check(running(false), Some(HealthStatus::Healthy), "Up 3 seconds (healthy)");
    check(running(true), Some(HealthStatus::Healthy), "Up 3 seconds (Paused)");
    let (started_at, finished_at) = (at(90), at(100));
    check(ContainerState::Restarting { status: status(2), started_at, finished_at }, None, "Restarting (2) 2 minutes ago");
    check(ContainerState::Exited { status: status(0), started_at: Some(started_at), finished_at }, None, "Exited (0) 2 minutes ago");
    check(ContainerState::Created, None, "Created");
    check(ContainerState::Exited { status: status(127), started_at: None, finished_at }, None, "Created");
    check(ContainerState::Removing, None, "Removal In Progress");
    check(ContainerState::Dead, None, "Dead");
}
