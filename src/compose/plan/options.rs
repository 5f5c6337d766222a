//! What a caller may choose about a plan, and why there may be none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::compose::plan::graph::Cycle;
use crate::compose::project::model::FileKind;
use crate::resource::name::{NameError, ServiceName};

/// When an existing container is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recreate {
    /// When it is not what is wanted.
    #[default]
    Diverged,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Choices of `up`.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// The services that were named; all when empty. The others in the project are their dependencies.
    pub services: BTreeSet<ServiceName>,
    /// When containers of the named services are replaced.
    pub recreate: Recreate,
    /// When containers of their dependencies are replaced.
    pub recreate_dependencies: Recreate,
    /// Replaced containers get new anonymous volumes.
    pub renew_anonymous_volumes: bool,
    /// Volumes, by name, that exist otherwise than they are wanted and may be made anew, their data lost.
    pub renew_volumes: BTreeSet<String>,
    /// Containers of services that no file names are removed.
    pub remove_orphans: bool,
    /// Orphans are not even mentioned (`COMPOSE_IGNORE_ORPHANS`).
    pub ignore_orphans: bool,
    /// Containers are started; with `false` only made.
    pub start: bool,
    /// The plan ends only when every named service is running, or healthy if it has a check.
    pub wait: bool,
    /// Grace for containers that are replaced or removed.
    pub timeout: Option<Duration>,
    /// A missing image is pulled; with `false` it is an error.
    pub pull: bool,
    /// How many containers, instead of the file's number.
    pub scale: BTreeMap<ServiceName, u32>,
    /// Images that are built before, by name: a dry run has none of them here.
    pub built: BTreeSet<String>,
}

impl Default for UpOptions {
    fn default() -> Self {
        Self {
            services: BTreeSet::new(),
            recreate: Recreate::Diverged,
            recreate_dependencies: Recreate::Diverged,
            renew_anonymous_volumes: false,
            renew_volumes: BTreeSet::new(),
            remove_orphans: false,
            ignore_orphans: false,
            start: true,
            wait: false,
            timeout: None,
            pull: true,
            scale: BTreeMap::new(),
            built: BTreeSet::new(),
        }
    }
}

/// Choices of `down`.
#[derive(Clone, Debug, Default)]
pub struct DownOptions {
    /// The services that were named, which go with those that depend on them; all when empty.
    pub services: BTreeSet<ServiceName>,
    /// Volumes go, too: declared ones and anonymous ones.
    pub volumes: bool,
    /// Containers of services that no file names go, too.
    pub remove_orphans: bool,
    /// Images go, too.
    pub images: Option<ImageScope>,
    /// From the stop signal to SIGKILL; each container's own when absent.
    pub timeout: Option<Duration>,
}

/// Which images `down` removes.
#[derive(Clone, Debug, Default)]
pub struct ImageScope {
    /// Those that services name; otherwise only those that were built for the project.
    pub all: bool,
    /// Images with the project's label: a name of each, and the service it was built for.
    pub built: Vec<(String, String)>,
}

/// Choices of `stop` and `rm`.
#[derive(Clone, Debug, Default)]
pub struct StopPlanOptions {
    /// The services that were named; all when empty.
    pub services: BTreeSet<ServiceName>,
    /// From the stop signal to SIGKILL; each container's own when absent.
    pub timeout: Option<Duration>,
    /// `rm`: anonymous volumes go, too.
    pub volumes: bool,
    /// `rm`: running containers are stopped and removed, too.
    pub running: bool,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Services wait for each other.
    #[error(transparent)]
    Cycle(#[from] Cycle),
    /// A text of the project cannot name a thing of the engine.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A network that is not ours to make does not exist.
    #[error("network {0} declared as external, but could not be found")]
    ExternalNetwork(String),
    /// A volume that is not ours to make does not exist.
    #[error("external volume \"{0}\" not found")]
    ExternalVolume(String),
    /// An image is missing and may not be pulled, or built.
    #[error("image {image} of service \"{service}\" is not here, and may not be pulled")]
    ImageMissing {
        /// The reference.
        image: String,
        /// The service.
        service: ServiceName,
    },
    /// A platform is wanted that an image is not built for.
    #[error("service \"{service}\" is to run on {platform}, and its `build.platforms` does not have that")]
    PlatformUnbuilt {
        /// The service.
        service: ServiceName,
        /// The platform.
        platform: String,
    },
    /// One build makes an image for one platform.
    #[error("service \"{service}\" is to be built for {platforms}: one build makes an image for one platform")]
    SeveralPlatforms {
        /// The service.
        service: ServiceName,
        /// The platforms.
        platforms: String,
    },
    /// A build wants an agent, and none is known.
    #[error("the build of service \"{service}\" wants the agent `{id}`, and SSH_AUTH_SOCK names none")]
    NoAgent {
        /// The service.
        service: ServiceName,
        /// The agent's id.
        id: String,
    },
    /// A build reads from what is not on this machine.
    #[error("service \"{service}\" is to be built from `{address}`, which is no folder of this machine")]
    Elsewhere {
        /// The service.
        service: ServiceName,
        /// The address.
        address: String,
    },
    /// A container that shares something of a service's that has no container.
    #[error("service \"{service}\" cannot share {what} with service \"{with}\": that has no container")]
    NothingToShare {
        /// The service.
        service: ServiceName,
        /// The one without a container.
        with: ServiceName,
        /// What is to be shared.
        what: &'static str,
    },
    /// A named container cannot exist more than once.
    #[error(
        "service \"{service}\" is to run {wanted} times, but its container_name `{name}` can exist only once; remove `container_name`, or scale to 1"
    )]
    NamedTwice {
        /// The service.
        service: ServiceName,
        /// The name.
        name: String,
        /// How many were asked for.
        wanted: u32,
    },
    /// What a secret or config of a container that is to be made holds is not known.
    #[error("cannot create a container of service \"{service}\": {reason}")]
    Content {
        /// The service.
        service: ServiceName,
        /// What it is.
        kind: FileKind,
        /// Its key in the project.
        key: String,
        /// Why.
        reason: String,
    },
    /// A service was named that the project does not have.
    #[error("no such service: {0}")]
    UnknownService(String),
    /// A service whose container is to be started was never created.
    #[error("service \"{0}\" has no container to start")]
    NothingToStart(ServiceName),
}
