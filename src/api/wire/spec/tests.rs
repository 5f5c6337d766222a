//! Every field of a spec survives Docker's JSON; what we would not do is refused by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::resource::container::{
    BindRecursion, ContainerPort, Device, EndpointSpec, HealthCheck, HealthTest, IpcMode, LogDetails, LogSpec, Mount, MountSource,
    NamespaceMode, PortBinding, Protocol, Remarks, Resources, RestartPolicy, Ulimit,
};

fn texts<const N: usize>(list: [&str; N]) -> Vec<String> {
    list.map(str::to_owned).to_vec()
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn port(port: u16, protocol: Protocol) -> ContainerPort {
    ContainerPort { port, protocol }
}

/// A spec in which no field has its default. A new field makes this fail to compile, on purpose.
fn full() -> ContainerSpec {
    ContainerSpec {
        image: "redis:7".to_owned(),
        platform: Some("linux/amd64".to_owned()),
        entrypoint: Some(texts(["/entry"])),
        command: Some(texts(["serve", "--fast"])),
        environment: BTreeMap::from([
            ("A".to_owned(), Some("1=2".to_owned())),
            ("EMPTY".to_owned(), Some(String::new())),
            ("GONE".to_owned(), None),
        ]),
        working_dir: Some("/srv".to_owned()),
        user: Some("app:staff".to_owned()),
        group_add: texts(["audio", "12"]),
        hostname: Some("web".to_owned()),
        domainname: Some("example.org".to_owned()),
        labels: map([("com.docker.compose.project", "shop")]),
        tty: true,
        stdin_open: true,
        stdin_once: true,
        init: true,
        stop_signal: Some("SIGQUIT".to_owned()),
        stop_grace: Some(Duration::from_millis(1500)),
        restart: RestartPolicy::OnFailure { maximum: 3 },
        auto_remove: true,
        health: Some(HealthCheck {
            test: HealthTest::Exec(texts(["ready", "-q"])),
            interval: Duration::from_secs(2),
            timeout: Duration::from_millis(700),
            retries: 4,
            start_period: Duration::from_secs(9),
            start_interval: Duration::from_millis(100),
        }),
        shell: texts(["/bin/ash", "-c"]),
        publish_all: true,
        masked_paths: Some(texts(["/proc/keys"])),
        readonly_paths: Some(Vec::new()),
        exposed: BTreeSet::from([port(80, Protocol::Tcp), port(53, Protocol::Udp), port(9, Protocol::Sctp)]),
        ports: vec![
            PortBinding { container: port(53, Protocol::Udp), host_ip: "::1".parse().ok(), host_port: 5300, host_port_end: 5300 },
            PortBinding { container: port(80, Protocol::Tcp), host_ip: None, host_port: 8000, host_port_end: 8010 },
            PortBinding { container: port(80, Protocol::Tcp), host_ip: "127.0.0.1".parse().ok(), host_port: 0, host_port_end: 0 },
        ],
        mounts: vec![
            Mount {
                target: "/etc/app".to_owned(),
                read_only: true,
                source: MountSource::Bind {
                    path: PathBuf::from("/home/app"),
                    create: true,
                    propagation: Some("rslave".to_owned()),
                    recursion: BindRecursion::Writable,
                },
            },
            Mount {
                target: "/data".to_owned(),
                read_only: false,
                source: MountSource::Volume {
                    name: Some("data".to_owned()),
                    no_copy: true,
                    subpath: Some("a/b".to_owned()),
                    labels: map([("k", "v")]),
                },
            },
            Mount {
                target: "/cache".to_owned(),
                read_only: false,
                source: MountSource::Volume { name: None, no_copy: false, subpath: None, labels: BTreeMap::new() },
            },
            Mount {
                target: "/tmp".to_owned(),
                read_only: false,
                source: MountSource::Tmpfs { size: Some(1 << 20), mode: Some(0o1770), options: Vec::new() },
            },
            Mount {
                target: "/run".to_owned(),
                read_only: true,
                source: MountSource::Tmpfs { size: Some(4096), mode: Some(0o755), options: texts(["uid=1000", "exec"]) },
            },
        ],
        volumes_from: texts(["db:ro", "cache"]),
        network: NetworkMode::Named("shop_default".to_owned()),
        endpoints: BTreeMap::from([
            (
                "shop_default".to_owned(),
                EndpointSpec {
                    aliases: texts(["web", "www"]),
                    links: vec![("db-1".to_owned(), "db".to_owned())],
                    ipv4_address: "10.1.0.7".parse().ok(),
                    ipv6_address: "fd00::7".parse().ok(),
                    mac_address: Some("02:42:0a:01:00:07".to_owned()),
                    link_local: vec!["169.254.3.4".parse().expect("an address"), "fe80::7".parse().expect("an address")],
                    interface_name: Some("wan".to_owned()),
                    gateway_priority: 5,
                },
            ),
            ("other".to_owned(), EndpointSpec::default()),
        ]),
        extra_hosts: vec![("gateway".to_owned(), "host-gateway".to_owned()), ("six".to_owned(), "fd00::1".to_owned())],
        dns: vec!["9.9.9.9".parse().expect("an address")],
        dns_search: texts(["example.org"]),
        dns_options: texts(["ndots:2"]),
        read_only: true,
        privileged: true,
        cap_add: BTreeSet::from(["NET_ADMIN".to_owned(), "SYS_TIME".to_owned()]),
        cap_drop: BTreeSet::from(["ALL".to_owned()]),
        security_options: texts(["no-new-privileges", "seccomp=unconfined"]),
        annotations: map([("org.example.note", "x")]),
        device_rules: texts(["c 1:3 mr"]),
        devices: vec![Device { source: "/dev/fuse".to_owned(), target: "/dev/f".to_owned(), permissions: "rw".to_owned() }],
        sysctls: map([("net.core.somaxconn", "1024")]),
        ulimits: BTreeMap::from([("nofile".to_owned(), Ulimit { soft: 1024, hard: -1 })]),
        resources: Resources {
            memory: Some(1 << 30),
            memory_reservation: Some(1 << 29),
            memory_swap: Some(-1),
            memory_swappiness: Some(0),
            oom_kill_disable: true,
            nano_cpus: Some(1_500_000_000),
            cpu_shares: Some(512),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            cpuset: Some("0-1".to_owned()),
            cpuset_mems: Some("0".to_owned()),
            pids: Some(100),
        },
        shm_size: Some(1 << 26),
        oom_score_adj: Some(-500),
        log: LogSpec::JsonFile {
            max_size: Some(10_000_000),
            max_file: Some(3),
            compress: Some(true),
            details: LogDetails {
                labels: texts(["team"]),
                label_pattern: Some("^org".to_owned()),
                environment: texts(["A", "B"]),
                environment_pattern: Some("_URL$".to_owned()),
                tag: Some("{{.Name}}".to_owned()),
            },
        },
        pid: NamespaceMode::Host,
        ipc: IpcMode::Container("db".to_owned()),
        uts: NamespaceMode::Host,
        cgroup: NamespaceMode::Host,
        files: vec![InjectedFile { target: "/run/secrets/token".to_owned(), content: vec![0, 255, 10], uid: 1000, gid: 1001, mode: 0o400 }],
        remarks: Remarks {
            attach_stdin: true,
            attach_stdout: true,
            attach_stderr: true,
            id_file: "/tmp/id".to_owned(),
            console: [24, 80],
            volume_driver: "local".to_owned(),
            on_build: texts(["RUN true"]),
            runtime: "io.containerd.runc.v2".to_owned(),
            links: texts(["db-1:db"]),
            user_namespace: "host".to_owned(),
            binds: Vec::new(),
            tmpfs: map([("/run", "ro,size=4096,mode=755,uid=1000,exec")]),
            volumes: Vec::new(),
        },
    }
}

fn round(spec: &ContainerSpec) -> ContainerSpec {
    let text = to_json(spec).to_string();
    let value = serde_json::from_str(&text).expect("what was written is JSON");
    from_json(value, spec.platform.clone()).expect("what was written can be read")
}

#[test]
fn every_field_survives() {
    let spec = full();
    assert_eq!(round(&spec), spec);
}

#[test]
fn the_default_survives() {
    let spec = ContainerSpec { image: "a".to_owned(), ..ContainerSpec::default() };
    assert_eq!(round(&spec), spec);
}

#[test]
fn every_variant_survives() {
    let check = |change: &dyn Fn(&mut ContainerSpec)| {
        let mut spec = ContainerSpec { image: "a".to_owned(), ..ContainerSpec::default() };
        change(&mut spec);
        assert_eq!(round(&spec), spec);
    };
    for restart in [RestartPolicy::Always, RestartPolicy::UnlessStopped, RestartPolicy::OnFailure { maximum: 0 }] {
        check(&|spec| spec.restart = restart);
    }
    for network in [NetworkMode::None, NetworkMode::Host, NetworkMode::Container("db".to_owned())] {
        check(&|spec| spec.network = network.clone());
    }
    check(&|spec| spec.pid = NamespaceMode::Container("db".to_owned()));
    for ipc in [IpcMode::Host, IpcMode::Shareable, IpcMode::None] {
        check(&|spec| spec.ipc = ipc.clone());
    }
    for recursion in [BindRecursion::Disabled, BindRecursion::Readonly] {
        let source = MountSource::Bind { path: PathBuf::from("/src"), create: false, propagation: None, recursion };
        check(&|spec| spec.mounts = vec![Mount { target: "/x".to_owned(), read_only: true, source: source.clone() }]);
    }
    check(&|spec| spec.log = LogSpec::None);
    check(&|spec| spec.entrypoint = Some(Vec::new()));
    check(&|spec| spec.command = Some(Vec::new()));
    check(&|spec| spec.stop_grace = Some(Duration::ZERO));
    check(&|spec| spec.stop_grace = Some(Duration::MAX));
    check(&|spec| spec.security_options = texts(["systempaths=unconfined"]));
    let check_test = |test: &HealthTest, durations: u64, retries| {
        let second = Duration::from_secs(durations);
        let health =
            HealthCheck { test: test.clone(), interval: second, timeout: second, retries, start_period: second, start_interval: second };
        check(&|spec| spec.health = Some(health.clone()));
    };
    check_test(&HealthTest::Shell("ready || exit 1".to_owned()), 1, 1);
    check_test(&HealthTest::Disabled, 1, 1);
    check_test(&HealthTest::Inherit, 1, 0);
}

#[test]
fn what_we_would_not_do_is_refused_by_its_name() {
    let check = |body: Value, expect: &str| {
        let refused = from_json(body, None).expect_err("a refusal").to_string();
        assert!(refused.contains(expect), "{refused}");
    };
    check(json!({"HostConfig": {"CgroupParent": "/x"}}), "`HostConfig.CgroupParent` is not supported");
    check(json!({"HostConfig": {"DeviceRequests": [{"Driver": "nvidia"}]}}), "`HostConfig.DeviceRequests`");
    check(json!({"HostConfig": {"LogConfig": {"Type": "journald"}}}), "`HostConfig.LogConfig.Type`");
    check(
        json!({"HostConfig": {"LogConfig": {"Type": "", "Config": {"max-buffer-size": "1m"}}}}),
        "`HostConfig.LogConfig.Config.max-buffer-size`",
    );
    check(json!({"HostConfig": {"Mounts": [{"Type": "image", "Target": "/a"}]}}), "`HostConfig.Mounts[0].Type`");
    check(json!({"HostConfig": {"IpcMode": "odd"}}), "`HostConfig.IpcMode`");
    check(json!({"HostConfig": {"UsernsMode": "private"}}), "invalid user namespace mode: private");
    check(json!({"HostConfig": {"Runtime": "kata"}}), "unknown or invalid runtime name: kata");
    check(json!({"HostConfig": {"NetworkMode": "host", "Links": ["a"]}}), "can't be used with links");
    let two = json!({"MacAddress": "02:42:ac:11:00:02", "NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:03"}}}});
    check(two, "must match the endpoint-specific MAC address");
    check(json!({"NetworkingConfig": {"EndpointsConfig": {"n": {"DriverOpts": {"a": "b"}}}}}), "EndpointsConfig.n.DriverOpts");
    check(json!({"ExposedPorts": {"x": {}}}), "a port as in `80/tcp` instead of `x`");
    check(json!({"Healthcheck": {"Test": ["CMD", "x"], "Interval": 30}}), "`Healthcheck.Interval`");
    check(json!({"Env": 1}), "`Env`: a list of strings is expected");
}

