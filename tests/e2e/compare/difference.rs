//! What differs between two records, and what may.

use std::fmt;
use std::path::Path;

use super::side::Record;

/// A field that is not the same on both sides.
pub(super) struct Difference {
    /// `case/step/path of the field`.
    pub path: String,
    ours: Option<String>,
    theirs: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_absent = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
        write!(f, "{}\n    docker: {}\n    ours:   {}", self.path, or_absent(&self.theirs), or_absent(&self.ours))
    }
}

/// All that differs, in order.
pub(super) fn between<'a>(case: &'a str, ours: &'a Record, theirs: &'a Record) -> impl Iterator<Item = Difference> {
    let mut paths: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    paths.sort();
    paths.dedup();
    // Progress and messages are worded differently on purpose; they are kept for people.
    paths.into_iter().filter(|path| !path.ends_with("/stderr") && ours.get(*path) != theirs.get(*path)).map(move |path| Difference {
        path: format!("{case}/{path}"),
        ours: ours.get(path).cloned(),
        theirs: theirs.get(path).cloned(),
    })
}

/// The list of what may differ.
pub(super) struct Allowed {
    entries: Vec<(String, bool)>,
}

impl Allowed {
    /// Reads it: patterns at the margin, where `*` stands for anything; below them, indented, the reason. A `?` before a pattern: it does
    /// not differ on every machine, or not every time.
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the list of differences");
        let mut entries = Vec::new();
        let mut waiting = 0;
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            if line.starts_with(' ') {
                assert!(!entries.is_empty(), "a reason belongs to something: {line}");
                waiting = 0;
            } else {
                let sometimes = line.strip_prefix("? ");
                entries.push((sometimes.unwrap_or(line).trim().to_owned(), sometimes.is_some()));
                waiting += 1;
            }
        }
        assert_eq!(waiting, 0, "the last entries of {} have no reason", path.display());
        Self { entries }
    }

    /// Whether an entry speaks of this field; it then counts as needed.
    pub(super) fn covers(&mut self, path: &str) -> bool {
        let mut covered = false;
        for (pattern, used) in &mut self.entries {
            if matches(pattern, path) {
                *used = true;
                covered = true;
            }
        }
        covered
    }

    /// Entries that spoke of nothing.
    pub(super) fn unused(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, used)| !used).map(|(pattern, _)| pattern.as_str())
    }
}

/// Whether a text is what a pattern says, `*` being anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|skip| rest.get(skip..).is_some_and(|rest| matches(after, rest)))),
    }
}

#[test]
fn a_pattern_covers_what_it_says() {
    assert!(matches("*/Image", "web/look/Image") && matches("a*c*e", "abcde") && matches("*", ""));
    assert!(!matches("*/Image", "web/look/Images") && !matches("a*c", "abd"));
}
