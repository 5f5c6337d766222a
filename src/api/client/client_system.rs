//! What an engine tells of itself, its events, and its end.

use crate::api::client::Client;
use crate::api::client::call::Call;
use crate::api::client::event::EventStream;
use crate::api::wire::{extension, system, time};
use crate::resource::event::EventFilter;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::image::Credentials;
use crate::resource::system::{EngineVersion, SystemInfo};

impl Client {
    /// Returns when the engine answers.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.transport.send(&Call::ping()).await?.done().await
    }

    /// Returns which engine it is.
    pub async fn version(&self) -> Result<EngineVersion, Failure> {
        Ok(system::version_from_json(self.transport.send(&Call::get("/version")).await?.json().await?)?)
    }

    /// Returns what the engine knows of itself and its machine.
    pub async fn info(&self) -> Result<SystemInfo, Failure> {
        Ok(system::info_from_json(self.transport.send(&Call::get("/info")).await?.json().await?)?)
    }

    /// Asks a registry, by way of the engine, whether credentials are good.
    pub(super) async fn check_credentials(&self, registry: &str, credentials: &Credentials) -> Result<(), Failure> {
        self.change(Call::post("/auth").json(&system::credentials_to_json(credentials, registry))).await
    }

    /// Returns events: those since an instant, then those to come. It sees all that happens after this call returned.
    pub async fn events(&self, filter: &EventFilter) -> Result<EventStream, Failure> {
        let call = Call::get("/events")
            .option("since", filter.since.map(time::to_query).as_deref())
            .option("until", filter.until.map(time::to_query).as_deref())
            .filters(&filter.filters);
        Ok(EventStream::new(self.transport.send(&call).await?.lines()))
    }

    /// Returns what our own engine wrote down of itself. Another engine has its log elsewhere.
    pub async fn engine_log(&self) -> Result<Vec<u8>, Failure> {
        match self.transport.send(&Call::get(extension::ENGINE_LOG)).await {
            Err(failure) if failure.kind == FailureKind::NotFound => {
                let name = self.transport.name();
                Err(Failure::unsupported(format!(
                    "the engine at {name} is not one of Gantry's, and keeps its log where whoever started it says"
                )))
            }
            Err(failure) => Err(failure),
            Ok(answer) => Ok(answer.bytes().await?.to_vec()),
        }
    }

    /// Stops every container of our own engine, and the engine (`engine stop`); returns once nobody listens any more. Another engine
    /// refuses.
    pub async fn stop_engine(&self) -> Result<(), Failure> {
        let lifeline = self.transport.lifeline().await?;
        match self.change(Call::post(extension::STOP_ENGINE)).await {
            Err(failure) if failure.kind == FailureKind::NotFound => {
                let name = self.transport.name();
                Err(Failure::unsupported(format!("the engine at {name} is not one of Gantry's, and is stopped by whoever started it")))
            }
            // Its end may come before its answer.
            Err(failure) if failure.kind != FailureKind::Unavailable => Err(failure),
            _ if self.transport.until_gone(lifeline).await => Ok(()),
            answered => answered,
        }
    }
}