#[test]
fn what_dockerode_says_twice_is_heard_once() {
    let spec =
        from_json(json!({"name": "web", "platform": "linux/arm64", "Image": "alpine"}), Some("linux/amd64".to_owned())).expect("good");
    assert_eq!(spec.platform.as_deref(), Some("linux/amd64"));
}

#[test]
fn a_commit_reads_what_an_image_has_a_place_for() {
    let check = |body: Value, expect: Option<ContainerSpec>| assert_eq!(override_from_json(body).expect("good"), expect);
    check(Value::Null, None);
    check(json!({"Cmd": null}), None);
    check(json!({"container": "web", "repo": "app", "tag": "1", "pause": true, "changes": ["ENV a=b"]}), None);
    let shell = texts(["/bin/ash", "-c"]);
    let spec = ContainerSpec { shell: shell.clone(), ..ContainerSpec::default() };
    check(json!({"Shell": shell, "HostConfig": {"Privileged": true}, "NetworkDisabled": true}), Some(spec));
    let refused = override_from_json(json!({"Layers": 2})).expect_err("a refusal").to_string();
    assert!(refused.contains("`Layers` is not supported"), "{refused}");
}

#[test]
fn the_command_lines_own_body_is_read() {
    // What `docker run -it -v data:/data:ro -v /src:/src --tmpfs /run:size=1m,mode=700,noexec --link db:db alpine sh` of 28.5 sends.
    let body = json!({
        "Hostname": "", "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true, "OpenStdin": true,
        "StdinOnce": true, "Env": null, "Cmd": ["sh"], "Image": "alpine", "Volumes": {"/anon": {}, "/data": {}}, "WorkingDir": "",
        "Entrypoint": null, "Labels": {},
        "HostConfig": {
            "Binds": ["data:/data:ro", "/src:/src"], "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": {}},
            "NetworkMode": "default", "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "AutoRemove": false, "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [24, 80], "CapAdd": ["cap_net_raw", "ALL"],
            "Links": ["db:db"], "MemorySwappiness": -1, "OomKillDisable": false, "PidsLimit": 0, "Ulimits": [],
            "Tmpfs": {"/run": "size=1m,mode=700,noexec"}, "MaskedPaths": null, "ReadonlyPaths": null, "Isolation": "default"
        },
        "NetworkingConfig": {"EndpointsConfig": {"default": {"IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": ""}}}
    });
    let spec = from_json(body, None).expect("a good body");
    let volume =
        |name: Option<&str>| MountSource::Volume { name: name.map(str::to_owned), no_copy: false, subpath: None, labels: BTreeMap::new() };
    let mount = |target: &str, read_only, source| Mount { target: target.to_owned(), read_only, source };
    let expect = [
        mount("/anon", false, volume(None)),
        mount("/data", true, volume(Some("data"))),
        mount(
            "/src",
            false,
            MountSource::Bind { path: PathBuf::from("/src"), create: true, propagation: None, recursion: BindRecursion::Enabled },
        ),
        mount("/run", false, MountSource::Tmpfs { size: Some(1 << 20), mode: Some(0o700), options: texts(["noexec"]) }),
    ];
    assert_eq!(spec.mounts, expect);
    assert_eq!(spec.network, NetworkMode::Bridge);
    assert_eq!(spec.endpoints["bridge"].links, [("db".to_owned(), "db".to_owned())]);
    assert_eq!(spec.cap_add, BTreeSet::from(["ALL".to_owned(), "cap_net_raw".to_owned()]));
    assert!(spec.tty && spec.stdin_open && spec.stdin_once);
    // And is told again as it was said.
    let told = to_json(&spec);
    assert_eq!(told["HostConfig"]["Binds"], json!(["data:/data:ro", "/src:/src"]));
    assert_eq!(told["HostConfig"]["Tmpfs"], json!({"/run": "size=1m,mode=700,noexec"}));
    assert_eq!(told["HostConfig"].get("Mounts"), None);
    assert_eq!(told["HostConfig"]["CapAdd"], json!(["ALL", "cap_net_raw"]));
    assert_eq!(to_create_json(&spec)["HostConfig"]["CapAdd"], json!(["ALL", "CAP_NET_RAW"]));
    assert_eq!(told["Volumes"], json!({"/anon": {}, "/data": {}}));
    assert_eq!((&told["HostConfig"]["ConsoleSize"], &told["AttachStdin"]), (&json!([24, 80]), &json!(true)));
    assert_eq!((written_mode(&spec, "/data"), written_mode(&spec, "/src"), written_mode(&spec, "/run")), (Some("ro"), Some(""), None));
}
