//! A subscription to an engine's events.

use crate::resource::event::Event;
use crate::resource::failure::Failure;

/// A subscription to an engine's events.
#[derive(Debug)]
pub struct EventStream {}

impl EventStream {
    /// Returns the next event; `None` once the filter's end is reached or the engine leaves.
    pub async fn next(&mut self) -> Option<Result<Event, Failure>> {
        todo!()
    }
}
