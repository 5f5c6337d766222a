//! The shape of the code, checked: who may import whom (DESIGN.md §2), file sizes, module documentation, banned words.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// A room, and what it may name beside itself: a row of the table in src/ARCHITECTURE.md.
struct Room {
    name: String,
    may: Vec<String>,
}

/// The table. The most specific row that fits a file counts.
fn rooms() -> Vec<Room> {
    let text = fs::read_to_string(format!("{SOURCE}/ARCHITECTURE.md")).expect("the document");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| [`"));
    let rooms: Vec<Room> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            Room { name: cells[0].trim_end_matches("`]").to_owned(), may: quoted(cells.last().expect("a last cell")) }
        })
        .collect();
    assert!(rooms.len() > 10, "the table of rooms is not where it was");
    rooms
}

struct Source {
    /// Relative to the top of the project.
    path: String,
    /// `engine::image::layer`, from the path.
    module: String,
    text: String,
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).expect("a folder of the project").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    files_below(Path::new(folder), &mut found);
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    found
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(top).expect("below the top").to_string_lossy().into_owned();
            let module = relative.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
            Source { text: fs::read_to_string(&path).expect("a readable source"), path: relative, module }
        })
        .collect()
}

/// The text without its unit tests, comments and string contents are left in: words in them are judged by the caller.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}

fn is_test(source: &Source) -> bool {
    source.module.ends_with("::tests") || source.module.contains("::tests::")
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn room_of<'a>(rooms: &'a [Room], module: &str) -> Option<&'a Room> {
    rooms.iter().filter(|room| within(module, &[room.name.as_str()])).max_by_key(|room| room.name.len())
}

/// Every `crate::…` path in a line, braces of one level spelled out. Who may see an item is nothing that it names.
fn paths(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let line = line.replace("(in crate::", "(in ");
    for piece in line.split("crate::").skip(1) {
        let end = piece.find(|byte: char| !(byte.is_alphanumeric() || byte == '_' || byte == ':')).unwrap_or(piece.len());
        let head = piece[..end].trim_end_matches(':');
        if piece[end..].starts_with('{') {
            let inner = piece[end + 1..].split('}').next().unwrap_or("");
            found.extend(inner.split(',').map(|name| format!("{head}::{}", name.trim())).filter(|_| !inner.is_empty()));
        } else {
            found.push(head.to_owned());
        }
    }
    found
}

fn fail_with(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let rooms = rooms();
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources(SOURCE).iter().filter(|source| !is_test(source)) {
        let Some(room) = room_of(&rooms, &source.module) else { continue };
        for (number, line) in code_lines(without_tests(&source.text)) {
            for path in paths(line) {
                let own = path.starts_with(&room.name) || path.is_empty() || within(&path, &["trace"]) || path.starts_with("VERSION");
                match room.may.iter().find(|may| within(&path, &[may.as_str()])) {
                    Some(may) => drop(used.insert((&room.name, may))),
                    None if own => {}
                    None => problems.push(format!("{}:{number}: room `{}` may not name `{path}`", source.path, room.name)),
                }
            }
        }
    }
    for room in &rooms {
        let idle = room.may.iter().filter(|may| !used.contains(&(&room.name, may)));
        problems.extend(idle.map(|may| format!("src/ARCHITECTURE.md: room `{}` may name `{may}`, and does not", room.name)));
    }
    fail_with(&problems);
}

#[test]
fn no_file_is_longer_than_the_wall() {
    let mut problems = Vec::new();
    for source in sources(SOURCE).iter().chain(&sources(TESTS)) {
        let lines = source.text.lines().count();
        if lines > 800 {
            problems.push(format!("{}: {lines} lines; 800 is the wall", source.path));
        }
    }
    fail_with(&problems);
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut problems = Vec::new();
    for source in sources(SOURCE).iter().chain(&sources(TESTS)) {
        let first = source.text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") && !first.starts_with("#![doc = include_str!") {
            problems.push(format!("{}: the first line is not `//! …`", source.path));
        }
    }
    fail_with(&problems);
}

