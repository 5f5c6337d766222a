//! Parser directives: the `# name=value` comments before anything else.

use std::collections::BTreeMap;

use super::problem::{Place, Problem};
use crate::resource::truth;

/// What the first comments of a file say about how it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: the frontend that the author asks for. This room is the frontend, so nothing follows from it.
    pub syntax: Option<String>,
    /// `# escape=`: a backslash or a backtick.
    pub escape: char,
    /// `# check=`: which checks are skipped, and whether a warning is an error.
    pub check: Checks,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: Checks::default() }
    }
}

impl Directives {
    /// Takes what arguments of the build say in their place (BuildKit's `BUILDKIT_SYNTAX` and `BUILDKIT_DOCKERFILE_CHECK`).
    pub(super) fn replace(&mut self, args: &BTreeMap<String, String>) -> Result<(), Problem> {
        let given = |name: &str| args.get(name).map(String::as_str).filter(|value| !value.is_empty());
        if let Some(frontend) = given("BUILDKIT_SYNTAX") {
            if !is_ours(frontend) {
                return Err(Problem::new(format!("BUILDKIT_SYNTAX asks for the language of `{frontend}`, which is not read"))
                    .hint("only `docker/dockerfile` is: leave the argument out, or name that"));
            }
            self.syntax = Some(frontend.to_owned());
        }
        if let Some(text) = given("BUILDKIT_DOCKERFILE_CHECK") {
            self.check = Checks::of(text).map_err(|reason| Problem::new(format!("BUILDKIT_DOCKERFILE_CHECK: {reason}")))?;
        }
        Ok(())
    }
}

/// The value of a `# check=` directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// `skip=`: names of rules, or `all`.
    pub skip: Vec<String>,
    /// `experimental=`: names of rules, or `all`.
    pub experimental: Vec<String>,
    /// `error=true`: a warning ends the build.
    pub error: bool,
}

impl Checks {
    /// Reads `skip=A,B;error=true`.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        let mut checks = Self::default();
        for part in text.split(';').map(str::trim).filter(|it| !it.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("the check option `{part}` has no value"))?;
            let names = || value.split(',').map(|it| it.trim().to_owned()).collect();
            match name.trim() {
                "skip" => checks.skip = names(),
                "experimental" => checks.experimental = names(),
                "error" => {
                    checks.error =
                        truth::parse(value.trim()).ok_or_else(|| format!("the check option `error={value}` is neither true nor false"))?;
                }
                other => return Err(format!("the check option `{other}` is none of skip, experimental and error")),
            }
        }
        Ok(checks)
    }

    /// Whether a rule is reported.
    pub(super) fn allow(&self, rule: &str, experimental: bool) -> bool {
        let named = |list: &[String]| list.iter().any(|it| it == "all" || it == rule);
        if experimental { named(&self.experimental) } else { !named(&self.skip) }
    }

    /// These and those of a comment above an instruction.
    pub(super) fn with(&self, other: &Self) -> Self {
        let both = |left: &[String], right: &[String]| left.iter().chain(right).cloned().collect();
        Self { skip: both(&self.skip, &other.skip), experimental: both(&self.experimental, &other.experimental), error: self.error }
    }
}

/// `name=value` of a comment without its `#`, if it is a directive that is known.
pub(super) fn split(comment: &str) -> Option<(String, &str)> {
    let (name, value) = comment.trim().split_once('=')?;
    let name = name.trim_end();
    let word = name.starts_with(|it: char| it.is_ascii_alphabetic()) && name.bytes().all(|it| it.is_ascii_alphanumeric());
    let (name, value) = (name.to_ascii_lowercase(), value.trim());
    (word && !value.is_empty() && ["syntax", "escape", "check"].contains(&name.as_str())).then_some((name, value))
}

/// Reads the directives; also how many lines they are.
pub(super) fn read(lines: &[&str]) -> Result<(Directives, usize), Problem> {
    let mut directives = Directives::default();
    let mut seen = Vec::new();
    let skip = usize::from(lines.first().is_some_and(|it| it.starts_with("#!")));
    let mut read = skip;
    for line in &lines[skip..] {
        let Some((name, value)) = line.trim_start().strip_prefix('#').and_then(split) else { break };
        read += 1;
        let place = Place { line: super::number(read), column: 1, end_line: super::number(read) };
        let wrong = |message: String| Problem::new(message).at(place);
        if seen.contains(&name) {
            return Err(wrong(format!("the directive `{name}` is there twice")).hint("leave one of them"));
        }
        match name.as_str() {
            "syntax" if !is_ours(value) => {
                return Err(wrong(format!("the Dockerfile is in the language of `{value}`, which is not read"))
                    .hint("only `docker/dockerfile` is: leave the directive out, or name that"));
            }
            "syntax" => directives.syntax = Some(value.to_owned()),
            "escape" => {
                directives.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => return Err(wrong(format!("`{other}` cannot be the escape character")).hint("it is ` or \\")),
                };
            }
            _ => directives.check = Checks::of(value).map_err(wrong)?,
        }
        seen.push(name);
    }
    Ok((directives, read))
}

/// Whether a frontend is Docker's, whoever's registry it comes from, whatever its version.
fn is_ours(frontend: &str) -> bool {
    let name = frontend.rsplit('/').next().unwrap_or_default();
    let name = name.split(['@', ':']).next().unwrap_or_default();
    matches!(name, "dockerfile" | "dockerfile-upstream")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Directives, lines: usize) {
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        assert_eq!(read(&all), Ok((expect, lines)), "{text}");
    }

    #[test]
    fn directives_stand_before_all_else() {
        let none = Directives::default;
        check("# syntax=docker/dockerfile:1\nFROM a\n", Directives { syntax: Some("docker/dockerfile:1".to_owned()), ..none() }, 1);
        check("#  Escape = `  \n", Directives { escape: '`', ..none() }, 1);
        check("# a comment\n# escape=`\n", none(), 0);
        check("# other=1\n# escape=`\n", none(), 0);
        check("\n# escape=`\n", none(), 0);
        check("#!/usr/bin/build\n# escape=`\n", Directives { escape: '`', ..none() }, 2);
        let checks = Checks { skip: vec!["A".to_owned(), "B".to_owned()], experimental: Vec::new(), error: true };
        check("# check=skip=A, B;error=true\n", Directives { check: checks, ..none() }, 1);
    }

    #[test]
    fn wrong_directives_are_refused() {
        for text in ["# escape=x\n", "# escape=`\n# escape=`\n", "# check=x\n", "# check=error=maybe\n", "# check=a=b\n"] {
            assert!(read(&text.split_inclusive('\n').collect::<Vec<_>>()).is_err(), "{text}");
        }
    }
}
