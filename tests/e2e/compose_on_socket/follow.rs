//! What Docker Compose follows: logs, events, and files of the host.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::Project;

/// Starts Compose and returns it once it has said a word.
fn begin(project: &Project, arguments: &[&str], word: &str) -> (Child, std::thread::JoinHandle<Vec<String>>) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let both = writer.try_clone().expect("its other end once more");
    let process = project.command(arguments).stdin(Stdio::null()).stdout(writer).stderr(both).spawn().expect("Compose starts");
    let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
    let mut told: Vec<String> = Vec::new();
    while told.last().is_none_or(|line| !line.contains(word)) {
        told.push(lines.next().unwrap_or_else(|| panic!("{word:?} is never said: {told:?}")));
    }
    let rest = std::thread::spawn(move || told.into_iter().chain(lines).collect());
    (process, rest)
}

/// Interrupts it as a terminal would, and returns its code and all it said.
fn interrupt((mut process, rest): (Child, std::thread::JoinHandle<Vec<String>>)) -> (Option<i32>, Vec<String>) {
    kill(Pid::from_raw(i32::try_from(process.id()).expect("a process id")), Signal::SIGINT).expect("it is there");
    (process.wait().expect("it ends").code(), rest.join().expect("it reads"))
}

#[test]
fn logs_and_events_are_followed_to_their_end() {
    let project = Project::new("streams");
    project.compose(&["create"]).success();
    let events = project.command(&["events", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Compose starts");
    let up = begin(&project, &["up", "--no-color"], "two");
    let follow = begin(&project, &["logs", "--no-color", "--follow", "--no-log-prefix", "speaker"], "two");
    // What is not attached to is in the logs all the same.
    let whispered = "until $GANTRY -f streams.yaml logs --no-log-prefix whisperer | grep -q psst; do :; done";
    project.bottle.shell(whispered).success();
    let last = project.compose(&["logs", "--no-color", "--no-log-prefix", "--tail", "1", "speaker"]).success();
    assert!(["one\n", "two\n"].contains(&last.as_str()), "{last}");
    project.compose(&["stop"]).success();
    let end = |(mut process, rest): (Child, std::thread::JoinHandle<Vec<String>>)| {
        (process.wait().expect("it ends").code(), rest.join().expect("it reads"))
    };
    let (code, told) = end(up);
    assert!(code == Some(0) && told.iter().any(|line| line == "speaker-1  | last"), "{code:?} {told:?}");
    assert!(
        told.iter().any(|line| line.contains("speaker-1 exited with code 5")) && !told.iter().any(|line| line.contains("psst")),
        "{told:?}"
    );
    let (code, told) = end(follow);
    assert!(code == Some(0) && told.iter().any(|line| line == "last"), "{code:?} {told:?}");
    project.down();
    kill(Pid::from_raw(i32::try_from(events.id()).expect("a process id")), Signal::SIGINT).expect("it is there");
    let told = events.wait_with_output().expect("it ends").stdout;
    let told: Vec<Value> = String::from_utf8_lossy(&told).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_the_speaker: Vec<&str> = told.iter().filter(|it| it["service"] == "speaker").filter_map(|it| it["action"].as_str()).collect();
    let expected = ["kill", "die", "stop", "destroy"];
    assert_eq!(of_the_speaker.into_iter().filter(|it| expected.contains(it)).collect::<Vec<_>>(), expected);
}

#[test]
fn files_follow_the_hosts() {
    let project = Project::new("watch");
    for folder in ["restarting", "telling", "tree/left-out"] {
        fs::create_dir_all(project.bottle.project().join("files").join(folder)).expect("a folder of the project");
    }
    let write = |name: &str, text: &str| fs::write(project.bottle.project().join("files").join(name), text).expect("a file of the project");
    project.compose(&["build"]).success();
    let up = begin(&project, &["up", "--watch", "--no-color"], "Watch enabled");
    project.bottle.eventually("it runs", || project.bottle.state("watch-synced-1") == "running");
    // Looked at until it is so: neither side tells when a file has arrived.
    let until = |check: &str| {
        let docker = crate::docker::docker_in_shell(&project.bottle);
        let line = format!("until {docker} exec watch-synced-1 sh -c '{check}' 2>/dev/null; do :; done");
        project.bottle.shell(&line).success();
    };
    until("test -e /tree/one");
    write("tree/two", "two");
    write("tree/left-out/file", "no");
    until("grep -q two /tree/two");
    fs::create_dir(project.bottle.project().join("files/tree/below")).expect("a folder of the project");
    write("tree/below/three", "three");
    write("tree/two", "changed");
    until("grep -q three /tree/below/three && grep -q changed /tree/two");
    fs::remove_file(project.bottle.project().join("files/tree/one")).expect("a file of the project");
    until("! test -e /tree/one");
    write("telling/word", "told");
    until("grep -q told /told");
    let (id, started) = (project.inspect("synced")["Id"].clone(), project.inspect("synced")["State"]["StartedAt"].clone());
    write("restarting/word", "restarted");
    project.bottle.eventually("it is restarted", || {
        let seen = project.inspect("synced");
        seen["State"]["StartedAt"] != started && seen["State"]["Status"] == "running"
    });
    until("grep -q restarted /restarting/word");
    assert_eq!(project.inspect("synced")["Id"], id);
    assert_eq!(project.says("synced", "find /tree -type f | sort"), "/tree/below/three\n/tree/two\n");
    interrupt(up);
    project.bottle.eventually("it is stopped", || project.bottle.state("watch-synced-1") == "exited");
    // An attached `up` of Compose may crash when it looks at a container that its own watch has replaced already (monitor.go).
    project.compose(&["up", "-d"]).success();
    let watch = begin(&project, &["watch", "--no-up"], "Watch enabled");
    write("page", "rebuilt");
    // Nothing is asked of the container that goes.
    let is_rebuilt = || project.bottle.inspect("watch-synced-1").is_some_and(|it| it["Id"] != id && it["State"]["Status"] == "running");
    project.bottle.eventually("it is rebuilt", is_rebuilt);
    until("grep -q rebuilt /page");
    let (_, told) = interrupt(watch);
    assert!(told.iter().any(|line| line.contains("Rebuilding service")), "{told:?}");
    project.down();
}
