//! What the ordinary `docker` does with containers, on our engine and on Docker's own: the same commands, the same answers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Events, request};
use crate::bottle::{Bottle, IMAGE};
use crate::docker::{Docker, docker};
use crate::program::{Outcome, run};

/// Ends at once when it is asked to.
pub(crate) const WAITS: &str = "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";

/// Both engines in one bottle, each with the busybox image.
struct Both<'bottle> {
    bottle: &'bottle Bottle,
    theirs: Docker<'bottle>,
}

impl<'bottle> Both<'bottle> {
    fn start(bottle: &'bottle Bottle) -> Self {
        let theirs = Docker::start(bottle);
        theirs.import();
        // Docker takes its time to start, and our engine may have left meanwhile.
        bottle.gantry(["image", "ls"]).success();
        Self { bottle, theirs }
    }

    fn run(&self, arguments: &[&str]) -> (Outcome, Outcome) {
        (run(docker(self.bottle).args(arguments)), self.theirs.docker(arguments))
    }

    /// Runs a command on both; returns what ours says.
    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let (ours, theirs) = self.run(arguments);
        theirs.success();
        ours.success()
    }

    /// Runs a command on both, which are to say the same; the order of lines does not count.
    #[track_caller]
    fn same(&self, arguments: &[&str]) -> String {
        let (ours, theirs) = self.run(arguments);
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!((ours.code, lines(&ours.stdout)), (theirs.code, lines(&theirs.stdout)), "{arguments:?}\n{ours:?}\n{theirs:?}");
        ours.stdout
    }

    /// Runs a command that both refuse, and returns how ours does.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let (ours, theirs) = self.run(arguments);
        assert_ne!(theirs.code, 0, "{arguments:?}");
        ours.failure(theirs.code)
    }
}

/// The file of a limit in the control group that a process is in.
fn limit(pid: i64, controller: &str, legacy: &str, unified: &str) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process that runs");
    let find = |wanted: &str| {
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|known| known == wanted).then(|| path.to_owned())
        })
    };
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("a mount table");
    let mounted = |kind: &str, option: &str| {
        table.lines().find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let right: Vec<&str> = right.split(' ').collect();
            let is = right[0] == kind && (option.is_empty() || right[2].split(',').any(|word| word == option));
            is.then(|| left.split(' ').nth(4).map(str::to_owned)).flatten()
        })
    };
    let file = match (mounted("cgroup", controller), find(controller)) {
        (Some(root), Some(path)) => format!("{root}{path}/{legacy}"),
        _ => format!("{}{}/{unified}", mounted("cgroup2", "").expect("cgroup2"), find("").expect("a group")),
    };
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}")).trim().to_owned()
}

