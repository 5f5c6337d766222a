//! Events: numbered in a ring that outlives the engine, and told to whoever subscribed.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::engine::clock;
use crate::engine::event_filter::Selection;
use crate::engine::store;
use crate::resource::event::{Event, EventFilter, EventKind};
use crate::resource::failure::Failure;
use crate::resource::reason;

/// So many events are remembered. Docker remembers 256; a stack of fifty services makes more in one `up`.
const REMEMBERED: usize = 4096;

/// What counts as written of a file that is to be written anew: it lacks something, or ends in half a line.
const STALE: (usize, usize) = (2 * REMEMBERED, 0);

/// And no more than so many bytes of them: an event carries all labels of its container.
const BYTES: usize = 16 << 20;

/// An event, and what it looks like to those who are told of it, which is made once for all of them.
#[derive(Debug)]
pub struct Told {
    event: Event,
    text: OnceLock<Bytes>,
    /// Bytes of its line in the file.
    size: usize,
}

impl Told {
    fn new(event: Event, size: usize) -> Arc<Self> {
        Arc::new(Self { event, text: OnceLock::new(), size })
    }

    /// The event's text, by whoever needs it first. There is one kind of text.
    pub fn text(&self, write: impl FnOnce(&Event) -> Bytes) -> Bytes {
        self.text.get_or_init(|| write(&self.event)).clone()
    }
}

impl Deref for Told {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

/// A subscriber that fell behind by more than is remembered: what it would hear from here on is not all that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this listener was too slow: {missed} events were forgotten before it read them; look at the state of things, and listen anew")]
pub struct Lagged {
    /// How many events are lost to it.
    pub missed: u64,
}

/// The engine's events: the last [`REMEMBERED`] of them, in a file of the run directory, one JSON text a line after a line with the boot
/// they belong to.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    latest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept {
    events: VecDeque<Arc<Told>>,
    last: u64,
    file: Option<File>,
    path: PathBuf,
    /// Bytes of the lines of what is remembered.
    bytes: usize,
    /// Lines in the file, and their bytes; when either is twice what is remembered, the file is written anew.
    written: (usize, usize),
}

impl Ring {
    /// Opens the ring at `path`, whose folder must exist. Lines that were cut short are forgotten, events of another boot too.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Failure::internal(format!("cannot read the events in `{}`: {error}", path.display()))),
        };
        let mut lines = text.split(|&byte| byte == b'\n');
        let same_boot = lines.next().is_some_and(|boot| boot == store::boot_id().as_bytes());
        let read = |line: &[u8]| serde_json::from_slice(line).ok().map(|event| Told::new(event, line.len() + 1));
        let mut kept = Kept { events: VecDeque::new(), last: 0, file: None, path: path.to_owned(), bytes: 0, written: (0, 0) };
        if same_boot {
            lines.filter_map(read).for_each(|event| kept.remember(event));
        }
        let last = kept.last;
        match kept.rewrite() {
            // Whoever wants to free some space needs an engine. The next event tries again.
            Err(error) if reason::is_full(&error) => {
                tracing::warn!(path = %path.display(), %error, "events are not written down: a later engine will not know them");
                kept.written = STALE;
            }
            written => {
                written.map_err(|error| Failure::internal(format!("cannot write the events to `{}`: {error}", path.display())))?;
            }
        }
        Ok(Self { shared: Arc::new(Shared { kept: Mutex::new(kept), latest: watch::Sender::new(last) }) })
    }

    /// Says that something happened.
    pub(crate) fn emit(&self, kind: EventKind, action: impl Into<String>, actor: &str, attributes: BTreeMap<String, String>) {
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = kept.last + 1;
        let event = Event { number, time: clock::now(), kind, action: action.into(), actor: actor.to_owned(), attributes };
        tracing::debug!(kind = ?event.kind, action = %event.action, actor = %event.actor, "event");
        let size = kept.append(&event);
        kept.remember(Told::new(event, size));
        drop(kept);
        self.shared.latest.send_replace(number);
    }

    /// Forgets everything: the engine was told to stop, and its run directory is to be empty.
    pub(crate) fn clear(&self) {
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.file = None;
        kept.written = (0, 0);
        if let Err(error) = fs::remove_file(&kept.path) {
            tracing::debug!(path = %kept.path.display(), %error, "the events stay");
        }
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.shared.latest.receiver_count()
    }

    /// Subscribes: the reader sees what happens after this call returned, and before that what the filter's `since` asks for.
    pub(crate) fn subscribe(&self, filter: &EventFilter) -> Result<EventReader, Failure> {
        let selection = Selection::parse(&filter.filters)?;
        let kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = match (filter.since, filter.until) {
            (Some(since), _) => kept.events.iter().find(|event| event.time >= since).map_or(kept.last, |event| event.number - 1),
            // An end without a beginning asks for what happened already.
            (None, Some(_)) => kept.events.front().map_or(kept.last, |event| event.number - 1),
            (None, None) => kept.last,
        };
        Ok(EventReader {
            ring: self.clone(),
            latest: self.shared.latest.subscribe(),
            seen,
            lagged: false,
            selection,
            filter: filter.clone(),
        })
    }

    /// The first event after the numbered one, if it is still remembered.
    fn after(&self, number: u64) -> Result<Option<Arc<Told>>, Lagged> {
        let kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = kept.events.front() else { return Ok(None) };
        let wanted = number + 1;
        if wanted < first.number {
            return Err(Lagged { missed: first.number - wanted });
        }
        // Numbers rise, and some may be missing: what an engine could not write the next one does not know.
        let place = kept.events.partition_point(|event| event.number < wanted);
        Ok(kept.events.get(place).cloned())
    }
}

