//! How the image of a service is built, and which services are built on one another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::compose::project::diagnostic::Diagnostics;
use crate::compose::project::model::{Project, Service, Subject};
use crate::resource::build::BuildNetwork;
use crate::resource::container::Ulimit;
use crate::resource::name::ServiceName;

/// How the image of a service is built.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Build {
    /// The folder to build in.
    pub context: BuildContext,
    /// The Dockerfile.
    pub dockerfile: Dockerfile,
    /// The stage to build; the last one when absent.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Further folders and images by name.
    pub contexts: BTreeMap<String, BuildContext>,
    /// The secrets the build may read, by the id that the Dockerfile knows.
    pub secrets: BTreeMap<String, BuildSecret>,
    /// The agents the build may ask, by id; without a path, that of the environment.
    pub ssh: BTreeMap<String, Option<PathBuf>>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Further names of the image.
    pub tags: Vec<String>,
    /// The network of its commands.
    pub network: BuildNetwork,
    /// Names and their addresses, `NAME=ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Limits of its processes.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Every step is done anew.
    pub no_cache: bool,
    /// The stages of which every step is done anew.
    pub no_cache_filter: BTreeSet<String>,
    /// The images it builds on are pulled anew.
    pub pull: bool,
    /// The platforms to build for.
    pub platforms: Vec<String>,
    /// Where cached steps may come from, as written.
    pub cache_from: Vec<String>,
    /// Where they go to, as written.
    pub cache_to: Vec<String>,
    /// What it may do beside the usual, as written.
    pub entitlements: Vec<String>,
}

/// What a build reads from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum BuildContext {
    /// A folder of this machine.
    Folder(PathBuf),
    /// An image, by reference.
    Image(String),
    /// The image that another service's build makes.
    Service(ServiceName),
    /// Something elsewhere, by its address.
    Elsewhere(String),
}

/// Where a Dockerfile is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Dockerfile {
    /// A file, relative to the context.
    File(String),
    /// It stands in the project's file.
    Inline(String),
}

/// Where a secret of a build comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum BuildSecret {
    /// A file of the host.
    File(PathBuf),
    /// A variable of the project's environment.
    Environment(String),
}

impl Build {
    /// The services whose images it builds on.
    pub fn bases(&self) -> impl Iterator<Item = &ServiceName> {
        self.contexts.values().filter_map(|context| match context {
            BuildContext::Service(name) => Some(name),
            _ => None,
        })
    }

    /// The images that it may take steps from: `cache_from` names others, too.
    pub fn cache_images(&self) -> impl Iterator<Item = &str> {
        self.cache_from.iter().filter_map(|entry| cache_image(entry))
    }
}

/// The image that an entry of `cache_from` names: `IMAGE`, or `type=registry,ref=IMAGE`.
pub(crate) fn cache_image(entry: &str) -> Option<&str> {
    if !entry.contains('=') {
        return Some(entry);
    }
    let field = |key: &str| entry.split(',').find_map(|field| field.trim().strip_prefix(key)?.strip_prefix('='));
    field("ref").filter(|_| field("type") == Some("registry"))
}

impl Project {
    /// These services, and those that their builds and the builds of those build on, enabled or not.
    pub fn with_bases<'a>(&'a self, services: impl IntoIterator<Item = &'a ServiceName>) -> BTreeMap<&'a ServiceName, &'a Arc<Service>> {
        let mut open: Vec<&ServiceName> = services.into_iter().collect();
        let mut found = BTreeMap::new();
        while let Some(name) = open.pop() {
            let known = self.services.get_key_value(name).or_else(|| self.disabled.get_key_value(name));
            let Some((name, service)) = known.filter(|(name, _)| !found.contains_key(*name)) else { continue };
            found.insert(name, service);
            open.extend(service.build.iter().flat_map(|build| build.bases()));
        }
        found
    }

    /// What stands against building the images of these services here.
    pub fn build_refusals(&self, services: &BTreeSet<ServiceName>) -> Diagnostics {
        self.refusals_of(|subject| matches!(subject, Subject::Build(name) if services.contains(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_a_cache_are_found() {
        for (entry, expect) in [
            ("example/a:cache", Some("example/a:cache")),
            ("type=registry,ref=registry.test/a", Some("registry.test/a")),
            ("type=local,src=./cache", None),
            ("type=gha", None),
            ("type=gha,ref=x", None),
        ] {
            assert_eq!(cache_image(entry), expect, "{entry}");
        }
    }
}
