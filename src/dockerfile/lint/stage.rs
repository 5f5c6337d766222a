//! Checks of the file as a whole, of FROM lines, and of what is wrong wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

use super::{Report, Rule};
use crate::dockerfile::body::Body;
use crate::dockerfile::bound::Room;
use crate::dockerfile::environment::Environment;
use crate::dockerfile::file::{Dockerfile, Stage};
use crate::dockerfile::instruction::{Instruction, Kind};
use crate::dockerfile::plan::Options;
use crate::dockerfile::problem::near;

pub(super) fn check(file: &Dockerfile, options: &Options, report: &mut Report<'_>) {
    for place in &file.gaps {
        let message = "an empty line stands in the middle of the instruction; later releases refuse that".to_owned();
        report.add(&[], Rule::NoEmptyContinuation, *place, message);
    }
    let all = || file.arguments.iter().chain(file.stages.iter().flat_map(|it| &it.instructions));
    for instruction in all() {
        each(instruction, report);
    }
    names(file, report);
    casing(file, report);
    let Ok((automatic, globals)) = file.globals(options, &options.args) else { return };
    let defaults = file.globals(options, &BTreeMap::new()).map(|it| it.1).unwrap_or_default();
    let declared: BTreeSet<&str> = file.arguments.iter().flat_map(names_of).chain(automatic.names()).collect();
    let (mut room, mut default_room) = (Room::default(), Room::default());
    let reference = reference();
    for stage in &file.stages {
        from(file, stage, (&globals, &mut room), &declared, report);
        let bases = file.from(stage, &defaults, &mut default_room).map(|it| it.0.text);
        if bases.is_ok_and(|base| base.len() > LONGEST || !reference.is_match(&base)) {
            let message = format!("with the defaults of its arguments, `{}` is empty or no name of an image", stage.base);
            report.add(&stage.comments, Rule::InvalidDefaultArgInFrom, stage.place, message);
        }
    }
}

/// The names that an ARG declares.
fn names_of(instruction: &Instruction) -> Vec<&str> {
    match &instruction.body {
        Body::Arguments(pairs) => pairs.iter().map(|it| it.0.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn each(instruction: &Instruction, report: &mut Report<'_>) {
    match instruction.kind {
        Kind::Maintainer => {
            let message = "MAINTAINER is deprecated; use `LABEL org.opencontainers.image.authors=…`".to_owned();
            report.add(&instruction.comments, Rule::MaintainerDeprecated, instruction.place, message);
        }
        Kind::Arg => {
            let names = names_of(instruction);
            described("ARG", &names, &instruction.comments, instruction.place, report);
        }
        _ => {}
    }
}

/// The last comment above a name describes it, when it begins with it.
fn described(what: &str, names: &[&str], comments: &[String], place: crate::dockerfile::Place, report: &mut Report<'_>) {
    let (Some(last), Some(name)) = (comments.last(), names.first()) else { return };
    if !names.contains(&last.split(' ').next().unwrap_or_default()) {
        let message =
            format!("the comment above {what} does not begin with `# {name} `; put an empty line between if it does not describe it");
        report.add(comments, Rule::InvalidDefinitionDescription, place, message);
    }
}

fn names(file: &Dockerfile, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for stage in &file.stages {
        let (Some(name), Some((word, written))) = (&stage.name, &stage.alias) else { continue };
        let mut add = |rule, message| report.add(&stage.comments, rule, stage.place, message);
        if name != written {
            add(Rule::StageNameCasing, format!("the name `{written}` of a stage has capitals"));
        }
        if matches!(name.as_str(), "context" | "scratch") {
            add(Rule::ReservedStageName, format!("`{name}` has a meaning of its own and is no good name for a stage"));
        }
        if !seen.insert(name) {
            add(Rule::DuplicateStageName, format!("`{name}` is the name of an earlier stage too"));
        }
        let lower = stage.word == stage.word.to_lowercase();
        let upper = stage.word == stage.word.to_uppercase();
        let fits = if lower { *word == word.to_lowercase() } else { *word == word.to_uppercase() };
        if (lower || upper) && !fits {
            add(Rule::FromAsCasing, format!("`{word}` and `{}` differ in case", stage.word));
        }
        described("FROM", &[name.as_str()], &stage.comments, stage.place, report);
    }
}

/// All words of instructions are in capitals, or all in small letters, whichever are more.
fn casing(file: &Dockerfile, report: &mut Report<'_>) {
    let mut words = Vec::new();
    for stage in &file.stages {
        words.push((&stage.word, stage.place, &stage.comments));
        words.extend(stage.instructions.iter().map(|it| (&it.word, it.place, &it.comments)));
    }
    let lower = words.iter().filter(|it| *it.0 == it.0.to_lowercase()).count();
    let upper = words.iter().filter(|it| *it.0 == it.0.to_uppercase()).count();
    for (word, place, comments) in words {
        let (expected, which) = if lower > upper { (word.to_lowercase(), "small letters") } else { (word.to_uppercase(), "capitals") };
        if *word != expected {
            let message = format!("`{word}` is not in {which} as most instructions are");
            report.add(comments, Rule::ConsistentInstructionCasing, place, message);
        }
    }
}

fn from(file: &Dockerfile, stage: &Stage, (globals, room): (&Environment, &mut Room), declared: &BTreeSet<&str>, report: &mut Report<'_>) {
    let Ok((base, platform)) = file.from(stage, globals, room) else { return };
    let mut add = |rule, message| report.add(&stage.comments, rule, stage.place, message);
    let unmatched: BTreeSet<&String> = base.unmatched.iter().chain(platform.iter().flat_map(|it| &it.unmatched)).collect();
    let known: Vec<&str> = declared.iter().copied().collect();
    for name in unmatched.into_iter().filter(|it| !declared.contains(it.as_str())) {
        let near = near(name, &known).map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
        add(Rule::UndefinedArgInFrom, format!("FROM uses `{name}`, which no ARG before it declares{near}"));
    }
    let (Some(platform), Some(written)) = (platform, &stage.platform) else { return };
    let only = platform.matched.len() == 1 && platform.unmatched.is_empty();
    if only && platform.matched.contains("TARGETPLATFORM") && Some(platform.text.as_str()) == globals.get("TARGETPLATFORM") {
        add(Rule::RedundantTargetPlatform, format!("`--platform={written}` is what FROM does anyway"));
    }
    if platform.matched.is_empty() && platform.unmatched.is_empty() {
        let mut parts = platform.text.split('/');
        let name = stage.name.as_deref().unwrap_or_default();
        // A stage that is named after its platform is meant to have that one.
        if !parts.by_ref().take(2).any(|it| !it.is_empty() && name.contains(it)) {
            add(Rule::FromPlatformFlagConstDisallowed, format!("`--platform={}` is the same whatever is built for", platform.text));
        }
    }
}

/// Longer than any name of an image with its tag and digest.
const LONGEST: usize = 1024;

/// What the name of an image looks like.
fn reference() -> Regex {
    const PART: &str = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*";
    let host = r"(?:(?:[a-zA-Z0-9][a-zA-Z0-9-]*(?:[.][a-zA-Z0-9-]+)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?";
    let end = r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,})?";
    Regex::new(&format!("^{host}{PART}(?:/{PART})*{end}$")).expect("a constant expression")
}
