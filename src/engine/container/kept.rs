//! What the keeper holds of a running container's state: for an engine whose predecessor could not write it down.
//!
//! A full disk and a damaged record must not cost a process that runs: its addresses and ports are in no other place.

use crate::engine::Engine;
use crate::engine::container::entry::{Container, Life};
use crate::engine::container::record::StateRecord;
use crate::resource::container::ContainerState;
use crate::resource::id::ContainerId;
use crate::resource::time::Timestamp;

fn key(id: ContainerId) -> String {
    format!("state/{id}")
}

impl Engine {
    /// Hands the keeper what is written down of a container that runs, or was to be.
    pub(super) fn keep_state(&self, container: &Container) {
        if let Err(error) = self.shared.keeper.hold_value(&key(container.id()), &container.life().record()) {
            tracing::warn!(container = %container.id(), %error, "what a container does is nowhere but on disk");
        }
    }

    /// Has it forgotten: nothing runs any more.
    pub(super) fn drop_state(&self, id: ContainerId) {
        self.shared.keeper.release(&key(id));
    }

    /// What the engine before this one knew of a life that began at this moment: as it was written down, or as the keeper has it.
    pub(super) fn life_since(&self, id: ContainerId, written: Life, began: Timestamp) -> Option<Life> {
        let kept = || self.shared.keeper.value_under::<StateRecord>(&key(id)).map(Life::of);
        Some(written).filter(|life| runs_since(life, began)).or_else(|| kept().filter(|life| runs_since(life, began)))
    }
}

fn runs_since(life: &Life, began: Timestamp) -> bool {
    matches!(life.state, ContainerState::Running { started_at, .. } if started_at == began)
}
