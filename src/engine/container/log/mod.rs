//! Reading what a container wrote: Docker's json-file lines, from the end, by time, and as they come.

mod chain;
mod line;
mod watcher;

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::clock;
use crate::engine::container::entry::Life;
use crate::engine::container::log::chain::{BLOCK, Next, Part};
pub(in crate::engine) use crate::engine::container::log::watcher::LogWatcher;
use crate::engine::container::log::watcher::Watch;
use crate::resource::failure::Failure;
use crate::resource::log::{LogLine, LogOptions, Stream};

/// A line that is longer is none of Docker's, which splits at 16 KiB: it is damage, and passed over.
const LONGEST: usize = 1 << 20;

/// A reader of a container's log. It holds one block of a file, however long the log is.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    options: LogOptions,
    /// What is being read, and behind it what is known to follow.
    parts: VecDeque<Part>,
    buffer: Vec<u8>,
    start: usize,
    follow: Option<Follow>,
    finished: bool,
}

#[derive(Debug)]
struct Follow {
    watch: Watch,
    ended: Ended,
    /// Names have changed since the newest file was last known to be the newest.
    renamed: bool,
    /// How many changes of names were seen.
    names: u64,
    /// The end was seen: what can be read now is all there will be.
    last_look: bool,
}

/// The end of the run that a follower reads to.
#[derive(Debug)]
pub(in crate::engine) struct Ended {
    life: watch::Receiver<Life>,
    before: u64,
}

impl Ended {
    /// Of a container that runs.
    pub(in crate::engine) fn of(life: watch::Receiver<Life>) -> Option<Self> {
        let before = {
            let now = life.borrow();
            now.state.is_running().then_some(now.ends)
        }?;
        Some(Self { life, before })
    }

    /// Returns when nothing will be written any more, or when the engine leaves.
    async fn come(&mut self) {
        let _ = self.life.wait_for(|life| life.ends > self.before || life.removed).await;
    }
}

impl LogReader {
    /// Opens the log whose newest file is `path`. With `follow`, the reader goes on until `ended` has come and all was read; without an
    /// end to come there is nothing to follow.
    pub(in crate::engine) async fn open(
        watcher: &LogWatcher,
        path: &Path,
        options: &LogOptions,
        ended: Option<Ended>,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::internal(format!("cannot read the log `{}`: {error}", path.display()));
        let follow = if let Some(ended) = ended.filter(|_| options.follow) {
            let folder = path.parent().unwrap_or(Path::new("/"));
            // Before anything is read, so that no change falls in between.
            let watch = watcher.watch(folder).map_err(failed)?;
            let names = watch.changes.borrow().1;
            Some(Follow { watch, ended, renamed: false, names, last_look: false })
        } else {
            None
        };
        let (file, tail, following) = (path.to_owned(), options.tail, follow.is_some());
        let parts = blocking(move || {
            let mut parts = chain::open(&file, tail)?;
            if let (false, Some(newest)) = (following, parts.back_mut()) {
                newest.end_here()?;
            }
            Ok(parts)
        });
        let parts = parts.await.map_err(failed)?;
        Ok(Self { path: path.to_owned(), options: options.clone(), parts, buffer: Vec::new(), start: 0, follow, finished: false })
    }

