//! What the engine tells of itself, its events, and its end.

use crate::engine::Engine;
use crate::engine::event::EventReader;
use crate::resource::event::EventFilter;
use crate::resource::failure::Failure;
use crate::resource::system::{EngineVersion, SystemInfo};

impl Engine {
    /// Returns which engine this is.
    pub fn version(&self) -> EngineVersion {
        todo!()
    }

    /// Returns what is known of the engine and its machine.
    pub async fn info(&self) -> Result<SystemInfo, Failure> {
        todo!()
    }

    /// Returns events: those since an instant from the ring, then those to come. It sees all that happens after this call returned.
    pub fn events(&self, filter: &EventFilter) -> Result<EventReader, Failure> {
        todo!("{filter:?}")
    }

    /// Stops every container with its grace, closes what is open, and tells the keeper that this end is meant (`engine stop`).
    pub async fn stop_and_leave(&self) -> Result<(), Failure> {
        todo!()
    }
}
