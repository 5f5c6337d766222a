//! Checks of the instructions of planned stages, in the order in which they would run.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::{Known, Report, Rule};
use crate::dockerfile::body::{Body, Words};
use crate::dockerfile::instruction::{Instruction, Kind};
use crate::dockerfile::path;
use crate::dockerfile::plan::{Base, Plan};
use crate::dockerfile::port;
use crate::dockerfile::scope::{Inherited, Scope};
use crate::dockerfile::step::{CopySource, Source, Step};

/// A stage at its end, for those that build on it.
pub(super) struct Ended {
    scope: Scope,
    /// The variables of its base are known.
    known: bool,
    /// A working folder was set in the file.
    placed: bool,
}

/// Checks the stages of a plan, apart from those that ended in another plan of the same file; stages by their numbers in that.
pub(super) fn check(plan: &Plan, known: &Known<'_>, report: &mut Report<'_>, ended: &mut BTreeMap<usize, Ended>) {
    let secret =
        Regex::new("(?i)(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)").expect("a constant expression");
    let harmless = Regex::new("(?i)(?:_|^)(?:public|file|version)(?:_|$)").expect("a constant expression");
    let is_secret = |name: &str| secret.is_match(name) && !harmless.is_match(name);
    for (index, stage) in plan.stages.iter().enumerate() {
        if ended.contains_key(&stage.number) {
            continue;
        }
        let mut state = match &stage.base {
            Base::Stage(base) => {
                let base = &ended[&plan.stages[*base].number];
                Ended { scope: Scope::derive(plan, index, &base.scope), known: base.known, placed: base.placed }
            }
            base => {
                let environment = known.environments.get(base).map(Vec::as_slice);
                let inherited = Inherited { environment: environment.unwrap_or_default(), ..Inherited::default() };
                Ended { scope: Scope::new(plan, index, inherited), known: environment.is_some() || *base == Base::Scratch, placed: false }
            }
        };
        let mut last: BTreeMap<Kind, &Instruction> = BTreeMap::new();
        for instruction in &stage.instructions {
            let mut add = |rule, message| report.add(&instruction.comments, rule, instruction.place, message);
            written(instruction, &is_secret, &mut add);
            if matches!(&instruction.body, Body::Command(Words::Shell(_))) && state.scope.shell.is_empty() {
                let name = instruction.kind.as_str();
                add(
                    Rule::JSONArgsRecommended,
                    format!("{name} goes through a shell, which keeps signals from the command; write it as a JSON list"),
                );
            }
            state.scope.undefined.clear();
            let step = instruction.resolve(&mut state.scope);
            if state.known {
                for (_, message) in state.scope.undefined() {
                    add(Rule::UndefinedVar, message);
                }
            }
            match (&step, &instruction.body) {
                (Ok(Step::Copy(copy)), _) if copy.from == Source::Context => ignored(&copy.sources, known, copy.add, &mut add),
                (Ok(Step::Workdir(_)), Body::Text(text)) => {
                    if !state.placed && !is_absolute(text, &state.scope) {
                        add(Rule::WorkdirRelativePath, format!("`{text}` begins at whatever folder the base has"));
                    }
                    state.placed = true;
                }
                _ => {}
            }
            if matches!(instruction.kind, Kind::Cmd | Kind::Entrypoint | Kind::Healthcheck)
                && let Some(earlier) = last.insert(instruction.kind, instruction)
            {
                let message = format!("this {} is without effect, as another follows in the same stage", instruction.kind.as_str());
                report.add(&instruction.comments, Rule::MultipleInstructionsDisallowed, earlier.place, message);
            }
        }
        if plan.stages.iter().any(|it| it.base == Base::Stage(index)) {
            ended.insert(stage.number, state);
        }
    }
}

/// Whether a path is absolute once its variables are replaced.
fn is_absolute(text: &str, scope: &Scope) -> bool {
    scope.clone().expand(text).is_ok_and(|it| it.starts_with('/'))
}

/// What can be seen without values.
fn written(instruction: &Instruction, is_secret: &impl Fn(&str) -> bool, add: &mut impl FnMut(Rule, String)) {
    let name = instruction.kind.as_str();
    let secret = |key: &str, add: &mut dyn FnMut(Rule, String)| {
        if is_secret(key) {
            add(Rule::SecretsUsedInArgOrEnv, format!("{name} `{key}` stays in the image for all to read; use `RUN --mount=type=secret`"));
        }
    };
    match &instruction.body {
        Body::Pairs(pairs) => {
            for pair in pairs {
                if pair.legacy {
                    add(Rule::LegacyKeyValueFormat, format!("`{name} {}` has a space where `=` is meant", pair.name));
                }
                if instruction.kind == Kind::Env {
                    secret(&pair.name, add);
                }
            }
        }
        Body::Arguments(pairs) => pairs.iter().for_each(|it| secret(&it.0, add)),
        Body::List(words) if instruction.kind == Kind::Expose => {
            for (word, ports) in words.iter().filter_map(|word| Some((word, port::parse(word).ok()?))) {
                if ports.capitals {
                    add(Rule::ExposeProtoCasing, format!("the protocol of `{word}` has capitals"));
                }
                if ports.mapped {
                    add(Rule::ExposeInvalidFormat, format!("`{word}` names more than the container's port, which EXPOSE does not use"));
                }
            }
        }
        _ => {}
    }
}

/// Sources that the context does not have because its patterns leave them out.
fn ignored(sources: &[CopySource], known: &Known<'_>, is_add: bool, add: &mut impl FnMut(Rule, String)) {
    let Some(ignore) = known.ignore.filter(|it| !it.has_exceptions()) else { return };
    for source in sources {
        let CopySource::Path(written) = source else { continue };
        let clean = path::clean(written);
        let left_out = if clean == "/" { ignore.takes_all() } else { ignore.matches(&clean[1..]) };
        if left_out {
            let name = if is_add { "ADD" } else { "COPY" };
            add(Rule::CopyIgnoredFile, format!("{name} takes `{written}`, which .dockerignore leaves out of the context"));
        }
    }
}