    /// Returns the next line; `None` at the end, or with `follow` once the container has ended and all was read. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Result<LogLine, Failure>> {
        while !self.finished {
            if let Some(line) = self.ready() {
                return Some(Ok(line));
            }
            if self.finished {
                return None;
            }
            match self.advance().await {
                Ok(more) => self.finished = !more,
                Err(error) => {
                    self.finished = true;
                    return Some(Err(Failure::internal(format!("cannot read the log `{}`: {error}", self.path.display()))));
                }
            }
        }
        None
    }

    /// Returns the next line if it has been read already: logs are read at millions of lines a second, too many to wait for each.
    pub fn ready(&mut self) -> Option<LogLine> {
        while !self.finished {
            let line = self.buffered()?;
            if self.options.until.is_some_and(|until| line.time > until) {
                self.finished = true;
                return None;
            }
            let wanted = match line.stream {
                Stream::Stdout => self.options.stdout,
                Stream::Stderr => self.options.stderr,
            };
            if wanted && self.options.since.is_none_or(|since| line.time >= since) {
                return Some(line);
            }
        }
        None
    }

    /// Takes the next whole line out of the buffer.
    fn buffered(&mut self) -> Option<LogLine> {
        loop {
            let mut rest = self.buffer.get(self.start..)?;
            let line = rest;
            // Finds the newline by the standard library's own vectors; a slice cannot fail.
            let length = rest.skip_until(b'\n').unwrap_or(0);
            let line = line[..length].strip_suffix(b"\n")?;
            let parsed = line::parse(line);
            self.start += length;
            if parsed.is_some() {
                return parsed;
            }
            tracing::warn!(path = %self.path.display(), "a damaged line of a log is passed over");
        }
    }

    /// Brings more into the buffer; false at the end of everything.
    async fn advance(&mut self) -> io::Result<bool> {
        loop {
            if self.read().await? {
                return Ok(true);
            }
            if self.parts.len() > 1 {
                // Half a line at the end of a file that was renamed stays half a line.
                self.parts.pop_front();
                (self.start, self.buffer) = (0, Vec::new());
                continue;
            }
            let Some(follow) = &mut self.follow else { return Ok(false) };
            if follow.renamed || self.parts.is_empty() {
                let (path, part) = (self.path.clone(), self.parts.front().cloned());
                let next = blocking(move || match part {
                    Some(part) => chain::after(&path, &part),
                    None => Ok(chain::open(&path, None)?.pop_front().map_or(Next::Pending, Next::Part)),
                });
                match next.await? {
                    Next::Newest => follow.renamed = false,
                    Next::Pending => {}
                    Next::Part(part) => {
                        // What was renamed gets no more, but may have got some since it was read last: the loop reads it once again.
                        follow.renamed = true;
                        self.parts.push_back(part);
                        continue;
                    }
                }
            }
            if self.start == self.buffer.len() {
                // Who waits needs no room.
                (self.start, self.buffer) = (0, Vec::new());
            }
            if !follow.wait(&self.options).await {
                return Ok(false);
            }
        }
    }

    /// Reads a block of the first file; false at its end.
    async fn read(&mut self) -> io::Result<bool> {
        let following = self.follow.is_some();
        loop {
            let Some(part) = self.parts.front_mut() else { return Ok(false) };
            let (file, offset, size) = (Arc::clone(&part.file), part.offset, part.rest(BLOCK));
            // The offset moves only with the bytes in hand, so that a dropped future loses nothing.
            let (block, length) = blocking(move || {
                let mut block = vec![0; size];
                let read = file.read_at(&mut block, offset)?;
                block.truncate(read);
                let length = if read == 0 && following { file.metadata()?.len() } else { offset };
                Ok((block, length))
            })
            .await?;
            if length < offset {
                // A line that did not fit on the disk was taken back; or somebody emptied the file.
                let line = offset - (self.buffer.len() - self.start) as u64;
                part.offset = if length < line { 0 } else { line };
                self.buffer.truncate(self.start);
                continue;
            }
            part.offset += block.len() as u64;
            self.keep(&block);
            return Ok(!block.is_empty());
        }
    }

    fn keep(&mut self, block: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() > LONGEST {
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(block);
    }
}

impl Follow {
    /// Waits for a change; false when none will come or none is wanted.
    async fn wait(&mut self, options: &LogOptions) -> bool {
        if self.last_look {
            return false;
        }
        let time_left = options.until.map(|until| until.since(clock::now()));
        let elapsed = async {
            match time_left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = self.watch.changes.changed() => {
                if changed.is_err() {
                    return false;
                }
                let names = self.watch.changes.borrow_and_update().1;
                self.renamed |= names != self.names;
                self.names = names;
            }
            () = self.ended.come() => {
                // The kernel's news may lag behind the container's.
                self.last_look = true;
                self.renamed = true;
            }
            () = elapsed => return false,
        }
        true
    }
}

/// Runs what blocks on a thread for such work.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
