//! Diagnostics for programs.

use serde::Serialize;

use crate::compose::project::diagnostic::{Diagnostics, Severity};
use crate::compose::project::source::{SourceMap, Span};

/// One diagnostic, as `--format json` writes it.
#[derive(Debug, Serialize)]
pub struct Record {
    /// `error`, `refusal`, `warning` or `note`.
    pub severity: &'static str,
    /// A short word: `unknown-key`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where; absent where no file is to blame.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Other places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The same as a change of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<Change>,
}

/// A part of a file.
#[derive(Debug, Serialize)]
pub struct Place {
    /// The file, relative to the working directory where it is below it.
    pub file: String,
    /// The line of its first character, from 1.
    pub line: u32,
    /// The column of its first character, from 1.
    pub column: u32,
    /// The first byte of the file, from 0, and the one after the last.
    pub range: [u32; 2],
}

/// Another place, and what it has to do with it.
#[derive(Debug, Serialize)]
pub struct Related {
    /// The place.
    #[serde(flatten)]
    pub place: Place,
    /// What it is.
    pub message: String,
}

/// A change of a file.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The file.
    pub file: String,
    /// The bytes that go.
    pub range: [usize; 2],
    /// What comes in their place.
    pub text: String,
}

impl Diagnostics {
    /// Everything there is to say, in the order of the files.
    pub fn records(&self) -> Vec<Record> {
        let sources = self.sources();
        self.iter()
            .map(|entry| Record {
                severity: match entry.severity {
                    Severity::Error => "error",
                    Severity::Refusal => "refusal",
                    Severity::Warning => "warning",
                    Severity::Note => "note",
                },
                code: entry.code,
                message: entry.message.clone(),
                place: entry.span.map(|span| place(sources, span)),
                related: entry
                    .related
                    .iter()
                    .map(|(span, label)| Related { place: place(sources, *span), message: label.clone() })
                    .collect(),
                hint: entry.hint.clone(),
                edit: entry.fix.as_ref().map(|fix| {
                    let edit = fix.edit(sources);
                    Change { file: shown(sources, edit.source), range: [edit.start, edit.end], text: edit.text }
                }),
            })
            .collect()
    }
}

fn shown(sources: &SourceMap, source: crate::compose::project::source::SourceId) -> String {
    sources.get(source).path.to_string_lossy().into_owned()
}

fn place(sources: &SourceMap, span: Span) -> Place {
    Place { file: shown(sources, span.source), line: span.line, column: span.column, range: [span.start, span.end] }
}
