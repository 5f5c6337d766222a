//! What a service has of others: their namespaces, their volumes, names for them.

use serde::Serialize;

use crate::resource::name::ServiceName;

/// Another container, as a file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Other {
    /// That of a service; its first where it has several.
    Service(ServiceName),
    /// One that no service of the project has, by name or id.
    Container(String),
}

impl Other {
    /// The service, if it is one.
    pub const fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service(name) => Some(name),
            Self::Container(_) => None,
        }
    }
}

/// Where a service's network lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ServiceNetworkMode {
    /// On networks of the project.
    #[default]
    Networks,
    /// On the engine's own network.
    Bridge,
    /// Nowhere.
    None,
    /// With the host.
    Host,
    /// With another container.
    With(Other),
    /// On a network of the engine, by its name there.
    Named(String),
}

/// The process-id namespace of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ServicePid {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// Another container's.
    With(Other),
}

/// The IPC namespace of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ServiceIpc {
    /// Its own.
    #[default]
    Private,
    /// Its own, for others to join.
    Shareable,
    /// Its own, without `/dev/shm`.
    None,
    /// The host's.
    Host,
    /// Another container's.
    With(Other),
}

/// A name of a service's own for another container: an entry of `links` or `external_links`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Who is meant; every container of a service.
    pub to: Other,
    /// The name.
    pub alias: String,
}

/// An entry of `volumes_from`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumesFrom {
    /// Whose volumes.
    pub from: Other,
    /// They cannot be written.
    pub read_only: bool,
}
