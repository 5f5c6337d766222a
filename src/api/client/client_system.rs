//! What an engine tells of itself, its events, and its end.

use crate::api::client::Client;
use crate::api::client::event::EventStream;
use crate::resource::event::EventFilter;
use crate::resource::failure::Failure;
use crate::resource::system::{EngineVersion, SystemInfo};

impl Client {
    /// Returns when the engine answers.
    pub async fn ping(&self) -> Result<(), Failure> {
        todo!()
    }

    /// Returns which engine it is.
    pub async fn version(&self) -> Result<EngineVersion, Failure> {
        todo!()
    }

    /// Returns what the engine knows of itself and its machine.
    pub async fn info(&self) -> Result<SystemInfo, Failure> {
        todo!()
    }

    /// Returns events: those since an instant, then those to come. It sees all that happens after this call returned.
    pub async fn events(&self, filter: &EventFilter) -> Result<EventStream, Failure> {
        todo!("{filter:?}")
    }

    /// Stops every container of our own engine, and the engine (`engine stop`). Another engine refuses.
    pub async fn stop_engine(&self) -> Result<(), Failure> {
        todo!()
    }
}
