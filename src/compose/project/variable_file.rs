//! Files of variables and of labels: read, kept so that mistakes show their lines, and parsed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::dotenv::{self, Lookup, Mistake};
use crate::compose::project::source::{Reader, SourceMap, Span};

/// What reads such files, and is told what is wrong with them.
pub(crate) struct VariableFiles<'a> {
    /// Where they are.
    pub reader: &'a dyn Reader,
    /// Where they are kept.
    pub map: &'a mut SourceMap,
    /// What is wrong.
    pub problems: &'a mut Vec<Diagnostic>,
    /// The folder that their names are shown from.
    pub shown_from: &'a Path,
}

/// The code of a file that is missing, or cannot be read.
pub(crate) const CODE: &str = "env-file";
/// The code of a mistake within one.
pub(crate) const MISTAKE: &str = "dotenv";

impl VariableFiles<'_> {
    /// Reads a file whose lines are as in `.env`; nothing where it cannot be read.
    pub(crate) fn read(
        &mut self,
        file: &Path,
        named: Option<(Span, &'static str)>,
        outer: Lookup<'_>,
        earlier: Lookup<'_>,
    ) -> BTreeMap<String, String> {
        self.parse(file, named, |text, mistakes| dotenv::parse(text, outer, earlier, mistakes))
    }

    /// Reads a file of which each line is taken as it stands.
    pub(crate) fn read_raw(&mut self, file: &Path, named: Option<(Span, &'static str)>, outer: Lookup<'_>) -> BTreeMap<String, String> {
        self.parse(file, named, |text, mistakes| dotenv::parse_raw(text, outer, mistakes))
    }

    fn parse(
        &mut self,
        file: &Path,
        named: Option<(Span, &'static str)>,
        parse: impl FnOnce(&str, &mut Vec<Mistake>) -> BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let shown = file.strip_prefix(self.shown_from).unwrap_or(file);
        let text = match self.reader.read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                let mut problem = Diagnostic::error(CODE, format!("cannot read {}: {error}", shown.display()));
                problem.span = named.map(|(span, _)| span);
                self.problems.push(problem.hint("make it readable, or name another"));
                return BTreeMap::new();
            }
        };
        let mut mistakes = Vec::new();
        let variables = parse(&text, &mut mistakes);
        if mistakes.is_empty() {
            return variables;
        }
        let source = self.map.add(shown.to_path_buf(), text, named);
        for mistake in mistakes {
            let problem = Diagnostic::error(MISTAKE, mistake.reason).at(self.map.part(source, mistake.range));
            self.problems.push(problem.hint(mistake.hint));
        }
        variables
    }
}
