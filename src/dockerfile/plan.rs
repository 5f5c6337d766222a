//! Which stages a target needs, in which order, and on what each builds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::argument;
use super::body::Body;
use super::bound::{Room, Triggers};
use super::environment::Environment;
use super::file::{Dockerfile, Stage};
use super::instruction::{Instruction, Kind};
use super::lexer::{Expanded, Lexer};
use super::mount;
use super::problem::{Place, Problem};
use super::step::Source;

/// What the caller knows when it plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The stage to build, by name in any case or by number; the last one when absent.
    pub target: Option<String>,
    /// The arguments given to the build.
    pub args: BTreeMap<String, String>,
    /// Where commands run, as `linux/amd64`.
    pub build_platform: String,
    /// What is built for.
    pub target_platform: String,
    /// The named contexts.
    pub contexts: BTreeSet<String>,
    /// The triggers that configurations of bases hold. The first plan names the bases; a plan made again with their triggers has these
    /// in front of the instructions of the stages, and whatever stages they copy from.
    pub triggers: BTreeMap<Base, Vec<String>>,
}

/// The stages to build, each after all that it needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The stages.
    pub stages: Vec<PlannedStage>,
    /// The index of the one that becomes the image.
    pub target: usize,
    /// Arguments that were given and are declared nowhere in the plan.
    pub unconsumed: Vec<String>,
    pub(super) knowledge: Arc<Knowledge>,
}

/// What a stage builds on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An image, as it is written.
    Image(String),
    /// An earlier stage, by its index in the plan.
    Stage(usize),
    /// A named context that stands for an image or for the whole stage.
    Context(String),
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStage {
    /// Its name for progress: its own, `stage-N`, or nothing where it is the only one.
    pub name: String,
    /// Its number in the file.
    pub number: usize,
    /// What it builds on.
    pub base: Base,
    /// The platform of its base; the target's when absent.
    pub platform: Option<String>,
    /// Triggers of the base, and its own instructions. None where a named context stands for the whole stage.
    pub instructions: Vec<Instruction>,
    /// Stages of the plan that it builds on, copies from or mounts, by index.
    pub needs: Vec<usize>,
    /// The lines of its FROM.
    pub place: Place,
    /// Its FROM on one line.
    pub text: String,
}

/// What all stages of a plan know.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    pub escape: char,
    pub args: BTreeMap<String, String>,
    pub globals: Environment,
    pub names: BTreeMap<String, usize>,
    pub contexts: BTreeSet<String>,
    /// Index in the plan of each stage of the file.
    pub planned: Vec<Option<usize>>,
}

impl Knowledge {
    /// What `--from` or `from=` names, stages by their number in the file.
    pub(super) fn source(&self, name: &str, numbers: bool) -> Result<Source, Problem> {
        if numbers && let Ok(number) = name.parse::<usize>() {
            return if number < self.planned.len() {
                Ok(Source::Stage(number))
            } else {
                Err(Problem::new(format!("there is no stage {number}")).hint("stages count from 0; give the stage a name and use that"))
            };
        }
        if let Some(number) = self.names.get(&name.to_lowercase()) {
            return Ok(Source::Stage(*number));
        }
        Ok(match (name, context(&self.contexts, name)) {
            ("scratch", _) => Source::Scratch,
            (_, Some(context)) => Source::Named(context),
            (image, None) => Source::Image(image.to_owned()),
        })
    }
}

/// The named context that stands for a name; an image's name counts in its short form.
fn context(contexts: &BTreeSet<String>, name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
        return None;
    }
    contexts.iter().find(|it| *it == name).or_else(|| contexts.iter().find(|it| familiar(it) == familiar(name))).cloned()
}

/// `docker.io/library/alpine:latest` as `alpine`.
fn familiar(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").or(name.strip_prefix("index.docker.io/")).unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name)
}

/// What is known of one stage of the file before those that are needed are picked; stages by their number in the file.
struct Draft {
    base: Base,
    platform: Option<String>,
    replaced: bool,
    needs: BTreeSet<usize>,
    instructions: Vec<Instruction>,
}

