//! What containers share: namespaces, names for each other, volumes; and what a container is on a network, and mounts.

use crate::bottle::Bottle;
use crate::up::RUNS;

/// What a shell line prints in the first container of a service.
#[track_caller]
fn inside(bottle: &Bottle, service: &str, line: &str) -> String {
    bottle.gantry(["exec", "-T", service, "sh", "-c", line]).success().trim().to_owned()
}

/// A service that runs, with more attributes, each a line of its own.
fn service(name: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("    {}\n", line.trim_end())).collect();
    format!("  {name}:\n    image: IMAGE\n    command: {RUNS}\n{more}")
}

/// The namespace of a kind that a container's first process lives in.
fn namespace(bottle: &Bottle, container: &str, kind: &str) -> String {
    let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", bottle.pid(container))).expect("a namespace");
    link.display().to_string()
}

#[test]
fn a_network_is_ones_own_the_hosts_nobodys_or_anothers() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n{}{}{}{}{}{}",
        service("owner", "expose: [80]"),
        service("own", ""),
        service("guest", "network_mode: service:owner"),
        service("none", "network_mode: none"),
        service("host", "network_mode: host"),
        service("bridged", "network_mode: bridge"),
    ));
    bottle.gantry(["up", "-d"]).success();
    let net = |name: &str| namespace(&bottle, &format!("project-{name}-1"), "net");
    let host = std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace").display().to_string();
    assert_eq!(net("guest"), net("owner"));
    assert_ne!(net("own"), net("owner"));
    assert_eq!(net("host"), host);
    assert_ne!(net("owner"), host);
    let links = |service: &str| inside(&bottle, service, "ls /sys/class/net | grep -c eth; true");
    assert_eq!((links("own").as_str(), links("none").as_str(), links("bridged").as_str()), ("1", "0", "1"));
    // What the one listens on, the other reaches at its own loopback, and by the same names.
    inside(&bottle, "owner", "echo hello > /www/index.html");
    bottle.gantry(["exec", "-d", "owner", "httpd", "-f", "-p", "127.0.0.1:80", "-h", "/www"]).success();
    let asks = |service: &str| bottle.gantry(["exec", "-T", service, "wget", "-q", "-O", "-", "http://127.0.0.1/"]);
    bottle.eventually("the owner listens", || asks("owner").code == 0);
    assert_eq!(asks("guest").success(), "hello\n");
    assert_ne!(asks("own").code, 0);
    assert_eq!(inside(&bottle, "guest", "cat /etc/hosts"), inside(&bottle, "owner", "cat /etc/hosts"));
    let mode = |name: &str| bottle.inspect(name).expect("it runs")["HostConfig"]["NetworkMode"].as_str().unwrap_or_default().to_owned();
    let owner = bottle.inspect("project-owner-1").expect("it runs")["Id"].as_str().expect("an id").to_owned();
    assert_eq!(mode("project-guest-1"), format!("container:{owner}"));
    assert_eq!(mode("project-bridged-1"), "bridge");
    // Another project joins it by name; and a network, by its own name.
    bottle.write(
        "other.yaml",
        &format!(
            "name: other\nservices:\n{}{}",
            service("x", "network_mode: container:project-owner-1"),
            service("y", "network_mode: project_default"),
        ),
    );
    bottle.gantry(["-f", "other.yaml", "up", "-d"]).success();
    assert_eq!(namespace(&bottle, "other-x-1", "net"), net("owner"));
    let joined = bottle.inspect("other-y-1").expect("it runs");
    let networks: Vec<_> = joined["NetworkSettings"]["Networks"].as_object().expect("networks").keys().cloned().collect();
    assert_eq!((networks, &joined["HostConfig"]["NetworkMode"]), (vec!["project_default".to_owned()], &"project_default".into()));
    bottle.gantry(["-f", "other.yaml", "down"]).success();
}

