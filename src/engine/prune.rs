//! Which things a prune takes: Docker's filters `label`, `label!` and `until`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::clock;
use crate::resource::failure::Failure;
use crate::resource::time::Timestamp;

/// What the filters select.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Selection {
    /// Every one must be there: a name, or a name and a value.
    labels: Vec<(String, Option<String>)>,
    /// None may be there.
    without: Vec<(String, Option<String>)>,
    /// What was made before this instant.
    until: Option<Timestamp>,
}

impl Selection {
    /// Reads the filters; one that is not known is refused.
    pub(in crate::engine) fn parse(filters: &BTreeMap<String, Vec<String>>) -> Result<Self, Failure> {
        let mut selection = Self::default();
        for (key, values) in filters {
            let label = |value: &String| match value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (value.clone(), None),
            };
            match key.as_str() {
                "label" => selection.labels.extend(values.iter().map(label)),
                "label!" => selection.without.extend(values.iter().map(label)),
                "until" => match values.as_slice() {
                    [] => {}
                    [value] => selection.until = Some(instant(value, clock::now())?),
                    _ => return Err(Failure::invalid("more than one until filter specified")),
                },
                _ => return Err(Failure::invalid(format!("invalid filter '{key}'"))),
            }
        }
        Ok(selection)
    }

    /// Whether a thing with these labels, made then, is among them.
    pub(in crate::engine) fn selects(&self, labels: &BTreeMap<String, String>, created: Timestamp) -> bool {
        let has = |(name, value): &(String, Option<String>)| {
            labels.get(name).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        };
        self.labels.iter().all(has) && !self.without.iter().any(has) && self.until.is_none_or(|until| created < until)
    }
}

/// Reads an instant: RFC 3339, seconds since the epoch, or Go's way to write how long ago.
fn instant(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let whole = Duration::try_from_secs_f64(seconds).ok().and_then(|since| i64::try_from(since.as_nanos()).ok());
        return whole.map(Timestamp::from_nanos).ok_or_else(|| Failure::invalid(format!("invalid until filter `{text}`")));
    }
    let ago = duration(text).and_then(|ago| i64::try_from(ago.as_nanos()).ok());
    let ago = ago.ok_or_else(|| Failure::invalid(format!("invalid until filter `{text}`: a time or a duration like 10m is expected")))?;
    Ok(Timestamp::from_nanos(now.as_nanos().saturating_sub(ago)))
}

/// Go's `time.ParseDuration` without signs: `1h30m`, `1.5s`.
fn duration(text: &str) -> Option<Duration> {
    let mut left = text;
    let mut whole = Duration::ZERO;
    while !left.is_empty() {
        let end = left.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let number: f64 = left[..end].parse().ok()?;
        let rest = &left[end..];
        let unit = rest.find(|it: char| it.is_ascii_digit() || it == '.').unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        whole = whole.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        left = &rest[unit..];
    }
    (!text.is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(filters: &[(&str, &str)]) -> Result<Selection, Failure> {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in filters {
            map.entry((*key).to_owned()).or_default().push((*value).to_owned());
        }
        Selection::parse(&map)
    }

    #[test]
    fn labels_and_age_decide() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let check = |filters: &[(&str, &str)], expected: bool| {
            let selection = parse(filters).expect("good filters");
            assert_eq!(selection.selects(&labels, Timestamp::from_nanos(5_000_000_000)), expected, "{filters:?}");
        };
        check(&[], true);
        check(&[("label", "a")], true);
        check(&[("label", "a=1")], true);
        check(&[("label", "a=1"), ("label", "b")], false);
        check(&[("label!", "a=1")], false);
        check(&[("label!", "a=2")], true);
        check(&[("until", "5")], false);
        check(&[("until", "5.5")], true);
        check(&[("until", "1h")], true);
        check(&[("until", "1970-01-01T00:00:04Z")], false);
        assert!(parse(&[("until", "soon")]).is_err());
        assert!(parse(&[("colour", "red")]).is_err());
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s200ms"), Some(Duration::from_millis(1700)));
        assert_eq!((duration("10"), duration("h"), duration(""), duration("1d")), (None, None, None, None));
    }
}
