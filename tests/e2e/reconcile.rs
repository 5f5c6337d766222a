//! What an `up` makes of what is there: kept, restarted, replaced, made anew, removed.

use crate::bottle::Bottle;
use crate::docker::docker;
use crate::program::run;
use crate::up::RUNS;

/// A service that runs, with more attributes, each a line of its own.
fn service(name: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("    {}\n", line.trim_end())).collect();
    format!("  {name}:\n    image: IMAGE\n    command: {RUNS}\n{more}")
}

/// The id of a container, and when it was started.
#[track_caller]
fn life(bottle: &Bottle, name: &str) -> (String, String) {
    let info = bottle.inspect(name).unwrap_or_else(|| panic!("{name} exists"));
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    (text(&info["Id"]), text(&info["State"]["StartedAt"]))
}

#[track_caller]
fn inside(bottle: &Bottle, service: &str, line: &str) -> String {
    bottle.gantry(["exec", "-T", service, "sh", "-c", line]).success().trim().to_owned()
}

#[test]
fn who_shares_something_follows_its_owner() {
    let bottle = Bottle::with_image();
    let project = |value: &str| {
        format!(
            "services:\n{}{}{}{}{}",
            service("owner", &format!("environment: {{V: '{value}'}}\nipc: shareable\nvolumes: [/scratch]")),
            service("net", "network_mode: service:owner"),
            service("ipc", "ipc: service:owner"),
            service("volumes", "volumes_from: [owner]"),
            service("plain", "depends_on: [owner]"),
        )
    };
    bottle.compose(&project("1"));
    bottle.gantry(["up", "-d"]).success();
    inside(&bottle, "owner", "echo kept > /scratch/word");
    let names = ["owner", "net", "ipc", "volumes", "plain"].map(|name| format!("project-{name}-1"));
    let before: Vec<_> = names.iter().map(|name| life(&bottle, name)).collect();
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(names.iter().map(|name| life(&bottle, name)).collect::<Vec<_>>(), before, "nothing is left to do");
    // The reason is told before anything happens.
    bottle.compose(&project("2"));
    let plan = bottle.gantry(["--dry-run", "up", "-d"]).success();
    assert!(plan.contains("rename container") && plan.contains("changed: environment.V"), "{plan}");
    assert!(plan.contains("shares network with owner, which is made anew") && plan.contains("shares volumes with owner"), "{plan}");
    let done = bottle.gantry(["up", "-d"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("project-owner-1 Recreate changed: environment.V"), "{}", done.stderr);
    let after: Vec<_> = names.iter().map(|name| life(&bottle, name)).collect();
    for (index, name) in names.iter().enumerate() {
        assert_eq!(after[index].0 == before[index].0, name == "project-plain-1", "{name}");
    }
    assert_eq!(after[4], before[4]);
    assert_eq!(inside(&bottle, "volumes", "cat /scratch/word"), "kept");
    let namespace = |name: &str, kind: &str| {
        std::fs::read_link(format!("/proc/{}/ns/{kind}", bottle.pid(name))).expect("a namespace").display().to_string()
    };
    assert_eq!(namespace("project-net-1", "net"), namespace("project-owner-1", "net"));
    assert_eq!(namespace("project-ipc-1", "ipc"), namespace("project-owner-1", "ipc"));
    // An owner that ended starts again; who lived in its namespace does so in the new one, and is the same container.
    bottle.gantry(["kill", "owner"]).success();
    bottle.eventually("the owner ended", || bottle.state("project-owner-1") == "exited");
    bottle.gantry(["up", "-d"]).success();
    let again: Vec<_> = names.iter().map(|name| life(&bottle, name)).collect();
    assert_eq!(again.iter().map(|it| &it.0).collect::<Vec<_>>(), after.iter().map(|it| &it.0).collect::<Vec<_>>());
    assert_ne!(again[1].1, after[1].1, "it was restarted");
    assert_eq!(again[3].1, after[3].1, "volumes do not end");
    assert_eq!(namespace("project-net-1", "net"), namespace("project-owner-1", "net"));
    bottle.gantry(["restart", "owner"]).success();
    assert_eq!(namespace("project-net-1", "net"), namespace("project-owner-1", "net"), "restart takes along who shares");
    // Without the owner there is nothing to share.
    let message = bottle.gantry(["up", "-d", "--scale", "owner=0", "--force-recreate"]).failure(1);
    assert!(message.contains("cannot share") && message.contains("compose.yaml:"), "{message}");
}

#[test]
fn a_dependant_restarts_with_what_it_depends_on_if_it_says_so() {
    let bottle = Bottle::with_image();
    let project = |value: &str| {
        format!(
            "services:\n{}{}{}",
            service("db", &format!("environment: {{V: '{value}'}}")),
            service("with", "depends_on: {db: {condition: service_started, restart: true}}"),
            service("without", "depends_on: {db: {condition: service_started}}"),
        )
    };
    bottle.compose(&project("1"));
    bottle.gantry(["up", "-d"]).success();
    let (with, without) = (life(&bottle, "project-with-1"), life(&bottle, "project-without-1"));
    bottle.compose(&project("2"));
    bottle.gantry(["up", "-d"]).success();
    let (with_now, without_now) = (life(&bottle, "project-with-1"), life(&bottle, "project-without-1"));
    assert_eq!((&with_now.0, &without_now), (&with.0, &without));
    assert_ne!(with_now.1, with.1);
}

#[test]
fn a_changed_network_is_made_anew_and_its_containers_keep_names_and_addresses() {
    let bottle = Bottle::with_image();
    let project = |internal: bool| {
        format!(
            "services:\n{}{}{}networks:\n  net: {{internal: {internal}, ipam: {{config: [{{subnet: 172.29.0.0/16}}]}}}}\n  other: {{}}\n",
            service("a", "networks: {net: {aliases: [store], ipv4_address: 172.29.0.77, mac_address: '02:42:0a:01:01:01'}}"),
            service("b", "networks: [net, other]"),
            service("c", "networks: [other]"),
        )
    };
    bottle.compose(&project(false));
    bottle.gantry(["up", "-d"]).success();
    let network = bottle.get("/networks/project_net")["Id"].clone();
    let lives = |bottle: &Bottle| ["a", "b", "c"].map(|name| life(bottle, &format!("project-{name}-1")));
    let before = lives(&bottle);
    bottle.compose(&project(true));
    // Only one service is asked for; the others on its network are the project's, too.
    bottle.gantry(["up", "-d", "a"]).success();
    let after = lives(&bottle);
    assert_ne!(bottle.get("/networks/project_net")["Id"], network);
    assert_eq!(bottle.get("/networks/project_net")["Internal"], true);
    assert_eq!(before.clone().map(|it| it.0), after.clone().map(|it| it.0), "the containers are the same");
    assert_eq!((before[0].1 == after[0].1, before[1].1 == after[1].1, before[2].1 == after[2].1), (false, false, true));
    let place = bottle.inspect("project-a-1").expect("it runs")["NetworkSettings"]["Networks"]["project_net"].clone();
    assert_eq!((&place["IPAddress"], &place["MacAddress"]), (&"172.29.0.77".into(), &"02:42:0a:01:01:01".into()));
    for name in ["a", "store", "project-a-1"] {
        inside(&bottle, "b", &format!("ping -c 1 -W 2 {name}"));
    }
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(lives(&bottle), after);
    // Somebody took a container off its network.
    run(docker(&bottle).args(["network", "disconnect", "project_other", "project-c-1"])).success();
    let told = bottle.gantry(["up", "-d"]);
    assert!(told.code == 0 && told.stderr.contains("not on network project_other"), "{told:?}");
    let healed = lives(&bottle);
    assert_eq!((healed[..2] == after[..2], healed[2].0 == after[2].0), (true, false));
    let after = healed;
    // Another name is another network; the old one goes.
    bottle.compose(&project(true).replace("other: {}\n", "other: {name: elsewhere}\n"));
    bottle.gantry(["up", "-d"]).success();
    let names: Vec<_> =
        bottle.get("/networks").as_array().expect("networks").iter().map(|it| it["Name"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(names.contains(&"elsewhere".to_owned()) && !names.contains(&"project_other".to_owned()), "{names:?}");
    let now = lives(&bottle);
    assert_eq!((now[0] == after[0], now[1].0 == after[1].0, now[2].0 == after[2].0), (true, false, false));
}

#[test]
fn a_changed_volume_is_made_anew_only_with_consent() {
    let bottle = Bottle::with_image();
    let project = |team: &str| {
        format!(
            "services:\n{}{}{}volumes: {{data: {{labels: {{team: {team}}}}}}}\n",
            service("a", "volumes: ['data:/data', /scratch]"),
            service("guest", "volumes_from: [a]"),
            service("plain", ""),
        )
    };
    bottle.compose(&project("blue"));
    bottle.gantry(["up", "-d"]).success();
    inside(&bottle, "a", "echo old > /data/word; echo kept > /scratch/word");
    let lives = |bottle: &Bottle| ["a", "guest", "plain"].map(|name| life(bottle, &format!("project-{name}-1")));
    let before = lives(&bottle);
    bottle.compose(&project("red"));
    let told = bottle.gantry(["up", "-d"]);
    assert!(told.code == 0 && told.stderr.contains("doesn't match"), "{told:?}");
    assert_eq!(lives(&bottle), before);
    assert_eq!(bottle.get("/volumes/project_data")["Labels"]["team"], "blue");
    // On a terminal it is asked.
    for (answer, team) in [("n", "blue"), ("y", "red")] {
        let line = format!("printf '{answer}\\n' | script -qec \"$GANTRY up -d\" /dev/null");
        let asked = bottle.shell(&line);
        assert!(asked.stdout.contains("Recreate (data will be lost)?"), "{asked:?}");
        assert_eq!(bottle.get("/volumes/project_data")["Labels"]["team"], team);
    }
    let after = lives(&bottle);
    assert_eq!((before[0].0 == after[0].0, before[1].0 == after[1].0, before[2] == after[2]), (false, false, true));
    assert_eq!(inside(&bottle, "a", "ls /data; cat /scratch/word"), "kept");
    assert_eq!(inside(&bottle, "guest", "ls /data; cat /scratch/word"), "kept");
    bottle.compose(&project("green"));
    bottle.gantry(["up", "-d", "--yes"]).success();
    assert_eq!(bottle.get("/volumes/project_data")["Labels"]["team"], "green");
    bottle.gantry(["down", "-v"]).success();
    assert_eq!(bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn anonymous_volumes_pass_on_and_on_until_they_are_renewed() {
    let bottle = Bottle::with_image();
    let project = |value: u32| format!("services:\n{}", service("a", &format!("environment: {{V: '{value}'}}\nvolumes: [/data]")));
    bottle.compose(&project(0));
    bottle.gantry(["up", "-d"]).success();
    inside(&bottle, "a", "echo kept > /data/word");
    for value in 1..4 {
        bottle.compose(&project(value));
        bottle.gantry(["up", "-d"]).success();
        assert_eq!(inside(&bottle, "a", "echo $V; cat /data/word"), format!("{value}\nkept"));
    }
    let volumes = |bottle: &Bottle| bottle.get("/volumes")["Volumes"].as_array().map_or(0, Vec::len);
    assert_eq!(volumes(&bottle), 1);
    bottle.gantry(["up", "-d", "-V"]).success();
    assert_eq!(inside(&bottle, "a", "ls /data"), "");
    assert_eq!(volumes(&bottle), 1);
    // What the file wants no longer is not carried along.
    bottle.compose(&format!("services:\n{}", service("a", "")));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(inside(&bottle, "a", "ls -d /data 2>/dev/null || echo nothing"), "nothing");
}

#[test]
fn scaling_down_drops_what_is_out_of_date_and_keeps_low_numbers() {
    let bottle = Bottle::with_image();
    let project = |value: &str| format!("services:\n{}", service("a", &format!("environment: {{V: '{value}'}}")));
    bottle.compose(&project("1"));
    bottle.gantry(["up", "-d", "--scale", "a=2"]).success();
    bottle.compose(&project("2"));
    bottle.gantry(["up", "-d", "--no-recreate", "--scale", "a=3"]).success();
    let fresh = life(&bottle, "project-a-3");
    bottle.gantry(["up", "-d", "--scale", "a=1"]).success();
    assert_eq!(bottle.containers(), ["project-a-3"]);
    assert_eq!(life(&bottle, "project-a-3"), fresh);
    bottle.gantry(["up", "-d", "--scale", "a=2"]).success();
    assert_eq!(bottle.containers(), ["project-a-3", "project-a-4"]);
    bottle.gantry(["up", "-d", "--scale", "a=1"]).success();
    assert_eq!(bottle.containers(), ["project-a-3"]);
}
