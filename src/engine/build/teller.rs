//! What a build tells while it runs. Nothing is lost: whoever listens slowly slows the build.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::Sender;

use crate::resource::build::{BuildEvent, StepEnd};

/// Tells; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    tell: Sender<BuildEvent>,
    next: Arc<AtomicU32>,
}

impl Teller {
    /// Tells whoever has the other end.
    pub(super) fn new(tell: Sender<BuildEvent>) -> Self {
        Self { tell, next: Arc::default() }
    }

    /// Tells of something. Whoever has left is noticed elsewhere, and ends the build.
    pub(super) async fn say(&self, event: BuildEvent) {
        let _ = self.tell.send(event).await;
    }

    /// Returns once nobody listens any more.
    pub(super) async fn deserted(&self) {
        self.tell.closed().await;
    }

    /// Tells that a step begins.
    pub(super) async fn begin(&self, name: &str) -> ToldStep {
        let step = self.next.fetch_add(1, Ordering::Relaxed);
        self.say(BuildEvent::Started { step, name: name.to_owned() }).await;
        ToldStep { teller: self.clone(), step, began: Instant::now() }
    }
}

/// A step that was told to have begun.
#[derive(Clone, Debug)]
pub(super) struct ToldStep {
    teller: Teller,
    step: u32,
    began: Instant,
}

impl ToldStep {
    /// Passes on what it wrote.
    pub(super) async fn output(&self, error: bool, bytes: Vec<u8>) {
        self.teller.say(BuildEvent::Output { step: self.step, error, bytes }).await;
    }

    /// Passes on what it wrote, unless whoever listens has no room for it now.
    pub(super) fn try_output(&self, error: bool, bytes: Vec<u8>) -> bool {
        self.teller.tell.try_send(BuildEvent::Output { step: self.step, error, bytes }).is_ok()
    }

    /// Tells how far it is, to whoever has time to hear it.
    pub(super) fn progress(&self, what: &str, current: u64, total: Option<u64>) {
        let event = BuildEvent::Progress { step: self.step, what: what.to_owned(), current, total };
        let _ = self.teller.tell.try_send(event);
    }

    /// Tells how it ended.
    pub(super) async fn end(self, end: StepEnd) {
        self.teller.say(BuildEvent::Ended { step: self.step, end, took: self.began.elapsed() }).await;
    }
}
