//! What went wrong in a build, and what is no good in a Dockerfile, with the lines that are spoken of.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::cli::output::build::text::clean;
use crate::resource::build::{BuildPlace, StepFailure};

/// A step that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    /// What it is called.
    pub(crate) step: String,
    /// Why.
    pub(crate) failure: StepFailure,
    /// The last lines it wrote, safe to show.
    pub(crate) lines: Vec<String>,
}

/// Something that is allowed, and yet no good.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Warned {
    /// The name of the check.
    pub(crate) rule: String,
    /// What is the matter.
    pub(crate) message: String,
    /// Where.
    pub(crate) place: Option<BuildPlace>,
}

impl Failed {
    /// What is known of it, beside the message: its place, and its last lines.
    pub(crate) fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        if let Some(place) = &self.failure.place {
            let shown = shown(place);
            let group = Group::with_level(Level::ERROR);
            details.push(render(group, &shown, false).trim_end().to_owned());
        }
        if !self.lines.is_empty() {
            let last = if self.lines.len() == 1 { "the last line" } else { "the last lines" };
            let lines: String = self.lines.iter().map(|line| format!("\n  | {line}")).collect();
            details.push(format!("{last} of {}:{lines}", self.step));
        }
        details
    }
}

impl Warned {
    /// As the files of a project are spoken of.
    pub(crate) fn render(&self, color: bool) -> String {
        let message = clean(self.message.as_bytes());
        let title = Level::WARNING.primary_title(message.as_str()).id(self.rule.as_str());
        let group = Group::with_title(title);
        match &self.place {
            Some(place) => render(group, &shown(place), color),
            None => renderer(color).render(&[group]),
        }
    }
}

/// The lines of a place, safe to show, and what of them is underlined: the first line from its column on.
struct Shown {
    file: String,
    line: usize,
    text: String,
    range: std::ops::Range<usize>,
}

fn shown(place: &BuildPlace) -> Shown {
    let lines: Vec<String> = place.source.iter().map(|line| clean(line.as_bytes())).collect();
    let first = lines.first().map(String::as_str).unwrap_or_default();
    let before = usize::try_from(place.column.saturating_sub(1)).unwrap_or_default();
    let start = first.char_indices().nth(before).map_or(0, |(at, _)| at);
    let range = start..first.trim_end().len().max(start);
    Shown { file: clean(place.file.as_bytes()), line: usize::try_from(place.line).unwrap_or_default(), text: lines.join("\n"), range }
}

fn renderer(color: bool) -> Renderer {
    if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii)
}

fn render<'a>(group: Group<'a>, shown: &'a Shown, color: bool) -> String {
    let snippet = Snippet::source(shown.text.as_str()).path(shown.file.as_str()).line_start(shown.line).fold(false);
    renderer(color).render(&[group.element(snippet.annotation(AnnotationKind::Primary.span(shown.range.clone())))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> BuildPlace {
        let source = ["RUN make \\", "    all\x1b[2J"].map(str::to_owned).to_vec();
        BuildPlace { file: "Dockerfile".to_owned(), line: 3, column: 5, end_line: 4, source }
    }

    #[test]
    fn a_failure_shows_its_lines_and_its_last_words() {
        let failure = StepFailure { message: "exit code: 2".to_owned(), code: Some(2), place: Some(place()) };
        let failed =
            Failed { step: "[2/2] RUN make all".to_owned(), failure, lines: vec!["cc: no input".to_owned(), "make: *** 2".to_owned()] };
        assert_eq!(
            failed.details().join("\n---\n"),
            " --> Dockerfile:3:5\n  |\n3 | RUN make \\\n  |     ^^^^^^\n4 |     all\n  |\n---\nthe last lines of [2/2] RUN make all:\n  | cc: no input\n  | make: *** 2"
        );
    }

    #[test]
    fn a_warning_shows_its_rule_and_its_line() {
        let warned = Warned { rule: "JSONArgsRecommended".to_owned(), message: "write a list".to_owned(), place: Some(place()) };
        assert_eq!(
            warned.render(false),
            "warning[JSONArgsRecommended]: write a list\n --> Dockerfile:3:5\n  |\n3 | RUN make \\\n  |     ^^^^^^\n4 |     all\n  |"
        );
        let nowhere = Warned { place: None, ..warned };
        assert_eq!(nowhere.render(false), "warning[JSONArgsRecommended]: write a list");
    }
}
