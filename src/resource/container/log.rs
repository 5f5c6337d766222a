//! Where a container's output goes, and the options of Docker's log drivers that say it.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use crate::resource::truth;

/// Where a container's output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSpec {
    /// A file in Docker's json-file form.
    JsonFile {
        /// A file is rotated when it would grow beyond so many bytes; never when absent.
        max_size: Option<u64>,
        /// So many files are kept; 1 when absent.
        max_file: Option<u32>,
        /// Files are compressed once they were rotated; they are not when absent.
        #[serde(default)]
        compress: Option<bool>,
        /// What stands beside every line.
        #[serde(default)]
        details: LogDetails,
    },
    /// Nowhere.
    None,
}

/// What stands beside every line of a log: Docker's `attrs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogDetails {
    /// Labels of the container, of those it has.
    pub labels: Vec<String>,
    /// A pattern of more of its labels.
    pub label_pattern: Option<String>,
    /// Variables of its environment, of those it has.
    pub environment: Vec<String>,
    /// A pattern of more of its variables.
    pub environment_pattern: Option<String>,
    /// A text, in which `{{.Name}}` and its like stand for what the container is.
    pub tag: Option<String>,
}

impl LogDetails {
    /// These, and what they leave open from others.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        let list = |own: &Vec<String>, other: &Vec<String>| if own.is_empty() { other.clone() } else { own.clone() };
        let text = |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
        Self {
            labels: list(&self.labels, &others.labels),
            label_pattern: text(&self.label_pattern, &others.label_pattern),
            environment: list(&self.environment, &others.environment),
            environment_pattern: text(&self.environment_pattern, &others.environment_pattern),
            tag: text(&self.tag, &others.tag),
        }
    }

    /// Whether they tell of a label of this name.
    pub fn tells_label(&self) -> impl Fn(&str) -> bool {
        chosen(&self.labels, self.label_pattern.as_deref())
    }

    /// Whether they tell of a variable of this name.
    pub fn tells_variable(&self) -> impl Fn(&str) -> bool {
        chosen(&self.environment, self.environment_pattern.as_deref())
    }
}

/// Chooses names that are listed, or in which a pattern is found, as Docker does: anywhere in them.
fn chosen(list: &[String], pattern: Option<&str>) -> impl Fn(&str) -> bool {
    // It was read once already when the option was.
    let pattern = pattern.and_then(|pattern| Regex::new(pattern).ok());
    move |name| list.iter().any(|it| it == name) || pattern.as_ref().is_some_and(|pattern| pattern.is_match(name))
}

/// Fills in a tag; `None` where it holds a word that `of` does not know, or is no template.
pub fn fill_tag(tag: &str, of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut pieces = tag.split("{{");
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (word, rest) = piece.split_once("}}")?;
        text.push_str(&of(word.trim().strip_prefix('.')?)?);
        text.push_str(rest);
    }
    Some(text)
}

/// The options of json-file that there are here.
pub const LOG_OPTIONS: [&str; 9] = ["compress", "env", "env-regex", "labels", "labels-regex", "max-file", "max-size", "mode", "tag"];

/// The words of a tag.
const TAG_WORDS: [&str; 7] = ["ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "DaemonName"];

impl Default for LogSpec {
    fn default() -> Self {
        Self::JsonFile { max_size: None, max_file: None, compress: None, details: LogDetails::default() }
    }
}

/// Why a driver's options are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogOptionError {
    /// There is no such driver here.
    #[error("log driver `{0}` is not supported; there are json-file and none")]
    Driver(String),
    /// The driver does not have the option.
    #[error("log option `{0}` is not supported")]
    Option(String),
    /// The option's value is none.
    #[error("log option `{name}`: {expected} is expected instead of `{value}`")]
    Value {
        /// The option.
        name: String,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        value: String,
    },
}

impl LogOptionError {
    /// The option it is about; none when it is the driver.
    pub fn option(&self) -> Option<&str> {
        match self {
            Self::Driver(_) => None,
            Self::Option(name) | Self::Value { name, .. } => Some(name),
        }
    }
}

