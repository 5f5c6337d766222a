//! A container's log: a file of lines, rotated.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::engine::clock;
use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::rotation::{compress, compressed, is_there, numbered};
use crate::engine::runtime::shim::helper::Helper;
use crate::engine::runtime::shim::line::Lines;
use crate::engine::runtime::shim::report;
use crate::resource::container::LogSpec;
use crate::resource::log::Stream;

/// So much is gathered before it is written; a container that writes more at once has it written in several calls.
const GATHERED: usize = 256 << 10;

/// A smaller piece of output lets go of the memory that a larger one needed.
const QUIET: usize = 4 << 10;

/// The file that a container's output goes to. Nothing of it is lost: whoever writes waits until it is written.
#[derive(Debug)]
pub(super) struct Log {
    lines: [Lines; 2],
    gathered: Vec<u8>,
    file: Rotated,
}

#[derive(Debug)]
struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: Option<u64>,
    max_file: u32,
    /// Who compresses what was rotated last, where that is to be done at all.
    compresses: Option<Helper>,
    /// The last write failed, which was said already.
    failing: bool,
}

impl Log {
    /// Opens it, and goes on at its end if it is there; `None` for a container without one. `details` stand beside every line.
    pub(super) fn open(spec: &LogSpec, details: &BTreeMap<String, String>, path: &Path) -> Result<Option<Self>, LaunchError> {
        let &LogSpec::JsonFile { max_size, max_file, compress, .. } = spec else { return Ok(None) };
        let failed = |error| LaunchError::step(format!("open the log {}", path.display()), error);
        let mut file = create(path).map_err(failed)?;
        let size = end_of_lines(&mut file).map_err(failed)?;
        let (max_file, compresses) = (max_file.unwrap_or(1), (compress == Some(true)).then(Helper::default));
        let file = Rotated { path: path.to_owned(), file, size, max_size, max_file, compresses, failing: false };
        Ok(Some(Self { lines: [Stream::Stdout, Stream::Stderr].map(|stream| Lines::new(stream, details)), gathered: Vec::new(), file }))
    }

    /// Writes what an output has written.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let Self { lines, gathered, file } = self;
        let lines = &mut lines[usize::from(stream == Stream::Stderr)];
        lines.encode(bytes, clock::now(), gathered, |gathered, start| file.seal(gathered, start));
        file.write(gathered);
        if bytes.len() < QUIET && gathered.capacity() > GATHERED / 2 {
            *gathered = Vec::new();
        }
    }

    /// Writes what was begun and never ended.
    pub(super) fn finish(&mut self) {
        let Self { lines, gathered, file } = self;
        for lines in lines {
            lines.finish(clock::now(), gathered, |gathered, start| file.seal(gathered, start));
        }
        file.write(gathered);
        self.settle();
    }

    /// Waits until what was rotated is compressed.
    pub(super) fn settle(&mut self) {
        if let Some(helper) = &mut self.file.compresses {
            helper.wait();
        }
    }
}

impl Rotated {
    /// A line was gathered that begins at `start`: whether it still belongs to this file is decided now.
    fn seal(&mut self, gathered: &mut Vec<u8>, start: usize) {
        let length = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let is_beyond = self.max_size.is_some_and(|most| self.size + length(gathered.len()) > most);
        // A line longer than a whole file has one to itself.
        if is_beyond && self.size + length(start) > 0 {
            let line = gathered.split_off(start);
            self.write(gathered);
            if let Err(error) = self.rotate() {
                self.complain(&format!("cannot rotate the log {}: {error}", self.path.display()));
            }
            *gathered = line;
        } else if gathered.len() >= GATHERED {
            self.write(gathered);
        }
    }

    fn write(&mut self, gathered: &mut Vec<u8>) {
        if gathered.is_empty() {
            return;
        }
        match self.file.write_all(gathered) {
            Ok(()) => {
                self.size += u64::try_from(gathered.len()).unwrap_or(u64::MAX);
                self.failing = false;
            }
            Err(error) => {
                // The disk is full, say. As with Docker the container goes on and the lines are gone, but never half of one.
                let _ = self.file.set_len(self.size);
                self.complain(&format!("cannot write the log {}: {error}", self.path.display()));
            }
        }
        gathered.clear();
    }

