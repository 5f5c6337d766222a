//! One instruction: what it is, where it stands, and its parts as they are written, before any variable is replaced.

use super::body::{self, Body};
use super::line::{self, Line};
use super::problem::{Place, Problem};
use super::words;

/// What an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the word of the language")]
pub enum Kind {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

impl Kind {
    const ALL: [(&'static str, Self); 18] = [
        ("ADD", Self::Add),
        ("ARG", Self::Arg),
        ("CMD", Self::Cmd),
        ("COPY", Self::Copy),
        ("ENTRYPOINT", Self::Entrypoint),
        ("ENV", Self::Env),
        ("EXPOSE", Self::Expose),
        ("FROM", Self::From),
        ("HEALTHCHECK", Self::Healthcheck),
        ("LABEL", Self::Label),
        ("MAINTAINER", Self::Maintainer),
        ("ONBUILD", Self::Onbuild),
        ("RUN", Self::Run),
        ("SHELL", Self::Shell),
        ("STOPSIGNAL", Self::Stopsignal),
        ("USER", Self::User),
        ("VOLUME", Self::Volume),
        ("WORKDIR", Self::Workdir),
    ];

    /// The word of the language, in capitals.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|it| it.1 == self).map_or("", |it| it.0)
    }

    /// Whether a word names a kind, in any case.
    pub fn is_known(word: &str) -> bool {
        Self::of(word).is_ok()
    }

    /// The kind that a word names, in any case.
    pub(super) fn of(word: &str) -> Result<Self, Problem> {
        let upper = word.to_ascii_uppercase();
        let found = Self::ALL.iter().find(|it| it.0 == upper).map(|it| it.1);
        found.ok_or_else(|| Problem::new(format!("`{word}` is not an instruction")).near(word, &Self::ALL.map(|it| it.0)))
    }
}

/// One instruction of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it is.
    pub kind: Kind,
    /// Its lines. A trigger stands where its stage's `FROM` does.
    pub place: Place,
    /// The instruction on one line, as progress shows it and as the cache may know it; without the lines of its heredocs.
    pub text: String,
    /// It comes from an `ONBUILD` of the base.
    pub trigger: bool,
    /// The word that began it, as it was written.
    pub(super) word: String,
    /// Its parts.
    pub(super) body: Body,
    /// The comments right above it.
    pub(super) comments: Vec<String>,
}

impl Instruction {
    /// Reads a text that is one instruction, outside of any file.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (found, problems) = line::read(&lines, 0, '\\');
        let placeless = |problem: Problem| Problem { place: None, ..problem };
        match (problems.into_iter().next(), found.as_slice()) {
            (Some(problem), _) => Err(placeless(problem)),
            (None, [line]) => Self::of(line, '\\').map_err(placeless),
            (None, _) => Err(Problem::new(format!("`{text}` is not one instruction"))),
        }
    }

    /// Reads the text of a trigger, as the configuration of a base image holds it.
    pub fn trigger(text: &str) -> Result<Self, Problem> {
        let instruction = Self::parse(text).map_err(|problem| Problem { message: format!("ONBUILD: {}", problem.message), ..problem })?;
        forbid(instruction.kind)?;
        Ok(Self { trigger: true, ..instruction })
    }

    /// Reads one line. What `FROM` says is not in it: stages are read by their own.
    pub(super) fn of(line: &Line, escape: char) -> Result<Self, Problem> {
        let text = line.text.trim();
        let (word, rest) = words::cut(text).unwrap_or((text, ""));
        let outcome = Kind::of(word).and_then(|kind| {
            let (flags, rest) = words::flags(rest, escape);
            let body = body::read(kind, &flags, rest.trim(), line, escape)?;
            Ok(Self {
                kind,
                place: line.place,
                text: text.to_owned(),
                trigger: false,
                word: word.to_owned(),
                body,
                comments: line.comments.clone(),
            })
        });
        outcome.map_err(|problem| problem.at(line.place))
    }
}

/// Refuses what cannot be a trigger.
pub(super) fn forbid(kind: Kind) -> Result<(), Problem> {
    match kind {
        Kind::Onbuild | Kind::Maintainer | Kind::From => Err(Problem::new(format!("{} cannot be a trigger of ONBUILD", kind.as_str()))
            .hint("put it into the Dockerfile that builds on this one")),
        _ => Ok(()),
    }
}
