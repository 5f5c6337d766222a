//! What callers ask of containers beside their making: to stop, to be listed, waited for, attached to.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::resource::container::{ContainerSpec, Resources, RestartPolicy};
use crate::resource::image::ImageReference;

/// How to stop a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// From the stop signal to SIGKILL; the container's own when absent.
    pub timeout: Option<Duration>,
    /// The signal instead of the container's own, by its number.
    pub signal: Option<i32>,
    /// The wait may be skipped where nobody can notice: DESIGN.md §5, Life. Only our own command line asks.
    pub skip_deaf: bool,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was given its time.
    Waited,
    /// Nothing in it could notice the stop signal, so it was not waited for.
    Unheard,
}

/// Which containers a list is to hold, in Docker's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFilter {
    /// Those that do not run, too.
    pub all: bool,
    /// `label`, `name`, `id`, `status`, `network`, `volume`, `ancestor`, `health`, `exited`… and their values.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// What is to be changed of a container that exists; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerChange {
    /// Limits. A limit of processes that is not positive takes the limit away.
    pub resources: Resources,
    /// Whether it starts again by itself.
    pub restart: Option<RestartPolicy>,
}

/// How a container is to become an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommitOptions {
    /// The image's name.
    pub reference: Option<ImageReference>,
    /// A note in its history.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// It does not run meanwhile.
    pub pause: bool,
    /// Lines of a Dockerfile that change its configuration.
    pub changes: Vec<String>,
    /// What counts before the container's own configuration; of a spec only what an image can have.
    pub config: Option<ContainerSpec>,
}

/// Which end of a container a caller waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// It does not run; true at once where it never ran.
    #[default]
    NotRunning,
    /// The next time it ends, even if it has not been started yet.
    NextExit,
    /// It is removed.
    Removed,
}

/// What of a container's streams a caller wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// The caller sends standard input.
    pub stdin: bool,
    /// The caller wants standard output.
    pub stdout: bool,
    /// The caller wants standard error.
    pub stderr: bool,
    /// What was written before, first.
    pub logs: bool,
    /// What will be written; without it the stream ends after the logs.
    pub stream: bool,
    /// Keys that detach, in Docker's spelling.
    pub detach_keys: Option<String>,
}
