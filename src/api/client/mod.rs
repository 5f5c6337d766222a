//! Speaks to an engine over its socket, and starts ours when none listens.

pub mod client_container;
mod client_exec;
mod client_image;
mod client_network;
mod client_system;
mod client_volume;
pub mod event;
pub mod hijack;
pub mod log;
pub mod target;

use std::sync::Arc;

use crate::api::client::target::Target;
use crate::resource::failure::Failure;

/// A client of one engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    target: Arc<Target>,
}

impl Client {
    /// Connects to an engine. Ours is started when nothing listens; another one has to be there.
    pub async fn connect(target: &Target) -> Result<Self, Failure> {
        Err(Failure::unsupported(format!("this build cannot speak to {target} yet: `config` works, what needs an engine does not")))
    }

    /// The engine it speaks to.
    pub fn target(&self) -> &Target {
        &self.target
    }
}
