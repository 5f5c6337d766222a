//! What a project's file asks for is there.

use super::Project;
use crate::api::Events;

#[test]
fn gates_are_waited_for() {
    let project = Project::new("gates");
    project.up();
    let at = |service: &str, field: &str| project.inspect(service)["State"][field].as_str().expect("a time").to_owned();
    assert!(at("job", "FinishedAt") < at("server", "StartedAt"));
    assert!(at("server", "StartedAt") < at("client", "StartedAt") && at("client", "StartedAt") < at("optional", "StartedAt"));
    assert_eq!(project.inspect("server")["State"]["Health"]["Status"], "healthy");
    assert_eq!(project.bottle.state("gates-job-1"), "exited");
    let logs = project.compose(&["logs", "--no-color", "--no-log-prefix", "client", "server"]).success();
    assert_eq!(logs, "prepared\nprepared\n");
    // With `restart: true` the client follows its server.
    let before = at("client", "StartedAt");
    project.compose(&["restart", "server"]).success();
    assert!(at("client", "StartedAt") > before);
    project.down();
}

#[test]
fn profiles_choose_services() {
    let project = Project::new("profiles");
    project.up();
    assert_eq!(project.bottle.containers(), ["profiles-always-1"]);
    project.compose(&["--profile", "test", "up", "-d"]).success();
    project.compose(&["up", "-d", "debugger"]).success();
    assert_eq!(project.bottle.containers(), ["profiles-always-1", "profiles-debugger-1", "profiles-tester-1"]);
    project.compose(&["--profile", "test", "down", "-t", "0"]).success();
    assert_eq!(project.bottle.containers(), ["profiles-debugger-1"]);
    project.compose(&["--profile", "*", "down", "-t", "0"]).success();
    project.down();
}

#[test]
fn replicas_are_scaled_and_made_anew() {
    let mut project = Project::new("replicas");
    project.up();
    let id = |name: &str| project.bottle.inspect(name).expect("it exists")["Id"].as_str().expect("an id").to_owned();
    let ports = |index: &str| project.compose(&["port", "--index", index, "web", "80"]).success();
    let published = [ports("1"), ports("2")].map(|it| it.trim().trim_start_matches("0.0.0.0:").parse::<u16>().expect("a port"));
    assert!(published[0] != published[1] && published.iter().all(|port| (18100..=18109).contains(port)), "{published:?}");
    let asked = format!("curl -sS --fail --max-time 10 http://127.0.0.1:{}/name", published[0]);
    assert_eq!(project.bottle.shell(&asked).success().trim(), &id("replicas-web-1")[..12]);
    let found = project.says("client", "nslookup -type=a web | grep -c '^Address: '");
    assert_eq!(found, "2\n");
    let before = id("replicas-web-1");
    project.compose(&["up", "-d", "--scale", "web=4", "--no-recreate"]).success();
    assert_eq!(project.says("client", "nslookup -type=a web | grep -c '^Address: '"), "4\n");
    project.compose(&["scale", "web=1"]).success();
    assert_eq!(project.bottle.containers(), ["replicas-client-1", "replicas-web-1"]);
    assert_eq!(id("replicas-web-1"), before);
    project.compose(&["up", "-d", "--scale", "web=1", "--force-recreate", "web"]).success();
    assert_ne!(id("replicas-web-1"), before);
    let client = id("replicas-client-1");
    project.environment.push(("VERSION", "2"));
    project.up();
    assert_eq!(project.says("web", "echo $VERSION"), "2\n");
    assert_eq!(project.inspect("client")["Id"], client);
    project.down();
}

