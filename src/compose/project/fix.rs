//! Hints as changes of files, so that an editor or a test can follow them.

use crate::compose::project::source::{SourceId, SourceMap, Span};

/// What a hint means for the files.
#[derive(Clone, Debug)]
pub(crate) enum Fix {
    /// A place has another text.
    Replace(Span, String),
    /// A word within a place is another one.
    Word(Span, String, String),
    /// Lines are indented with spaces.
    Untab(SourceId),
    /// A value stands in quotes.
    Quote(Span),
    /// A value is the one item of a list.
    Wrap(Span),
    /// An entry of a mapping goes: its key, and the end of its value.
    Remove(Span, Span),
    /// A mapping has one more entry.
    Add(Span, String),
    /// A section of the top level, made where there is none, has one more entry.
    Define(SourceId, &'static str, String),
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edit {
    /// The file.
    pub source: SourceId,
    /// The first byte that goes.
    pub start: usize,
    /// The byte after the last that goes.
    pub end: usize,
    /// What comes in their place.
    pub text: String,
}

impl Fix {
    /// The change, as bytes of a file.
    pub(crate) fn edit(&self, sources: &SourceMap) -> Edit {
        match self {
            Self::Replace(span, text) => Edit { source: span.source, start: span.range().start, end: span.range().end, text: text.clone() },
            Self::Word(span, old, new) => {
                let at = sources.slice(*span).find(old.as_str());
                let start = span.range().start + at.unwrap_or_default();
                let end = at.map_or(span.range().end, |_| start + old.len());
                Edit { source: span.source, start, end, text: new.clone() }
            }
            Self::Untab(source) => untab(&sources.get(*source).text, *source),
            Self::Quote(span) => around(sources, *span, |written| format!("{written:?}")),
            Self::Wrap(span) => around(sources, *span, |written| match written.strip_prefix(['|', '>']) {
                // The lines of a block are the items.
                Some(block) => format!("{:?}", block.lines().skip(1).map(str::trim).collect::<Vec<_>>()),
                None if matches!(written, "\"\"" | "''") => "[]".to_owned(),
                None => format!("[{written}]"),
            }),
            Self::Remove(key, value) => remove(&sources.get(key.source).text, *key, *value),
            Self::Add(mapping, entry) => add(&sources.get(mapping.source).text, *mapping, entry),
            Self::Define(source, section, entry) => define(&sources.get(*source).text, *source, section, entry),
        }
    }
}

/// Changes what is written at a place, but not the blank behind it.
fn around(sources: &SourceMap, span: Span, change: impl Fn(&str) -> String) -> Edit {
    let written = sources.slice(span).trim_end();
    let start = span.range().start;
    Edit { source: span.source, start, end: start + written.len(), text: change(written) }
}

/// A line with a tab gets the indentation of the next line without one, or a step below the key above it.
fn untab(text: &str, source: SourceId) -> Edit {
    let indent = |line: &str| line.len() - line.trim_start_matches(['\t', ' ']).len();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut mended: Vec<String> = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let own = indent(line);
        if !line[..own].contains('\t') {
            mended.push((*line).to_owned());
            continue;
        }
        let next = lines[index + 1..].iter().find(|line| !line.trim().is_empty()).filter(|line| !line[..indent(line)].contains('\t'));
        let above = mended.iter().rev().find(|line| !line.trim().is_empty());
        let step = above.map_or(0, |line| indent(line) + if line.trim_end().ends_with(':') { 2 } else { 0 });
        let width = next.filter(|_| !line.trim_end().ends_with(':')).map_or(step, |next| indent(next).max(step));
        mended.push(format!("{}{}", " ".repeat(width), &line[own..]));
    }
    Edit { source, start: 0, end: text.len(), text: mended.concat() }
}

/// The start of a line, and what stands on it before a byte.
fn before(text: &str, at: usize) -> (usize, &str) {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    (start, &text[start..at])
}

/// The byte after the line that a byte is on.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The end of what was written, without the blank that a parser counts to it.
fn trimmed(text: &str, start: usize, end: usize) -> usize {
    start + text.get(start..end).unwrap_or_default().trim_end().len()
}

fn remove(text: &str, key: Span, value: Span) -> Edit {
    let start = key.range().start;
    let last = trimmed(text, start, value.range().end.max(key.range().end));
    // An empty value ends before the sign that follows its key.
    let last = last.max(key.range().end + usize::from(text[key.range().end..].starts_with(':')));
    let (line, ahead) = before(text, start);
    let cut = |start: usize, end: usize| Edit { source: key.source, start, end, text: String::new() };
    if ahead.trim().is_empty() {
        cut(line, line_end(text, last))
    } else if ahead.trim_start().trim_end() == "-" {
        // The next entry of the item takes its place.
        let next = line_end(text, last);
        cut(start, next + text[next..].len() - text[next..].trim_start_matches(' ').len())
    } else {
        in_flow(text, key.source, start, last)
    }
}

/// Within `{…}` and `[…]` a comma goes, too.
fn in_flow(text: &str, source: SourceId, start: usize, end: usize) -> Edit {
    let after = text[end..].trim_start();
    let ahead = text[..start].trim_end();
    let (start, end) = match after.strip_prefix(',') {
        Some(rest) => (start, text.len() - rest.trim_start().len()),
        None if ahead.ends_with(',') => (ahead.len() - 1, end),
        None => (start, end),
    };
    Edit { source, start, end, text: String::new() }
}

fn add(text: &str, mapping: Span, entry: &str) -> Edit {
    let start = mapping.range().start;
    let (at, text) = if text[start..].starts_with('{') {
        let comma = if text[start + 1..].trim_start().starts_with('}') { "" } else { ", " };
        (start + 1, format!("{entry}{comma}"))
    } else {
        let (_, ahead) = before(text, start);
        let indent: String = ahead.chars().map(|_| ' ').collect();
        let lines = entry.lines().collect::<Vec<_>>().join(&format!("\n{indent}"));
        (start, format!("{lines}\n{indent}"))
    };
    Edit { source: mapping.source, start: at, end: at, text }
}

fn define(text: &str, source: SourceId, section: &str, entry: &str) -> Edit {
    let head = format!("{section}:");
    let insert = |at: usize, text: String| Edit { source, start: at, end: at, text };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let Some(value) = line.strip_prefix(&head).map(str::trim) else { continue };
        if value.is_empty() || value.starts_with(['#', '&']) {
            let next = text[at..].lines().next().unwrap_or_default();
            let indent = next.len() - next.trim_start().len();
            let indent = " ".repeat(if indent == 0 { 2 } else { indent });
            let newline = if line.ends_with('\n') { "" } else { "\n" };
            return insert(at, newline.to_owned() + &entry.lines().map(|line| format!("{indent}{line}\n")).collect::<String>());
        }
        // A section in braces gets its entry there; one that is anything else is told by another problem.
        let Some(open) = line.find('{').filter(|_| value.starts_with('{')) else { return insert(begin, String::new()) };
        let (key, below) = entry.split_once('\n').unwrap_or((entry, ""));
        let comma = if line[open + 1..].trim_start().starts_with('}') { "" } else { ", " };
        return insert(begin + open + 1, format!("{key} {{{}}}{comma}", below.trim()));
    }
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let lines: String = entry.lines().map(|line| format!("  {line}\n")).collect();
    insert(text.len(), format!("{newline}{head}\n{lines}"))
}

