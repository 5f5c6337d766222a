//! Waiting for an end of a container.

use tokio::sync::watch;

use crate::engine::container::entry::{Container, Life};
use crate::resource::container::{ContainerState, ExitStatus, WaitCondition};
use crate::resource::failure::Failure;

/// A wait that has begun: what happened since is not missed.
#[derive(Debug)]
pub struct ContainerWait {
    life: watch::Receiver<Life>,
    /// As many ends as there were when the wait began; `None` when it is the removal that is waited for.
    before: Option<u64>,
    /// Nothing has to happen.
    held: Option<ExitStatus>,
}

impl ContainerWait {
    /// Begins to wait.
    pub(in crate::engine) fn begin(container: &Container, condition: WaitCondition) -> Self {
        let life = container.watch();
        let (before, held) = {
            let now = life.borrow();
            // One that is between two lives counts as running, as with Docker.
            let runs = matches!(now.state, ContainerState::Running { .. } | ContainerState::Restarting { .. });
            match condition {
                WaitCondition::NotRunning if !runs => (None, Some(now.last.clone())),
                WaitCondition::NotRunning | WaitCondition::NextExit => (Some(now.ends), None),
                WaitCondition::Removed => (None, None),
            }
        };
        Self { life, before, held }
    }

    /// Returns how the container ended once the condition holds.
    pub async fn status(mut self) -> Result<ExitStatus, Failure> {
        if let Some(held) = self.held {
            return Ok(held);
        }
        let before = self.before;
        let held = |life: &Life| life.removed || before.is_some_and(|before| life.ends > before);
        match self.life.wait_for(held).await {
            Ok(life) => Ok(life.last.clone()),
            // The engine leaves while somebody waits.
            Err(_) => Err(Failure::unavailable("the engine leaves: it is not known how the container ends")),
        }
    }
}
