//! What is wrong with a project's files, and the way out; all of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::compose::project::fix::{self, Edit, Fix};
use crate::compose::project::merge::Overridden;
use crate::compose::project::render;
use crate::compose::project::source::{SourceId, SourceMap, Span};
use crate::compose::project::variable_file::{CODE, MISTAKE};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Of interest to a command that runs the project, and to no other.
    Note,
    /// The project loads all the same.
    Warning,
    /// It loads, and this engine cannot run it: of interest to a command that would.
    Refusal,
    /// It does not.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A short word for programs: `unknown-key`, `not-yet`…
    pub code: &'static str,
    /// What is wrong, naming the thing.
    pub message: String,
    /// Where; absent only where no file is to blame.
    pub span: Option<Span>,
    /// Other places that have to do with it, each with a label.
    pub related: Vec<(Span, String)>,
    /// The way out.
    pub hint: Option<String>,
    /// The same as a change of a file.
    pub(crate) fix: Option<Fix>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), span: None, related: Vec::new(), hint: None, fix: None }
    }

    /// Something this engine cannot do.
    pub fn refusal(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Refusal, ..Self::error(code, message) }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn with(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what the way out means for the file.
    #[must_use]
    pub(crate) fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}

/// Other places of a variable that are shown beside the first.
const PLACES: usize = 3;

/// Keeps one warning for each variable that is not set, with the other places beside the first.
fn one_a_variable(entries: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(entries.len());
    let mut firsts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        let first = firsts.get(&entry.message).filter(|_| entry.code == "unset-variable").map(|first| &mut kept[*first]);
        match (first, entry.span) {
            (Some(first), Some(span)) if first.related.len() < PLACES => first.related.push((span, "here, too".to_owned())),
            (Some(_), _) => {}
            (None, _) => {
                if entry.code == "unset-variable" {
                    firsts.insert(entry.message.clone(), kept.len());
                }
                kept.push(entry);
            }
        }
    }
    kept
}

/// Everything a load had to say, with the files it speaks of.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    entries: Vec<Diagnostic>,
    sources: Arc<SourceMap>,
}

impl Diagnostics {
    /// Puts them in the order of the files and drops what was said twice of one place (an anchor is read once for each alias, a file once
    /// for each that names it).
    pub(crate) fn new(mut entries: Vec<Diagnostic>, sources: Arc<SourceMap>) -> Self {
        let mut seen = BTreeSet::new();
        let mut first = BTreeMap::new();
        entries.retain(|entry| {
            let place = entry.span.map(|span| (*first.entry(span.source).or_insert_with(|| sources.first(span.source)), span.range()));
            seen.insert((place.map(|(source, range)| (source, range.start, range.end)), entry.message.clone()))
        });
        entries.sort_by_key(|entry| entry.span.map(|span| (span.source, span.start)));
        // Where the environment could not be read, it is no wonder that variables are missing.
        let blind = entries.iter().any(|entry| entry.code == MISTAKE || (entry.code == CODE && entry.span.is_none()));
        entries.retain(|entry| !blind || entry.code != "unset-variable");
        let mut entries = one_a_variable(entries);
        for entry in &mut entries {
            entry.related.extend(entry.span.into_iter().flat_map(|span| sources.ways(span)).map(|(span, label)| (span, label.to_owned())));
        }
        Self { entries, sources }
    }

    /// Shows beside a wrong value the one below it that it replaced.
    pub(crate) fn with_overridden(mut self, overridden: &Overridden) -> Self {
        for entry in self.entries.iter_mut().filter(|entry| entry.severity == Severity::Error) {
            let below = entry.span.and_then(|span| overridden.get(&span));
            entry.related.extend(below.map(|span| (*span, "it replaced this one".to_owned())));
        }
        self
    }

    /// Whether any is an error.
    pub fn has_errors(&self) -> bool {
        self.entries.iter().any(|entry| entry.severity == Severity::Error)
    }

    /// The same where what this engine cannot do stands in the way.
    #[must_use]
    pub fn enforced(mut self) -> Self {
        for entry in self.entries.iter_mut().filter(|entry| entry.severity == Severity::Refusal) {
            entry.severity = Severity::Error;
        }
        self
    }

    /// Iterates over the errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.iter().filter(|entry| entry.severity == Severity::Error)
    }

    /// Follows the hints of all errors: hands each file that changes, and its new text, to the caller. Nothing is changed, and `false`
    /// returned, where a hint is none that a program can follow.
    pub fn apply_fixes(&self, mut write: impl FnMut(&Path, &str)) -> bool {
        let edit = |fix: &Fix| {
            let edit = fix.edit(&self.sources);
            Edit { source: self.sources.first(edit.source), ..edit }
        };
        let edits: Option<Vec<Edit>> = self.errors().map(|entry| entry.fix.as_ref().map(edit)).collect();
        let Some(edits) = edits.filter(|edits| !edits.is_empty()) else { return false };
        let files: BTreeSet<SourceId> = edits.iter().map(|edit| edit.source).collect();
        for file in files {
            let source = self.sources.get(file);
            let own = edits.iter().filter(|edit| edit.source == file).cloned().collect();
            write(&source.path, &fix::apply(&source.text, own));
        }
        true
    }

    /// Iterates in the order of the files.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.entries.iter()
    }

    /// The files that the spans point into.
    pub fn sources(&self) -> &SourceMap {
        &self.sources
    }

    /// Renders all of them for a terminal, each with its line; empty when there is nothing to say.
    pub fn render(&self, color: bool) -> String {
        render::render(self.iter(), &self.sources, color)
    }
}
