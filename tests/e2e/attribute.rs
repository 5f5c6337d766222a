//! Attributes of services: what each does inside a container, beside a container without it.

use std::net::UdpSocket;

use serde_json::{Value, json};

use crate::bottle::Bottle;
use crate::program::shell;
use crate::up::RUNS;

/// A service's attributes, one a line, and what lines run in it print then.
struct Case<'a> {
    name: &'a str,
    attributes: &'a str,
    probes: &'a [(&'a str, &'a str)],
    /// Pointers into what inspect tells.
    told: &'a [(&'a str, Value)],
}

impl Case<'_> {
    fn service(&self) -> String {
        let lines: String = self.attributes.lines().map(|line| format!("    {line}\n")).collect();
        format!("  {}:\n    image: IMAGE\n    command: {RUNS}\n{lines}", self.name)
    }
}

fn inside(bottle: &Bottle, service: &str, line: &str) -> String {
    bottle.gantry(["exec", "-T", service, "sh", "-c", line]).stdout.trim().to_owned()
}

/// Runs the cases' services beside one without any of their attributes: each probe prints what is expected, and something else there.
#[track_caller]
fn compare(bottle: &Bottle, cases: &[Case<'_>]) {
    let services: String = cases.iter().map(Case::service).collect();
    bottle.compose(&format!("services:\n  plain:\n    image: IMAGE\n    command: {RUNS}\n{services}"));
    bottle.gantry(["up", "-d"]).success();
    let plain = bottle.inspect("project-plain-1").expect("it exists");
    let mut wrong = Vec::new();
    for case in cases {
        for (line, expected) in case.probes {
            let (with, without) = (inside(bottle, case.name, line), inside(bottle, "plain", line));
            if with != *expected || without == *expected {
                wrong.push(format!("{}: {line}\n  expected {expected:?}\n  with     {with:?}\n  without  {without:?}", case.name));
            }
        }
        let told = bottle.inspect(&format!("project-{}-1", case.name)).expect("it exists");
        for (pointer, expected) in case.told {
            let (with, without) = (told.pointer(pointer).cloned(), plain.pointer(pointer).cloned());
            if with.as_ref() != Some(expected) || without == with {
                wrong.push(format!("{}: {pointer}\n  expected {expected}\n  with     {with:?}\n  without  {without:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether memory and processors are controlled by version 2 of control groups here.
fn is_unified() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A line that prints the first word of the first of these control files that is there.
fn control(files: [&str; 2]) -> String {
    let [first, second] = files.map(|file| format!("/sys/fs/cgroup/{file}"));
    format!("cat {first} {second} 2>/dev/null | head -1 | cut -d' ' -f1")
}

#[test]
fn limits_are_in_force() {
    let bottle = Bottle::with_image();
    let memory = control(["memory/memory.limit_in_bytes", "memory.max"]);
    let reservation = control(["memory/memory.soft_limit_in_bytes", "memory.low"]);
    let swap = control(["memory/memory.memsw.limit_in_bytes", "memory.swap.max"]);
    let quota = control(["cpu/cpu.cfs_quota_us", "cpu.max"]);
    let period = "cat /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || cut -d' ' -f2 /sys/fs/cgroup/cpu.max";
    let shares = control(["cpu/cpu.shares", "cpu.weight"]);
    let pids = control(["pids/pids.max", "pids.max"]);
    let swap_limit = if is_unified() { "33554432" } else { "100663296" };
    let weight = if is_unified() { "20" } else { "512" };
    compare(
        &bottle,
        &[
            Case {
                name: "service",
                attributes: "ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 500, core: 0}
mem_limit: 64m
mem_reservation: 32m
memswap_limit: 96m
cpus: 0.5
cpu_shares: 512
cpuset: '0'
pids_limit: 40
oom_score_adj: 300
shm_size: 5m",
                probes: &[
                    ("awk '/open files/ {print $4, $5}' /proc/self/limits", "1000 2000"),
                    ("awk '/Max processes/ {print $3, $4}' /proc/1/limits", "500 500"),
                    ("awk '/core file/ {print $5, $6}' /proc/1/limits", "0 0"),
                    (&memory, "67108864"),
                    (&reservation, "33554432"),
                    (&swap, swap_limit),
                    (&quota, "50000"),
                    (&shares, weight),
                    ("awk '/Cpus_allowed_list/ {print $2}' /proc/self/status", "0"),
                    (&pids, "40"),
                    ("cat /proc/1/oom_score_adj", "300"),
                    ("df -k /dev/shm | awk 'END {print $2}'", "5120"),
                ],
                told: &[
                    ("/HostConfig/Memory", json!(64 << 20)),
                    ("/HostConfig/NanoCpus", json!(500_000_000)),
                    ("/HostConfig/CpuShares", json!(512)),
                    ("/HostConfig/OomScoreAdj", json!(300)),
                ],
            },
            Case {
                name: "deployed",
                attributes: "deploy:
  resources: {limits: {cpus: '0.25', memory: 32M, pids: 30}, reservations: {memory: 16M}}
  restart_policy: {condition: on-failure, max_attempts: 3}",
                probes: &[(&memory, "33554432"), (&reservation, "16777216"), (&quota, "25000"), (&pids, "30")],
                told: &[("/HostConfig/RestartPolicy", json!({"Name": "on-failure", "MaximumRetryCount": 3}))],
            },
            Case {
                name: "quota",
                attributes: "cpu_quota: 20000\ncpu_period: 50000\nmemswap_limit: -1\nmem_limit: 48m",
                probes: &[(&quota, "20000"), (period, "50000"), (&memory, "50331648")],
                told: &[("/HostConfig/MemorySwap", json!(-1))],
            },
        ],
    );
}

#[test]
fn what_only_version_1_of_control_groups_can_do_is_done_there_and_refused_elsewhere() {
    let bottle = Bottle::with_image();
    let attributes = ["mem_limit: 32m\nmem_swappiness: 7", "mem_limit: 32m\noom_kill_disable: true"];
    if is_unified() {
        for (attributes, words) in attributes.iter().zip(["swappiness", "oom_kill_disable"]) {
            bottle.compose(&format!("services:\n{}", Case { name: "a", attributes, probes: &[], told: &[] }.service()));
            let message = bottle.gantry(["up", "-d"]).failure(1);
            assert!(message.contains(words) && message.contains("version 2"), "{message}");
        }
        return;
    }
    let swappiness = control(["memory/memory.swappiness", "none"]);
    let disabled = "awk '/oom_kill_disable/ {print $2}' /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null";
    compare(
        &bottle,
        &[
            Case {
                name: "swaps",
                attributes: attributes[0],
                probes: &[(&swappiness, "7")],
                told: &[("/HostConfig/MemorySwappiness", json!(7))],
            },
            Case {
                name: "waits",
                attributes: attributes[1],
                probes: &[(disabled, "1")],
                told: &[("/HostConfig/OomKillDisable", json!(true))],
            },
        ],
    );
}

#[test]
fn out_of_memory_is_named_as_such() {
    let bottle = Bottle::with_image();
    let hungry = "  hungry:\n    image: IMAGE\n    command: [tail, /dev/zero]\n    mem_limit: 16m\n    memswap_limit: 16m\n    \
                  healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1000}\n";
    bottle.compose(&format!("services:\n{hungry}"));
    let message = bottle.gantry(["up", "--wait"]).failure(1);
    assert!(message.contains("out of memory") && message.contains("137"), "{message}");
    let attached = bottle.gantry(["up"]);
    assert!(attached.stdout.contains("hungry-1 exited with code 137 (out of memory)"), "{attached:?}");
    let state = bottle.inspect("project-hungry-1").expect("it exists")["State"].clone();
    assert_eq!((&state["OOMKilled"], &state["ExitCode"]), (&json!(true), &json!(137)), "{state}");

    let waits = "  waits:\n    image: IMAGE\n    command: [echo]\n    depends_on: {hungry: {condition: service_completed_successfully}}\n";
    bottle.compose(&format!("services:\n{hungry}{waits}"));
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("exit 137: out of memory"), "{message}");

    // A container that is killed otherwise is not.
    bottle.compose("services:\n  killed:\n    image: IMAGE\n    command: [sh, -c, 'kill -9 $$$$']\n    init: true\n    mem_limit: 16m\n    healthcheck: {test: [CMD, 'false'], retries: 1000}\n");
    let message = bottle.gantry(["up", "--wait"]).failure(1);
    assert!(message.contains("137") && !message.contains("out of memory"), "{message}");
    assert_eq!(bottle.inspect("project-killed-1").expect("it exists")["State"]["OOMKilled"], false);
}

/// A name server at this address of the bottle that answers every question for an IPv4 address with 192.0.2.77.
fn name_server(address: &str) {
    shell(&format!("ip address add {address}/32 dev lo")).success();
    let socket = UdpSocket::bind((address, 53)).expect("the bottle's own port");
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut packet) {
            let question_end = 12 + packet[12..length].iter().position(|byte| *byte == 0).expect("a name") + 5;
            let is_ipv4 = packet[question_end - 3] == 1;
            let mut answer = packet[..question_end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
            if is_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77]);
            }
            // Who asked may be gone.
            let _ = socket.send_to(&answer, asker);
        }
    });
}

#[test]
fn names_and_addresses_are_what_was_asked_for() {
    let bottle = Bottle::with_image();
    name_server("10.99.0.1");
    shell("hostname outside").success();
    compare(
        &bottle,
        &[
            Case {
                name: "named",
                attributes: "extra_hosts: ['one=10.1.2.3', 'six:[2001:db8::1]', 'host.docker.internal:host-gateway']
dns: 10.99.0.1
dns_search: [a.example, b.example]
dns_opt: ['ndots:3', 'timeout:7']
hostname: box
domainname: c.example
mac_address: 02:42:AC:11:65:43",
                probes: &[
                    ("awk '$2 == \"one\" {print $1}' /etc/hosts", "10.1.2.3"),
                    ("awk '$2 == \"six\" {print $1}' /etc/hosts", "2001:db8::1"),
                    // The machine, as the container reaches it.
                    (
                        "h=$(awk '$2 == \"host.docker.internal\" {print $1}' /etc/hosts); ip route | grep -q \"^default via $h \" && echo same",
                        "same",
                    ),
                    ("nslookup -type=a anything.example | awk '/^Address/ {a = $2} END {print a}'", "192.0.2.77"),
                    ("awk '/^search/ {print $2, $3}' /etc/resolv.conf", "a.example b.example"),
                    ("awk '/^options/ {print $2, $3}' /etc/resolv.conf", "ndots:3 timeout:7"),
                    ("cat /proc/sys/kernel/domainname", "c.example"),
                    ("grep -c 'box.c.example box$' /etc/hosts", "1"),
                    ("cat /sys/class/net/eth0/address", "02:42:ac:11:65:43"),
                ],
                told: &[
                    ("/HostConfig/Dns", json!(["10.99.0.1"])),
                    ("/HostConfig/DnsSearch", json!(["a.example", "b.example"])),
                    ("/Config/Domainname", json!("c.example")),
                ],
            },
            Case {
                name: "mapped",
                attributes: "extra_hosts: {two: [10.0.0.1, 10.0.0.2]}\ndns_search: .",
                probes: &[("grep -c ' *two$' /etc/hosts", "2")],
                told: &[],
            },
            Case {
                name: "shared",
                attributes: "uts: host\ncgroup: host\nuserns_mode: host\nruntime: runc\nplatform: linux/amd64",
                probes: &[("hostname", "outside"), ("grep '^0::' /proc/self/cgroup | grep -c gantry-", "1")],
                told: &[("/HostConfig/UTSMode", json!("host")), ("/HostConfig/CgroupnsMode", json!("host"))],
            },
        ],
    );
}

#[test]
fn devices_parameters_and_rights_are_what_was_asked_for() {
    let bottle = Bottle::with_image();
    bottle.write("labels", "FROM_FILE=yes\nteam=file\n");
    bottle.write(
        "profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    compare(
        &bottle,
        &[
            Case {
                name: "granted",
                attributes:
                    "devices: ['/dev/kmsg', '/dev/loop-control:/dev/other:r', {source: /dev/fuse, target: /dev/third, permissions: rw}]
device_cgroup_rules: ['c 10:183 rw', 'b 7:* r']
group_add: [extra, 4321]
sysctls: {net.core.somaxconn: 777, kernel.shmmni: '111'}
annotations: {org.example.note: kept}
label_file: [labels]
labels: {team: blue}",
                probes: &[
                    ("test -c /dev/kmsg && echo there", "there"),
                    ("stat -c %t:%T /dev/other 2>/dev/null", "a:ed"),
                    ("(exec 3</dev/other) 2>/dev/null && echo read; (exec 3>/dev/other) 2>/dev/null || echo refused", "read\nrefused"),
                    ("stat -c %t:%T /dev/third 2>/dev/null", "a:e5"),
                    ("test -c /dev/third && (exec 3<>/dev/third) && echo both", "both"),
                    ("rm -f /tmp/rng; mknod /tmp/rng c 10 183; (exec 3</tmp/rng) 2>&1 | grep -c 'not permitted'", "0"),
                    ("rm -f /tmp/loop; mknod /tmp/loop b 7 0; (exec 3</tmp/loop) 2>&1 | grep -c 'not permitted'", "0"),
                    ("id -G", "0 2000 4321"),
                    ("cat /proc/sys/net/core/somaxconn", "777"),
                    ("cat /proc/sys/kernel/shmmni", "111"),
                ],
                told: &[
                    ("/HostConfig/Annotations", json!({"org.example.note": "kept"})),
                    ("/HostConfig/DeviceCgroupRules", json!(["c 10:183 rw", "b 7:* r"])),
                    ("/Config/Labels/FROM_FILE", json!("yes")),
                    ("/Config/Labels/team", json!("blue")),
                    ("/HostConfig/GroupAdd", json!(["extra", "4321"])),
                ],
            },
            Case {
                name: "confined",
                attributes: "security_opt: [no-new-privileges, 'seccomp=./profile.json', systempaths=unconfined]",
                probes: &[
                    ("awk '/NoNewPrivs/ {print $2}' /proc/self/status", "1"),
                    ("rmdir /tmp/new 2>/dev/null; mkdir /tmp/new 2>/dev/null && echo made || echo refused", "refused"),
                    ("grep -c ' /proc/sys ' /proc/self/mountinfo || true", "0"),
                ],
                told: &[],
            },
            Case {
                name: "open",
                attributes: "security_opt: ['seccomp:unconfined']",
                probes: &[("awk '/^Seccomp:/ {print $2}' /proc/self/status", "0")],
                told: &[("/HostConfig/SecurityOpt", json!(["seccomp:unconfined"]))],
            },
        ],
    );
}

#[test]
fn an_edited_attribute_is_named_and_recreates() {
    let bottle = Bottle::with_image();
    let project = |attributes: &str| {
        bottle.compose(&format!("services:\n{}", Case { name: "a", attributes, probes: &[], told: &[] }.service()));
    };
    project("mem_limit: 64m\nulimits: {nofile: 100}\nattach: false\npull_policy: never");
    bottle.gantry(["up", "-d"]).success();
    let id = || bottle.inspect("project-a-1").expect("it exists")["Id"].clone();
    let first = id();
    // What says how it is come by and shown is no part of it.
    project("mem_limit: 64m\nulimits: {nofile: 100}\npull_policy: missing");
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(id(), first);
    project("mem_limit: 32m\nulimits: {nofile: 200}\nsysctls: [net.core.somaxconn=5]");
    let plan = bottle.gantry(["up", "-d", "--dry-run"]).success();
    for field in ["mem_limit 67108864 -> 33554432", "ulimits.nofile 100 -> 200", "sysctls.net.core.somaxconn"] {
        assert!(plan.contains(field), "{field}: {plan}");
    }
    bottle.gantry(["up", "-d"]).success();
    assert_ne!(id(), first);
}

#[test]
fn what_the_machine_does_not_have_is_named_with_its_place() {
    let bottle = Bottle::with_image();
    for (attributes, words) in [
        ("devices: [/dev/absent]", &["compose.yaml:7:15", "services.a.devices", "/dev/absent"][..]),
        ("cpus: 10000", &["compose.yaml:4", "range of CPUs", "services.a"]),
        ("cpuset: '4000'", &["compose.yaml:7:13", "services.a.cpuset", "4000"]),
        ("platform: linux/riscv64", &["compose.yaml:7:15", "services.a.platform", "riscv64"]),
        ("group_add: [nobody-knows]", &["compose.yaml:7:17", "services.a.group_add", "nobody-knows"]),
        ("security_opt: ['apparmor=absent-profile']", &["absent-profile", "services.a"]),
        ("mem_limit: 5m", &["compose.yaml:7:16", "6 MB", "help: "]),
        ("logging: {options: {compress: 'true'}}", &["compose.yaml:7", "`compress`", "max-size"]),
        ("logging: {driver: journald}", &["compose.yaml:7:23", "journald", "help: "]),
    ] {
        bottle.compose(&format!("\n\nservices:\n{}", Case { name: "a", attributes, probes: &[], told: &[] }.service()));
        let message = bottle.gantry(["up", "-d"]).failure(1);
        for word in words {
            assert!(message.contains(word), "`{word}` is not in:\n{message}");
        }
        assert!(bottle.containers().is_empty(), "{attributes}");
    }
    bottle.compose("services:\n  a:\n    build: https://git.test/a.git\n");
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("services.a.build.context: `https://git.test/a.git`") && message.contains("compose.yaml:3:12"), "{message}");
}

