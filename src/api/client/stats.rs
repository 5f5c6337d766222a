//! What a container uses, as it comes.

use crate::api::client::answer::Lines;
use crate::api::wire::stats;
use crate::resource::failure::Failure;
use crate::resource::stats::ContainerStats;

/// Looks at a container, one a second.
#[derive(Debug)]
pub struct StatsStream {
    lines: Lines,
}

impl StatsStream {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines }
    }

    /// Returns the next look; `None` once the container is gone or the engine leaves. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Result<ContainerStats, Failure>> {
        Some(self.lines.next().await?.and_then(|line| Ok(stats::from_json(line)?)))
    }
}