impl Kept {
    /// Takes the newest event in, and lets go of the oldest ones; there is always one.
    fn remember(&mut self, event: Arc<Told>) {
        self.last = event.number;
        self.bytes += event.size;
        self.events.push_back(event);
        while self.events.len() > REMEMBERED || (self.bytes > BYTES && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().map_or(0, |oldest| oldest.size);
        }
    }

    /// Writes an event down as well as that goes; returns the length of its line.
    fn append(&mut self, event: &Event) -> usize {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        if let Err(error) = self.write(&line) {
            tracing::warn!(path = %self.path.display(), %error, "an event could not be written; a later engine will not know it");
            self.written = STALE;
        }
        line.len()
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let (lines, bytes) = self.written;
        if lines >= 2 * REMEMBERED || bytes >= 2 * BYTES {
            self.rewrite()?;
        }
        self.written = (self.written.0 + 1, self.written.1 + line.len());
        match &mut self.file {
            // One write, so that a killed engine leaves a whole line or none.
            Some(file) => file.write_all(line),
            None => Ok(()),
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut text = format!("{}\n", store::boot_id()).into_bytes();
        for event in &self.events {
            serde_json::to_writer(&mut text, &event.event)?;
            text.push(b'\n');
        }
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.path)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.written = (self.events.len(), self.bytes);
        Ok(())
    }
}

/// A subscription to events. However slow its reader is, it holds nothing but its place in the ring.
#[derive(Debug)]
pub struct EventReader {
    ring: Ring,
    latest: watch::Receiver<u64>,
    seen: u64,
    lagged: bool,
    selection: Selection,
    filter: EventFilter,
}

