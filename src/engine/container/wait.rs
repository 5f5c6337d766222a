//! Waiting for an end of a container.

use crate::resource::container::ExitStatus;
use crate::resource::failure::Failure;

/// A wait that has begun: what happened since is not missed.
#[derive(Debug)]
pub struct ContainerWait {}

impl ContainerWait {
    /// Returns how the container ended once the condition holds.
    pub async fn status(self) -> Result<ExitStatus, Failure> {
        todo!()
    }
}
