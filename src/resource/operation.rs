//! The closed set of changes a plan is made of. Each refers to things by name, never by an id born during the run.

use std::time::Duration;

use crate::resource::build::ImageBuild;
use crate::resource::container::{ContainerSpec, EndpointSpec};
use crate::resource::exec::ExecSpec;
use crate::resource::name::{ContainerName, NetworkName, VolumeName};
use crate::resource::network::NetworkSpec;
use crate::resource::volume::VolumeSpec;

/// What a waiting operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The container runs.
    Started,
    /// Its health check succeeded.
    Healthy,
    /// It ended with code 0.
    Completed,
}

/// When a command of the user's runs beside a container's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// After each start.
    PostStart,
    /// Before each stop.
    PreStop,
}

impl HookKind {
    /// The attribute that holds it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
        }
    }
}

/// One change to one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Brings an image in.
    PullImage {
        /// The reference as written.
        image: String,
        /// The platform asked for.
        platform: Option<String>,
    },
    /// Brings an image to its registry.
    PushImage {
        /// The reference as written.
        image: String,
    },
    /// Builds an image.
    BuildImage {
        /// The name it has for its service.
        image: String,
        /// What is built, and from what.
        build: Box<ImageBuild>,
    },
    /// Makes a network.
    CreateNetwork {
        /// Its name.
        name: NetworkName,
        /// What is wanted.
        spec: Box<NetworkSpec>,
    },
    /// Removes a network; one still in use is left with a warning.
    RemoveNetwork {
        /// Its name or id.
        name: String,
    },
    /// Makes a volume.
    CreateVolume {
        /// Its name.
        name: VolumeName,
        /// What is wanted.
        spec: Box<VolumeSpec>,
    },
    /// Removes a volume; one still in use is left with a warning.
    RemoveVolume {
        /// Its name.
        name: String,
    },
    /// Removes a name of an image, and the image with its last; one still in use is left with a warning.
    RemoveImage {
        /// Its name.
        name: String,
    },
    /// Makes a container.
    CreateContainer {
        /// Its name.
        name: ContainerName,
        /// What is wanted.
        spec: Box<ContainerSpec>,
        /// The container whose place it takes, with that one's anonymous volumes.
        inherit: Option<String>,
    },
    /// Gives a container another name.
    RenameContainer {
        /// The old name.
        from: String,
        /// The new name.
        to: ContainerName,
    },
    /// Joins a container to a network.
    ConnectNetwork {
        /// The network's name.
        network: NetworkName,
        /// The container's name.
        container: ContainerName,
        /// What it is called and which addresses it wants there.
        endpoint: Box<EndpointSpec>,
    },
    /// Takes a container off a network, running or not.
    DisconnectNetwork {
        /// The network's name.
        network: String,
        /// The container's name.
        container: ContainerName,
    },
    /// Lets a frozen container go on.
    UnpauseContainer {
        /// Its name.
        name: ContainerName,
    },
    /// Runs a command in a running container, and fails if that fails.
    RunHook {
        /// The container's name.
        container: String,
        /// The service, for messages.
        service: String,
        /// When it runs.
        kind: HookKind,
        /// Its place among the hooks of that kind.
        index: usize,
        /// What it runs.
        exec: Box<ExecSpec>,
    },
    /// Runs a container of its own to its end before those of a service start. It goes when it ended well; else it stays, to be looked at.
    RunPreStart {
        /// The container's name.
        name: ContainerName,
        /// The service, for messages.
        service: String,
        /// Its place among the hooks.
        index: usize,
        /// What it is.
        spec: Box<ContainerSpec>,
    },
    /// Starts a container.
    StartContainer {
        /// Its name.
        name: ContainerName,
    },
    /// Waits for a container.
    AwaitContainer {
        /// Its name.
        name: ContainerName,
        /// What for.
        condition: Condition,
        /// The dependency may fail or be missing; then this is a warning.
        required: bool,
        /// The service that waits, for messages.
        waiter: String,
    },
    /// Stops a container.
    StopContainer {
        /// Its name.
        name: String,
        /// From the stop signal to SIGKILL; the container's own when absent.
        timeout: Option<Duration>,
        /// Somebody may notice that the wait was skipped: a one-off, or a job that others await.
        patient: bool,
    },
    /// Removes a container.
    RemoveContainer {
        /// Its name.
        name: String,
        /// Its anonymous volumes, too.
        volumes: bool,
    },
}