#[test]
fn processes_and_shared_memory_are_shared_where_that_is_asked_for() {
    let bottle = Bottle::with_image();
    let compose = |joins: &str| {
        format!(
            "services:\n{}{}{}{}{}",
            service("owner", "ipc: shareable"),
            service("own", ""),
            service("guest", &format!("pid: service:owner\n{joins}")),
            service("host", "pid: host\nipc: host"),
            service("none", "ipc: none"),
        )
    };
    bottle.compose(&compose("ipc: service:owner"));
    bottle.gantry(["up", "-d"]).success();
    let of = |name: &str, kind: &str| namespace(&bottle, &format!("project-{name}-1"), kind);
    for kind in ["pid", "ipc"] {
        assert_eq!(of("guest", kind), of("owner", kind), "{kind}");
        assert_ne!(of("own", kind), of("owner", kind), "{kind}");
        let host = std::fs::read_link(format!("/proc/thread-self/ns/{kind}")).expect("a namespace").display().to_string();
        assert_eq!(of("host", kind), host, "{kind}");
    }
    inside(&bottle, "owner", "echo shared > /dev/shm/word");
    assert_eq!(inside(&bottle, "guest", "cat /dev/shm/word"), "shared");
    assert_eq!(inside(&bottle, "own", "ls /dev/shm"), "");
    assert_eq!(inside(&bottle, "none", "grep -c ' /dev/shm ' /proc/mounts; true"), "0");
    assert_eq!(inside(&bottle, "own", "grep -c ' /dev/shm ' /proc/mounts; true"), "1");
    assert_eq!(bottle.inspect("project-owner-1").expect("it runs")["HostConfig"]["IpcMode"], "shareable");
    // Another project's containers join it by name.
    let joins = "pid: container:project-owner-1\nipc: container:project-owner-1";
    bottle.write("other.yaml", &format!("name: other\nservices:\n{}", service("x", joins)));
    bottle.gantry(["-f", "other.yaml", "up", "-d"]).success();
    for kind in ["pid", "ipc"] {
        assert_eq!(namespace(&bottle, "other-x-1", kind), of("owner", kind), "{kind}");
    }
    bottle.gantry(["-f", "other.yaml", "down"]).success();
    // A private one is nobody else's.
    bottle.compose(&compose("ipc: service:own"));
    let message = bottle.gantry(["up", "-d"]).failure(1);
    assert!(message.contains("non-shareable IPC") && message.contains("compose.yaml:"), "{message}");
}

#[test]
fn links_are_names_of_ones_own() {
    let bottle = Bottle::with_image();
    bottle.write(
        "other.yaml",
        &format!("name: other\nservices:\n{}networks: {{default: {{external: true, name: project_default}}}}\n", service("x", "")),
    );
    bottle.compose(&format!(
        "services:\n{}{}{}",
        service("db", "scale: 2"),
        service("web", "links: ['db:store']\nexternal_links: ['other-x-1:outside']"),
        service("plain", ""),
    ));
    bottle.gantry(["up", "-d", "db"]).success();
    bottle.gantry(["-f", "other.yaml", "up", "-d"]).success();
    bottle.gantry(["up", "-d"]).success();
    let addresses = |service: &str, name: &str| {
        let answer = bottle.gantry(["exec", "-T", service, "nslookup", "-type=a", name, "127.0.0.11"]).stdout;
        let mut found: Vec<_> = answer.lines().skip(2).filter_map(|line| line.strip_prefix("Address: ").map(str::to_owned)).collect();
        found.sort();
        found
    };
    assert_eq!(addresses("web", "store"), addresses("web", "db"));
    assert_eq!(addresses("web", "store").len(), 2);
    assert_eq!(addresses("web", "db-2").len(), 1);
    assert_eq!(addresses("web", "outside"), addresses("web", "x"));
    assert_eq!(addresses("web", "outside").len(), 1);
    for name in ["store", "db-2", "outside"] {
        assert!(addresses("plain", name).is_empty(), "{name}");
    }
    // More of the other are no reason to make this one anew.
    let id = |bottle: &Bottle| bottle.inspect("project-web-1").expect("it runs")["Id"].clone();
    let before = id(&bottle);
    bottle.gantry(["up", "-d", "--scale", "db=1"]).success();
    assert_eq!(id(&bottle), before);
    bottle.gantry(["-f", "other.yaml", "down"]).success();
}

