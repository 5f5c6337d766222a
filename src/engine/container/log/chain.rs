//! The files of a log, one after the other. A file that is full is renamed to the next number, the oldest first, and a new one is made in
//! its place; so what was opened once stays what it is, whatever happens to its name.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::engine::runtime::rotation::{self, Identity, numbered};

/// So much is read at once.
pub(super) const BLOCK: usize = 128 << 10;

/// A file of a log and how far it was read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub file: Arc<File>,
    pub offset: u64,
    /// Where reading ends, though the file may grow.
    end: Option<u64>,
    identity: Identity,
}

impl Part {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        Ok(rotation::open(path)?.map(|(file, identity)| Self { file: Arc::new(file), offset: 0, end: None, identity }))
    }

    /// Ends where the file ends now: who does not follow a writer must not race with it.
    pub(super) fn end_here(&mut self) -> io::Result<()> {
        self.end = Some(self.file.metadata()?.len());
        Ok(())
    }

    /// How much of `most` bytes is left to be read.
    pub(super) fn rest(&self, most: usize) -> usize {
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.offset));
        usize::try_from(left).unwrap_or(most).min(most)
    }
}

/// The greatest number in use.
fn oldest(path: &Path) -> io::Result<u32> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Ok(0) };
    let mut greatest = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?.file_name();
        let number = entry.to_str().and_then(|entry| rotation::number(name, entry));
        greatest = greatest.max(number.unwrap_or(0));
    }
    Ok(greatest)
}

/// Opens the files, oldest first: each at its beginning, or those that hold the last `lines` where these begin. What is not asked for is
/// not opened: it may have to be inflated.
pub(super) fn open(path: &Path, lines: Option<u64>) -> io::Result<VecDeque<Part>> {
    let (mut parts, mut wanted): (VecDeque<Part>, _) = (VecDeque::new(), lines);
    // From the newest on: a file that is renamed meanwhile is met twice, not missed.
    for number in 0..=oldest(path)?.saturating_add(1) {
        if let Some(mut part) = Part::open(&numbered(path, number))?
            && parts.iter().all(|known| known.identity != part.identity)
        {
            if let Some(wanted) = &mut wanted {
                part.offset = last_lines(&part.file, wanted)?;
            }
            parts.push_front(part);
            if wanted == Some(0) {
                break;
            }
        }
    }
    Ok(parts)
}

/// What follows a file that was read to its end.
pub(super) enum Next {
    /// Nothing: it is the newest.
    Newest,
    /// It was renamed, and its successor has not been made yet.
    Pending,
    /// This one.
    Part(Part),
}

/// Finds what follows a part.
pub(super) fn after(path: &Path, part: &Part) -> io::Result<Next> {
    let identity = |number| rotation::identity(&numbered(path, number));
    loop {
        if identity(0)? == Some(part.identity) {
            return Ok(Next::Newest);
        }
        let greatest = oldest(path)?.saturating_add(1);
        let mut found = None;
        for number in 1..=greatest {
            if identity(number)? == Some(part.identity) {
                found = Some(number);
                break;
            }
        }
        let Some(number) = found else {
            if oldest(path)? >= greatest {
                // It was renamed while it was looked for, past all numbers there were.
                continue;
            }
            // The oldest was removed: what is left begins with the oldest there is.
            return Ok(open(path, None)?.pop_front().map_or(Next::Pending, Next::Part));
        };
        let next = Part::open(&numbered(path, number - 1))?;
        // Renames begin with the oldest: while this one has its number, the one before it has, too.
        if identity(number)? == Some(part.identity) {
            return Ok(next.map_or(Next::Pending, Next::Part));
        }
    }
}

/// Where the last `wanted` whole lines begin; takes those that were found from `wanted`.
fn last_lines(file: &File, wanted: &mut u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut block = vec![0; BLOCK];
    let mut end = length;
    let mut inside = false;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let piece = &mut block[..usize::try_from(end - start).unwrap_or(BLOCK)];
        file.read_exact_at(piece, start)?;
        for (index, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            // The newline before the first line that is wanted.
            if inside && *wanted > 0 {
                *wanted -= 1;
            }
            if *wanted == 0 {
                return Ok(start + index as u64 + 1);
            }
            inside = true;
        }
        end = start;
    }
    if inside {
        *wanted -= 1;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("written");
    }

    fn starts(texts: &[&str], lines: u64) -> Vec<u64> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        for (number, text) in texts.iter().enumerate() {
            write(&numbered(&path, u32::try_from(number).expect("few")), text);
        }
        open(&path, Some(lines)).expect("opened").iter().map(|part| part.offset).collect()
    }

    #[test]
    fn the_tail_is_found_from_the_end_across_files() {
        assert_eq!(starts(&["a\nb\nc\n"], 2), [2]);
        assert_eq!(starts(&["a\nb\nc\n"], 0), [6]);
        assert_eq!(starts(&["a\nb\nc\n"], 3), [0]);
        assert_eq!(starts(&["a\nb\nc\nhal"], 2), [2]);
        assert_eq!(starts(&["a\nb\n", "x\ny\nz\n"], 3), [4, 0]);
        assert_eq!(starts(&["a\n", "x\n", "v\n"], 9), [0, 0, 0]);
        assert_eq!(starts(&["", "x\ny\n"], 1), [2, 0]);
        let long = format!("{}\n{}\nshort\n", "l".repeat(3 * BLOCK), "m".repeat(BLOCK));
        assert_eq!(starts(&[&long], 2), [3 * BLOCK as u64 + 1]);
    }

    #[test]
    fn a_renamed_file_has_a_successor() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        write(&path, "a\n");
        let first = open(&path, None).expect("opened").pop_front().expect("a file");
        assert!(matches!(after(&path, &first).expect("looked"), Next::Newest));
        let rotate = || {
            let _ = fs::rename(numbered(&path, 1), numbered(&path, 2));
            fs::rename(&path, numbered(&path, 1)).expect("renamed");
        };
        rotate();
        assert!(matches!(after(&path, &first).expect("looked"), Next::Pending));
        write(&path, "b\n");
        let second = open(&path, None).expect("opened").pop_back().expect("a file");
        rotate();
        write(&path, "c\n");
        let successor = |part: &Part| match after(&path, part).expect("looked") {
            Next::Part(part) => Some(part.identity),
            _ => None,
        };
        assert_eq!(successor(&first), Some(second.identity));
        rotate();
        write(&path, "d\n");
        // The first is gone by name: the oldest there is follows it.
        assert_eq!(successor(&first), Some(second.identity));
    }
}