impl EventReader {
    /// Returns the next event; `None` once the filter's end is reached, or after it was said that events were missed. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Result<Arc<Told>, Lagged>> {
        loop {
            if self.lagged {
                return None;
            }
            self.latest.borrow_and_update();
            loop {
                let event = match self.ring.after(self.seen) {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(lagged) => {
                        self.lagged = true;
                        return Some(Err(lagged));
                    }
                };
                if self.filter.until.is_some_and(|until| event.time > until) {
                    return None;
                }
                self.seen = event.number;
                let wanted = self.filter.since.is_none_or(|since| event.time >= since) && self.selection.selects(&event);
                if wanted {
                    return Some(Ok(event));
                }
            }
            match self.time_left() {
                Some(left) if left.is_zero() => return None,
                Some(left) => match tokio::time::timeout(left, self.latest.changed()).await {
                    Ok(changed) => changed.ok()?,
                    Err(_elapsed) => return None,
                },
                None => self.latest.changed().await.ok()?,
            }
        }
    }

    fn time_left(&self) -> Option<Duration> {
        self.filter.until.map(|until| until.since(clock::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::time::Timestamp;

    fn ring(folder: &Path) -> Ring {
        Ring::open(&folder.join("events")).expect("a ring")
    }

    fn emit(ring: &Ring, action: &str) {
        ring.emit(EventKind::Container, action, "id", BTreeMap::new());
    }

    async fn actions(ring: &Ring, since: Option<Timestamp>) -> Vec<String> {
        let filter = EventFilter { since, until: Some(clock::now()), ..EventFilter::default() };
        let mut reader = ring.subscribe(&filter).expect("a good filter");
        let mut found = Vec::new();
        while let Some(event) = reader.next().await {
            let event = event.expect("in time");
            found.push(format!("{} {}", event.number, event.action));
        }
        found
    }

    #[tokio::test]
    async fn a_later_engine_knows_what_happened_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = ring(folder.path());
        emit(&first, "create");
        emit(&first, "start");
        drop(first);
        // A killed engine may leave half a line.
        let mut file = OpenOptions::new().append(true).open(folder.path().join("events")).expect("the file");
        file.write_all(b"{\"number\":3,\"ti").expect("written");
        let second = ring(folder.path());
        emit(&second, "die");
        assert_eq!(actions(&second, Some(Timestamp::from_nanos(0))).await, ["1 create", "2 start", "3 die"]);
        assert_eq!(actions(&second, None).await, ["1 create", "2 start", "3 die"]);
        let last = second.shared.kept.lock().expect("not poisoned").events.back().expect("an event").time;
        assert_eq!(actions(&second, Some(last)).await, ["3 die"]);
    }

    #[tokio::test]
    async fn events_that_could_not_be_written_hide_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = ring(folder.path());
        (1..=5).for_each(|number| emit(&first, &format!("number-{number}")));
        drop(first);
        let path = folder.path().join("events");
        let text = fs::read_to_string(&path).expect("readable");
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("number-2") && !line.contains("number-3")).collect();
        fs::write(&path, lines.join("\n") + "\n").expect("written");
        let second = ring(folder.path());
        assert_eq!(actions(&second, Some(Timestamp::from_nanos(0))).await, ["1 number-1", "4 number-4", "5 number-5"]);
    }

    #[tokio::test]
    async fn a_full_disk_keeps_no_engine_from_starting() {
        let folder = tempfile::tempdir().expect("a folder");
        let full = folder.path().join("events.new");
        std::os::unix::fs::symlink("/dev/full", &full).expect("a link");
        let first = ring(folder.path());
        emit(&first, "create");
        assert_eq!(actions(&first, None).await, ["1 create"]);
        fs::remove_file(full).expect("the link");
        emit(&first, "start");
        drop(first);
        assert_eq!(actions(&ring(folder.path()), None).await, ["1 create", "2 start"]);
    }

    #[tokio::test]
    async fn a_subscriber_sees_what_happens_after_it_subscribed() {
        let folder = tempfile::tempdir().expect("a folder");
        let ring = ring(folder.path());
        emit(&ring, "before");
        let mut reader = ring.subscribe(&EventFilter::default()).expect("a good filter");
        emit(&ring, "after");
        assert_eq!(reader.next().await.expect("an event").expect("in time").action, "after");
        let waiting = tokio::spawn(async move { reader.next().await });
        emit(&ring, "later");
        assert_eq!(waiting.await.expect("no panic").expect("an event").expect("in time").action, "later");
    }

    #[tokio::test]
    async fn the_ring_forgets_the_oldest_and_its_file_stays_small() {
        let folder = tempfile::tempdir().expect("a folder");
        let ring = ring(folder.path());
        for _ in 0..3 * REMEMBERED + 10 {
            emit(&ring, "x");
        }
        let all = actions(&ring, Some(Timestamp::from_nanos(0))).await;
        assert_eq!((all.len(), all[0].as_str()), (REMEMBERED, "8203 x"));
        let lines = fs::read_to_string(folder.path().join("events")).expect("readable").lines().count();
        assert!(lines <= 2 * REMEMBERED + 1, "{lines}");
    }

    #[tokio::test]
    async fn large_events_are_forgotten_earlier() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = ring(folder.path());
        let label = BTreeMap::from([("label".to_owned(), "x".repeat(1 << 20))]);
        for _ in 0..40 {
            first.emit(EventKind::Container, "x", "id", label.clone());
        }
        assert_eq!(actions(&first, Some(Timestamp::from_nanos(0))).await.len(), 15);
        assert!(fs::metadata(folder.path().join("events")).expect("the file").len() < 3 * BYTES as u64);
        assert_eq!(actions(&ring(folder.path()), Some(Timestamp::from_nanos(0))).await.first().map(String::as_str), Some("26 x"));
    }

    #[tokio::test]
    async fn a_subscriber_that_is_too_slow_is_told_so_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let ring = ring(folder.path());
        let mut reader = ring.subscribe(&EventFilter::default()).expect("a good filter");
        for _ in 0..REMEMBERED {
            emit(&ring, "x");
        }
        assert_eq!(reader.next().await.expect("an event").expect("in time").number, 1);
        emit(&ring, "x");
        assert_eq!(reader.next().await.expect("an event").expect("in time").number, 2);
        for _ in 0..5 {
            emit(&ring, "x");
        }
        assert_eq!(reader.next().await.expect("a word").expect_err("too late"), Lagged { missed: 4 });
        assert!(reader.next().await.is_none());
    }

    #[test]
    fn a_text_is_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let ring = ring(folder.path());
        emit(&ring, "x");
        let told = ring.after(0).expect("remembered").expect("an event");
        let first = told.text(|event| event.action.clone().into());
        assert_eq!((first, told.text(|_| unreachable!("it is there"))), (Bytes::from("x"), Bytes::from("x")));
    }

    #[tokio::test]
    async fn events_of_another_boot_are_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = ring(folder.path());
        emit(&first, "create");
        let text = fs::read_to_string(folder.path().join("events")).expect("readable");
        let (_, rest) = text.split_once('\n').expect("a first line");
        fs::write(folder.path().join("events"), format!("another\n{rest}")).expect("written");
        assert!(actions(&ring(folder.path()), Some(Timestamp::from_nanos(0))).await.is_empty());
    }
}