#[test]
fn volumes_of_others_are_there_writable_or_not() {
    let bottle = Bottle::with_image();
    bottle.write("page", "hello\n");
    bottle.compose(&format!(
        "services:\n{}{}{}{}volumes: {{data: {{}}}}\n",
        service("owner", "volumes: ['data:/data', /scratch, './page:/page']\ntmpfs: /memory"),
        service("guest", "volumes_from: [owner]"),
        service("reader", "volumes_from: ['owner:ro']\nvolumes: ['/scratch']"),
        service("plain", ""),
    ));
    bottle.gantry(["up", "-d"]).success();
    inside(&bottle, "owner", "echo one > /data/word; echo two > /scratch/word; echo three > /memory/word");
    assert_eq!(inside(&bottle, "guest", "cat /data/word /scratch/word /page; ls /memory/word 2>/dev/null; true"), "one\ntwo\nhello");
    assert_eq!(inside(&bottle, "guest", "echo four > /data/word && cat /data/word"), "four");
    assert_eq!(inside(&bottle, "reader", "cat /data/word; echo x 2>/dev/null > /data/word || echo refused; ls /scratch"), "four\nrefused");
    assert_eq!(inside(&bottle, "plain", "ls /data 2>/dev/null || echo nothing"), "nothing");
    bottle.write("other.yaml", &format!("name: other\nservices:\n{}", service("x", "volumes_from: ['container:project-owner-1:ro']")));
    bottle.gantry(["-f", "other.yaml", "up", "-d"]).success();
    assert_eq!(
        bottle
            .gantry(["-f", "other.yaml", "exec", "-T", "x", "sh", "-c", "cat /data/word; echo x 2>/dev/null > /data/word || echo refused"])
            .success(),
        "four\nrefused\n"
    );
    bottle.gantry(["-f", "other.yaml", "down"]).success();
    bottle.gantry(["down", "-v"]).success();
    assert_eq!(bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn an_endpoint_has_the_addresses_and_the_interface_it_asks_for() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n{}{}networks:
  front: {{}}
  back:
    enable_ipv6: true
    ipam: {{config: [{{subnet: 172.28.0.0/16, ip_range: 172.28.5.0/24, gateway: 172.28.0.9, aux_addresses: {{x: 172.28.5.0}}}}, {{subnet: 'fd00:28::/64'}}]}}\n",
        service(
            "a",
            "mac_address: 02:42:0a:0b:0c:0d
networks:
  back:
    aliases: [store]
    ipv4_address: 172.28.0.10
    ipv6_address: fd00:28::10
    link_local_ips: [169.254.8.8]
    interface_name: back0
    priority: 10
  front:
    mac_address: 02:42:0a:0b:0c:0e
    gw_priority: 5
    driver_opts: {com.docker.network.endpoint.ifname: front0}"
        ),
        service("plain", "networks: [back, front]"),
    ));
    bottle.gantry(["up", "-d"]).success();
    let shown = inside(&bottle, "a", "ip -o address; ip -o link; ip route");
    for part in ["172.28.0.10/16", "fd00:28::10/64", "169.254.8.8/16", "02:42:0a:0b:0c:0d", "02:42:0a:0b:0c:0e", "back0", "default via"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(inside(&bottle, "a", "ip route").lines().any(|line| line.starts_with("default") && line.contains("dev front0")));
    assert_eq!(bottle.inspect("project-a-1").expect("it runs")["HostConfig"]["NetworkMode"], "project_back");
    let plain = inside(&bottle, "plain", "ip -o address; ip -o link; ip route");
    for part in ["172.28.0.10/", "169.254", "02:42:0a:0b:0c:0d", "back0", "front0"] {
        assert!(!plain.contains(part), "{part}: {plain}");
    }
    assert!(plain.contains("172.28.5.") && !plain.contains("172.28.5.0/") && plain.contains("via 172.28.0.9 dev"), "{plain}");
    inside(&bottle, "plain", "ping -c 1 -W 2 store && ping -c 1 -W 2 fd00:28::10");
    // The address is taken.
    bottle.write(
        "other.yaml",
        &format!(
            "name: other\nservices:\n{}networks: {{there: {{external: true, name: project_back}}}}\n",
            service("x", "networks: {there: {ipv4_address: 172.28.0.10}}")
        ),
    );
    let message = bottle.gantry(["-f", "other.yaml", "up", "-d"]).failure(1);
    assert!(message.contains("172.28.0.10 is already in use") && message.contains("other.yaml:"), "{message}");
    bottle.gantry(["-f", "other.yaml", "down"]).success();
}

