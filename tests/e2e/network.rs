//! Networks: names, replicas, aliases, isolation, internal networks.

use crate::bottle::Bottle;
use crate::up::RUNS;

#[test]
fn services_find_each_other_by_every_name() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:
  web:
    image: IMAGE
    command: {RUNS}
    scale: 3
    networks:
      default: {{aliases: [www]}}
  client:
    image: IMAGE
    command: {RUNS}
"
    ));
    bottle.gantry(["up", "-d"]).success();
    let addresses = |name: &str| {
        let answer = bottle.gantry(["exec", "-T", "client", "nslookup", "-type=a", name, "127.0.0.11"]).stdout;
        let mut found: Vec<_> = answer.lines().skip(2).filter_map(|line| line.strip_prefix("Address: ").map(str::to_owned)).collect();
        found.sort();
        found
    };
    let mut expected: Vec<_> = (1..=3)
        .map(|number| {
            let container = bottle.inspect(&format!("project-web-{number}")).expect("it runs");
            container["NetworkSettings"]["Networks"]["project_default"]["IPAddress"].as_str().expect("an address").to_owned()
        })
        .collect();
    expected.sort();
    assert_eq!(addresses("web"), expected);
    assert_eq!(addresses("www"), expected);
    assert_eq!(addresses("project-web-2").len(), 1);
    assert_ne!(bottle.gantry(["exec", "-T", "client", "nslookup", "nobody", "127.0.0.11"]).code, 0);
    // One replica leaves; its address leaves with it.
    bottle.gantry(["up", "-d", "--scale", "web=1"]).success();
    assert_eq!(addresses("web").len(), 1);
    bottle.gantry(["exec", "-T", "client", "ping", "-c", "1", "-W", "2", "web"]).success();
}

#[test]
fn networks_are_isolated_from_each_other() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:
  a:
    image: IMAGE
    command: {RUNS}
    networks: [front]
  b:
    image: IMAGE
    command: {RUNS}
    networks: [front, back]
  c:
    image: IMAGE
    command: {RUNS}
    networks: [back]
networks:
  front: {{}}
  back: {{internal: true}}
"
    ));
    bottle.gantry(["up", "-d"]).success();
    let address = |name: &str, network: &str| {
        let container = bottle.inspect(name).expect("it runs");
        container["NetworkSettings"]["Networks"][network]["IPAddress"].as_str().expect("an address").to_owned()
    };
    let reaches = |from: &str, to: &str| bottle.gantry(["exec", "-T", from, "ping", "-c", "1", "-W", "1", to]).code == 0;
    assert!(reaches("a", "b") && reaches("b", "c") && reaches("c", "b"));
    assert!(!reaches("a", &address("project-c-1", "project_back")));
    assert!(!reaches("c", &address("project-a-1", "project_front")));
    assert_ne!(bottle.gantry(["exec", "-T", "a", "nslookup", "c", "127.0.0.11"]).code, 0);
    // Who is on a network that leads somewhere finds what is on none of both; from an internal one there is no way to it.
    bottle.shell("ip address add 192.0.2.1/32 dev lo").success();
    assert!(reaches("a", "192.0.2.1") && reaches("b", "192.0.2.1") && !reaches("c", "192.0.2.1"));
}

#[test]
fn who_is_not_root_listens_on_a_low_port_and_starts_with_every_signal_at_its_default() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:\n  web:\n    image: IMAGE\n    user: app\n    command: [httpd, -f, -p, '80', -h, /etc]\n    ports: ['8080:80']\n",
    );
    bottle.gantry(["up", "-d"]).success();
    bottle.shell("until curl -s --max-time 5 http://127.0.0.1:8080/group | grep -q root:x:0:; do :; done").success();
    let inside = |line: &str| bottle.gantry(["exec", "-T", "web", "sh", "-c", line]).success();
    assert_eq!(inside("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "0\n");
    assert_eq!(inside("cat /proc/sys/net/ipv4/ping_group_range"), "0\t2147483647\n");
    // Without a shell, which ignores some itself.
    let told = bottle.gantry(["exec", "-T", "web", "sed", "-n", "s/^SigIgn:[^0-9a-f]*//p", "/proc/self/status"]).success();
    let ignored = u64::from_str_radix(told.trim(), 16).expect("a set of signals");
    // runc of Debian 12 leaves 32 ignored, one of those that a C library keeps for itself.
    let expected = if bottle.is_on_docker() { ignored & 1 << 31 } else { 0 };
    assert_eq!(ignored, expected, "{told}");
}
