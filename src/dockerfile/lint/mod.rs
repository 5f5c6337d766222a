//! Checks: what can be built and could be better. Their names are BuildKit's, so that `# check=skip=…` means the same.

mod instruction;
mod rule;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use super::directive::{self, Checks};
use super::file::Dockerfile;
use super::ignore::Ignore;
use super::plan::{Base, Options};
use super::problem::Place;
use super::scope::Scope;
pub use rule::Rule;

/// One thing that could be better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// The lines that it is about.
    pub place: Place,
    /// The check.
    pub rule: Rule,
    /// One sentence without its full stop.
    pub message: String,
}

/// What the caller knows when it asks for warnings; what it does not know is not checked.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// The variables of bases, as `NAME=value` entries.
    pub environments: BTreeMap<Base, Vec<String>>,
    /// The patterns of the build's context.
    pub ignore: Option<&'a Ignore>,
    /// All stages are checked and not only those that the target needs.
    pub all_stages: bool,
}

/// Warnings as they are found.
struct Report<'a> {
    checks: &'a Checks,
    found: BTreeSet<Warning>,
}

impl Report<'_> {
    /// Adds one, unless the file or a comment above the instruction skips its check.
    fn add(&mut self, comments: &[String], rule: Rule, place: Place, message: String) {
        let above = comments.iter().find_map(|it| directive::split(it).filter(|it| it.0 == "check"));
        let checks = match above.map(|(_, value)| Checks::of(value.split(' ').next().unwrap_or_default())) {
            Some(Ok(above)) => self.checks.with(&above),
            _ => self.checks.clone(),
        };
        if checks.allow(rule.as_str(), rule.is_experimental()) {
            self.found.insert(Warning { place, rule, message });
        }
    }
}

impl Dockerfile {
    /// What could be better, in the order of the lines. Whether there may be any says [`Checks::error`].
    pub fn warnings(&self, options: &Options, known: &Known<'_>) -> Vec<Warning> {
        let mut report = Report { checks: &self.directives.check, found: BTreeSet::new() };
        stage::check(self, options, &mut report);
        if !known.all_stages {
            self.check_plan(options, known, &mut report, &mut BTreeMap::new());
            return report.found.into_iter().collect();
        }
        // Backwards: most stages are there for a later one, and have been checked with that.
        let mut checked = BTreeSet::new();
        let mut ended = BTreeMap::new();
        for number in (0..self.stages.len()).rev() {
            if !checked.contains(&number) {
                let options = Options { target: Some(number.to_string()), ..options.clone() };
                checked.extend(self.check_plan(&options, known, &mut report, &mut ended));
            }
        }
        report.found.into_iter().collect()
    }

    /// Checks the stages that a target needs, and says which they are by their numbers.
    fn check_plan(
        &self,
        options: &Options,
        known: &Known<'_>,
        report: &mut Report<'_>,
        ended: &mut BTreeMap<usize, instruction::Ended>,
    ) -> Vec<usize> {
        // A plan that cannot be made is for the build to report.
        let Ok(plan) = self.plan(options) else { return Vec::new() };
        instruction::check(&plan, known, report, ended);
        plan.stages.iter().map(|it| it.number).collect()
    }
}

impl Scope {
    /// The variables without a value that were used so far.
    pub(super) fn undefined(&self) -> impl Iterator<Item = (Place, String)> {
        self.undefined.iter().map(|(place, name, near)| {
            let near = near.as_ref().map(|it| format!("; did you mean `${it}`?")).unwrap_or_default();
            (*place, format!("the variable `${name}` has no value{near}"))
        })
    }
}

#[cfg(test)]
mod tests;
