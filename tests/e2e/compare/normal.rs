//! What cannot be the same twice gets a name: ids, times, addresses, folders.

use std::collections::BTreeMap;

use serde_json::Value;

use super::side::Record;

/// Texts that stand for something, and the word for it.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// From now on the text is this word.
    pub(crate) fn add(&mut self, text: &str, word: &str) {
        if text.len() > 3 {
            self.0.entry(text.to_owned()).or_insert_with(|| word.to_owned());
        }
    }

    /// An id, in full and in its short form.
    pub(crate) fn add_id(&mut self, id: &str, word: &str) {
        self.add(id, word);
        if let Some(short) = id.get(..12) {
            self.add(short, word);
        }
    }

    /// The text in words.
    pub(crate) fn in_words(&self, text: &str) -> String {
        let mut known: Vec<_> = self.0.iter().collect();
        // The longest first: a short id is the beginning of the long one.
        known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let text = known.into_iter().fold(text.to_owned(), |text, (from, to)| replace_whole(&text, from, to));
        durations(&times(&text))
    }

    /// Takes a value apart: one entry for each scalar, and for each empty list or map.
    pub(crate) fn flatten(&self, path: &str, value: &Value, into: &mut Record) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, field) in fields {
                    self.flatten(&format!("{path}/{}", self.in_words(name)), field, into);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.flatten(&format!("{path}/{index}"), item, into);
                }
            }
            Value::String(text) => _ = into.insert(path.to_owned(), Value::from(self.in_words(text)).to_string()),
            other => _ = into.insert(path.to_owned(), self.in_words(&other.to_string())),
        }
    }
}

/// Replaces where neither side goes on with a letter or a digit: `172.18.0.2` is not in `172.18.0.22`.
fn replace_whole(text: &str, from: &str, to: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, found) = rest.split_at(at);
        let after = &found[from.len()..];
        let open = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
        result.push_str(before);
        let whole =
            open(before.chars().last().or_else(|| result.chars().last().filter(|_| before.is_empty()))) && open(after.chars().next());
        result.push_str(if whole { to } else { from });
        rest = after;
    }
    result + rest
}

/// A moment becomes `TIME`; the one that means never stays.
fn times(text: &str) -> String {
    let bytes = text.as_bytes();
    let digits = |from: usize, count: usize| bytes.get(from..from + count).is_some_and(|it| it.iter().all(u8::is_ascii_digit));
    let mut result = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(first) = rest.chars().next() else { break };
        let day =
            digits(at, 4) && bytes.get(at + 4) == Some(&b'-') && digits(at + 5, 2) && bytes.get(at + 7) == Some(&b'-') && digits(at + 8, 2);
        let time = matches!(bytes.get(at + 10), Some(b'T' | b' ')) && digits(at + 11, 2) && bytes.get(at + 13) == Some(&b':');
        if day && time && !rest.starts_with("0001") {
            let length = rest.find(|c: char| !(c.is_ascii_digit() || "-T:. +ZUC".contains(c))).unwrap_or(rest.len());
            result.push_str("TIME");
            at += length;
        } else {
            result.push(first);
            at += first.len_utf8();
        }
    }
    result
}

/// "3 seconds", "About a minute" and the like become `AGE`.
fn durations(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let mut at = 0;
    while at + 1 < words.len() {
        let unit = words[at + 1].trim_end_matches('s');
        let counted = words[at].bytes().all(|byte| byte.is_ascii_digit()) && !words[at].is_empty() && ["second", "minute"].contains(&unit);
        let about = ["About a minute", "About an hour", "Less than a"].iter().find(|it| words[at..].join(" ").starts_with(**it));
        if counted {
            words.splice(at..at + 2, ["AGE"]);
        } else if let Some(about) = about {
            let second = usize::from(about.starts_with("Less"));
            words.splice(at..at + 3 + second, ["AGE"]);
        }
        at += 1;
    }
    words.join(" ")
}

#[test]
fn what_changes_from_run_to_run_has_a_word() {
    let mut names = Names::default();
    names.add("172.18.0.2", "WEB");
    names.add_id("0123456789abcdef", "ID");
    let check = |text: &str, expect: &str| assert_eq!(names.in_words(text), expect);
    check("172.18.0.2 172.18.0.22/16", "WEB 172.18.0.22/16");
    check("0123456789abcdef 0123456789ab", "ID ID");
    check("at 2026-01-02T03:04:05.678901234Z.", "at TIME");
    check("2026-01-02 03:04:05 +0000 UTC", "TIME");
    check("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z");
    check("Up 3 seconds (healthy)", "Up AGE (healthy)");
    check("Exited (1) Less than a second ago", "Exited (1) AGE ago");
    check("Up About a minute", "Up AGE");
}