impl Dockerfile {
    /// The arguments before the first stage, with those that every build has.
    pub(super) fn globals(&self, options: &Options, given: &BTreeMap<String, String>) -> Result<(Environment, Environment), Problem> {
        let stage = options.target.as_deref().or(self.stages.last().and_then(|it| it.name.as_deref()));
        let automatic = argument::automatic(&options.build_platform, &options.target_platform, stage, &options.args);
        let globals = argument::global(automatic.clone(), &self.arguments, given, self.directives.escape)?;
        Ok((automatic, globals))
    }

    /// The base and the platform of a stage with their variables replaced.
    pub(super) fn from(&self, stage: &Stage, globals: &Environment, room: &mut Room) -> Result<(Expanded, Option<Expanded>), Problem> {
        let lexer = Lexer::new(self.directives.escape);
        let mut expand =
            |text: &str| lexer.expand(text, globals, room).map_err(|reason| Problem::new(format!("FROM: {reason}")).at(stage.place));
        Ok((expand(&stage.base)?, stage.platform.as_deref().map(expand).transpose()?))
    }

    /// Picks the stages that the target needs.
    pub fn plan(&self, options: &Options) -> Result<Plan, Problem> {
        let (automatic, globals) = self.globals(options, &options.args)?;
        let mut knowledge = Knowledge {
            escape: self.directives.escape,
            args: options.args.clone(),
            globals,
            names: BTreeMap::new(),
            contexts: options.contexts.clone(),
            planned: vec![None; self.stages.len()],
        };
        let mut drafts = Vec::new();
        let mut room = Room::default();
        for (number, stage) in self.stages.iter().enumerate() {
            drafts.push(self.draft(stage, &knowledge, &mut room)?);
            if let Some(name) = &stage.name {
                knowledge.names.insert(name.clone(), number);
            }
        }
        let target = self.target(options, &knowledge)?;
        let mut needed = BTreeSet::new();
        let mut external = false;
        let mut taken = Triggers::default();
        let mut open = vec![target];
        while let Some(number) = open.pop() {
            if !needed.insert(number) {
                continue;
            }
            self.complete(number, &mut drafts, &knowledge, options, (&mut external, &mut taken))?;
            open.extend(&drafts[number].needs);
        }
        for (index, number) in needed.iter().enumerate() {
            knowledge.planned[*number] = Some(index);
        }
        let index = |number: &usize| knowledge.planned[*number].unwrap_or_default();
        let alone = self.stages.len() == 1 && !external;
        let mut stages = Vec::new();
        for number in &needed {
            let (stage, draft) = (&self.stages[*number], &mut drafts[*number]);
            stages.push(PlannedStage {
                name: if alone { String::new() } else { stage.name.clone().unwrap_or_else(|| format!("stage-{number}")) },
                number: *number,
                base: match &draft.base {
                    Base::Stage(base) => Base::Stage(index(base)),
                    base => base.clone(),
                },
                platform: draft.platform.take(),
                instructions: std::mem::take(&mut draft.instructions),
                needs: draft.needs.iter().map(index).collect(),
                place: stage.place,
                text: stage.text.clone(),
            });
        }
        let instructions = self.arguments.iter().chain(stages.iter().flat_map(|it| &it.instructions));
        let unconsumed = argument::unconsumed(&options.args, &automatic, instructions);
        Ok(Plan { target: index(&target), stages, unconsumed, knowledge: Arc::new(knowledge) })
    }

    fn draft(&self, stage: &Stage, knowledge: &Knowledge, room: &mut Room) -> Result<Draft, Problem> {
        let wrong = |message: String| Problem::new(message).at(stage.place);
        let (base, platform) = self.from(stage, &knowledge.globals, room)?;
        if base.text.is_empty() {
            return Err(wrong(format!("the base `{}` is empty", stage.base)).hint("give its ARG a default before the first FROM"));
        }
        let platform = match (platform, &stage.platform) {
            (Some(platform), Some(written)) if platform.text.is_empty() => {
                return Err(wrong(format!("the platform `{written}` is empty"))
                    .hint("use `$BUILDPLATFORM`, `$TARGETPLATFORM` or a value as `linux/amd64`"));
            }
            (platform, _) => platform.map(|it| it.text),
        };
        let draft = |base, replaced| Draft { base, platform, replaced, needs: BTreeSet::new(), instructions: Vec::new() };
        if let Some(context) = stage.name.as_ref().and_then(|name| context(&knowledge.contexts, name)) {
            return Ok(draft(Base::Context(context), true));
        }
        if let Some(number) = knowledge.names.get(&base.text.to_lowercase()) {
            return Ok(draft(Base::Stage(*number), false));
        }
        Ok(match context(&knowledge.contexts, &base.text) {
            Some(context) => draft(Base::Context(context), false),
            None if base.text == "scratch" => draft(Base::Scratch, false),
            None => draft(Base::Image(base.text), false),
        })
    }

