//! The parts of each instruction, as they are written.

use super::duration;
use super::flag::{Flags, Takes};
use super::heredoc::Heredoc;
use super::instruction::{self, Kind};
use super::line::Line;
use super::mount;
use super::problem::Problem;
use super::step::{Healthcheck, Network};
use super::transfer::{self, Transfer};
use super::words;

/// What stands behind the word of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// ADD and COPY.
    Transfer(Transfer),
    /// ARG: names, some with a default.
    Arguments(Vec<(String, Option<String>)>),
    /// CMD and ENTRYPOINT.
    Command(Words),
    /// ENV and LABEL.
    Pairs(Vec<Pair>),
    /// EXPOSE, VOLUME and SHELL.
    List(Vec<String>),
    /// FROM: all that is behind it.
    Base { words: Vec<String>, platform: Option<String> },
    /// HEALTHCHECK.
    Health(Healthcheck),
    /// RUN.
    Run(Script),
    /// MAINTAINER, ONBUILD, STOPSIGNAL, USER and WORKDIR.
    Text(String),
}

/// A command: its words, or a text for the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Words {
    Exec(Vec<String>),
    Shell(String),
}

/// One `name=value`, or `name value` in the older form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub name: String,
    pub value: String,
    pub legacy: bool,
}

/// What RUN says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub command: Words,
    pub heredocs: Vec<Heredoc>,
    /// The fields of each `--mount`, not yet expanded.
    pub mounts: Vec<Vec<String>>,
    pub network: Network,
}

/// Reads what stands behind the flags of an instruction.
pub(super) fn read(kind: Kind, flags: &[String], rest: &str, line: &Line, escape: char) -> Result<Body, Problem> {
    let name = kind.as_str();
    let wrong = |reason: String| Problem::new(format!("{name}: {reason}"));
    let some = |what: &str| if rest.is_empty() { Err(Problem::new(format!("{name} has no {what}"))) } else { Ok(rest.to_owned()) };
    let known = |known: &[(&str, Takes)]| Flags::of(name, flags, known);
    Ok(match kind {
        Kind::Add | Kind::Copy => Body::Transfer(transfer::read(kind == Kind::Add, flags, rest, line)?),
        Kind::Run => run(
            &known(&[("mount", Takes::Values), ("network", Takes::Value), ("security", Takes::Value), ("device", Takes::Values)])?,
            rest,
            line,
        )?,
        Kind::Healthcheck => Body::Health(health(flags, rest)?),
        Kind::From => {
            let flags = known(&[("platform", Takes::Value)])?;
            let words = rest.split(words::blank).filter(|it| !it.is_empty()).map(str::to_owned).collect();
            Body::Base { words, platform: flags.value("platform").map(str::to_owned) }
        }
        kind => {
            known(&[])?;
            match kind {
                Kind::Arg => Body::Arguments(arguments(&some("name")?, escape)?),
                Kind::Env | Kind::Label => Body::Pairs(pairs(name, &some("name")?, escape)?),
                Kind::Cmd | Kind::Entrypoint => Body::Command(command(rest).map_err(wrong)?),
                Kind::Expose => Body::List(some("port")?.split(words::blank).filter(|it| !it.is_empty()).map(str::to_owned).collect()),
                Kind::Volume => {
                    let paths = words::list_or_plain(&some("path")?).map_err(wrong)?;
                    if paths.is_empty() || paths.iter().any(|it| it.trim().is_empty()) {
                        return Err(Problem::new("a path of VOLUME is empty"));
                    }
                    Body::List(paths.iter().map(|it| it.trim().to_owned()).collect())
                }
                Kind::Shell => match words::list(rest).map_err(wrong)? {
                    Some(words) if !words.is_empty() => Body::List(words),
                    _ => return Err(Problem::new("SHELL takes a JSON list").hint("write it as `SHELL [\"/bin/sh\", \"-c\"]`")),
                },
                Kind::Onbuild => Body::Text(trigger(&some("instruction")?, line, escape)?),
                _ => Body::Text(some("value")?),
            }
        }
    })
}

/// The exec form where it is a JSON list, else the shell form.
fn command(rest: &str) -> Result<Words, String> {
    Ok(match words::list(rest)? {
        Some(words) => Words::Exec(words),
        None => Words::Shell(rest.to_owned()),
    })
}

fn run(flags: &Flags, rest: &str, line: &Line) -> Result<Body, Problem> {
    let mounts = flags.values("mount").map(mount::fields).collect::<Result<_, _>>()?;
    let network = match flags.value("network") {
        None | Some("default") => Network::Default,
        Some("none") => Network::None,
        Some("host") => Network::Host,
        Some(other) => return Err(Problem::new(format!("the network `{other}` of RUN is unknown")).hint("it is default, none or host")),
    };
    match flags.value("security") {
        None | Some("sandbox") => {}
        Some("insecure") => {
            return Err(Problem::new("RUN --security=insecure is not supported")
                .hint("build without it, and give a container its privileges with `privileged: true` when it runs"));
        }
        Some(other) => return Err(Problem::new(format!("the security `{other}` of RUN is unknown")).hint("it is sandbox")),
    }
    if let Some(device) = flags.value("device") {
        return Err(Problem::new(format!("RUN --device={device} is not supported"))
            .hint("give the device to a container with `devices:` when it runs"));
    }
    let command = command(rest).map_err(|reason| Problem::new(format!("RUN: {reason}")))?;
    if command == Words::Exec(Vec::new()) {
        return Err(Problem::new("RUN has no command"));
    }
    Ok(Body::Run(Script { command, heredocs: line.heredocs.clone(), mounts, network }))
}

