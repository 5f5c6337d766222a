//! Diagnostics as rustc would show them.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::compose::project::diagnostic::{Diagnostic, Severity};
use crate::compose::project::source::{SourceId, SourceMap, Span};

/// Renders each diagnostic with the lines it speaks of, an empty line between two.
pub(crate) fn render<'a>(diagnostics: impl Iterator<Item = &'a Diagnostic>, sources: &SourceMap, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for diagnostic in diagnostics {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push('\n');
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning | Severity::Refusal | Severity::Note => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
    let mut files: Vec<SourceId> = Vec::new();
    for span in diagnostic.span.iter().chain(diagnostic.related.iter().map(|(span, _)| span)) {
        if !files.contains(&span.source) {
            files.push(span.source);
        }
    }
    for file in files {
        let source = sources.get(file);
        let mut snippet = Snippet::source(source.text.as_str()).path(source.path.to_string_lossy().into_owned());
        if let Some(span) = diagnostic.span.filter(|span| span.source == file) {
            snippet = snippet.annotation(AnnotationKind::Primary.span(first_line(span, &source.text)));
        }
        for (span, label) in diagnostic.related.iter().filter(|(span, _)| span.source == file) {
            snippet = snippet.annotation(AnnotationKind::Context.span(first_line(*span, &source.text)).label(label.as_str()));
        }
        group = group.element(snippet);
    }
    match &diagnostic.hint {
        Some(hint) => group.element(Level::HELP.message(hint.as_str())),
        None => group,
    }
}

/// Cuts a span to its first line: a whole mapping underlined helps nobody.
fn first_line(span: Span, text: &str) -> std::ops::Range<usize> {
    let range = span.range();
    match text.get(range.clone()).and_then(|covered| covered.find('\n')) {
        Some(newline) => range.start..range.start + newline,
        None => range,
    }
}
