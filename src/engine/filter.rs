//! Filters of lists and prunes, by Docker's rules: within a key any value matches, every key must match, and every label.

use std::collections::BTreeMap;
use std::time::Duration;

use regex_lite::Regex;

use crate::engine::clock;
use crate::resource::failure::Failure;
use crate::resource::time::Timestamp;

/// The filters of one request, with keys that are known.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Filters<'a> {
    all: &'a BTreeMap<String, Vec<String>>,
}

impl<'a> Filters<'a> {
    /// Takes filters whose keys are among these.
    pub(in crate::engine) fn of(all: &'a BTreeMap<String, Vec<String>>, keys: &[&str]) -> Result<Self, Failure> {
        match all.keys().find(|key| !keys.contains(&key.as_str())) {
            Some(key) => Err(Failure::invalid(format!("invalid filter '{key}'"))),
            None => Ok(Self { all }),
        }
    }

    /// The values of a key.
    pub(in crate::engine) fn values(&self, key: &str) -> &'a [String] {
        self.all.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether one value of a key fits, or there is none.
    pub(in crate::engine) fn any(&self, key: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.values(key);
        values.is_empty() || values.iter().any(|value| fits(value))
    }

    /// Whether one value of a key is a regular expression that occurs in a text, or there is none. As with Docker, what is no expression
    /// matches nothing but itself.
    pub(in crate::engine) fn occurs(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| value == text || Regex::new(value).is_ok_and(|pattern| pattern.is_match(text)))
    }

    /// Whether every `label` is there and none of `label!`.
    pub(in crate::engine) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|it| it == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").iter().all(has) && !self.values("label!").iter().any(has)
    }

    /// A key that says yes or no.
    pub(in crate::engine) fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.values(key) {
            [] => Ok(None),
            [value] if matches!(value.as_str(), "1" | "true") => Ok(Some(true)),
            [value] if matches!(value.as_str(), "0" | "false") => Ok(Some(false)),
            values => Err(Failure::invalid(format!("invalid filter '{key}=[{}]'", values.join(" ")))),
        }
    }

    /// The instant `until` names: a time, seconds since 1970, or how long ago it was.
    pub(in crate::engine) fn until(&self) -> Result<Option<Timestamp>, Failure> {
        match self.values("until") {
            [] => Ok(None),
            [text] => instant(text, clock::now()).map(Some).ok_or_else(|| {
                Failure::invalid(format!("invalid filter 'until={text}': a time, seconds since 1970, or a duration like 24h is expected"))
            }),
            _ => Err(Failure::invalid("more than one until filter specified")),
        }
    }
}

fn instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(ago) = duration(text) {
        return now.as_nanos().checked_sub(i64::try_from(ago.as_nanos()).ok()?).map(Timestamp::from_nanos);
    }
    let day = || format!("{text}T00:00:00Z").parse().ok();
    let local = || format!("{text}Z").parse().ok();
    text.parse().ok().or_else(|| seconds(text)).or_else(day).or_else(local)
}

/// `1700000000` or `1700000000.5`.
fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos).map(Timestamp::from_nanos)
}

/// Go's durations: `1h30m`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|it: char| it.is_ascii_digit()).unwrap_or(rest.len());
        sum += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(sum).ok() }
}

/// Whether a text matches a shell pattern (Go's `path.Match`): `*` and `?` do not match `/`. Docker compares references this way.
pub(in crate::engine) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    glob_from(&pattern, &text)
}

fn glob_from(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => {
            let reach = text.iter().take_while(|it| **it != '/').count();
            (0..=reach).any(|skip| glob_from(rest, &text[skip..]))
        }
        Some(('?', rest)) => text.first().is_some_and(|it| *it != '/') && glob_from(rest, &text[1..]),
        Some(('\\', [literal, rest @ ..])) => text.first() == Some(literal) && glob_from(rest, &text[1..]),
        Some(('[', rest)) => {
            let Some(close) = rest.iter().skip(1).position(|it| *it == ']').map(|at| at + 1) else { return false };
            let Some(character) = text.first().filter(|it| **it != '/') else { return false };
            let (set, negated) = match rest[..close].split_first() {
                Some(('^', set)) => (set, true),
                _ => (&rest[..close], false),
            };
            in_set(set, *character) != negated && glob_from(&rest[close + 1..], &text[1..])
        }
        Some((literal, rest)) => text.first() == Some(literal) && glob_from(rest, &text[1..]),
    }
}

fn in_set(set: &[char], character: char) -> bool {
    match set {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&character) || in_set(rest, character),
        [one, rest @ ..] => *one == character || in_set(rest, character),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_docker_finds_them() {
        let check = |pattern: &str, text: &str, expect| {
            let all = BTreeMap::from([("name".to_owned(), vec![pattern.to_owned()])]);
            assert_eq!(Filters::of(&all, &["name"]).expect("a known key").occurs("name", text), expect, "{pattern} {text}");
        };
        check("web", "my-web-1", true);
        check("^web", "my-web-1", false);
        check("^/?my-web-1$", "my-web-1", true);
        check("^my_.*_x$", "my_network_x", true);
        check("a\\.b", "a.b", true);
        check("a\\.b", "axb", false);
        check("^(web|db)-[0-9]$", "db-7", true);
        check("", "x", true);
        check("*", "x", false);
        check("a(", "a(", true);
    }

    #[test]
    fn shell_patterns_stop_at_slashes() {
        let check = |pattern, text, expect| assert_eq!(glob(pattern, text), expect, "{pattern} {text}");
        check("redis", "redis", true);
        check("redis:7*", "redis:7.2", true);
        check("*", "team/app", false);
        check("*/*", "team/app", true);
        check("app:[0-9]", "app:7", true);
        check("app:[^0-9]", "app:7", false);
        check("app?", "app/", false);
    }

    #[test]
    fn instants_are_told_in_three_ways() {
        let now = Timestamp::from_nanos(10_000_000_000_000);
        let check = |text, expect: Option<i64>| assert_eq!(instant(text, now).map(Timestamp::as_nanos), expect, "{text}");
        check("1h", Some(6_400_000_000_000));
        check("1m30s", Some(9_910_000_000_000));
        check("12", Some(12_000_000_000));
        check("1.5", Some(1_500_000_000));
        check("1970-01-01T00:00:01Z", Some(1_000_000_000));
        check("1970-01-02", Some(86_400_000_000_000));
        check("yesterday", None);
        check("", None);
    }

    #[test]
    fn every_label_must_match() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let check = |key: &str, values: &[&str], expect| {
            let all = BTreeMap::from([(key.to_owned(), values.iter().map(|it| (*it).to_owned()).collect())]);
            let filters = Filters::of(&all, &["label", "label!"]).expect("known keys");
            assert_eq!(filters.labels(&labels), expect, "{key} {values:?}");
        };
        check("label", &["a", "a=b"], true);
        check("label", &["a", "a=c"], false);
        check("label!", &["a=b"], false);
        check("label!", &["c"], true);
    }
}
