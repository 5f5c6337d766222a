//! Events: numbered in a ring that outlives the engine, and told to whoever subscribed.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::clock;
use crate::engine::event_filter::Selection;
use crate::engine::store;
use crate::resource::event::{Event, EventFilter, EventKind};
use crate::resource::failure::Failure;

/// So many events are remembered. Docker remembers 256; a stack of fifty services makes more in one `up`.
const REMEMBERED: usize = 4096;

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
    events: VecDeque<Arc<Event>>,
    last: u64,
    file: Option<File>,
    path: PathBuf,
    /// Lines in the file; when they are twice what is remembered, the file is written anew.
    lines: usize,
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
        let mut events: VecDeque<Arc<Event>> =
            if same_boot { lines.filter_map(|line| serde_json::from_slice(line).ok()).map(Arc::new).collect() } else { VecDeque::new() };
        events.drain(..events.len().saturating_sub(REMEMBERED));
        let last = events.back().map_or(0, |event| event.number);
        let mut kept = Kept { events, last, file: None, path: path.to_owned(), lines: 0 };
        kept.rewrite().map_err(|error| Failure::internal(format!("cannot write the events to `{}`: {error}", path.display())))?;
        Ok(Self { shared: Arc::new(Shared { kept: Mutex::new(kept), latest: watch::Sender::new(last) }) })
    }

    /// Says that something happened.
    pub(crate) fn emit(&self, kind: EventKind, action: impl Into<String>, actor: &str, attributes: BTreeMap<String, String>) {
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = kept.last + 1;
        let event = Event { number, time: clock::now(), kind, action: action.into(), actor: actor.to_owned(), attributes };
        tracing::debug!(kind = ?event.kind, action = %event.action, actor = %event.actor, "event");
        kept.last = number;
        if let Err(error) = kept.append(&event) {
            tracing::warn!(path = %kept.path.display(), %error, "an event could not be written; a later engine will not know it");
        }
        kept.events.push_back(Arc::new(event));
        if kept.events.len() > REMEMBERED {
            kept.events.pop_front();
        }
        drop(kept);
        self.shared.latest.send_replace(number);
    }

    /// Forgets everything: the engine was told to stop, and its run directory is to be empty.
    pub(crate) fn clear(&self) {
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.file = None;
        if let Err(error) = fs::remove_file(&kept.path) {
            tracing::debug!(path = %kept.path.display(), %error, "the events stay");
        }
    }

    /// Subscribes: the reader sees what happens after this call returned, and before that what the filter's `since` asks for.
    pub(crate) fn subscribe(&self, filter: &EventFilter) -> Result<EventReader, Failure> {
        let selection = Selection::parse(&filter.filters)?;
        let kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = match filter.since {
            Some(since) => kept.events.iter().find(|event| event.time >= since).map_or(kept.last, |event| event.number - 1),
            None => kept.last,
        };
        Ok(EventReader { ring: self.clone(), latest: self.shared.latest.subscribe(), seen, selection, filter: filter.clone() })
    }

    /// The first remembered event after the numbered one.
    fn after(&self, number: u64) -> Option<Arc<Event>> {
        let kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.events.front()?.number;
        let index = usize::try_from((number + 1).saturating_sub(first)).ok()?;
        kept.events.get(index).cloned()
    }
}

impl Kept {
    fn append(&mut self, event: &Event) -> io::Result<()> {
        if self.lines >= 2 * REMEMBERED {
            self.rewrite()?;
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.lines += 1;
        match &mut self.file {
            // One write, so that a killed engine leaves a whole line or none.
            Some(file) => file.write_all(&line),
            None => Ok(()),
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut text = format!("{}\n", store::boot_id()).into_bytes();
        for event in &self.events {
            serde_json::to_writer(&mut text, event.as_ref())?;
            text.push(b'\n');
        }
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.path)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.lines = self.events.len();
        Ok(())
    }
}

/// A subscription to events. One that falls behind by more than the ring remembers loses the oldest.
#[derive(Debug)]
pub struct EventReader {
    ring: Ring,
    latest: watch::Receiver<u64>,
    seen: u64,
    selection: Selection,
    filter: EventFilter,
}

impl EventReader {
    /// Returns the next event; `None` once the filter's end is reached. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            self.latest.borrow_and_update();
            while let Some(event) = self.ring.after(self.seen) {
                if self.filter.until.is_some_and(|until| event.time >= until) {
                    return None;
                }
                self.seen = event.number;
                let wanted = self.filter.since.is_none_or(|since| event.time >= since) && self.selection.selects(&event);
                if wanted {
                    return Some(event.as_ref().clone());
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
        assert_eq!(actions(&second, None).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_subscriber_sees_what_happens_after_it_subscribed() {
        let folder = tempfile::tempdir().expect("a folder");
        let ring = ring(folder.path());
        emit(&ring, "before");
        let mut reader = ring.subscribe(&EventFilter::default()).expect("a good filter");
        emit(&ring, "after");
        assert_eq!(reader.next().await.expect("an event").action, "after");
        let waiting = tokio::spawn(async move { reader.next().await });
        emit(&ring, "later");
        assert_eq!(waiting.await.expect("no panic").expect("an event").action, "later");
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