#[test]
fn mounts_are_as_their_long_form_says() {
    let bottle = Bottle::with_image();
    bottle.shell("mkdir -p tree/below quiet && mount -t tmpfs inner tree/below && echo deep > tree/below/file").success();
    let bind = |name: &str, options: &str| service(name, &format!("volumes: [{{type: bind, source: ./tree, target: /t, {options}}}]"));
    bottle.compose(&format!(
        "services:\n{}{}{}{}{}{}volumes: {{data: {{}}, sub: {{}}, bare: {{}}}}\n",
        bind("plain", "read_only: true"),
        bind("disabled", "bind: {recursive: disabled}"),
        bind("writable", "read_only: true, bind: {recursive: writable}"),
        bind("readonly", "read_only: true, bind: {recursive: readonly, propagation: rprivate}"),
        service(
            "volumes",
            "volumes:
  - {type: volume, source: bare, target: /etc, volume: {nocopy: true}}
  - {type: volume, source: data, target: /data}
  - {type: volume, target: /anonymous, volume: {labels: {mine: 'yes'}}}
  - {type: tmpfs, target: /small, tmpfs: {size: 64k, mode: 0750}}
  - {type: tmpfs, target: /large}"
        ),
        service("filled", "volumes: ['sub:/etc']"),
    ));
    bottle.gantry(["up", "-d"]).success();
    let writes = "cat /t/below/file 2>/dev/null || echo hidden; touch /t/below/x 2>/dev/null && echo written || echo refused; touch /t/x 2>/dev/null && echo written || echo refused";
    assert_eq!(inside(&bottle, "plain", writes), "deep\nrefused\nrefused");
    assert_eq!(inside(&bottle, "disabled", writes), "hidden\nwritten\nwritten");
    assert_eq!(inside(&bottle, "writable", writes), "deep\nwritten\nrefused");
    assert_eq!(inside(&bottle, "readonly", writes), "deep\nrefused\nrefused");
    assert_eq!(inside(&bottle, "volumes", "ls /etc/group 2>/dev/null; true"), "");
    assert_eq!(inside(&bottle, "filled", "ls /etc/group"), "/etc/group");
    assert_eq!(
        inside(
            &bottle,
            "volumes",
            "stat -c %a /small /large; grep -c ' /small .*size=64k' /proc/mounts; grep -c ' /large .*size=64k' /proc/mounts; true"
        ),
        "750\n1777\n1\n0"
    );
    let labels: Vec<_> =
        bottle.get("/volumes")["Volumes"].as_array().expect("volumes").iter().filter(|it| it["Labels"]["mine"] == "yes").cloned().collect();
    assert_eq!(labels.len(), 1);
    // A part of a volume; one that points out of it stays within.
    inside(&bottle, "volumes", "mkdir -p /data/a/b && echo part > /data/a/b/file && ln -s / /data/out");
    let part = |path: &str| {
        format!(
            "services:\n{}volumes: {{data: {{}}}}\n",
            service("part", &format!("volumes: [{{type: volume, source: data, target: /d, volume: {{subpath: {path}}}}}]"))
        )
    };
    bottle.write("part.yaml", &part("a/b"));
    bottle.gantry(["-f", "part.yaml", "up", "-d"]).success();
    assert_eq!(bottle.gantry(["-f", "part.yaml", "exec", "-T", "part", "cat", "/d/file"]).success(), "part\n");
    bottle.write("part.yaml", &part("out"));
    bottle.gantry(["-f", "part.yaml", "up", "-d"]).success();
    assert_eq!(bottle.gantry(["-f", "part.yaml", "exec", "-T", "part", "ls", "/d"]).success(), "a\nout\n");
    bottle.write("part.yaml", &part("nowhere"));
    let message = bottle.gantry(["-f", "part.yaml", "up", "-d"]).failure(1);
    assert!(message.contains("nowhere") && message.contains("part.yaml:"), "{message}");
}