/// What a container's process 1 may have: memory, tasks, and a quota of processor time.
fn limits(pid: i64) -> [String; 3] {
    [
        limit(pid, "memory", "memory.limit_in_bytes", "memory.max"),
        limit(pid, "pids", "pids.max", "pids.max"),
        limit(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split(' ').next().unwrap_or_default().to_owned(),
    ]
}

#[test]
fn updated_limits_are_in_force_at_once_for_all_processes_and_stay() {
    let bottle = Bottle::with_image();
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    docker(&["run", "-d", "--name", "aa", IMAGE, "sh", "-c", WAITS]).success();
    docker(&["exec", "-d", "aa", "sleep", "2000"]).success();
    let mut events = Events::subscribe(&bottle.socket());
    let more = ["--memory", "64m", "--memory-swap", "128m", "--cpus", "0.5", "--pids-limit", "50", "--restart", "on-failure:3"];
    assert_eq!(docker(&[&["update"], more.as_slice(), &["aa"]].concat()).success(), "aa\n");
    let event = events.next(Instant::now() + Duration::from_secs(10)).expect("an event");
    assert_eq!((event["Action"].as_str(), event["Actor"]["Attributes"]["name"].as_str()), (Some("update"), Some("aa")));
    let expect = ["67108864", "50", "50000"].map(str::to_owned);
    // Those that ran before, and those that come after.
    docker(&["exec", "-d", "aa", "sleep", "3000"]).success();
    let rows = docker(&["top", "aa", "-o", "pid,args"]).success();
    let pids: Vec<i64> = rows.lines().skip(1).filter_map(|row| row.split_whitespace().next()?.parse().ok()).collect();
    assert!(pids.len() >= 3 && rows.contains("sleep 2000") && rows.contains("sleep 3000"), "{rows}");
    for pid in pids {
        assert_eq!(limits(pid), expect, "{pid}: {rows}");
    }
    let inspected = bottle.inspect("aa").expect("it is there");
    let host = &inspected["HostConfig"];
    let told = [&host["Memory"], &host["MemorySwap"], &host["NanoCpus"], &host["PidsLimit"], &host["RestartPolicy"]];
    let restart = json!({"Name": "on-failure", "MaximumRetryCount": 3});
    assert_eq!(told, [&json!(67_108_864), &json!(134_217_728), &json!(500_000_000), &json!(50), &restart]);

    // Another life, and other limits again: down, and up with swap.
    docker(&["restart", "-t", "5", "aa"]).success();
    assert_eq!(limits(bottle.pid("aa")), expect);
    docker(&["update", "--memory", "32m", "--memory-swap", "64m", "aa"]).success();
    docker(&["update", "--memory", "256m", "--memory-swap", "-1", "--pids-limit", "-1", "--cpus", "1", "aa"]).success();
    assert_eq!(limits(bottle.pid("aa")), ["268435456", "max", "100000"].map(str::to_owned));
    docker(&["rm", "-f", "aa"]).success();

    // One that is at rest has them when it starts.
    docker(&["create", "--name", "bb", IMAGE, "sh", "-c", WAITS]).success();
    docker(&["update", "--pids-limit", "7", "bb"]).success();
    docker(&["start", "bb"]).success();
    assert_eq!(limit(bottle.pid("bb"), "pids", "pids.max", "pids.max"), "7");
}

#[test]
fn an_update_that_cannot_be_changes_nothing() {
    let bottle = Bottle::with_image();
    let both = Both::start(&bottle);
    both.good(&["run", "-d", "--name", "aa", "-m", "64m", IMAGE, "sh", "-c", WAITS]);
    both.good(&["run", "-d", "--rm", "--name", "bb", IMAGE, "sh", "-c", WAITS]);
    for (arguments, word) in [
        (["-m", "1m", "aa"], "memory limit"),
        (["-m", "1g", "aa"], "update the memoryswap at the same time"),
        (["-m", "64m", "bb"], "update the memoryswap at the same time"),
        (["--cpu-period", "10", "aa"], "CPU cfs period"),
        (["--cpuset-cpus", "4000", "aa"], "4000"),
        (["--restart", "always", "bb"], "AutoRemove"),
        (["--restart", "never", "aa"], "on-failure"),
        (["--cpus", "1", "missing"], "No such container: missing"),
    ] {
        let told = both.refused(&[&["update"], arguments.as_slice()].concat());
        assert!(told.contains(word), "{arguments:?}: {told}");
    }
    both.same(&["inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.RestartPolicy.Name}}", "aa", "bb"]);
    let socket = bottle.socket();
    for (field, value) in [("OomKillDisable", json!(true)), ("Ulimits", json!([{"Name": "nofile", "Soft": 9, "Hard": 9}]))] {
        let (status, answer) = request(&socket, "POST", "/containers/aa/update", Some(&json!({ field: value })));
        assert!(status == 501 && answer["message"].as_str().is_some_and(|text| text.contains(field)), "{status} {answer}");
    }
}

/// Writes, removes, replaces and moves.
const CHANGES: &str = "rm /etc/group; echo new > /etc/new; mkdir -p /a/b; touch /a/b/c; ln -s c /a/b/link; rm -r /www; mkdir /www; touch /www/x; \
    chmod 700 /root; mv /etc/passwd /etc/moved; touch /tmp/x; rm /tmp/x";

#[test]
fn what_a_container_changed_is_told_and_becomes_an_image() {
    let bottle = Bottle::with_image();
    let both = Both::start(&bottle);
    both.good(&["run", "--name", "dd", "-v", "/data", IMAGE, "sh", "-c", CHANGES]);
    let changes = both.same(&["diff", "dd"]);
    assert!(changes.contains("D /etc/group\n") && changes.contains("A /a/b/link\n") && changes.contains("C /www\n"), "{changes}");
    both.good(&["create", "--name", "untouched", IMAGE, "true"]);
    assert_eq!(both.same(&["diff", "untouched"]), "");
    assert_eq!(request(&bottle.socket(), "GET", "/containers/untouched/changes", None), (200, Value::Null));
    // One that runs, and goes on.
    both.good(&[
        "run",
        "-d",
        "--name",
        "rr",
        "-e",
        "A=1",
        "-w",
        "/srv",
        "-l",
        "one=1",
        IMAGE,
        "sh",
        "-c",
        &format!("echo r > /made; {WAITS}"),
    ]);
    bottle.shell(&format!("until test -e {}/data/containers/*/upper/made; do :; done", bottle.root().display())).success();
    both.same(&["diff", "rr"]);

    let mut events = Events::subscribe(&bottle.socket());
    let commit = ["commit", "-a", "me", "-m", "a note", "-c", "CMD [\"cat\", \"/made\"]", "-c", "ENV A=2 B=3", "-c", "EXPOSE 80"];
    both.good(&[commit.as_slice(), &["-c", "LABEL two=2", "-c", "WORKDIR sub", "-c", "USER root", "rr", "kept:1"]].concat());
    let happened: Vec<String> = std::iter::from_fn(|| {
        let event = events.next(Instant::now() + Duration::from_secs(10))?;
        Some(format!("{} {}", event["Type"].as_str()?, event["Action"].as_str()?))
    })
    .take(5)
    .collect();
    assert_eq!(happened, ["container pause", "image create", "image tag", "container commit", "container unpause"]);
    assert_eq!(bottle.state("rr"), "running");
    assert_eq!(both.same(&["run", "--rm", "kept:1"]), "r\n");
    let config = "{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.ExposedPorts}} {{json .Config.Labels}} {{json .Config.User}} \
        {{json .Config.WorkingDir}} {{json .Config.Env}} {{.Author}} {{len .RootFS.Layers}}";
    both.same(&["image", "inspect", "-f", config, "kept:1"]);
    both.same(&["history", "--no-trunc", "--format", "{{.CreatedBy}} {{.Comment}}", "kept:1"]);

    // What changed nothing adds no layer; one that stands still needs no pause.
    both.good(&["commit", "--pause=false", "untouched", "same:1"]);
    both.same(&["image", "inspect", "-f", "{{len .RootFS.Layers}} {{json .Config.Cmd}}", "same:1"]);
    both.good(&["commit", "dd", "gone:1"]);
    both.same(&[
        "run",
        "--rm",
        "gone:1",
        "sh",
        "-c",
        "ls -a /www /a/b; stat -c %a /root; cat /etc/moved /etc/new; test -e /etc/group || echo gone",
    ]);
    // Nothing of it was taken away from the container.
    both.same(&["diff", "dd"]);
    for (arguments, word) in [
        (["commit", "-c", "RUN x", "dd"].as_slice(), "RUN is not a valid change command"),
        (&["commit", "missing"], "No such container: missing"),
        (&["commit", "dd", "Not-A-Name"], "lowercase"),
    ] {
        let told = both.refused(arguments);
        assert!(told.contains(word), "{arguments:?}: {told}");
    }
    let (status, answer) =
        request(&bottle.socket(), "POST", "/commit?container=dd&repo=body", Some(&json!({"Cmd": ["echo", "from the body"]})));
    assert!(status == 201 && answer["Id"].as_str().is_some_and(|id| id.starts_with("sha256:")), "{status} {answer}");
    assert_eq!(run(docker(&bottle).args(["run", "--rm", "body"])).success(), "from the body\n");
}

#[test]
fn lists_are_filtered_as_docker_filters_them() {
    let bottle = Bottle::with_image();
    let both = Both::start(&bottle);
    both.good(&["tag", IMAGE, "other:1"]);
    both.good(&["network", "create", "front"]);
    let host_path = bottle.project().display().to_string();
    let bound = format!("{host_path}:/bound");
    let runs: [&[&str]; 5] = [
        &[
            "run",
            "-d",
            "--name",
            "web-1",
            "-l",
            "tier=front",
            "-p",
            "8080:80",
            "--expose",
            "90",
            "--network",
            "front",
            IMAGE,
            "sh",
            "-c",
            WAITS,
        ],
        &["run", "-d", "--name", "web-2", "-l", "tier=back", "-v", "store:/data", "-v", &bound, IMAGE, "sh", "-c", WAITS],
        &["run", "-d", "--name", "checked", "--health-cmd", "true", "--network", "host", "other:1", "sh", "-c", WAITS],
        &["create", "--name", "made", IMAGE, "true"],
        &["create", "--name", "last", "-l", "tier", IMAGE, "true"],
    ];
    for arguments in runs {
        // One port of the host is for one engine: Docker's has another one, which nobody asks for.
        let theirs: Vec<&str> = arguments.iter().map(|word| if *word == "8080:80" { "8081:80" } else { word }).collect();
        run(docker(&bottle).args(arguments)).success();
        both.theirs.docker(&theirs).success();
    }
    let (ours, theirs) = both.run(&["run", "--name", "ended", IMAGE, "sh", "-c", "exit 3"]);
    assert_eq!((ours.code, theirs.code), (3, 3));
    both.good(&["pause", "web-2"]);
    let filters = [
        "name=web",
        "name=^/web-1$",
        "name=^(web-2|made)$",
        "name=(",
        "label=tier",
        "label=tier=front",
        "status=created",
        "status=paused",
        "status=exited",
        "exited=3",
        "exited=0",
        "health=none",
        "before=made",
        "since=web-2",
        "since=made",
        "ancestor=IMAGE",
        "ancestor=other:1",
        "ancestor=missing",
        "network=front",
        "network=host",
        "network=bridge",
        "volume=store",
        "volume=/data",
        "volume=BOUND",
        "expose=80",
        "expose=80-95/tcp",
        "expose=80/udp",
        "publish=80",
        "is-task=true",
        "is-task=false",
        "isolation=default",
        "id=zzz",
    ];
    for filter in filters {
        let filter = filter.replace("IMAGE", IMAGE).replace("BOUND", &host_path);
        for all in [["--no-trunc"].as_slice(), &["--no-trunc", "-a"], &["--no-trunc", "-n", "2"]] {
            both.same(&[&["ps"], all, &["--filter", &filter, "--format", "{{.Names}} {{.Image}} {{.State}}"]].concat());
        }
    }
    let named = |filter: &str| run(docker(&bottle).args(["ps", "--filter", filter, "--format", "{{.Names}}"])).success();
    assert_eq!((named("publish=8080"), named("publish=8081")), ("web-1\n".to_owned(), String::new()));
    for filter in ["status=gone", "health=good", "exited=x", "is-task=x", "colour=red", "before=missing", "label!=tier"] {
        let (ours, theirs) = both.run(&["ps", "--filter", filter]);
        assert_eq!((ours.code, ours.stdout.as_str()), (theirs.code, theirs.stdout.as_str()), "{filter} {ours:?} {theirs:?}");
    }
    let (status, _) = request(&bottle.socket(), "GET", "/containers/json?filters=%7B%22colour%22%3A%7B%22red%22%3Atrue%7D%7D", None);
    assert_eq!(status, 400);
    // A name that has gone on to another image is no longer this container's.
    both.good(&["tag", "other:1", "moving:1"]);
    both.good(&["create", "--name", "moved", "moving:1", "true"]);
    both.good(&["commit", "ended", "moving:1"]);
    let (ours, theirs) = both.run(&["ps", "-a", "--no-trunc", "--filter", "name=moved", "--format", "{{.Image}}"]);
    assert!(ours.success().starts_with("sha256:") && theirs.success().starts_with("sha256:"));
    both.good(&["rm", "-f", "web-1", "web-2", "checked", "made", "last", "ended", "moved"]);
}

#[test]
fn processes_are_shown_in_the_columns_asked_for() {
    let bottle = Bottle::with_image();
    let both = Both::start(&bottle);
    both.good(&["run", "-d", "--name", "aa", "-u", "app", IMAGE, "sh", "-c", WAITS]);
    for client in [docker(&bottle), both.theirs.command()] {
        // Its child is there.
        let client: Vec<String> = client.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        bottle.shell(&format!("until {} top aa | grep -q 'sleep 1000$'; do :; done", client[2..].join(" "))).success();
    }
    for arguments in [["-ef"].as_slice(), &["aux"], &["-o", "pid,ppid,pgid,uid,comm,args"], &["-eo", "user,pid,stat,ni"]] {
        let (ours, theirs) = both.run(&[&["top", "aa"], arguments].concat());
        let table = |text: String| {
            let mut lines = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            let titles = lines.next().expect("titles");
            (titles, lines.count())
        };
        assert_eq!(table(ours.success()), table(theirs.success()), "{arguments:?}");
    }
    both.refused(&["top", "aa", "-o", "comm"]);
    both.good(&["rm", "-f", "aa"]);
    both.refused(&["top", "aa"]);
}

#[test]
fn a_signal_of_ones_own_stops_a_container() {
    let bottle = Bottle::with_image();
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    docker(&["run", "-d", "--name", "aa", IMAGE, "sh", "-c", "trap 'exit 7' INT; echo ready; while :; do sleep 1000 & wait $!; done"])
        .success();
    bottle.shell(&format!("until grep -q ready {}/data/containers/*/log; do :; done", bottle.root().display())).success();
    docker(&["stop", "-s", "INT", "aa"]).success();
    assert_eq!(docker(&["inspect", "-f", "{{.State.ExitCode}}", "aa"]).success(), "7\n");
    let told = docker(&["stop", "-s", "NOPE", "aa"]).failure(1);
    assert!(told.contains("NOPE"), "{told}");
}

/// Asks both engines for the same by curl, which adds the time it took to the answer's head; returns what they say, ours first.
fn asked(both: &Both<'_>, call: &str) -> [String; 2] {
    [both.bottle.socket(), both.theirs.socket()].map(|socket| {
        let said = both.bottle.shell(&format!("curl -s -i --max-time 60 --unix-socket {} {call}", socket.display())).success();
        // What names no kind of content and no end is the engines' own.
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
        let head = head.lines().filter(|line| line.starts_with("HTTP/") || line.to_ascii_lowercase().starts_with("content-type:"));
        head.fold(String::new(), |all, line| all + &line.to_ascii_lowercase() + "\n") + body
    })
}

#[test]
fn what_a_client_says_besides_is_heard_as_docker_hears_it() {
    let bottle = Bottle::with_image();
    let both = Both::start(&bottle);
    both.good(&["run", "-d", "--name", "runs", IMAGE, "sh", "-c", WAITS]);
    both.good(&["run", "--name", "ended", IMAGE, "sh", "-c", "echo one; echo two"]);
    both.good(&["run", "-d", "--name", "host", "--network", "host", IMAGE, "sh", "-c", WAITS]);
    both.good(&["run", "-d", "--name", "alone", "--network", "none", IMAGE, "sh", "-c", WAITS]);
    let same = |call: &str| {
        let [ours, theirs] = asked(&both, call);
        assert_eq!(ours, theirs, "{call}");
        ours
    };
    // Before 1.30 there is one condition, and no head until it is met.
    assert!(same("-X POST 'http://e/v1.29/containers/ended/wait?condition=next-exit'").ends_with("{\"StatusCode\":0}\n"));
    same("-X POST 'http://e/v1.29/containers/ended/wait?condition=strange'");
    same("-X POST 'http://e/v1.30/containers/ended/wait?condition=strange'");
    for socket in [bottle.socket(), both.theirs.socket()] {
        let head = |version: &str| {
            let place = format!("{} http://e/v{version}/containers/runs/wait", socket.display());
            bottle.shell(&format!("curl -s -o /dev/null -w '%{{http_code}}' -X POST --max-time 2 --unix-socket {place}")).stdout
        };
        assert_eq!([head("1.29"), head("1.30")], ["000", "200"], "{}", socket.display());
    }
    // Zero is no end.
    assert!(same("'http://e/containers/ended/logs?stdout=1&until=0' | tr -d '\\000'").contains("one"));
    same("'http://e/containers/ended/logs?stdout=1&since=9999999999' | tr -d '\\000'");
    // Nothing in a filter is no filter.
    let names = |call: &str| {
        let [ours, theirs] = [bottle.socket(), both.theirs.socket()].map(|socket| {
            let (status, list) = request(&socket, "GET", call, None);
            let mut names: Vec<String> = list.as_array().into_iter().flatten().map(|it| it["Names"][0].to_string()).collect();
            names.sort();
            (status, names)
        });
        assert_eq!(ours, theirs, "{call}");
        ours.1.len()
    };
    assert_eq!(names("/containers/json?filters=null"), 3);
    assert_eq!(names("/containers/json?filters=%7B%22name%22%3Anull%7D"), 3);
    // The networks that are none are found by their ids as well.
    for name in ["host", "none"] {
        let found = both.run(&["network", "inspect", "--format", "{{.Id}}", name]);
        let list = |id: &str| vec!["ps".to_owned(), "--format={{.Names}}".to_owned(), format!("--filter=network={}", id.trim())];
        let (ours, theirs) = (run(docker(&bottle).args(list(&found.0.success()))), list(&found.1.success()));
        let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
        assert_eq!(ours.success(), both.theirs.docker(&theirs).success(), "{name}");
    }
    // A terminal is for the command; whether its output comes in frames says who starts it.
    for (made, started) in [(true, false), (false, true), (true, true), (false, false)] {
        let [ours, theirs] = [bottle.socket(), both.theirs.socket()].map(|socket| {
            let body = json!({ "Tty": made, "AttachStdout": true, "Cmd": ["echo", "said"] });
            let (status, exec) = request(&socket, "POST", "/containers/runs/exec", Some(&body));
            assert_eq!((status, exec.as_object().map(serde_json::Map::len)), (201, Some(1)), "{exec}");
            let start = json!({ "Detach": false, "Tty": started });
            let place = format!("{} http://e/exec/{}/start", socket.display(), exec["Id"].as_str().expect("an id"));
            let call =
                format!("curl -s --max-time 60 -H 'Content-Type: application/json' -d '{start}' --unix-socket {place} | od -An -tx1");
            bottle.shell(&call).success()
        });
        assert_eq!((&ours, ours.starts_with(" 01 00 00 00 00 00 00")), (&theirs, !started), "{made} {started}");
    }
}
