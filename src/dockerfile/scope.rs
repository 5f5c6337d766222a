//! What a stage knows while its instructions are resolved.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::argument::{self, UNSEEN};
use super::bound::Room;
use super::environment::Environment;
use super::lexer::Lexer;
use super::path;
use super::plan::{Base, Knowledge, Plan};
use super::problem::{Place, Problem, near};
use super::step::Source;

/// Where commands are looked for when the base does not say.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// So many variables without a value are told of; whoever has more knows by then.
const UNDEFINED: usize = 100;

/// What a stage takes over from the configuration of its base.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inherited<'a> {
    /// `NAME=value` entries.
    pub environment: &'a [String],
    /// The working folder; empty for none.
    pub working_dir: &'a str,
    /// The user; empty for none.
    pub user: &'a str,
    /// The shell; empty for the default one.
    pub shell: &'a [String],
}

/// The state of a stage between two instructions.
#[derive(Clone, Debug)]
pub struct Scope {
    pub(super) knowledge: Arc<Knowledge>,
    /// The number of the stage in the file.
    pub(super) number: usize,
    /// Variables as instructions and commands see them: the base's, ENV and ARG.
    pub(super) variables: Environment,
    /// Variables of the image: without ARG.
    pub(super) environment: Environment,
    /// The arguments declared so far.
    pub(super) arguments: Vec<(String, Option<String>)>,
    /// What variables and ports may still take.
    pub(super) room: Room,
    pub(super) shell: Vec<String>,
    pub(super) working_dir: String,
    pub(super) user: String,
    /// Variables that had no value: where, which, and the known one that is near.
    pub(super) undefined: Vec<(Place, String, Option<String>)>,
    /// Where nothing of the base is known: variables whose values may differ with it.
    pub(super) tainted: Option<BTreeSet<String>>,
    /// What was read last may differ with the base.
    pub(super) doubtful: bool,
    /// The instruction that is resolved.
    pub(super) place: Place,
}

impl Scope {
    /// The start of a stage on an image, on a named context or on nothing.
    pub fn new(plan: &Plan, stage: usize, base: Inherited<'_>) -> Self {
        let mut scope = Self { knowledge: Arc::clone(&plan.knowledge), number: plan.stages[stage].number, ..Self::alone(base) };
        if scope.environment.get("PATH").is_none() {
            scope.variables.set("PATH", SEARCH);
            scope.environment.set("PATH", SEARCH);
        }
        scope.place = plan.stages[stage].place;
        scope
    }

    /// A scope outside of any stage, for instructions that change a configuration and nothing else.
    pub fn alone(base: Inherited<'_>) -> Self {
        let environment = Environment::of(base.environment);
        Self {
            knowledge: Arc::new(Knowledge { escape: '\\', ..Knowledge::default() }),
            number: 0,
            variables: environment.clone(),
            environment,
            arguments: Vec::new(),
            room: Room::default(),
            shell: base.shell.to_vec(),
            working_dir: path::clean(base.working_dir),
            user: base.user.to_owned(),
            undefined: Vec::new(),
            tainted: None,
            doubtful: false,
            place: Place::default(),
        }
    }

    /// The start of a stage on an earlier one, from that one's end: its arguments stay declared.
    pub fn derive(plan: &Plan, stage: usize, base: &Self) -> Self {
        let planned = &plan.stages[stage];
        debug_assert!(matches!(planned.base, Base::Stage(_)), "only a stage has a scope to go on from");
        Self { knowledge: Arc::clone(&plan.knowledge), number: planned.number, place: planned.place, undefined: Vec::new(), ..base.clone() }
    }