impl LogSpec {
    /// Reads a driver, the default one where it is empty, and its options.
    ///
    /// # Errors
    /// This engine does not do what is asked.
    pub fn of_driver(driver: &str, options: &BTreeMap<String, String>) -> Result<Self, LogOptionError> {
        match driver {
            "none" => match options.keys().next() {
                None => Ok(Self::None),
                Some(name) => Err(LogOptionError::Option(name.clone())),
            },
            "" | "json-file" => json_file(options),
            other => Err(LogOptionError::Driver(other.to_owned())),
        }
    }

    /// Whether options fit together, once all are known.
    ///
    /// # Errors
    /// What is to be compressed when it was rotated is never rotated, or never kept.
    pub fn check(&self) -> Result<(), LogOptionError> {
        match self {
            Self::JsonFile { compress: Some(true), max_size, max_file, .. }
                if max_size.is_none() || max_file.is_none_or(|number| number < 2) =>
            {
                let expected = "`false`, or `max-size` and a `max-file` of at least 2 beside it,";
                Err(LogOptionError::Value { name: "compress".to_owned(), expected, value: "true".to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// The driver and its options, as [`of_driver`](Self::of_driver) reads them.
    pub fn driver(&self) -> (&'static str, BTreeMap<String, String>) {
        let mut options = BTreeMap::new();
        match self {
            Self::None => ("none", options),
            Self::JsonFile { max_size, max_file, compress, details } => {
                for (name, keys) in [("labels", &details.labels), ("env", &details.environment)] {
                    if !keys.is_empty() {
                        options.insert(name.to_owned(), keys.join(","));
                    }
                }
                for (name, pattern) in [("labels-regex", &details.label_pattern), ("env-regex", &details.environment_pattern)] {
                    options.extend(pattern.iter().map(|pattern| (name.to_owned(), pattern.clone())));
                }
                options.extend(details.tag.iter().map(|tag| ("tag".to_owned(), tag.clone())));
                options.extend(compress.map(|compress| ("compress".to_owned(), compress.to_string())));
                if let Some(bytes) = max_size {
                    options.insert("max-size".to_owned(), rotation_text(*bytes));
                }
                if let Some(number) = max_file {
                    options.insert("max-file".to_owned(), number.to_string());
                }
                ("json-file", options)
            }
        }
    }
}

fn json_file(options: &BTreeMap<String, String>) -> Result<LogSpec, LogOptionError> {
    let (mut max_size, mut max_file, mut compress, mut details) = (None, None, None, LogDetails::default());
    for (name, value) in options {
        let expected = |expected| LogOptionError::Value { name: name.clone(), expected, value: value.clone() };
        match name.as_str() {
            "max-size" if value == "-1" => {}
            "max-size" => max_size = Some(rotation_size(value).ok_or_else(|| expected("a size as in `10m`"))?),
            "max-file" => {
                let number = value.parse().ok().filter(|&number: &u32| number > 0);
                max_file = Some(number.ok_or_else(|| expected("a number greater than 0"))?);
            }
            "compress" => compress = Some(truth::parse(value).ok_or_else(|| expected("`true` or `false`"))?),
            "labels" => details.labels = keys(value),
            "env" => details.environment = keys(value),
            "labels-regex" | "env-regex" if value.is_empty() => {}
            "labels-regex" => details.label_pattern = Some(pattern(value).ok_or_else(|| expected("a regular expression"))?),
            "env-regex" => details.environment_pattern = Some(pattern(value).ok_or_else(|| expected("a regular expression"))?),
            "tag" if value.is_empty() => {}
            "tag" => {
                let known = fill_tag(value, |word| TAG_WORDS.contains(&word).then(String::new));
                known.ok_or_else(|| expected("a text with words such as `{{.Name}}`, `{{.ID}}` and `{{.ImageName}}`"))?;
                details.tag = Some(value.clone());
            }
            // Whoever writes waits until it is written: the only way here, and Docker's default.
            "mode" if value == "blocking" => {}
            "mode" => return Err(expected("`blocking`")),
            _ => return Err(LogOptionError::Option(name.clone())),
        }
    }
    Ok(LogSpec::JsonFile { max_size, max_file, compress, details })
}

fn pattern(text: &str) -> Option<String> {
    Regex::new(text).ok().map(|_| text.to_owned())
}

fn keys(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// Reads a size as dockerd's json-file driver does (go-units' `FromHumanSize`): decimal multiples, though memory is counted in binary ones.
fn rotation_size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).trim_end();
    let factor = match text[digits.len()..].trim() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        _ => return None,
    };
    let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive size far below 2^53")]
    Some((number * factor) as u64)
}

/// Writes a size as `rotation_size` reads it, in the largest unit of which it is a whole number.
fn rotation_text(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "t"), (1_000_000_000, "g"), (1_000_000, "m"), (1000, "k")];
    match units.into_iter().find(|(factor, _)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        let check = |text: &str, expect| assert_eq!(rotation_size(text), expect, "{text}");
        check("10m", Some(10_000_000));
        check("1.5k", Some(1500));
        check("1G", Some(1_000_000_000));
        check("100", Some(100));
        check("10 MB", Some(10_000_000));
        for text in ["", "m", "-1", "10x", "0"] {
            check(text, None);
        }
    }

    #[test]
    fn sizes_are_told_as_people_write_them() {
        for text in ["10m", "1g", "2t", "1500", "20k", "1", "1001k"] {
            assert_eq!(rotation_size(text).map(rotation_text).as_deref(), Some(text));
        }
        assert_eq!(rotation_size("1.5k").map(rotation_text).as_deref(), Some("1500"));
    }

    #[test]
    fn options_say_where_the_output_goes() {
        let read = |driver: &str, options: &[(&str, &str)]| {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            LogSpec::of_driver(driver, &options).map_err(|error| error.to_string())
        };
        assert_eq!(read("", &[]), Ok(LogSpec::default()));
        assert_eq!(read("none", &[]), Ok(LogSpec::None));
        assert_eq!(
            read("json-file", &[("max-size", "1k"), ("max-file", "3"), ("mode", "blocking"), ("compress", "true")]),
            Ok(LogSpec::JsonFile { max_size: Some(1000), max_file: Some(3), compress: Some(true), details: LogDetails::default() })
        );
        let details = LogDetails {
            labels: vec!["a".to_owned(), "b".to_owned()],
            label_pattern: Some("^c".to_owned()),
            environment: vec!["C".to_owned()],
            environment_pattern: Some("D|E".to_owned()),
            tag: Some("{{.Name}}/{{ .ID }}".to_owned()),
        };
        assert!(["a", "b", "cd"].map(details.tells_label()).iter().all(|told| *told) && !details.tells_label()("dc"));
        assert!(["C", "DX", "XE"].map(details.tells_variable()).iter().all(|told| *told) && !details.tells_variable()("X"));
        let told = LogSpec::JsonFile { max_size: Some(7), max_file: Some(2), compress: Some(true), details };
        assert_eq!(told.check(), Ok(()));
        assert!(read("", &[("compress", "1"), ("max-file", "1"), ("max-size", "1k")]).is_ok_and(|log| log.check().is_err()));
        let options = [
            ("labels", "a, b"),
            ("labels-regex", "^c"),
            ("env", "C"),
            ("env-regex", "D|E"),
            ("compress", "t"),
            ("max-size", "7"),
            ("max-file", "2"),
            ("tag", "{{.Name}}/{{ .ID }}"),
        ];
        assert_eq!(read("", &options), Ok(told.clone()));
        let (driver, options) = told.driver();
        assert_eq!(LogSpec::of_driver(driver, &options), Ok(told));
        assert!(read("", &[("tag", "{{.Nmae}}")]).is_err() && read("", &[("tag", "{{.Name")]).is_err());
        for (driver, option, value, expect) in [
            ("syslog", "", "", "log driver `syslog` is not supported; there are json-file and none"),
            ("none", "max-size", "1m", "log option `max-size` is not supported"),
            ("", "x", "1", "log option `x` is not supported"),
            ("", "max-size", "x", "log option `max-size`: a size as in `10m` is expected instead of `x`"),
            ("", "max-file", "0", "log option `max-file`: a number greater than 0 is expected instead of `0`"),
            ("", "compress", "yes", "log option `compress`: `true` or `false` is expected instead of `yes`"),
            ("", "env-regex", "(", "log option `env-regex`: a regular expression is expected instead of `(`"),
            ("", "mode", "non-blocking", "log option `mode`: `blocking` is expected instead of `non-blocking`"),
        ] {
            let options: &[(&str, &str)] = if option.is_empty() { &[] } else { &[(option, value)] };
            assert_eq!(read(driver, options), Err(expect.to_owned()));
        }
    }
}
