//! The query of a request, whose parameters are taken out one by one, so that what is left over can be refused.

use serde_json::Value;

use crate::api::wire::error::WireError;
use crate::api::wire::filter::{self, Filters};
use crate::api::wire::time;
use crate::resource::exec::TerminalSize;
use crate::resource::failure::Failure;
use crate::resource::percent;
use crate::resource::time::Timestamp;

/// The parameters that have not been taken yet, in order.
#[derive(Debug, Default)]
pub(super) struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    /// Reads `a=b&c=d`.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut parameters = Vec::new();
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            parameters.push((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?));
        }
        Ok(Self { parameters })
    }

    /// Takes every value of a parameter.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        #[cfg(test)]
        crate::api::wire::asked::parameter(name);
        self.take(name)
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        self.parameters.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// Takes a parameter's first value; an empty one is the same as absent.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.all(name).into_iter().next().filter(|value| !value.is_empty())
    }

    /// Takes a truth value by Docker's rule: what is not one of the words for "no" is "yes".
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.text(name).is_some_and(|value| is_yes(&value))
    }

    /// Takes a truth value that is not "no" where it is absent.
    pub(super) fn flag_or(&mut self, name: &str, absent: bool) -> bool {
        // A name without a value is a "no".
        self.all(name).into_iter().next().map_or(absent, |value| is_yes(&value))
    }

    /// Takes a number.
    pub(super) fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| Failure::invalid(format!("`{name}`: a number is expected instead of `{text}`")))
    }

    /// Takes an instant.
    pub(super) fn instant(&mut self, name: &str) -> Result<Option<Timestamp>, Failure> {
        Ok(time::from_query(name, &self.text(name).unwrap_or_default())?)
    }

    /// Takes the instant until which something is told; zero is none, as with Docker.
    pub(super) fn until(&mut self) -> Result<Option<Timestamp>, Failure> {
        Ok(self.instant("until")?.filter(|until| *until != Timestamp::from_nanos(0)))
    }

    /// Takes the filters.
    pub(super) fn filters(&mut self) -> Result<Filters, Failure> {
        Ok(filter::parse(&self.text("filters").unwrap_or_default())?)
    }

    /// Takes the size of a terminal.
    pub(super) fn size(&mut self) -> Result<TerminalSize, Failure> {
        let (rows, columns) = (self.number("h")?, self.number("w")?);
        match (rows, columns) {
            (Some(rows), Some(columns)) => Ok(TerminalSize { rows, columns }),
            _ => Err(Failure::invalid("`h` and `w`: the rows and columns of the terminal are expected")),
        }
    }

    /// Takes a parameter by which a client tells something to itself, and dockerd nothing.
    pub(super) fn ignore(&mut self, name: &str) {
        self.take(name);
    }

    /// Takes what the body has as well: the library dockerode sends all that something is made of twice.
    pub(super) fn ignore_repeated(&mut self, body: &Value) {
        self.parameters.retain(|(name, value)| !body.get(name).is_some_and(|said| is_said(value, said)));
    }

    /// Refuses what has not been taken.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        while let Some((name, _)) = self.parameters.first() {
            let name = name.clone();
            refuse(&name, self.take(&name))?;
        }
        Ok(())
    }
}

/// Whether a parameter says what a body does, as docker-modem writes it: an object as JSON, a list item by item, or as JSON where it is older.
fn is_said(value: &str, said: &Value) -> bool {
    match said {
        Value::String(text) => text == value,
        Value::Array(items) => value.is_empty() || items.iter().any(|item| is_said(value, item)) || is_json_of(value, said),
        said => is_json_of(value, said),
    }
}

fn is_json_of(value: &str, said: &Value) -> bool {
    serde_json::from_str::<Value>(value).is_ok_and(|value| value == *said)
}

/// Refuses a parameter that asks for something this engine does not do; what says no is no wish.
fn refuse(name: &str, values: Vec<String>) -> Result<(), Failure> {
    match values.into_iter().find(|value| is_yes(value)) {
        Some(value) => Err(WireError::unsupported(name, &Value::String(value)).into()),
        None => Ok(()),
    }
}

/// Docker's `BoolValue`.
pub(super) fn is_yes(value: &str) -> bool {
    !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
}

/// Undoes the percent signs of a piece of an address.
pub(super) fn decode(text: &str) -> Result<String, Failure> {
    percent::decode(text).ok_or_else(|| Failure::invalid(format!("`{text}` is not percent-encoded UTF-8")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).expect("a good query")
    }

    #[test]
    fn parameters_are_taken_once_and_the_rest_is_refused_by_its_name() {
        let mut all = query("a=1&names=x%2Fy&names=z+w&flag=False&empty=&more");
        assert_eq!(all.number::<u32>("a").expect("a number"), Some(1));
        assert_eq!(all.all("names"), ["x/y", "z w"]);
        assert!(!all.flag("flag"));
        assert!(all.finish().is_ok());
        let refused = query("size=0&limit=4").finish().expect_err("a refusal");
        assert_eq!(refused, Failure::unsupported("`limit` is not supported by this engine (it was \"4\")"));
    }

    #[test]
    fn what_dockerode_says_twice_is_heard_once() {
        let body = json!({ "name": "web", "Image": "busybox", "Cmd": ["sh", "-c"], "HostConfig": { "AutoRemove": true } });
        let finished = |text: &str| {
            let mut all = query(text);
            assert_eq!(all.text("name").as_deref(), Some("web"));
            all.ignore("hijack");
            all.ignore_repeated(&body);
            all.finish().map_err(|failure| failure.message)
        };
        assert_eq!(finished("name=web&Image=busybox&Cmd=sh&Cmd=-c&HostConfig=%7B%22AutoRemove%22%3Atrue%7D&hijack=true"), Ok(()));
        assert_eq!(finished("name=web&Cmd=%5B%22sh%22%2C%22-c%22%5D"), Ok(()));
        let refused = |name: &str| Err(format!("`{name}` is not supported by this engine (it was \"x\")"));
        assert_eq!(finished("name=web&Cmd=x"), refused("Cmd"));
        assert_eq!(finished("name=web&Image=x"), refused("Image"));
        assert_eq!(finished("name=web&hijacked=x"), refused("hijacked"));
    }

    #[test]
    fn dockers_words_for_yes_and_no_hold() {
        for (text, expect) in [("f=1", true), ("f=true", true), ("f=x", true), ("f=0", false), ("f=no", false), ("f=", false), ("", false)]
        {
            assert_eq!(query(text).flag("f"), expect, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["a=%", "a=%g0", "a=%ff"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(query("h=a&w=1").size().is_err());
        assert!(query("h=24").size().is_err());
        assert_eq!(query("h=24&w=80").size(), Ok(TerminalSize { rows: 24, columns: 80 }));
    }
}