#[test]
fn what_nobody_acts_on_is_told_once_with_its_line() {
    let bottle = Bottle::with_image();
    let attributes = "deploy:
  mode: replicated
  labels: {a: b}
  endpoint_mode: vip
  placement: {constraints: [node.role == manager]}
  update_config: {parallelism: 2, delay: 10s}
  rollback_config: {order: stop-first}
  restart_policy: {condition: any, delay: 5s, window: 1m}
  resources: {reservations: {cpus: '0.1'}}";
    bottle.compose(&format!("services:\n{}", Case { name: "a", attributes, probes: &[], told: &[] }.service()));
    let told = bottle.gantry(["up", "-d"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let names = ["mode", "labels", "endpoint_mode", "placement", "update_config", "rollback_config", "restart_policy.delay"];
    for (name, line) in names.iter().zip(6..) {
        let warning = format!("warning[inert]: services.a.deploy.{name} has no effect\n  --> compose.yaml:{line}:");
        let near = told.stderr.replace(" --> ", "  --> ").replace("   --> ", "  --> ");
        assert_eq!(near.matches(&warning).count(), 1, "{warning}\n{}", told.stderr);
    }
    assert_eq!(told.stderr.matches("has no effect").count(), names.len() + 2, "{}", told.stderr);
    assert_eq!(bottle.inspect("project-a-1").expect("it exists")["HostConfig"]["RestartPolicy"]["Name"], "always");
}