/// `name`, `name=value`, several.
fn arguments(rest: &str, escape: char) -> Result<Vec<(String, Option<String>)>, Problem> {
    let read = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(Problem::new(format!("`{word}` of ARG has no name"))),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word, None)),
    };
    words::quoted(rest, escape).into_iter().map(read).collect()
}

/// `name=value …`, or `name value` with all of the rest as the value.
fn pairs(instruction: &str, rest: &str, escape: char) -> Result<Vec<Pair>, Problem> {
    let words = words::quoted(rest, escape);
    if words.first().is_some_and(|it| !it.contains('=')) {
        let Some((name, value)) = words::cut(rest) else {
            return Err(Problem::new(format!("`{rest}` of {instruction} has no value")).hint(format!("write `{instruction} {rest}=…`")));
        };
        return Ok(vec![Pair { name: name.to_owned(), value: value.to_owned(), legacy: true }]);
    }
    let read = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(Problem::new(format!("`{word}` of {instruction} has no name"))),
        Some((name, value)) => Ok(Pair { name: name.to_owned(), value: value.to_owned(), legacy: false }),
        None => Err(Problem::new(format!("`{word}` of {instruction} is not `name=value`")).hint("quote a value that holds spaces")),
    };
    words.into_iter().map(read).collect()
}

fn health(flags: &[String], rest: &str) -> Result<Healthcheck, Problem> {
    let (kind, after) = words::cut(rest).unwrap_or((rest, ""));
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if after.is_empty() => {
            Flags::of("HEALTHCHECK NONE", flags, &[])?;
            Ok(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() })
        }
        "NONE" => Err(Problem::new("HEALTHCHECK NONE takes nothing behind it")),
        "CMD" => {
            let times = ["interval", "timeout", "start-period", "start-interval"];
            let known: Vec<_> = times.into_iter().chain(["retries"]).map(|it| (it, Takes::Value)).collect();
            let flags = Flags::of("HEALTHCHECK", flags, &known)?;
            let time = |name: &str| -> Result<i64, Problem> {
                let Some(text) = flags.value(name).filter(|it| !it.is_empty()) else { return Ok(0) };
                match duration::parse(text) {
                    Some(time) if time == 0 || time >= duration::MILLISECOND => Ok(time),
                    Some(_) => Err(Problem::new(format!("`--{name}={text}` of HEALTHCHECK is less than a millisecond"))),
                    None => Err(Problem::new(format!("`--{name}={text}` of HEALTHCHECK is not a duration")).hint("write it like `1m30s`")),
                }
            };
            let retries = match flags.value("retries").filter(|it| !it.is_empty()) {
                None => 0,
                Some(text) => text
                    .parse::<u32>()
                    .ok()
                    .filter(|it| i32::try_from(*it).is_ok())
                    .ok_or_else(|| Problem::new(format!("`--retries={text}` of HEALTHCHECK is not a number from 0 on")))?,
            };
            let test = match command(after).map_err(|reason| Problem::new(format!("HEALTHCHECK: {reason}")))? {
                Words::Exec(words) if !words.is_empty() => std::iter::once("CMD".to_owned()).chain(words).collect(),
                Words::Shell(text) if !text.is_empty() => vec!["CMD-SHELL".to_owned(), text],
                _ => return Err(Problem::new("HEALTHCHECK CMD has no command")),
            };
            Ok(Healthcheck {
                test,
                interval: time("interval")?,
                timeout: time("timeout")?,
                start_period: time("start-period")?,
                start_interval: time("start-interval")?,
                retries,
            })
        }
        "" => Err(Problem::new("HEALTHCHECK has neither CMD nor NONE")),
        _ => Err(Problem::new(format!("`{kind}` of HEALTHCHECK is unknown")).hint("it is CMD or NONE")),
    }
}

/// The text of a trigger, heredocs behind it, once it is known to be an instruction that can be one.
fn trigger(rest: &str, line: &Line, escape: char) -> Result<String, Problem> {
    let inner = Line { text: rest.to_owned(), ..line.clone() };
    // Parts of it are read again with the base's variables; here only what never can be right is found.
    let word = words::cut(rest).map_or(rest, |it| it.0);
    instruction::forbid(Kind::of(word)?)?;
    instruction::Instruction::of(&inner, escape)?;
    let mut text = rest.to_owned();
    for heredoc in &line.heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    Ok(text)
}
