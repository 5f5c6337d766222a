//! One snapshot of a project, taken over the API for a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::client::Client;
use crate::cli::error::CommandError;
use crate::compose::plan::{ObservedState, label};
use crate::compose::project::model::Project;
use crate::resource::container::{ContainerFilter, ContainerInfo};
use crate::resource::name::ProjectName;
use crate::resource::observation::Observation;

/// Containers with a project's label, running or not.
pub(crate) async fn containers(client: &Client, project: &ProjectName) -> Result<Vec<ContainerInfo>, CommandError> {
    let filter = ContainerFilter { all: true, filters: label::project_filter(project.as_str()) };
    Ok(client.containers(&filter).await?)
}

/// The same, sorted: all that most commands need.
pub(crate) async fn replicas(client: &Client, project: &ProjectName) -> Result<ObservedState, CommandError> {
    Ok(ObservedState::new(project, Observation { containers: containers(client, project).await?, ..Observation::default() }))
}

/// Everything with a project's label, and what its files name beside.
pub(crate) async fn project(client: &Client, name: &ProjectName, project: Option<&Project>) -> Result<ObservedState, CommandError> {
    let own = project.iter().flat_map(|it| it.services.values()).flat_map(|service| service.images());
    // What is built on another image of the project needs to know of that.
    let bases = project.iter().flat_map(|it| it.with_bases(it.services.keys()).into_values()).map(|service| service.image.as_str());
    let references: BTreeSet<&str> = own.chain(bases.filter(|image| !image.is_empty())).collect();
    let mut seen = client.observe(&label::project_filter(name.as_str()), &references).await?;
    let is_ours = |labels: &BTreeMap<String, String>| labels.get(label::PROJECT).is_some_and(|it| *name == **it);
    let named: BTreeSet<&str> = project.iter().flat_map(|it| it.networks.values()).map(|network| network.name.as_str()).collect();
    seen.networks.retain(|it| is_ours(&it.spec.labels) || named.contains(it.name.as_str()) || named.contains(it.id.to_string().as_str()));
    let named: BTreeSet<&str> = project.iter().flat_map(|it| it.volumes.values()).map(|volume| volume.name.as_str()).collect();
    // Those without a name of their own belong to whoever mounts them.
    let mounted: BTreeSet<&str> = seen.containers.iter().flat_map(|it| &it.mounts).filter_map(|mount| mount.name.as_deref()).collect();
    seen.volumes
        .retain(|it| is_ours(&it.spec.labels) || named.contains(it.name.as_str()) || it.anonymous && mounted.contains(it.name.as_str()));
    Ok(ObservedState::new(name, seen))
}
