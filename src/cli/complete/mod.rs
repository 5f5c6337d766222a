//! What can be typed next, for shells. The scripts that `gantry completion` prints run `gantry __complete WORD…`, the last word being the one
//! that the cursor is in.
//!
//! The answer is in the protocol of Docker's own command line (cobra's), which asks its plugins in it: a line for each candidate, with its
//! meaning behind a tab, and a last line with a colon and a number. Names come from the project's files and from an engine that runs; none
//! is started for it, and whatever is wrong with the files is for another command to say.

mod name;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};

pub(crate) use self::script::script;

use crate::cli::args::{Arguments, GlobalArgs};
use crate::cli::complete::name::{Kind, Names};
use crate::cli::context::Context;
use crate::cli::environment::Environment;
use crate::cli::invocation::Invocation;
use crate::cli::output::terminal::Terminal;

/// The words after which a completion is asked for: with the meanings of candidates and without.
const QUESTIONS: [&str; 2] = ["__complete", "__completeNoDesc"];

/// The number of the last line: no space goes behind the only candidate.
const NO_SPACE: u8 = 2;
/// Another one: the shell is not to offer files of its own. Those that can be meant are among the candidates.
const NO_FILES: u8 = 4;

/// A question for what can be typed next.
#[derive(Debug)]
pub(crate) struct Question {
    words: Vec<OsString>,
    explain: bool,
}

impl Question {
    /// Whether a command line is one.
    pub(crate) fn of(arguments: &[OsString]) -> Option<Self> {
        let (program, question, words) = match arguments {
            [program, question, words @ ..] => (program, question, words),
            _ => return None,
        };
        let explain = QUESTIONS.iter().position(|known| question == known)? == 0;
        let mut words: Vec<OsString> = std::iter::once(program).chain(words).cloned().collect();
        if words.len() == 1 {
            words.push(OsString::new());
        }
        Some(Self { words, explain })
    }

    /// The answer, in lines.
    pub(crate) async fn answer(self, environment: Environment, terminal: Terminal, invocation: Invocation) -> String {
        let folder = environment.working_dir().cloned();
        let complete = |names: Names| {
            let mut command = furnish(Arguments::command(), &Arc::new(names));
            clap_complete::engine::complete(&mut command, self.words.clone(), self.words.len() - 1, folder.as_deref()).unwrap_or_default()
        };
        // Names are looked up once it is known which are asked for: an engine answers later than the library can wait.
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let mut candidates = complete(Names::Wanted(Arc::clone(&asked)));
        let asked = std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
        if !asked.is_empty() {
            let found = match self.context(environment, terminal, invocation) {
                Some(context) => name::find(&asked, &context).await,
                None => BTreeMap::new(),
            };
            candidates = complete(Names::Found(found));
        }
        render(&candidates, self.explain)
    }

    /// What the flags before the command say of files and engine, as far as they are complete.
    fn context(&self, environment: Environment, terminal: Terminal, invocation: Invocation) -> Option<Context> {
        let words = self.words.split_last().map(|(_, before)| before)?;
        let command = Arguments::command().ignore_errors(true).subcommand_required(false).arg_required_else_help(false);
        let matches = command.try_get_matches_from(words).ok()?;
        let global = GlobalArgs::from_arg_matches(&matches).ok()?;
        Context::new(&global, environment, terminal, invocation).ok()
    }
}

/// Gives every argument whose placeholder promises a name what there is of those.
fn furnish(command: Command, names: &Arc<Names>) -> Command {
    let argument = |argument: Arg| {
        let names = Arc::clone(names);
        match Kind::of(&argument) {
            None => argument,
            Some(kind) => argument.add(ArgValueCompleter::new(move |current: &OsStr| {
                // No name begins with the sign of a flag: nobody need be asked for one.
                let found = if current.as_bytes().starts_with(b"-") { Vec::new() } else { names.of(kind) };
                let begins = |candidate: &CompletionCandidate| candidate.get_value().as_bytes().starts_with(current.as_bytes());
                let paths = if kind == Kind::ServicePath { PathCompleter::any().complete(current) } else { Vec::new() };
                found.into_iter().filter(begins).chain(paths).collect()
            })),
        }
    };
    command.mut_args(argument).mut_subcommands(|command| furnish(command, names))
}

fn render(candidates: &[CompletionCandidate], explain: bool) -> String {
    let mut text = String::new();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        // A shell could not type others.
        let Some(value) = candidate.get_value().to_str().filter(|value| !value.contains(['\n', '\t'])) else { continue };
        text.push_str(value);
        if let Some(help) = candidate.get_help().filter(|_| explain) {
            text.push('\t');
            text.push_str(help.to_string().lines().next().unwrap_or_default());
        }
        text.push('\n');
    }
    let goes_on = |value: &str| value.ends_with(['/', '=', ':']);
    let stays = matches!(candidates, [only] if only.get_value().to_str().is_some_and(goes_on));
    let directive = if stays { NO_FILES | NO_SPACE } else { NO_FILES };
    text + &format!(":{directive}\n")
}
