//! The docker command line goes through all its groups on our engine and on Docker's: every line of `tests/clients/docker/tour` is to print
//! the same, complain in the same words and end with the same code. What may differ, and why, is said in `differences` beside it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bottle::{Bottle, busybox_tar};
use crate::client::{script, stay};
use crate::compare::difference::{self, Allowed};
use crate::compare::normal::Names;
use crate::compare::side::Record;
use crate::docker::Docker;
use crate::program::{foreign, run};
use crate::registry::Registry;

const REGISTRY: u16 = 5000;

/// The lines of the tour by their groups.
fn lines(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("# "), groups.last_mut()) {
            (Some(group), _) => groups.push((group, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => panic!("a line of no group: {line}"),
        }
    }
    groups.retain(|(_, lines)| !lines.is_empty());
    groups
}

/// Goes through it; what was seen, group by group, is also left below `target` for people.
fn tour(name: &str, bottle: &Bottle, socket: &Path) -> Vec<(String, Record)> {
    let text = std::fs::read_to_string(script("docker/tour")).expect("the tour");
    let docker = foreign("usr/bin/docker");
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", docker.parent().expect("a folder").display());
    let host = format!("unix://{}", socket.display());
    let mut names = Names::default();
    names.add(&socket.display().to_string(), "SOCKET");
    let project = bottle.project().display().to_string();
    // As `ps` cuts a path off.
    names.add(&format!("{}…", &project[..14]), "PROJECT…");
    names.add(&project, "PROJECT");
    names.add(&busybox_tar().display().to_string(), "TAR");
    let mut told = String::new();
    let mut seen = Vec::new();
    for (group, lines) in lines(&text) {
        let mut record = Record::new();
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for line in lines {
            let mut command = bottle.command("sh");
            command.env("PATH", &path).env("DOCKER_HOST", &host).env("TAR", busybox_tar()).env("REGISTRY", format!("127.0.0.1:{REGISTRY}"));
            let outcome = run(command.args(["-c", line]));
            let time = times.entry(line).or_default();
            *time += 1;
            let place = line.replace('/', ":") + &if *time > 1 { format!(" ({time})") } else { String::new() };
            let [out, err] = [outcome.stdout, outcome.stderr].map(|text| in_words(&names, &text));
            told.push_str(&format!("$ {line}\n{out}--- {}\n{err}", outcome.code));
            record.insert(format!("{place}/code"), outcome.code.to_string());
            for (kind, text) in [("out", out), ("err", err)].into_iter().filter(|(_, text)| !text.is_empty()) {
                record.insert(format!("{place}/{kind}"), text);
            }
        }
        seen.push((group.to_owned(), record));
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docker_tour");
    std::fs::create_dir_all(&kept).expect("a folder for what was seen");
    std::fs::write(kept.join(name), told).expect("a transcript");
    seen
}

/// What is printed, without what cannot be the same twice: ids, times, and the width of the columns they stand in.
fn in_words(names: &Names, text: &str) -> String {
    // A terminal echoes the end of its input wherever that comes.
    let text = text.replace("^@", "").replace("^D\u{8}\u{8}", "").replace(['\r', '\0'], "");
    let line = |line: &str| {
        let line = ids(&names.in_words(line));
        let mut columns = line.split("  ").map(str::trim).filter(|column| !column.is_empty());
        let indent = if line.starts_with("  ") { "  " } else { "" };
        let first = columns.next().unwrap_or_default().to_owned();
        indent.to_owned() + &columns.fold(first, |line, column| line + "  " + column) + "\n"
    };
    text.lines().map(line).collect()
}

/// Ids, long and short, become `ID`.
fn ids(line: &str) -> String {
    let is_id = |word: &str| matches!(word.len(), 12 | 64) && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let pieces = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    pieces.fold(String::new(), |line, piece| {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        line + &if is_id(word) { piece.replace(word, "ID") } else { piece.to_owned() }
    })
}

#[test]
fn the_docker_command_line_finds_docker() {
    // Each engine has a host of its own: the tours use the same names, ports and addresses.
    let theirs = std::thread::spawn(|| {
        let bottle = Bottle::new();
        let _registry = Registry::start(&bottle, &bottle.root(), REGISTRY);
        let docker = Docker::start(&bottle);
        tour("docker", &bottle, &docker.socket())
    });
    let bottle = Bottle::new();
    let folder = bottle.project().with_file_name("registry");
    let _registry = Registry::start(&bottle, &folder, REGISTRY);
    bottle.gantry(["image", "ls"]).success();
    let _stays = stay(&bottle.socket());
    let ours = tour("ours", &bottle, &bottle.socket());
    let theirs = theirs.join().expect("the tour on Docker");

    assert!(ours.iter().map(|(_, record)| record.len()).sum::<usize>() > 900, "the tour is short");
    let mut allowed = Allowed::read(&script("docker/differences"));
    let mut failures = Vec::new();
    for ((group, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        allowed.see(group, ours);
        allowed.see(group, theirs);
        failures.extend(difference::between(group, ours, theirs).iter().filter(|it| !allowed.covers(&it.path)).map(ToString::to_string));
    }
    failures.extend(allowed.unused().map(|pattern| format!("`differences` allows what does not differ: {pattern}")));
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn what_is_printed_is_put_in_words() {
    let check = |text: &str, expect: &str| assert_eq!(in_words(&Names::default(), text), expect);
    check("NAME          ID\nx   0123456789ab    2 seconds ago   \n", "NAME  ID\nx  ID  AGE ago\n");
    check("  a:0123456789ab, deadbeef\r\n", "  a:ID, deadbeef\n");
    assert_eq!(lines("# of it\n\n# a\nx\ny\n# b\nz\n"), [("a", vec!["x", "y"]), ("b", vec!["z"])]);
}
