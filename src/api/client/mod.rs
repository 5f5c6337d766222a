//! Speaks to an engine over its socket, and starts ours when none listens.
//!
//! A request goes over a connection that no other uses, and leaves it behind for the next; what goes on for long (events, a log that is
//! followed, a wait, the streams of a process) has its connection for itself. The version of the API is not asked for: requests are made
//! in the newest one we speak, and an engine that is older says so in its answer, whereupon they are made in its newest.

mod answer;
pub mod build;
mod call;
mod claim;
pub mod client_archive;
mod client_build;
pub mod client_container;
mod client_exec;
mod client_image;
mod client_network;
mod client_observation;
mod client_system;
mod client_volume;
mod credential;
mod credential_store;
pub mod custom_header;
pub mod dial;
pub mod docker_configuration;
pub mod docker_context;
pub mod event;
pub mod hijack;
pub mod log;
mod older;
mod plain_file;
mod raw;
mod socket;
pub mod ssh;
pub mod ssh_target;
mod start;
pub mod stats;
pub mod target;
pub mod tls;
mod transport;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::client::custom_header::CustomHeaders;
use crate::api::client::target::Target;
use crate::api::client::transport::{Transport, minor_of};
use crate::resource::failure::Failure;
use crate::resource::image::Credentials;

/// Forgets the credentials of a registry in a folder of Docker's configuration, or with the helper named there; false where there were none.
pub async fn logout(folder: Option<PathBuf>, registry: &str) -> Result<bool, Failure> {
    let folder = folder.ok_or_else(homeless)?;
    let registry = registry.to_owned();
    apart(move || credential_store::erase(&folder, &registry)).await
}

fn homeless() -> Failure {
    Failure::invalid("there is no place for credentials: set HOME, or DOCKER_CONFIG to a folder")
}

/// Does what may take its time, such as to ask a helper, on a thread for such work.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::internal(format!("the work on credentials broke off: {error}")))?
}

/// A client of one engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    docker_config: Option<Arc<Path>>,
}

impl Client {
    /// Connects to an engine; every request is to have these headers. Ours is started when nothing listens; another one has to be there.
    pub async fn connect(target: &Target, headers: &CustomHeaders) -> Result<Self, Failure> {
        Ok(Self::over(Transport::connect(target, headers).await?))
    }

    /// Connects to an engine that runs; none where nobody listens. Whatever else keeps us from one is a failure.
    pub async fn running(target: &Target, headers: &CustomHeaders) -> Result<Option<Self>, Failure> {
        Ok(Transport::running(target, headers).await?.map(Self::over))
    }

    fn over(transport: Transport) -> Self {
        Self { transport: Arc::new(transport), docker_config: None }
    }

    /// Speaks a version of the API that is written as `1.43`, whatever the engine's newest is.
    pub fn speaking(self, version: &str) -> Result<Self, Failure> {
        match minor_of(version).filter(|minor| (older::OLDEST..=transport::newest()).contains(minor)) {
            Some(minor) => self.transport.speak(minor),
            None => {
                let (oldest, newest) = (older::OLDEST, transport::newest());
                return Err(Failure::invalid(format!("`{version}` is no version of the API from 1.{oldest} to 1.{newest}")));
            }
        }
        Ok(self)
    }

    /// Takes the credentials of registries from the `config.json` in a folder, and from the helpers it names.
    #[must_use]
    pub fn with_docker_config(self, folder: Option<PathBuf>) -> Self {
        Self { docker_config: folder.map(Into::into), ..self }
    }

    /// Has the engine ask a registry whether credentials are good, and keeps them; returns where.
    pub async fn login(&self, registry: &str, credentials: &Credentials) -> Result<String, Failure> {
        let folder = self.docker_config.clone().ok_or_else(homeless)?;
        self.check_credentials(registry, credentials).await?;
        let (registry, credentials) = (registry.to_owned(), credentials.clone());
        apart(move || credential_store::store(&folder, &registry, &credentials)).await
    }

    /// The engine it speaks to.
    pub fn target(&self) -> &Target {
        self.transport.target()
    }
}