#[test]
fn propagation_lets_mounts_of_the_host_through() {
    let bottle = Bottle::with_image();
    bottle.shell("mkdir shared && mount --bind shared shared && mount --make-shared shared && mkdir shared/later").success();
    let bind = |name: &str, propagation: &str| {
        service(name, &format!("volumes: [{{type: bind, source: ./shared, target: /s, bind: {{propagation: {propagation}}}}}]"))
    };
    bottle.compose(&format!("services:\n{}{}", bind("slave", "rslave"), bind("private", "rprivate")));
    bottle.gantry(["up", "-d"]).success();
    bottle.shell("mount -t tmpfs inner shared/later && echo seen > shared/later/file").success();
    assert_eq!(inside(&bottle, "slave", "cat /s/later/file 2>/dev/null || echo unseen"), "seen");
    assert_eq!(inside(&bottle, "private", "cat /s/later/file 2>/dev/null || echo unseen"), "unseen");
}

#[test]
fn what_is_mounted_below_a_bind_is_no_peer_of_the_hosts() {
    let bottle = Bottle::with_image();
    bottle.shell("mkdir shared && mount --bind shared shared && mount --make-shared shared && mkdir shared/below").success();
    bottle.shell("mount -t tmpfs below shared/below && grep '/below .* shared:' /proc/self/mountinfo").success();
    let kinds = ["private", "slave", "rprivate", "rslave", "shared"];
    let services =
        kinds.map(|kind| service(kind, &format!("volumes: [{{type: bind, source: ./shared, target: /s, bind: {{propagation: {kind}}}}}]")));
    bottle.compose(&format!("services:\n{}", services.concat()));
    bottle.gantry(["up", "-d"]).success();
    for kind in kinds {
        let below = inside(&bottle, kind, "grep ' /s/below ' /proc/self/mountinfo");
        // Only who asks for it takes part in both directions.
        assert_eq!(below.contains(" shared:"), kind == "shared", "{kind}: {below}");
    }
}

#[test]
fn networks_are_external_internal_or_as_their_options_say() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n{}networks:
  default: {{}}
  tuned:
    driver: bridge
    driver_opts: {{com.docker.network.driver.mtu: 1300, com.docker.network.bridge.name: tuned0}}
    attachable: true
    labels: {{team: blue}}
  closed: {{internal: true}}\n",
        service("a", "networks: [default, tuned, closed]")
    ));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(bottle.shell("cat /sys/class/net/tuned0/mtu").success(), "1300\n");
    assert_eq!(inside(&bottle, "a", "cat /sys/class/net/eth*/mtu | sort -u"), "1300\n1500");
    let network = bottle.get("/networks/project_tuned");
    assert_eq!((&network["Attachable"], &network["Labels"]["team"]), (&true.into(), &"blue".into()));
    assert_eq!(bottle.get("/networks/project_default")["Attachable"], false);
    assert_eq!(bottle.get("/networks/project_closed")["Internal"], true);
    // Others join it by name and by id, and stay what they are.
    let id = network["Id"].as_str().expect("an id").to_owned();
    for name in ["project_tuned", &id] {
        bottle.write(
            "other.yaml",
            &format!(
                "name: other\nservices:\n{}networks: {{there: {{external: true, name: {name}}}}}\n",
                service("x", "networks: [there]")
            ),
        );
        bottle.gantry(["-f", "other.yaml", "up", "-d"]).success();
        let there = |bottle: &Bottle| bottle.inspect("other-x-1").expect("it runs");
        assert_eq!(there(&bottle)["NetworkSettings"]["Networks"]["project_tuned"]["NetworkID"], *id);
        let before = there(&bottle)["Id"].clone();
        bottle.gantry(["-f", "other.yaml", "up", "-d"]).success();
        assert_eq!(there(&bottle)["Id"], before, "{name}");
        bottle.gantry(["-f", "other.yaml", "down"]).success();
    }
    assert_eq!(bottle.get("/networks/project_tuned")["Id"], *id);
    for (network, expect) in [
        ("there: {external: true, name: absent}", "network absent declared as external, but could not be found"),
        ("there: {driver_opts: {colour: red}}", "option colour=red is not supported"),
        ("there: {driver_opts: {com.docker.network.driver.mtu: big}}", "invalid value `big`"),
        ("there: {ipam: {config: [{subnet: 10.88.0.0/16}, {subnet: 10.88.1.0/24}]}}", "overlaps"),
    ] {
        bottle.write("other.yaml", &format!("name: other\nservices:\n{}networks:\n  {network}\n", service("x", "networks: [there]")));
        let message = bottle.gantry(["-f", "other.yaml", "up", "-d"]).failure(1);
        assert!(message.contains(expect) && message.contains("other.yaml:"), "{message}");
    }
}