#[test]
fn networks_have_names_addresses_and_walls() {
    let project = Project::new("networks");
    project.up();
    let reaches = |service: &str, who: &str| project.compose(&["exec", "-T", service, "ping", "-c", "1", "-W", "2", who]).code == 0;
    for name in ["site", "www.example", "landlord", "front", "10.77.1.10"] {
        assert!(reaches("stranger", name), "{name}");
    }
    for name in ["store", "back", "10.77.2.20"] {
        assert!(!reaches("stranger", name), "{name}");
    }
    assert!(reaches("front", "store") && reaches("back", "fd00:77::10") && !reaches("back", "10.77.1.10"));
    assert_eq!(project.says("back", "ip route | grep -c default; cat /sys/class/net/inner0/address"), "0\n02:42:0a:4d:02:14\n");
    let networks = &project.inspect("stranger")["NetworkSettings"]["Networks"];
    assert_eq!(networks["networks_outer"]["IPAddress"], "10.77.1.128");
    assert_eq!(project.bottle.get("/networks/networks_outer")["Labels"]["side"], "outer");
    assert_eq!(project.bottle.shell("ip -o -4 address show outer77 | awk '{print $4}'").success(), "10.77.1.1/24\n");
    project.down();
}

#[test]
fn volumes_are_kept_and_passed_on() {
    let mut project = Project::new("volumes");
    // One that is not the project's own has to be there.
    let told = project.compose(&["up", "-d"]).failure(1);
    assert!(told.contains(r#"external volume "foreign" not found"#), "{told}");
    project.docker(&["volume", "create", "foreign"]).success();
    project.up();
    project.says("keeper", "echo kept | tee /nameless/file /named/file /own/file; ! touch /foreign/file");
    assert_eq!(project.says("keeper", "ls -d /part /named/part; ls /part | wc -l"), "/named/part\n/part\n0\n");
    assert_eq!(project.says("reader", "cat /nameless/file /own/file"), "kept\nkept\n");
    let nameless = |project: &Project| -> Vec<String> { project.volumes().into_iter().filter(|name| name.len() == 64).collect() };
    let before = nameless(&project);
    project.environment.push(("VERSION", "2"));
    project.up();
    assert_eq!(project.says("keeper", "echo $VERSION; cat /nameless/file /named/file"), "2\nkept\nkept\n");
    assert_eq!(nameless(&project), before);
    assert_eq!(project.bottle.get("/volumes/volumes_named")["Labels"]["kept"], "no");
    project.compose(&["down", "-t", "1"]).success();
    assert!(project.volumes().iter().any(|name| name == "a-name-of-its-own"));
    project.up();
    assert_eq!(project.says("keeper", "cat /named/file /own/file; ls /nameless"), "kept\nkept\n");
    // Of what `down` kept the nameless one has no owner any more, as with Docker.
    project.docker(&["volume", "rm", &before[0]]).success();
    project.down_to(&["foreign"]);
}

#[test]
fn mounts_are_the_hosts_or_memory() {
    let project = Project::new("mounts");
    project.up();
    assert_eq!(project.says("a", "cat /page; echo made > /made/file; ! touch /files/x; stat -c %a /small /long"), "a page\n700\n1770\n");
    assert_eq!(project.bottle.shell("cat made/file").success(), "made\n");
    let sizes = "grep -E ' (/scratch|/small|/long) ' /proc/mounts | grep -o -e 'size=[0-9]*k' | sort";
    assert_eq!(project.says("a", sizes), "size=1024k\nsize=2048k\n");
    project.down();
}

#[test]
fn documents_come_from_everywhere() {
    let all = [("SURROUNDING", "around"), ("WORD", "secret"), ("PASSED", "passed"), ("WRITER", "me")];
    let project = all.into_iter().fold(Project::new("documents"), |project, (name, value)| project.with(name, value));
    project.up();
    let variables = project.says("a", "echo \"$FIRST,$BOTH,$QUOTED,$RAW,$STATED,$PASSED\"");
    assert_eq!(variables, "first,of the second,a b,\"raw\",here,passed\n");
    assert_eq!(project.says("a", "cat /page /etc/written /run/secrets/key"), "a page\nwritten by me\na key\n");
    assert_eq!(project.says("a", "cat /etc/surrounding /etc/word"), "aroundsecret");
    let modes = project.says("a", "stat -c '%a %u' /etc/written /etc/surrounding /etc/word");
    assert_eq!(modes, "440 1000\n444 0\n400 1000\n");
    project.down();
}

#[test]
fn images_are_built_by_the_classic_builder() {
    let mut project = Project::new("build").with("WORD", "first");
    project.compose(&["up", "-d", "--build"]).success();
    assert_eq!(project.says("plain", "cat /word"), "plain and unset\nunwanted\n");
    assert_eq!(project.says("staged", "cat /word; grep -c elsewhere /hosts"), "first and unset\nwanted\n1\n");
    assert_eq!(project.bottle.get("/images/build-plain/json")["Config"]["Labels"]["built"], "plain");
    assert_eq!(project.bottle.get("/images/staged:other/json")["Id"], project.inspect("staged")["Image"]);
    project.environment.push(("WORD", "second"));
    project.compose(&["build", "--build-arg", "EMPTY=given", "staged"]).success();
    project.up();
    assert_eq!(project.says("staged", "cat /word"), "second and given\nwanted\n");
    project.down();
    assert_eq!(project.docker(&["image", "ls", "-q", "build-plain"]).success(), "");
}

#[test]
fn projects_are_made_of_several_files() {
    let project = Project::new("extends");
    project.up();
    for (service, expected) in [("a", "a yes\na page\n"), ("b", "b yes\na page\n")] {
        assert_eq!(project.says(service, "echo $OWN $SHARED; cat /page"), expected);
        assert_eq!(project.inspect(service)["Config"]["Labels"]["from"], "base");
    }
    assert_eq!(project.says("included", "echo $SAID; cat /page"), "first\na page\n");
    project.down();
}

#[test]
fn rights_are_given_and_taken() {
    let project = Project::new("rights");
    project.up();
    let look = "id; pwd; grep -e CapBnd -e NoNewPrivs /proc/self/status; ! touch /file";
    let expected = "uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)\n/tmp\nCapBnd:\t0000000000001001\nNoNewPrivs:\t1\n";
    assert_eq!(project.says("fewer", look), expected);
    assert_eq!(project.says("more", "stat -c '%t:%T' /dev/nothing; mount -t tmpfs none /tmp && echo mounted"), "1:3\nmounted\n");
    project.down();
}

#[test]
fn limits_are_set() {
    let project = Project::new("limits");
    project.up();
    let look = "ulimit -n; ulimit -Hn; ulimit -u; cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_unprivileged_port_start \
                /proc/1/oom_score_adj; df -k /dev/shm | awk 'NR == 2 {print $2}'";
    assert_eq!(project.says("a", look), "2000\n3000\n500\n2048\n80\n300\n8192\n");
    project.down();
}

#[test]
fn namespaces_are_shared_as_said() {
    let project = Project::new("shared");
    project.up();
    let spaces = |service: &str| project.says(service, "for name in net ipc pid uts; do readlink /proc/self/ns/$name; done");
    let [owner, guest, hosted, alone] = ["owner", "guest", "hosted", "alone"].map(spaces);
    let same = |one: &str, other: &str| -> Vec<bool> { one.lines().zip(other.lines()).map(|(one, other)| one == other).collect() };
    assert_eq!(same(&owner, &guest)[..3], [true, true, true]);
    assert_eq!(same(&owner, &alone), [false; 4]);
    let host = project.bottle.shell("for name in net ipc pid uts; do readlink /proc/self/ns/$name; done").success();
    assert_eq!(same(&host, &hosted), [true, false, true, true]);
    assert_eq!(project.says("alone", "ls /sys/class/net"), "lo\n");
    assert_eq!(project.says("guest", "hostname"), "owner\n");
    project.down();
}

#[test]
fn restart_policies_decide() {
    let project = Project::new("restart");
    let told = project.compose(&["up", "-d", "--wait"]).failure(1);
    // Whichever it sees first.
    assert!(told.contains("container restart-never-1 exited (4)") || told.contains("container restart-twice-1 exited (3)"), "{told}");
    let count = |service: &str| project.inspect(service)["RestartCount"].as_u64();
    project.bottle.eventually("two restarts", || count("twice") == Some(2) && project.bottle.state("restart-twice-1") == "exited");
    assert_eq!((count("never"), count("always")), (Some(0), Some(0)));
    project.compose(&["exec", "-d", "always", "kill", "1"]).success();
    project.bottle.eventually("it runs again", || count("always") == Some(1) && project.bottle.state("restart-always-1") == "running");
    let policy = &project.inspect("deployed")["HostConfig"]["RestartPolicy"];
    assert_eq!((policy["Name"].as_str(), policy["MaximumRetryCount"].as_u64()), (Some("on-failure"), Some(5)));
    project.down();
}

#[test]
fn names_and_labels_are_the_files() {
    let project = Project::new("names");
    project.up();
    let seen = project.bottle.inspect("a-name-of-its-own").expect("it exists");
    assert_eq!(
        (seen["Config"]["Labels"]["two.words"].as_str(), seen["HostConfig"]["Annotations"]["note"].as_str()),
        (Some("a b"), Some("kept"))
    );
    assert_eq!(project.says("a", "hostname; hostname -f; grep -c elsewhere /etc/hosts"), "inside\ninside.example.test\n1\n");
    assert_eq!(project.says("a", "grep -v '^#' /etc/resolv.conf"), "nameserver 127.0.0.11\nsearch example.test\noptions ndots:2\n");
    assert_eq!(project.compose(&["port", "a", "80"]).success(), "127.0.0.1:18120\n");
    assert_eq!(project.compose(&["port", "--protocol", "udp", "a", "82"]).success(), "0.0.0.0:18122\n");
    project.down();
}

#[test]
fn health_is_checked_unless_it_is_not() {
    let project = Project::new("health");
    let told = project.compose(&["up", "-d", "--build", "--wait", "checked"]).failure(1);
    assert!(told.contains("container health-checked-1 is unhealthy"), "{told}");
    project.compose(&["up", "-d"]).success();
    project.says("checked", "touch /tmp/well");
    // Compose gives up at once on what is unhealthy when it begins to wait.
    project.bottle.eventually("it is well", || project.inspect("checked")["State"]["Health"]["Status"] == "healthy");
    project.compose(&["up", "-d", "--wait", "checked"]).success();
    assert!(project.inspect("unchecked")["State"].get("Health").is_none());
    project.down();
}

#[test]
fn the_end_is_asked_for_as_the_file_says() {
    let project = Project::new("stop");
    project.compose(&["up", "-d"]).success();
    let wait = "until $GANTRY -f stop.yaml logs --no-log-prefix 2>/dev/null | grep -c ready | grep -q 2; do :; done";
    project.bottle.shell(wait).success();
    project.compose(&["stop"]).success();
    let code = |service: &str| project.inspect(service)["State"]["ExitCode"].as_i64();
    assert_eq!((code("polite"), code("deaf")), (Some(9), Some(137)));
    assert_eq!(project.compose(&["logs", "--no-color", "polite"]).success(), "polite-1  | ready\npolite-1  | asked\n");
    project.down();
}

#[test]
fn hooks_run_after_the_start_and_before_the_end() {
    let project = Project::new("hooks");
    let mut events = Events::subscribe(&project.bottle.socket());
    project.up();
    project.compose(&["stop"]).success();
    project.compose(&["start"]).success();
    assert_eq!(project.says("a", "cat /left/log"), "started by root in /etc with word\nstopping\nstarted by root in /etc with word\n");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let mut told = std::iter::from_fn(|| events.next(deadline));
    assert!(told.any(|event| event["Action"].as_str().is_some_and(|action| action.starts_with("exec_start: sh -c echo started"))));
    project.down();
}