    /// The variables of the image so far, as its configuration has them.
    pub fn environment(&self) -> Vec<String> {
        self.environment.entries().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// The working folder.
    pub fn working_dir(&self) -> &str {
        &self.working_dir
    }

    /// The user; empty for root.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The shell of the shell form.
    pub fn shell(&self) -> Vec<String> {
        if self.shell.is_empty() { vec!["/bin/sh".to_owned(), "-c".to_owned()] } else { self.shell.clone() }
    }

    /// The proxies that commands see.
    pub(super) fn proxies(&self) -> Vec<(String, String)> {
        argument::proxies(&self.knowledge.args)
    }

    /// The arguments declared so far, with the values that commands see.
    pub(super) fn arguments(&self) -> Vec<(String, String)> {
        let mut arguments = Environment::default();
        for (name, value) in &self.arguments {
            let value = self.variables.get(name).or(value.as_deref()).unwrap_or_default();
            arguments.set(name, value);
        }
        arguments.pairs()
    }

    /// Sets a variable of the image.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        self.room.set(name, value).map_err(Problem::new)?;
        self.variables.set(name, value);
        self.environment.set(name, value);
        Ok(())
    }

    /// Nothing of the base is known: a variable may come from it.
    pub(super) fn distrust(&mut self) {
        self.tainted = Some(BTreeSet::from(["PATH".to_owned()]));
    }

    /// Says that variables may differ with the base.
    pub(super) fn taint(&mut self, names: impl Iterator<Item = String>) {
        if let Some(tainted) = &mut self.tainted {
            tainted.extend(names);
        }
    }

    /// Declares an argument: what was given wins, then the default, then what was said before the first stage.
    pub(super) fn declare(&mut self, name: &str, default: Option<&str>) -> Result<Option<String>, Problem> {
        let given = self.knowledge.args.get(name).cloned();
        let value = match (given, default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(self.expand(default)?),
            (None, None) => self.knowledge.globals.get(name).map(str::to_owned),
        };
        self.room.set(name, value.as_deref().unwrap_or_default()).map_err(Problem::new)?;
        if let Some(value) = value.as_deref().filter(|_| !UNSEEN.contains(&name)) {
            self.variables.set(name, value);
        }
        self.arguments.push((name.to_owned(), value.clone()));
        Ok(value)
    }

    /// Replaces variables and takes quotes and escapes away.
    pub(super) fn expand(&mut self, text: &str) -> Result<String, Problem> {
        self.read(Lexer::new(self.knowledge.escape), text).map(|it| it.0)
    }

    /// The same, split into words.
    pub(super) fn split(&mut self, text: &str) -> Result<Vec<String>, Problem> {
        self.read(Lexer::new(self.knowledge.escape), text).map(|it| it.1)
    }

    /// Replaces variables in the lines of a file; quotes stay.
    pub(super) fn fill(&mut self, text: &str) -> Result<String, Problem> {
        self.read(Lexer { plain_quotes: true, ..Lexer::new('\\') }, text).map(|it| it.0)
    }

    fn read(&mut self, lexer: Lexer, text: &str) -> Result<(String, Vec<String>), Problem> {
        let expanded = match lexer.expand(text, &self.variables, &mut self.room) {
            Ok(expanded) => expanded,
            Err(reason) => {
                self.doubtful |= self.tainted.is_some();
                return Err(Problem::new(reason));
            }
        };
        if let Some(tainted) = &self.tainted {
            self.doubtful |= !expanded.unmatched.is_empty() || !expanded.matched.is_disjoint(tainted);
        }
        for name in expanded.unmatched {
            if self.undefined.len() == UNDEFINED {
                break;
            }
            if !UNSEEN.contains(&name.as_str()) && !self.arguments.iter().any(|it| it.0 == name) {
                let other = near(&name, &self.variables.names()).map(str::to_owned);
                self.undefined.push((self.place, name, other));
            }
        }
        Ok((expanded.text, expanded.words))
    }

    /// What `--from` or `from=` names.
    pub(super) fn source(&self, name: &str, numbers: bool) -> Result<Source, Problem> {
        match self.knowledge.source(name, numbers)? {
            Source::Stage(number) => match self.knowledge.planned[number].filter(|_| number < self.number) {
                Some(index) => Ok(Source::Stage(index)),
                None => Err(Problem::new(format!("the stage `{name}` is not built before this one"))
                    .hint("move the stage that is copied from or mounted above the one that does so")),
            },
            source => Ok(source),
        }
    }
}
