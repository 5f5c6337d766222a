//! A whole Dockerfile: directives, global arguments, stages.

use std::collections::BTreeMap;

use super::body::Body;
use super::bound;
use super::directive::{self, Directives};
use super::instruction::{Instruction, Kind};
use super::line;
use super::problem::{Place, Problem};

/// A Dockerfile that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// What its first comments say.
    pub directives: Directives,
    /// The ARG instructions before the first stage.
    pub arguments: Vec<Instruction>,
    /// The stages in order; at least one.
    pub stages: Vec<Stage>,
    /// Instructions with an empty line between their lines.
    pub(super) gaps: Vec<Place>,
}

/// One stage, from its FROM to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name in small letters.
    pub name: Option<String>,
    /// What it builds on, before variables are replaced.
    pub base: String,
    /// `--platform`, before variables are replaced.
    pub platform: Option<String>,
    /// What follows its FROM.
    pub instructions: Vec<Instruction>,
    /// The lines of its FROM.
    pub place: Place,
    /// Its FROM on one line.
    pub text: String,
    /// `FROM` as it is written.
    pub(super) word: String,
    /// `AS` and the name as they are written.
    pub(super) alias: Option<(String, String)>,
    /// The comments right above it.
    pub(super) comments: Vec<String>,
}

impl Dockerfile {
    /// With what arguments of the build say in the place of directives.
    pub fn directed(mut self, args: &BTreeMap<String, String>) -> Result<Self, Problem> {
        self.directives.replace(args)?;
        Ok(self)
    }

    /// Reads a text, or says all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(vec![Problem::new("the Dockerfile is empty").hint("begin it with `FROM image`")]);
        }
        bound::file(text).map_err(|problem| vec![problem])?;
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (directives, start) = directive::read(&lines).map_err(|problem| vec![problem])?;
        let (lines, mut problems) = line::read(&lines, start, directives.escape);
        bound::instructions(lines.len()).map_err(|problem| vec![problem])?;
        let gaps = lines.iter().filter(|it| it.gap).map(|it| it.place).collect();
        let mut file = Self { directives, arguments: Vec::new(), stages: Vec::new(), gaps };
        let mut outside = None;
        let mut wrong_stage = false;
        for line in &lines {
            let instruction = match Instruction::of(line, file.directives.escape) {
                Ok(instruction) => instruction,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if instruction.kind == Kind::From {
                match Stage::of(instruction) {
                    Ok(stage) => file.stages.push(stage),
                    Err(problem) => {
                        wrong_stage = true;
                        problems.push(problem);
                    }
                }
                continue;
            }
            match file.stages.last_mut() {
                Some(stage) => stage.instructions.push(instruction),
                None if instruction.kind == Kind::Arg => file.arguments.push(instruction),
                None => outside = outside.or(Some(instruction)),
            }
        }
        if let Some(instruction) = outside.filter(|_| !wrong_stage) {
            let name = instruction.kind.as_str();
            problems.push(
                Problem::new(format!("{name} stands before the first FROM"))
                    .hint("begin the stage with `FROM image`")
                    .at(instruction.place),
            );
        } else if file.stages.is_empty() && problems.is_empty() {
            problems.push(Problem::new("the Dockerfile has no FROM").hint("begin a stage with `FROM image`"));
        }
        bound::stages(file.stages.len()).map_err(|problem| vec![problem])?;
        if problems.is_empty() {
            return Ok(file);
        }
        problems.sort_by_key(|it| it.place.map(|it| it.line));
        Err(problems)
    }
}

impl Stage {
    fn of(from: Instruction) -> Result<Self, Problem> {
        let Body::Base { words, platform } = from.body else { return Err(Problem::new("FROM is expected")) };
        let wrong = |message: String| Problem::new(message).at(from.place);
        let (base, alias) = match words.as_slice() {
            [base] => (base.clone(), None),
            [base, word, name] if word.eq_ignore_ascii_case("as") => (base.clone(), Some((word.clone(), name.clone()))),
            [] => return Err(wrong("FROM names no image".to_owned()).hint("write `FROM image` or `FROM image AS name`")),
            _ => return Err(wrong("FROM takes an image, or an image, AS and a name".to_owned()).hint("write `FROM image AS name`")),
        };
        let name = alias.as_ref().map(|(_, name)| name.to_lowercase());
        let letter = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '-' | '_' | '.');
        if let Some(name) = name.as_ref().filter(|it| !it.starts_with(|it: char| it.is_ascii_lowercase()) || !it.chars().all(letter)) {
            return Err(wrong(format!("`{name}` cannot be the name of a stage"))
                .hint("it begins with a letter, and holds letters, digits, `-`, `_` and `.`"));
        }
        Ok(Self {
            name,
            base,
            platform,
            instructions: Vec::new(),
            place: from.place,
            text: from.text,
            word: from.word,
            alias,
            comments: from.comments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let problems = Dockerfile::parse(text).err().unwrap_or_default();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expect, "{text}");
    }