#[test]
fn volumes_are_external_or_what_their_options_mount() {
    let bottle = Bottle::with_image();
    bottle.shell("mkdir host && echo host > host/file").success();
    bottle.compose(&format!(
        "services:\n{}volumes:
  plain: {{labels: {{team: blue}}}}
  memory: {{driver: local, driver_opts: {{type: tmpfs, device: tmpfs, o: 'size=64k,mode=700'}}}}
  bound: {{driver: local, driver_opts: {{type: none, device: ./host, o: bind}}}}\n",
        service("a", "volumes: ['plain:/plain', 'memory:/memory', 'bound:/bound']")
    ));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(
        inside(
            &bottle,
            "a",
            "cat /bound/file; grep -c ' /memory tmpfs .*size=64k' /proc/mounts; grep -c ' /plain tmpfs' /proc/mounts; true"
        ),
        "host\n1\n0"
    );
    assert_eq!(bottle.get("/volumes/project_plain")["Labels"]["team"], "blue");
    inside(&bottle, "a", "echo kept > /plain/file");
    bottle.write(
        "other.yaml",
        &format!(
            "name: other\nservices:\n{}volumes: {{there: {{external: true, name: project_plain}}}}\n",
            service("x", "volumes: ['there:/d']")
        ),
    );
    bottle.gantry(["-f", "other.yaml", "up", "-d"]).success();
    assert_eq!(bottle.gantry(["-f", "other.yaml", "exec", "-T", "x", "cat", "/d/file"]).success(), "kept\n");
    bottle.gantry(["-f", "other.yaml", "down", "-v"]).success();
    assert_eq!(bottle.get("/volumes/project_plain")["Name"], "project_plain");
    for (volume, expect) in [
        ("there: {external: true, name: absent}", "external volume \"absent\" not found"),
        ("there: {driver_opts: {colour: red}}", "invalid option: \"colour\""),
        ("there: {driver_opts: {type: nfs, device: ':/srv', o: addr=server}}", "must be an address"),
        ("there: {driver_opts: {type: nfs, device: ':/srv', o: 'addr=127.0.0.1,nolock,soft,timeo=1,retrans=0'}}", "mount"),
        ("there: {driver_opts: {type: none, device: /no/such/folder, o: bind}}", "No such file or directory"),
    ] {
        bottle.write("other.yaml", &format!("name: other\nservices:\n{}volumes:\n  {volume}\n", service("x", "volumes: ['there:/d']")));
        let message = bottle.gantry(["-f", "other.yaml", "up", "-d"]).failure(1);
        assert!(message.contains(expect) && message.contains("other.yaml:"), "{message}");
        bottle.gantry(["-f", "other.yaml", "down", "-v"]).success();
    }
}

#[test]
fn ports_in_long_form_are_published_where_they_say() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n{}",
        service(
            "a",
            "scale: 2
ports:
  - {target: 80, published: '8080-8089', host_ip: 127.0.0.1, mode: host}
  - {target: 53, protocol: udp}"
        )
    ));
    let outcome = bottle.gantry(["up", "-d"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let mut taken = Vec::new();
    for name in ["project-a-1", "project-a-2"] {
        let ports = bottle.inspect(name).expect("it runs")["NetworkSettings"]["Ports"].clone();
        assert_eq!(ports["80/tcp"][0]["HostIp"], "127.0.0.1");
        assert_eq!(ports["80/tcp"].as_array().map(Vec::len), Some(1));
        let port: u16 = ports["80/tcp"][0]["HostPort"].as_str().expect("a port").parse().expect("a number");
        assert!((8080..8090).contains(&port), "{port}");
        taken.push(port);
        assert_eq!(ports["53/udp"][0]["HostIp"], "0.0.0.0");
        assert_ne!(ports["53/udp"][0]["HostPort"], "0");
    }
    assert_ne!(taken[0], taken[1]);
}