    fn target(&self, options: &Options, knowledge: &Knowledge) -> Result<usize, Problem> {
        let Some(target) = options.target.as_deref().filter(|it| !it.is_empty()) else { return Ok(self.stages.len() - 1) };
        let number = target.parse().ok().filter(|it| *it < self.stages.len());
        if let Some(number) = knowledge.names.get(&target.to_lowercase()).copied().or(number) {
            return Ok(number);
        }
        let names: Vec<&str> = knowledge.names.keys().map(String::as_str).collect();
        let problem = Problem::new(format!("the Dockerfile has no stage `{target}`")).near(target, &names);
        Err(match (&problem.hint, names.is_empty()) {
            (None, true) => problem.hint("none of its stages has a name"),
            (None, false) => problem.hint(format!("it has {}", names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", "))),
            (Some(_), _) => problem,
        })
    }

    /// Puts the instructions of a stage together, triggers first, and finds what they need.
    fn complete(
        &self,
        number: usize,
        drafts: &mut [Draft],
        knowledge: &Knowledge,
        options: &Options,
        (external, taken): (&mut bool, &mut Triggers),
    ) -> Result<(), Problem> {
        let stage = &self.stages[number];
        let (before, rest) = drafts.split_at_mut(number);
        let draft = &mut rest[0];
        if draft.replaced {
            return Ok(());
        }
        let mut triggers: Vec<&str> = Vec::new();
        if let Base::Stage(base) = draft.base {
            draft.needs.insert(base);
            draft.platform = before[base].platform.clone();
            let texts = self.stages[base].instructions.iter().filter(|it| it.kind == Kind::Onbuild && !before[base].replaced);
            triggers.extend(texts.filter_map(|it| if let Body::Text(text) = &it.body { Some(text.as_str()) } else { None }));
        }
        let held = match &draft.base {
            Base::Stage(base) if before[*base].replaced => options.triggers.get(&before[*base].base),
            Base::Stage(_) => None,
            base => options.triggers.get(base),
        };
        triggers.splice(0..0, held.into_iter().flatten().map(String::as_str));
        for text in triggers {
            taken.take(text).map_err(|problem| problem.at(stage.place))?;
            let trigger = Instruction::trigger(text).map_err(|problem| problem.at(stage.place))?;
            draft.instructions.push(Instruction { place: stage.place, ..trigger });
        }
        draft.instructions.extend(stage.instructions.iter().cloned());
        for instruction in &draft.instructions {
            for (name, numbers) in sources(instruction) {
                match knowledge.source(name, numbers).map_err(|problem| problem.at(instruction.place))? {
                    Source::Stage(other) if other < number => {
                        draft.needs.insert(other);
                    }
                    Source::Stage(other) => {
                        let which = if other == number { "is the stage itself" } else { "comes later in the file" };
                        return Err(Problem::new(format!("`{name}` {which}, so nothing can be taken from it"))
                            .hint("move the stage that is copied from or mounted above the one that does so")
                            .at(instruction.place));
                    }
                    _ => *external = true,
                }
            }
        }
        Ok(())
    }
}

/// What an instruction copies from and mounts; whether a number is a stage.
pub(super) fn sources(instruction: &Instruction) -> Vec<(&str, bool)> {
    match &instruction.body {
        Body::Transfer(transfer) => transfer.from.iter().map(|it| (it.as_str(), true)).collect(),
        Body::Run(script) => {
            let from = script.mounts.iter().filter_map(|it| mount::written(it, "from"));
            from.filter(|it| !it.is_empty()).map(|it| (it, false)).collect()
        }
        _ => Vec::new(),
    }
}
