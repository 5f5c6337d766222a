//! Events: numbered in a ring that outlives the engine, and told to whoever subscribed.

use crate::resource::event::Event;

/// A subscription to events.
#[derive(Debug)]
pub struct EventReader {}

impl EventReader {
    /// Returns the next event; `None` once the filter's end is reached or the engine leaves.
    pub async fn next(&mut self) -> Option<Event> {
        todo!()
    }
}
