//! What is wrong with a project's files, and the way out; all of it at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::compose::project::render;
use crate::compose::project::source::{SourceMap, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The project loads all the same.
    Warning,
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
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), span: None, related: Vec::new(), hint: None }
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
}

/// Other places of a variable that are shown beside the first.
const PLACES: usize = 3;

/// Keeps one warning for each variable that is not set, with the other places beside the first.
fn one_a_variable(entries: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(entries.len());
    for entry in entries {
        let first = kept.iter_mut().find(|first| entry.code == "unset-variable" && first.message == entry.message);
        match (first, entry.span) {
            (Some(first), Some(span)) if first.related.len() < PLACES => first.related.push((span, "here, too".to_owned())),
            (Some(_), _) => {}
            (None, _) => kept.push(entry),
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
    /// Puts them in the order of the files and drops what was said twice of one place (an anchor is read once for each alias).
    pub(crate) fn new(mut entries: Vec<Diagnostic>, sources: Arc<SourceMap>) -> Self {
        let mut seen = BTreeSet::new();
        entries.retain(|entry| seen.insert((entry.span, entry.message.clone())));
        entries.sort_by_key(|entry| entry.span.map(|span| (span.source, span.start)));
        // Where the environment could not be read, it is no wonder that variables are missing.
        let blind = entries.iter().any(|entry| entry.code == "env-file" && entry.span.is_none());
        entries.retain(|entry| !blind || entry.code != "unset-variable");
        Self { entries: one_a_variable(entries), sources }
    }

    /// Whether any is an error.
    pub fn has_errors(&self) -> bool {
        self.entries.iter().any(|entry| entry.severity == Severity::Error)
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