    #[test]
    fn stages_hold_their_instructions() {
        let file =
            Dockerfile::parse("# escape=`\nARG V=1\nFROM a:$V AS Build\nRUN x `\n  y\nfrom --platform=$P b\nCMD z").expect("a good file");
        assert_eq!(file.directives.escape, '`');
        assert_eq!(file.arguments.len(), 1);
        let stages: Vec<_> = file.stages.iter().map(|it| (it.name.as_deref(), it.base.as_str(), it.platform.as_deref())).collect();
        assert_eq!(stages, [(Some("build"), "a:$V", None), (None, "b", Some("$P"))]);
        let run = &file.stages[0].instructions[0];
        assert_eq!((run.kind, run.text.as_str(), run.place), (Kind::Run, "RUN x   y", Place { line: 4, column: 1, end_line: 5 }));
    }

    #[test]
    fn files_without_stages_are_refused() {
        check("", &["the Dockerfile is empty; begin it with `FROM image`"]);
        check("# only a comment\n", &["the Dockerfile has no FROM; begin a stage with `FROM image`"]);
        check("ARG a\n", &["the Dockerfile has no FROM; begin a stage with `FROM image`"]);
        check("RUN x\nFROM a", &["line 1: RUN stands before the first FROM; begin the stage with `FROM image`"]);
        check("FROM", &["line 1: FROM names no image; write `FROM image` or `FROM image AS name`"]);
        check("FROM a b", &["line 1: FROM takes an image, or an image, AS and a name; write `FROM image AS name`"]);
        check(
            "FROM a AS 1b",
            &["line 1: `1b` cannot be the name of a stage; it begins with a letter, and holds letters, digits, `-`, `_` and `.`"],
        );
    }

    #[test]
    fn all_problems_are_said_at_once() {
        check(
            "FROM a\nRUNN x\nCOPY a\nCOPY --form=b a b\nENV A\nONBUILD FROM x\nHEALTHCHECK --interval=1 CMD x\nSHELL sh\nRUN <<E\nx",
            &[
                "line 2: `RUNN` is not an instruction; did you mean `RUN`?",
                "line 3: COPY has no destination; write `COPY source … destination`",
                "line 4: COPY has no flag `--form`; did you mean `--from`?",
                "line 5: `A` of ENV has no value; write `ENV A=…`",
                "line 6: FROM cannot be a trigger of ONBUILD; put it into the Dockerfile that builds on this one",
                "line 7: `--interval=1` of HEALTHCHECK is not a duration; write it like `1m30s`",
                "line 8: SHELL takes a JSON list; write it as `SHELL [\"/bin/sh\", \"-c\"]`",
                "line 9: the heredoc `E` does not end; put `E` on a line of its own behind it",
            ],
        );
    }

    #[test]
    fn single_instructions_are_refused() {
        let one = |line: &str, expect: &str| check(&format!("FROM a\n{line}\n"), &[&format!("line 2: {expect}")]);
        one(
            "RUN --security=insecure x",
            "RUN --security=insecure is not supported; build without it, and give a container its privileges with `privileged: true` when it runs",
        );
        one("RUN --device=a x", "RUN --device=a is not supported; give the device to a container with `devices:` when it runs");
        one("RUN --network=x y", "the network `x` of RUN is unknown; it is default, none or host");
        one("RUN [1]", "RUN: `1` is not a text, and a JSON list has to hold nothing else");
        one(
            "COPY --from=$x a b",
            "`--from=$x` cannot hold a variable; write `FROM $x AS name` with a global ARG, and copy with `--from=name`",
        );
        one(
            "RUN --mount=from=$x,target=/y z",
            "`from=$x` of a mount cannot hold a variable; write `FROM $x AS name` with a global ARG, and mount `from=name`",
        );
        one("COPY a <<E\nE", "a heredoc cannot be the destination of COPY; put the destination behind it");
        one("ENV a=1 b", "`b` of ENV is not `name=value`; quote a value that holds spaces");
        one("ENV =1", "`=1` of ENV has no name");
        one("ARG", "ARG has no name");
        one("HEALTHCHECK", "HEALTHCHECK has neither CMD nor NONE");
        one("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes nothing behind it");
        one("HEALTHCHECK CMD", "HEALTHCHECK CMD has no command");
        one("HEALTHCHECK --retries=-1 CMD x", "`--retries=-1` of HEALTHCHECK is not a number from 0 on");
        one("HEALTHCHECK --timeout=1us CMD x", "`--timeout=1us` of HEALTHCHECK is less than a millisecond");
        one("ONBUILD ONBUILD RUN x", "ONBUILD cannot be a trigger of ONBUILD; put it into the Dockerfile that builds on this one");
        one("ONBUILD COPY a", "COPY has no destination; write `COPY source … destination`");
        one("VOLUME [\"\"]", "a path of VOLUME is empty");
        one("WORKDIR", "WORKDIR has no value");
        one("USER --x a", "USER has no flag `--x`; it takes none");
    }
}
