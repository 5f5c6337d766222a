//! What differs between two records, and what may.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::path::Path;

use super::side::Record;

/// Something that is not the same on both sides: a field, or all that lies below a path which one side does not have.
pub(crate) struct Difference {
    /// `case/step/path of the field`.
    pub path: String,
    ours: String,
    theirs: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    docker: {}\n    ours:   {}", self.path, self.theirs, self.ours)
    }
}

/// All that differs, in order.
pub(crate) fn between(case: &str, ours: &Record, theirs: &Record) -> Vec<Difference> {
    let differs = |path: &&String| !is_for_people(path) && ours.get(*path) != theirs.get(*path);
    let places: BTreeSet<&str> = ours.keys().chain(theirs.keys()).filter(differs).map(|path| place(path, ours, theirs)).collect();
    let difference = |place: &str| Difference { path: format!("{case}/{place}"), ours: told(ours, place), theirs: told(theirs, place) };
    places.into_iter().map(difference).collect()
}

/// Progress and messages are worded differently on purpose; they are kept for people.
fn is_for_people(path: &str) -> bool {
    path.ends_with("/stderr")
}

/// Where a difference begins: the shortest part of the path at which a side has nothing, or nothing that goes on.
fn place<'a>(path: &'a str, ours: &Record, theirs: &Record) -> &'a str {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let goes_on = |record: &Record, place: &str| !record.contains_key(place) && below(record, place).next().is_some();
    ends.map(|end| &path[..end]).find(|place| !goes_on(ours, place) || !goes_on(theirs, place)).unwrap_or(path)
}

fn below<'a>(record: &'a Record, place: &str) -> impl Iterator<Item = (&'a String, &'a String)> {
    let start = format!("{place}/");
    let from: (Bound<&str>, Bound<&str>) = (Bound::Included(&start), Bound::Unbounded);
    let known: Vec<_> = record.range::<str, _>(from).take_while(|(path, _)| path.starts_with(&start)).collect();
    known.into_iter()
}

/// What a side has at a place.
fn told(record: &Record, place: &str) -> String {
    let text = match record.get(place) {
        Some(value) => value.clone(),
        None => below(record, place).map(|(path, value)| format!("{}={value}", &path[place.len() + 1..])).collect::<Vec<_>>().join(" "),
    };
    match text.char_indices().nth(600) {
        _ if text.is_empty() => "absent".to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A line of the list of what may differ.
struct Entry {
    pattern: String,
    /// It differs on every machine and every time.
    always: bool,
    needed: bool,
}

/// The list of what may differ.
pub(crate) struct Allowed(Vec<Entry>);

impl Allowed {
    /// Reads it: patterns at the margin; below them, indented, the reason.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the list of differences");
        let mut entries = Vec::new();
        let mut waiting = 0;
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            if line.starts_with(' ') {
                assert!(!entries.is_empty(), "a reason belongs to something: {line}");
                waiting = 0;
            } else {
                let pattern = line.strip_prefix("? ");
                entries.push(Entry { pattern: pattern.unwrap_or(line).trim().to_owned(), always: pattern.is_none(), needed: false });
                waiting += 1;
            }
        }
        assert_eq!(waiting, 0, "the last entries of {} have no reason", path.display());
        Self(entries)
    }

    /// Takes note of what there is: what differs only sometimes has to be there at least.
    pub(crate) fn see(&mut self, case: &str, record: &Record) {
        let paths: Vec<String> = record.keys().map(|path| format!("{case}/{path}")).collect();
        for entry in self.0.iter_mut().filter(|entry| !entry.always && !entry.needed) {
            entry.needed = paths.iter().any(|path| matches(&entry.pattern, path));
        }
    }

    /// Whether an entry speaks of this place; it then counts as needed.
    pub(crate) fn covers(&mut self, path: &str) -> bool {
        let mut covered = false;
        for entry in self.0.iter_mut().filter(|entry| matches(&entry.pattern, path)) {
            entry.needed = true;
            covered = true;
        }
        covered
    }

    /// Entries that spoke of nothing.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|entry| !entry.needed).map(|entry| entry.pattern.as_str())
    }
}

/// Whether a text is what a pattern says: `*` is anything between two slashes.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let within = rest.find('/').unwrap_or(rest.len());
    (0..=within).any(|skip| rest.get(skip..).is_some_and(|rest| matches(after, rest)))
}

#[test]
fn a_pattern_covers_what_it_says() {
    assert!(matches("*/Image", "web/Image") && matches("a*c*e", "abcde") && matches("*", "") && matches("*/look/*", "web/look/Image"));
    assert!(!matches("*/Image", "web/look/Image") && !matches("*/Image", "web/Images") && !matches("a*c", "abd"));
}

#[test]
fn a_difference_is_told_where_it_begins() {
    let record = |fields: &[&str]| fields.iter().map(|path| ((*path).to_owned(), "1".to_owned())).collect::<Record>();
    let check = |ours: &[&str], theirs: &[&str], expect: &[&str]| {
        let found: Vec<String> = between("case", &record(ours), &record(theirs)).into_iter().map(|it| it.path).collect();
        assert_eq!(found, expect);
    };
    check(&["look/a/x", "look/b/x"], &["look/b/x"], &["case/look/a"]);
    check(&["look/b/x"], &["look/a/x", "look/a/y", "look/b/x"], &["case/look/a"]);
    check(&["look/b"], &["look/b/x", "look/b/y"], &["case/look/b"]);
    check(&["look/b/x"], &["look/b/y"], &["case/look/b/x", "case/look/b/y"]);
    check(&["look/b/x", "up/stderr"], &["look/b/x"], &[]);
}
