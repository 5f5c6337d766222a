//! What COPY and ADD say.

use std::collections::BTreeMap;

use super::bound::Room;
use super::environment::Environment;
use super::flag::{Flags, Takes};
use super::heredoc::Heredoc;
use super::lexer::Lexer;
use super::line::Line;
use super::problem::Problem;
use super::words;

/// The parts of COPY and ADD, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub sources: Vec<String>,
    pub inline: Vec<Heredoc>,
    pub destination: String,
    pub from: Option<String>,
    pub chown: String,
    pub chmod: String,
    pub checksum: String,
    pub link: bool,
    pub parents: bool,
    pub exclude: Vec<String>,
    pub unpack: Option<bool>,
}

/// Reads them.
pub(super) fn read(add: bool, flags: &[String], rest: &str, line: &Line) -> Result<Transfer, Problem> {
    let name = if add { "ADD" } else { "COPY" };
    let both = [("chown", Takes::Value), ("chmod", Takes::Value), ("link", Takes::Truth), ("exclude", Takes::Values)];
    // `--keep-git-dir` is about git sources alone, and those are refused by name once their variables are known.
    let own: &[_] = if add {
        &[("keep-git-dir", Takes::Truth), ("checksum", Takes::Value), ("unpack", Takes::Truth)]
    } else {
        &[("from", Takes::Value), ("parents", Takes::Truth)]
    };
    let flags = Flags::of(name, flags, &[&both, own].concat())?;
    let mut paths = words::list_or_plain(rest).map_err(|reason| Problem::new(format!("{name}: {reason}")))?;
    let destination = paths.pop().unwrap_or_default();
    if paths.is_empty() {
        let missing = if destination.is_empty() { "neither a source nor a destination" } else { "no destination" };
        return Err(Problem::new(format!("{name} has {missing}")).hint(format!("write `{name} source … destination`")));
    }
    if Heredoc::of(&destination).is_some() {
        return Err(Problem::new(format!("a heredoc cannot be the destination of {name}")).hint("put the destination behind it"));
    }
    // One name is one file, whose content the last heredoc of that name has.
    let mut heredocs: BTreeMap<&str, &Heredoc> = line.heredocs.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut sources = Vec::new();
    let mut inline = Vec::new();
    for path in paths {
        match Heredoc::of(&path) {
            Some(word) => inline.extend(heredocs.remove(word.name.as_str()).cloned()),
            None => sources.push(path),
        }
    }
    let from = flags.value("from").filter(|it| !it.is_empty()).map(str::to_owned);
    if let Some(from) = &from {
        constant(from)?;
    }
    let text = |name: &str| flags.value(name).unwrap_or_default().to_owned();
    Ok(Transfer {
        sources,
        inline,
        destination,
        from,
        chown: text("chown"),
        chmod: text("chmod"),
        checksum: text("checksum"),
        link: flags.truth("link").unwrap_or(false),
        parents: flags.truth("parents").unwrap_or(false),
        exclude: flags.values("exclude").map(str::to_owned).collect(),
        unpack: flags.truth("unpack"),
    })
}

/// Refuses a variable in `--from`: which stages a build needs is known before any of them is evaluated.
fn constant(from: &str) -> Result<(), Problem> {
    match Lexer::new('\\').expand(from, &Environment::default(), &mut Room::default()) {
        Ok(expanded) if expanded.text == from => Ok(()),
        _ => Err(Problem::new(format!("`--from={from}` cannot hold a variable"))
            .hint(format!("write `FROM {from} AS name` with a global ARG, and copy with `--from=name`"))),
    }
}