    /// The file is renamed first and another made in its place then: a follower that holds it open reads it to its end.
    fn rotate(&mut self) -> io::Result<()> {
        let name = |number| numbered(&self.path, number);
        if let Some(helper) = &mut self.compresses {
            helper.wait();
            // Each number has one file, compressed or not.
            for last in [name(self.max_file - 1), compressed(&name(self.max_file - 1))] {
                is_there(fs::remove_file(last))?;
            }
        }
        for number in (1..self.max_file.saturating_sub(1)).rev() {
            is_there(fs::rename(name(number), name(number + 1)))?;
            if self.compresses.is_some() {
                is_there(fs::rename(compressed(&name(number)), compressed(&name(number + 1))))?;
            }
        }
        if self.max_file > 1 {
            is_there(fs::rename(&self.path, name(1)))?;
        } else {
            is_there(fs::remove_file(&self.path))?;
        }
        self.file = create(&self.path)?;
        self.size = 0;
        if let Some(helper) = &mut self.compresses {
            let full = numbered(&self.path, 1);
            helper.start(move || compress(&full).is_ok())?;
        }
        Ok(())
    }

    fn complain(&mut self, text: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            report(text);
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).append(true).create(true).mode(0o640).open(path)
}

/// The size of a log, once half a line at its end, which a loss of power left, has got an end of its own.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    if last == *b"\n" {
        return Ok(size);
    }
    file.write_all(b"\n")?;
    Ok(size + 1)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::resource::container::LogDetails;

    /// The numbers in the lines of a file.
    fn numbers(path: &Path) -> Vec<u32> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
                value["log"].as_str().and_then(|text| text.trim().parse().ok()).expect("a number")
            })
            .collect()
    }

    #[test]
    fn a_full_file_makes_room_and_no_line_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let spec = LogSpec::JsonFile { max_size: Some(1000), max_file: Some(3), compress: None, details: LogDetails::default() };
        let mut log = Log::open(&spec, &BTreeMap::new(), &path).expect("a log").expect("a file");
        // More than a file holds at once, then one by one: a file holds 13 lines, 15 if their times have no fraction, and three are to be full.
        let burst: String = (0..18).map(|number| format!("{number}\n")).collect();
        log.write(Stream::Stdout, burst.as_bytes());
        for number in 18..34 {
            log.write(Stream::Stderr, format!("{number}\n").as_bytes());
        }
        log.finish();
        let all: Vec<u32> = ["log.2", "log.1", "log"].iter().flat_map(|name| numbers(&folder.path().join(name))).collect();
        assert_eq!(all, (0..34).collect::<Vec<_>>());
        for name in ["log.2", "log.1", "log"] {
            assert!(fs::metadata(folder.path().join(name)).expect("a file").len() <= 1000);
        }
        assert!(!folder.path().join("log.3").exists());
    }

    #[test]
    fn what_is_full_is_compressed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let spec = LogSpec::JsonFile { max_size: Some(1000), max_file: Some(3), compress: Some(true), details: LogDetails::default() };
        let mut log = Log::open(&spec, &BTreeMap::new(), &path).expect("a log").expect("a file");
        for number in 0..100 {
            log.write(Stream::Stdout, format!("{number}\n").as_bytes());
        }
        log.finish();
        let mut names: Vec<_> = fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["log", "log.1.gz", "log.2.gz"]);
        let mut text = String::new();
        for name in ["log.2.gz", "log.1.gz"] {
            let file = io::BufReader::new(File::open(folder.path().join(name)).expect("a file"));
            flate2::bufread::GzDecoder::new(file).read_to_string(&mut text).expect("whole");
        }
        text += &fs::read_to_string(&path).expect("a file");
        let whole = folder.path().join("whole");
        fs::write(&whole, text).expect("a file");
        let all = numbers(&whole);
        assert_eq!(all, (100 - u32::try_from(all.len()).expect("few")..100).collect::<Vec<_>>());
        assert!(all.len() > 30, "{all:?}");
    }

    #[test]
    fn a_single_file_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let spec = LogSpec::JsonFile { max_size: Some(200), max_file: None, compress: None, details: LogDetails::default() };
        let mut log = Log::open(&spec, &BTreeMap::new(), &path).expect("a log").expect("a file");
        (0..5).for_each(|number| log.write(Stream::Stdout, format!("{number}\n").as_bytes()));
        assert_eq!(numbers(&path), [4]);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_log_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, "{\"log\":\"ha").expect("a file");
        let mut log = Log::open(&LogSpec::default(), &BTreeMap::new(), &path).expect("a log").expect("a file");
        log.write(Stream::Stdout, b"7");
        log.finish();
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.starts_with("{\"log\":\"ha\n{\"log\":\"7\",\"stream\":\"stdout\",\"time\":\""), "{text}");
        assert!(Log::open(&LogSpec::None, &BTreeMap::new(), Path::new("/nowhere/log")).expect("no log").is_none());
    }
}
