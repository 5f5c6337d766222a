//! Why an operation is in a plan.

use std::fmt;

use crate::compose::plan::diff::FieldChange;
use crate::resource::id::ImageId;
use crate::resource::name::ServiceName;

/// Why a container is not what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// Recreation was asked for.
    Forced,
    /// These attributes of its service differ.
    Spec(Vec<FieldChange>),
    /// Its specification differs; in which attribute cannot be told, mostly since another tool made the container.
    Hash,
    /// Its image's name now means another image.
    Image {
        /// The image it was made from.
        from: ImageId,
        /// The image the name means.
        to: ImageId,
    },
    /// It is not on a network it wants.
    Network(String),
    /// It lacks a volume at this path.
    Volume(String),
    /// What was written into it at these paths is another content now.
    Files(Vec<String>),
    /// It shares something with another service's container, and that is made anew, or was.
    Shares {
        /// The other service.
        with: ServiceName,
        /// What it shares: `network`, `pid`, `ipc` or `volumes`.
        what: &'static str,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forced => formatter.write_str("recreation was asked for"),
            Self::Spec(changes) => {
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                write!(formatter, "changed: {}", changes.join(", "))
            }
            Self::Hash => formatter.write_str("the configuration differs from the one it was made with"),
            Self::Image { from, to } => write!(formatter, "image changed: {} -> {}", from.short(), to.short()),
            Self::Network(name) => write!(formatter, "not on network {name}"),
            Self::Volume(target) => write!(formatter, "no volume at {target}"),
            Self::Files(targets) => write!(formatter, "content changed: {}", targets.join(", ")),
            Self::Shares { with, what } => write!(formatter, "shares {what} with {with}, which is made anew"),
        }
    }
}

/// Why an operation is in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What is wanted does not exist.
    Missing,
    /// It exists and does not run.
    NotRunning,
    /// It was just made.
    Created,
    /// It is being replaced.
    Diverged(Divergence),
    /// More of the service exist than are wanted.
    Surplus {
        /// How many are wanted.
        wanted: u32,
    },
    /// No file names its service.
    Orphan,
    /// An earlier run ended between two steps of a replacement.
    Interrupted,
    /// This service waits for it.
    DependencyOf(ServiceName),
    /// This service, on which it depends, restarts.
    RestartsWith(ServiceName),
    /// Its network is made anew.
    NetworkChanged(String),
    /// Its volume is made anew.
    VolumeChanged(String),
    /// This service starts after it.
    BeforeStart(ServiceName),
    /// The caller wants to know that it is up.
    Wait,
    /// The run that made it failed.
    Failed,
    /// The project goes down, or the caller wants it so.
    Asked,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("missing"),
            Self::NotRunning => formatter.write_str("not running"),
            Self::Created => formatter.write_str("created"),
            Self::Diverged(divergence) => divergence.fmt(formatter),
            Self::Surplus { wanted } => write!(formatter, "{wanted} wanted"),
            Self::Orphan => formatter.write_str("orphan"),
            Self::Interrupted => formatter.write_str("left by an interrupted run"),
            Self::DependencyOf(service) => write!(formatter, "{service} depends on it"),
            Self::RestartsWith(service) => write!(formatter, "restarts with {service}"),
            Self::NetworkChanged(network) => write!(formatter, "network {network} changed"),
            Self::VolumeChanged(volume) => write!(formatter, "volume {volume} changed"),
            Self::BeforeStart(service) => write!(formatter, "before {service} starts"),
            Self::Wait => formatter.write_str("--wait"),
            Self::Failed => formatter.write_str("what it was made for failed"),
            Self::Asked => formatter.write_str("asked"),
        }
    }
}
