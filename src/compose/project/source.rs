//! Where text comes from: files through one trait, and spans that point into what was read.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How files are read; the only way this room touches a file system.
pub trait Reader {
    /// Returns the bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether anything is there.
    fn exists(&self, path: &Path) -> bool;
    /// Whether a directory is there.
    fn is_dir(&self, path: &Path) -> bool;
    /// Returns where symbolic links lead; nothing where nothing is.
    fn real(&self, path: &Path) -> Option<PathBuf>;
}

/// Reads the real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileReader;

impl Reader for FileReader {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn real(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize().ok()
    }
}

/// A file that was read, by its place in the [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
    /// The line of the first byte, from 1.
    pub line: u32,
    /// The column of the first byte in characters, from 1.
    pub column: u32,
}

impl Span {
    /// Returns the bytes it covers.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Reads relative paths from a folder, whatever folder this process stands in.
pub(crate) struct RelativeTo<'a> {
    /// The folder.
    pub(crate) folder: &'a Path,
    /// What reads.
    pub(crate) reader: &'a dyn Reader,
}

impl Reader for RelativeTo<'_> {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.reader.read(&self.folder.join(path))
    }

    fn exists(&self, path: &Path) -> bool {
        self.reader.exists(&self.folder.join(path))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.reader.is_dir(&self.folder.join(path))
    }

    fn real(&self, path: &Path) -> Option<PathBuf> {
        self.reader.real(&self.folder.join(path))
    }
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path as the user would write it; `-` is standard input.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The place that names it, of a file that another one includes or extends, and what that place does.
    pub via: Option<(Span, &'static str)>,
}

/// Every file that was read, so that a span can show its line.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// Adds a file and returns its id.
    pub(crate) fn add(&mut self, path: PathBuf, text: String, via: Option<(Span, &'static str)>) -> SourceId {
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(Source { path, text, via });
        id
    }

    /// Returns the file.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }

    /// Returns the first that is the same file: one that is included and extended, or extended by itself, is read more than once.
    pub(crate) fn first(&self, id: SourceId) -> SourceId {
        let source = self.get(id);
        self.iter().find(|(_, other)| other.path == source.path && other.text == source.text).map_or(id, |(id, _)| id)
    }

    /// Iterates over the files and their ids.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        (0..).map(SourceId).zip(&self.sources)
    }

    /// Returns the places that led to a span's file, the nearest first.
    pub(crate) fn ways(&self, span: Span) -> impl Iterator<Item = (Span, &'static str)> {
        std::iter::successors(self.get(span.source).via, |(span, _)| self.get(span.source).via)
    }

    /// Returns the text a span covers.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.range()).unwrap_or_default()
    }

    /// Returns a part of a file.
    pub(crate) fn part(&self, source: SourceId, range: Range<usize>) -> Span {
        let end = u32::try_from(self.get(source).text.len()).unwrap_or(u32::MAX);
        self.within(Span { source, start: 0, end, line: 1, column: 1 }, range)
    }

    /// Returns the part of a span from one byte of it to another, with its own line and column.
    pub(crate) fn within(&self, span: Span, range: Range<usize>) -> Span {
        let text = self.slice(span);
        let (Some(before), Some(_)) = (text.get(..range.start), text.get(range.clone())) else { return span };
        let newlines = before.matches('\n').count();
        let column = match before.rfind('\n') {
            Some(newline) => before[newline + 1..].chars().count() + 1,
            None => span.column as usize + before.chars().count(),
        };
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Span {
            source: span.source,
            start: span.start + number(range.start),
            end: span.start + number(range.end),
            line: span.line + number(newlines),
            column: number(column),
        }
    }
}
