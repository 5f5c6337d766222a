//! A subscription to an engine's events.

use crate::api::client::answer::Lines;
use crate::api::wire::event;
use crate::resource::event::Event;
use crate::resource::failure::Failure;

/// A subscription to an engine's events.
#[derive(Debug)]
pub struct EventStream {
    lines: Lines,
}

impl EventStream {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines }
    }

    /// Returns the next event; `None` once the filter's end is reached or the engine leaves. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Result<Event, Failure>> {
        loop {
            match event::from_json(match self.lines.next().await? {
                Ok(line) => line,
                Err(failure) => return Some(Err(failure)),
            }) {
                Ok(Some(event)) => {
                    let lagged = event::lag_of(&event).map(Failure::unavailable);
                    return Some(lagged.map_or(Ok(event), Err));
                }
                // About a kind of thing that only another engine has.
                Ok(None) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}