/// A word, the modules it is banned from (by prefix; all when empty), the modules that may use it all the same, and why.
struct Ban {
    word: &'static str,
    within: &'static [&'static str],
    but: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban { word: "HashMap", within: &["resource", "compose"], but: &[], why: "order must be stable" },
    Ban { word: "tokio", within: &["compose", "resource"], but: &[], why: "the planner names no runtime" },
    Ban { word: "clap", within: &[], but: &["cli"], why: "arguments are the command line's" },
    Ban { word: "granit_parser", within: &[], but: &["compose::project"], why: "there is one YAML reader" },
    Ban { word: "unsafe {", within: &[], but: &["engine::runtime"], why: "only the runtime speaks to the kernel without gloves" },
    Ban {
        word: "println!",
        within: &[],
        but: &["cli", "build"],
        why: "only the command line writes to the terminal (a build script, to Cargo)",
    },
    Ban { word: "#[allow(", within: &[], but: &[], why: "an expectation with a reason, instead" },
    Ban { word: "anyhow", within: &[], but: &[], why: "errors are typed" },
    Ban { word: "TODO", within: &[], but: &[], why: "an issue, instead" },
    Ban { word: "getaddrinfo", within: &[], but: &[], why: "the host's NSS is never loaded" },
    Ban { word: "to_socket_addrs", within: &[], but: &[], why: "the host's NSS is never loaded" },
];

const STUBS: &[Ban] = &[
    Ban { word: "todo!(", within: &[], but: &[], why: "no stub" },
    Ban { word: "unimplemented!(", within: &[], but: &[], why: "no stub" },
];

fn within(module: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| module == *room || module.starts_with(&format!("{room}::")))
}

#[test]
fn banned_words_do_not_occur() {
    none_occurs(BANS);
}

#[test]
fn no_stub_is_left() {
    none_occurs(STUBS);
}

fn none_occurs(bans: &[Ban]) {
    let mut problems = Vec::new();
    for source in &sources(SOURCE) {
        for ban in bans {
            if (!ban.within.is_empty() && !within(&source.module, ban.within)) || within(&source.module, ban.but) {
                continue;
            }
            for (number, line) in code_lines(without_tests(&source.text)) {
                if line.contains(ban.word) {
                    problems.push(format!("{}:{number}: `{}`: {}", source.path, ban.word, ban.why));
                }
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn the_engine_has_never_heard_of_projects() {
    let mut problems = Vec::new();
    for source in sources(SOURCE).iter().filter(|source| within(&source.module, &["engine", "registry"]) && !is_test(source)) {
        for (number, line) in code_lines(without_tests(&source.text)) {
            let lower = line.to_lowercase();
            for word in ["yaml", "depends_on", "compose"] {
                if lower.contains(word) {
                    problems.push(format!("{}:{number}: `{word}` in a room that knows only labels", source.path));
                }
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn no_test_sleeps() {
    let mut problems = Vec::new();
    for source in sources(TESTS).iter().filter(|source| !source.path.ends_with("architecture.rs") && !source.path.contains("/payload/")) {
        for (number, line) in code_lines(&source.text) {
            if line.contains("sleep(") {
                problems.push(format!("{}:{number}: waits on time; wait for an event", source.path));
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn no_test_is_set_aside() {
    for source in sources(SOURCE).iter().chain(&sources(TESTS)).filter(|source| source.path != "tests/architecture.rs") {
        // By itself, or on a condition.
        let is_aside = |line: &str| line.contains("#[ignore") || line.contains("#[cfg_attr(") && line.contains(", ignore");
        let aside: Vec<_> = code_lines(&source.text).filter(|(_, line)| is_aside(line)).collect();
        assert!(aside.is_empty(), "{}: {aside:?}", source.path);
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("the manifest");
    let named_by_the_user: BTreeSet<_> =
        ["tokio", "clap", "serde", "petgraph", "nix", "oci-spec", "rtnetlink", "netlink-packet-route", "tar", "sha2"].into();
    let mut problems = Vec::new();
    let mut dependencies = false;
    let mut reasoned = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            dependencies = line.ends_with("dependencies]");
        } else if dependencies && line.starts_with('#') {
            reasoned = true;
        } else if dependencies && line.contains(" = ") {
            let name = line.split(' ').next().unwrap_or_default();
            if !named_by_the_user.contains(name) && !reasoned {
                problems.push(format!("Cargo.toml: `{name}` has no reason beside it"));
            }
            reasoned = false;
        }
    }
    fail_with(&problems);
}
