//! Names that can stand for an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Arg;
use clap_complete::engine::CompletionCandidate;

use crate::api::client::Client;
use crate::cli::context::Context;
use crate::compose::plan::label;
use crate::compose::project::model::{Project, Service};
use crate::resource::container::{ContainerFilter, ContainerInfo};
use crate::resource::name::ServiceName;

/// A kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A service of the project.
    Service,
    /// A service, and how many containers it is to have.
    ServiceCount,
    /// A service and a path in it; or a path of this machine.
    ServicePath,
    /// A project that an engine has.
    Project,
    /// A profile of the project.
    Profile,
    /// The number of a container of a service, shown with the container's name.
    Replica,
    /// An image that an engine has.
    Image,
}

impl Kind {
    /// What an argument promises in its placeholder.
    pub(super) fn of(argument: &Arg) -> Option<Self> {
        match (argument.get_id().as_str(), argument.get_value_names()?.first()?.as_str()) {
            (_, "SERVICE") => Some(Self::Service),
            (_, "SERVICE=N") => Some(Self::ServiceCount),
            ("source" | "destination", "SOURCE" | "DESTINATION") => Some(Self::ServicePath),
            ("project_name", _) => Some(Self::Project),
            (_, "PROFILE") => Some(Self::Profile),
            ("index", _) => Some(Self::Replica),
            (_, "IMAGE") => Some(Self::Image),
            _ => None,
        }
    }
}

/// Names at two times.
pub(super) enum Names {
    /// Nobody has looked yet: this is what they are asked for.
    Wanted(Arc<Mutex<BTreeSet<Kind>>>),
    /// What there is.
    Found(BTreeMap<Kind, Vec<CompletionCandidate>>),
}

impl Names {
    /// The names of a kind, or a note that they are wanted.
    pub(super) fn of(&self, kind: Kind) -> Vec<CompletionCandidate> {
        match self {
            Self::Wanted(kinds) => {
                kinds.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
                Vec::new()
            }
            Self::Found(names) => {
                let again = |found: &CompletionCandidate| CompletionCandidate::new(found.get_value()).help(found.get_help().cloned());
                names.get(&kind).into_iter().flatten().map(again).collect()
            }
        }
    }
}

/// Looks names up: in files, and with an engine if one runs. Neither is looked at for names that are not there.
pub(super) async fn find(kinds: &BTreeSet<Kind>, context: &Context) -> BTreeMap<Kind, Vec<CompletionCandidate>> {
    let mut found = BTreeMap::new();
    let in_files = |kind: &Kind| matches!(kind, Kind::Profile | Kind::Service | Kind::ServiceCount | Kind::ServicePath);
    let project = if kinds.iter().any(in_files) { context.whole_project() } else { None };
    let in_engine = |kind: &Kind| *kind != Kind::Profile && (project.is_none() || !in_files(kind));
    let client = if kinds.iter().any(in_engine) { context.running().await.ok().flatten() } else { None };
    for &kind in kinds {
        let names = match kind {
            Kind::Profile => profiles(project.as_ref()),
            Kind::Service => services(project.as_ref(), context, client.as_ref(), "").await,
            Kind::ServiceCount => services(project.as_ref(), context, client.as_ref(), "=").await,
            Kind::ServicePath => services(project.as_ref(), context, client.as_ref(), ":").await,
            Kind::Project => projects(client.as_ref()).await,
            Kind::Replica => replicas(context, client.as_ref()).await,
            Kind::Image => images(client.as_ref()).await,
        };
        found.insert(kind, names);
    }
    found
}

fn profiles(project: Option<&Project>) -> Vec<CompletionCandidate> {
    let services = project.into_iter().flat_map(|project| project.services.values());
    let names: BTreeSet<&String> = services.flat_map(|service| &service.profiles).collect();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Services of the files, with their images; where there are no files, those of the project's containers.
async fn services(project: Option<&Project>, context: &Context, client: Option<&Client>, end: &str) -> Vec<CompletionCandidate> {
    if let Some(project) = project {
        let candidate = |(name, service): (&ServiceName, &Arc<Service>)| {
            let help = Some(service.image.clone()).filter(|image| !image.is_empty()).map(Into::into);
            CompletionCandidate::new(format!("{name}{end}")).help(help)
        };
        return project.services.iter().map(candidate).collect();
    }
    let containers = containers(context, client).await;
    let names: BTreeSet<&String> = containers.iter().filter_map(|info| info.spec.labels.get(label::SERVICE)).collect();
    names.into_iter().map(|name| CompletionCandidate::new(format!("{name}{end}"))).collect()
}

async fn replicas(context: &Context, client: Option<&Client>) -> Vec<CompletionCandidate> {
    let containers = containers(context, client).await;
    let numbered = containers.iter().filter_map(|info| Some((info.spec.labels.get(label::NUMBER)?, info.name.to_string())));
    let mut numbers: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    numbered.for_each(|(number, name)| numbers.entry(number).or_default().push(name));
    let candidate = |(number, names): (&String, Vec<String>)| CompletionCandidate::new(number).help(Some(names.join(", ").into()));
    numbers.into_iter().map(candidate).collect()
}

/// The containers of the project that is meant.
async fn containers(context: &Context, client: Option<&Client>) -> Vec<ContainerInfo> {
    let Some(client) = client else { return Vec::new() };
    let Some(project) = context.quiet_name() else { return Vec::new() };
    let filters = BTreeMap::from([("label".to_owned(), vec![format!("{}={project}", label::PROJECT)])]);
    client.containers(&ContainerFilter { all: true, filters }).await.unwrap_or_default()
}

async fn projects(client: Option<&Client>) -> Vec<CompletionCandidate> {
    let Some(client) = client else { return Vec::new() };
    let filters = BTreeMap::from([("label".to_owned(), vec![label::PROJECT.to_owned()])]);
    let containers = client.containers(&ContainerFilter { all: true, filters }).await.unwrap_or_default();
    let names: BTreeSet<&String> = containers.iter().filter_map(|info| info.spec.labels.get(label::PROJECT)).collect();
    names.into_iter().map(CompletionCandidate::new).collect()
}

async fn images(client: Option<&Client>) -> Vec<CompletionCandidate> {
    let Some(client) = client else { return Vec::new() };
    let images = client.images(&BTreeMap::new()).await.unwrap_or_default();
    let names: BTreeSet<&String> = images.iter().flat_map(|image| &image.tags).collect();
    names.into_iter().map(CompletionCandidate::new).collect()
}