/// Applies changes to a text, those that overlap an earlier one left out.
pub(crate) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort();
    edits.dedup();
    let (mut out, mut at) = (String::new(), 0);
    for edit in edits {
        if edit.start >= at {
            out.push_str(&text[at..edit.start]);
            out.push_str(&edit.text);
            at = edit.end;
        }
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str, fix: impl Fn(SourceId) -> Fix) -> String {
        let mut sources = SourceMap::default();
        let source = sources.add("compose.yaml".into(), text.to_owned(), None);
        apply(text, vec![fix(source).edit(&sources)])
    }

    #[test]
    fn a_section_gets_an_entry_however_it_is_written() {
        for (text, expect) in [
            ("a: 1\n", "a: 1\nnetworks:\n  back:\n"),
            ("networks:\n    front:\n", "networks:\n    back:\n    front:\n"),
            ("networks: # all\n  front:\n", "networks: # all\n  back:\n  front:\n"),
            ("networks: {front: {}}\n", "networks: {back: {}, front: {}}\n"),
            ("networks: {}\n", "networks: {back: {}}\n"),
            ("networks:", "networks:\n  back:\n"),
        ] {
            assert_eq!(change(text, |source| Fix::Define(source, "networks", "back:".to_owned())), expect, "{text}");
        }
        let secret = |source| Fix::Define(source, "secrets", "key:\n  file: ./key.txt".to_owned());
        assert_eq!(change("secrets: {}\n", secret), "secrets: {key: {file: ./key.txt}}\n");
    }

    #[test]
    fn the_lines_of_a_block_become_items() {
        let text = "ports: |\n  80:80\n  81:81\n";
        let end = u32::try_from(text.len()).expect("a short text");
        let wrap = |source| Fix::Wrap(Span { source, start: 7, end, line: 1, column: 8 });
        assert_eq!(change(text, wrap), "ports: [\"80:80\", \"81:81\"]\n");
    }
}
