//! Published ports: loopback of both families, other addresses, clashes, release.

use crate::bottle::Bottle;

const SERVER: &str = "services:\n  web:\n    image: IMAGE\n    command: [httpd, -f, -p, '80', -h, /etc]\n    ports: ['8080:80']\n    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, 'http://127.0.0.1/group'], interval: 1s}\n";

#[test]
fn a_published_port_answers_on_every_address_and_is_free_after_down() {
    let bottle = Bottle::with_image();
    bottle.shell("ip link add other type veth peer name far && ip link set far up && ip address add 198.51.100.7/24 dev other && ip link set other up").success();
    bottle.compose(SERVER);
    bottle.gantry(["up", "-d", "--wait"]).success();
    for host in ["127.0.0.1", "[::1]", "198.51.100.7", "localhost"] {
        let page = bottle.shell(&format!("curl -sS --max-time 5 http://{host}:8080/group"));
        assert!(page.stdout.contains("root:x:0:"), "{host}: {page:?}");
    }
    let ports = &bottle.inspect("project-web-1").expect("it runs")["NetworkSettings"]["Ports"]["80/tcp"];
    assert_eq!(ports[0]["HostPort"], "8080");
    assert!(bottle.shell("ss -Hltn sport = :8080").success().contains("8080"), "the port is seen to be taken");
    bottle.gantry(["down"]).success();
    assert_eq!(bottle.shell("ss -Hltn sport = :8080").success(), "");
    bottle.shell("timeout 1 busybox nc -l -p 8080; test $? -eq 124").success();
}

#[test]
fn a_port_in_use_names_its_holder_and_leaves_nothing() {
    let bottle = Bottle::with_image();
    bottle.compose(SERVER);
    let line = "busybox nc -l -p 8080 & holder=$!; until ss -Hltn sport = :8080 | grep -q 8080; do :; done; $GANTRY up -d; code=$?; kill $holder; exit $code";
    let message = bottle.shell(line).failure(1);
    assert!(message.contains("8080") && message.contains("busybox") && message.contains("web"), "{message}");
    assert!(bottle.containers().is_empty());
    assert!(bottle.get("/networks").as_array().expect("a list").iter().all(|it| it["Name"] != "project_default"));
    // The way is free now.
    bottle.gantry(["up", "-d", "--wait"]).success();
    assert_eq!(bottle.state("project-web-1"), "running");
}

#[test]
fn every_kind_of_holder_is_named() {
    let bottle = Bottle::with_image();
    bottle.gantry(["image", "ls"]).success();
    let own = std::process::id().to_string();
    // This very process holds the port, in the bottle, of which it is a part.
    let refused = |port: &str| {
        bottle.compose(&SERVER.replace("8080:80", port));
        let message = bottle.gantry(["up", "-d"]).failure(1);
        assert!(message.contains("8080") && message.contains(&own) && message.contains("services.web.ports"), "{message}");
        assert!(bottle.containers().is_empty());
    };
    let datagrams = std::net::UdpSocket::bind("0.0.0.0:8080").expect("a port");
    refused("8080:80/udp");
    drop(datagrams);
    let only_v6 = std::net::TcpListener::bind("[::1]:8080").expect("a port");
    refused("8080:80");
    drop(only_v6);
    let only_loopback = std::net::TcpListener::bind("127.0.0.1:8080").expect("a port");
    refused("127.0.0.1:8080:80");
    drop(only_loopback);
    bottle.compose(SERVER);
    bottle.gantry(["up", "-d", "--wait"]).success();
}

#[test]
fn a_port_on_one_address_is_only_there() {
    let bottle = Bottle::with_image();
    bottle.shell("ip link add other type veth peer name far && ip link set far up && ip address add 198.51.100.7/24 dev other && ip link set other up").success();
    bottle.compose(&SERVER.replace("8080:80", "127.0.0.1:8080:80"));
    bottle.gantry(["up", "-d", "--wait"]).success();
    bottle.shell("curl -sS --max-time 5 http://127.0.0.1:8080/group").success();
    assert_ne!(bottle.shell("curl -sS --max-time 2 http://198.51.100.7:8080/group").code, 0);
}

#[test]
fn containers_reach_each_other_through_the_hosts_port() {
    let bottle = Bottle::with_image();
    bottle.shell("ip link add other type veth peer name far && ip link set far up && ip address add 198.51.100.7/24 dev other && ip link set other up").success();
    bottle.compose(SERVER);
    bottle.gantry(["up", "-d", "--wait"]).success();
    let page = bottle.gantry(["exec", "-T", "web", "timeout", "5", "wget", "-q", "-O", "-", "http://198.51.100.7:8080/group"]);
    assert!(page.stdout.contains("root:x:0:"), "{page:?}");
}

#[test]
fn a_ports_address_is_printed_by_replica_and_protocol() {
    let bottle = Bottle::with_image();
    let service = "    image: IMAGE\n    command: [sleep, '1000']\n    stop_grace_period: 1s\n";
    bottle.compose(&format!(
        "services:\n  web:\n{service}    scale: 2\n    ports: ['8080-8081:80', '127.0.0.1:9090-9091:53/udp', '7000']\n  range:\n{service}    ports: ['6000-6002:5000-5002']\n  mute:\n{service}"
    ));
    bottle.gantry(["up", "-d"]).success();
    let port = |arguments: &str| bottle.gantry(["port"].into_iter().chain(arguments.split_whitespace()));
    // Which replica has which port of the range is the engine's to say.
    let published = |container: &str, port: &str| {
        let info = bottle.inspect(container).expect("it runs");
        info["NetworkSettings"]["Ports"][port][0]["HostPort"].as_str().expect("a port").to_owned()
    };
    for (index, container) in [("1", "project-web-1"), ("2", "project-web-2")] {
        assert_eq!(port(&format!("--index {index} web 80")).success(), format!("0.0.0.0:{}\n", published(container, "80/tcp")));
        assert_eq!(
            port(&format!("--protocol udp --index {index} web 53")).success(),
            format!("127.0.0.1:{}\n", published(container, "53/udp"))
        );
        assert_eq!(port(&format!("--index {index} web 7000")).success(), format!("0.0.0.0:{}\n", published(container, "7000/tcp")));
    }
    assert_ne!(port("--index 1 web 80").success(), port("--index 2 web 80").success());
    assert_eq!(port("web 80").success(), port("--index 1 web 80").success());
    for (inside, outside) in [("5000", "6000"), ("5001", "6001"), ("5002", "6002")] {
        assert_eq!(port(&format!("range {inside}")).success(), format!("0.0.0.0:{outside}\n"));
    }
    for (arguments, words) in [
        ("web 53", "no port 53/tcp for container project-web-1: it publishes"),
        ("--protocol udp web 80", "no port 80/udp for container project-web-1"),
        ("--index 2 range 5000", "service \"range\" is not running container #2"),
        ("range 5003", "no port 5003/tcp for container project-range-1: it publishes 5000/tcp, 5001/tcp, 5002/tcp"),
        ("mute 80", "it publishes none"),
        ("nosuch 80", "service \"nosuch\" is not running"),
        ("--protocol http web 80", "tcp, udp or sctp"),
    ] {
        let outcome = port(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{arguments}");
        assert!(outcome.stderr.contains(words), "{arguments}: {}", outcome.stderr);
    }
}
