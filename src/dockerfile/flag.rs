//! Flags of instructions: `--name`, `--name=value`.

use super::problem::{Problem, near};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// `true`, `false` or nothing.
    Truth,
    /// A value, once.
    Value,
    /// A value, as often as one likes.
    Values,
}

/// The flags of one instruction, each known by its name.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(String, String)>);

impl Flags {
    /// Reads them against what the instruction knows.
    pub(super) fn of(instruction: &str, written: &[String], known: &[(&str, Takes)]) -> Result<Self, Problem> {
        let mut flags: Vec<(String, String)> = Vec::new();
        for flag in written {
            let (name, value) = match flag[2..].split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (&flag[2..], None),
            };
            let Some((_, takes)) = known.iter().find(|it| it.0 == name) else {
                let names: Vec<&str> = known.iter().map(|it| it.0).collect();
                let hint = match near(name, &names) {
                    Some(other) => format!("did you mean `--{other}`?"),
                    None if names.is_empty() => "it takes none".to_owned(),
                    None => format!("it has {}", names.iter().map(|it| format!("`--{it}`")).collect::<Vec<_>>().join(", ")),
                };
                return Err(Problem::new(format!("{instruction} has no flag `--{name}`")).hint(hint));
            };
            if *takes != Takes::Values && flags.iter().any(|it| it.0 == name) {
                return Err(Problem::new(format!("{instruction} has the flag `--{name}` twice")).hint("leave one of them"));
            }
            let value = match (takes, value) {
                (Takes::Truth, None) => "true".to_owned(),
                (Takes::Truth, Some(value)) if matches!(value.to_ascii_lowercase().as_str(), "true" | "false") => {
                    value.to_ascii_lowercase()
                }
                (Takes::Truth, Some(value)) => {
                    return Err(Problem::new(format!("`--{name}={value}` of {instruction} is neither true nor false")));
                }
                (_, Some(value)) => value.to_owned(),
                (_, None) => {
                    return Err(Problem::new(format!("`--{name}` of {instruction} has no value")).hint(format!("write `--{name}=…`")));
                }
            };
            flags.push((name.to_owned(), value));
        }
        Ok(Self(flags))
    }

    /// The value of a flag.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of a flag.
    pub(super) fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |it| it.0 == name).map(|it| it.1.as_str())
    }

    /// A truth, where it was given.
    pub(super) fn truth(&self, name: &str) -> Option<bool> {
        self.value(name).map(|it| it == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[(&str, Takes)] = &[("link", Takes::Truth), ("chown", Takes::Value), ("exclude", Takes::Values)];

    #[test]
    fn flags_are_read() {
        let check = |written: &[&str], expect: &str| {
            let written: Vec<String> = written.iter().map(|it| (*it).to_owned()).collect();
            let text = match Flags::of("COPY", &written, KNOWN) {
                Ok(flags) => format!("{:?}", flags.0),
                Err(problem) => problem.to_string(),
            };
            assert_eq!(text, expect);
        };
        check(&["--link", "--chown=a=b"], r#"[("link", "true"), ("chown", "a=b")]"#);
        check(&["--exclude=a", "--exclude=b"], r#"[("exclude", "a"), ("exclude", "b")]"#);
        check(&["--link=FALSE"], r#"[("link", "false")]"#);
        check(&["--link="], "`--link=` of COPY is neither true nor false");
        check(&["--chown"], "`--chown` of COPY has no value; write `--chown=…`");
        check(&["--chown=a", "--chown=b"], "COPY has the flag `--chown` twice; leave one of them");
        check(&["--owner=a"], "COPY has no flag `--owner`; it has `--link`, `--chown`, `--exclude`");
        check(&["--lnk"], "COPY has no flag `--lnk`; did you mean `--link`?");
    }
}
