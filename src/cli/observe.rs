//! One snapshot of a project, taken over the API for a plan.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::api::client::Client;
use crate::cli::error::CommandError;
use crate::compose::plan::{ObservedState, label};
use crate::compose::project::model::Project;
use crate::resource::container::{ContainerFilter, ContainerInfo};
use crate::resource::failure::FailureKind;
use crate::resource::id::ImageId;
use crate::resource::name::ProjectName;

/// Containers with a project's label, running or not.
pub(crate) async fn containers(client: &Client, project: &ProjectName) -> Result<Vec<ContainerInfo>, CommandError> {
    let filter = ContainerFilter { all: true, filters: label::project_filter(project.as_str()) };
    Ok(client.containers(&filter).await?)
}

/// Everything with a project's label, and what its files name beside.
pub(crate) async fn project(client: &Client, name: &ProjectName, project: Option<&Project>) -> Result<ObservedState, CommandError> {
    let everything = BTreeMap::new();
    let images = async {
        match project {
            Some(project) => images(client, project).await,
            None => Ok(BTreeMap::new()),
        }
    };
    let (containers, networks, volumes, images) =
        tokio::join!(containers(client, name), client.networks(&everything), client.volumes(&everything), images);
    let (containers, mut networks, mut volumes) = (containers?, networks?, volumes?);
    let is_ours = |labels: &BTreeMap<String, String>| labels.get(label::PROJECT).is_some_and(|it| *name == **it);
    let named: BTreeSet<&str> = project.iter().flat_map(|it| it.networks.values()).map(|network| network.name.as_str()).collect();
    networks.retain(|it| is_ours(&it.spec.labels) || named.contains(it.name.as_str()) || named.contains(it.id.to_string().as_str()));
    let named: BTreeSet<&str> = project.iter().flat_map(|it| it.volumes.values()).map(|volume| volume.name.as_str()).collect();
    // Those without a name of their own belong to whoever mounts them.
    let mounted: BTreeSet<&str> = containers.iter().flat_map(|it| &it.mounts).filter_map(|mount| mount.name.as_deref()).collect();
    volumes.retain(|it| is_ours(&it.spec.labels) || named.contains(it.name.as_str()) || it.anonymous && mounted.contains(it.name.as_str()));
    Ok(ObservedState::new(name, containers, networks, volumes, images?))
}

/// What the image references of a project mean now; those that mean nothing are absent.
async fn images(client: &Client, project: &Project) -> Result<BTreeMap<String, ImageId>, CommandError> {
    let references: BTreeSet<&str> = project.services.values().flat_map(|service| service.images()).collect();
    let asked = references.into_iter().map(|reference| async move { (reference, client.image(reference).await) });
    let mut found = BTreeMap::new();
    for (reference, answer) in join_all(asked).await {
        match answer {
            Ok(image) => {
                found.insert(reference.to_owned(), image.id);
            }
            Err(failure) if failure.kind == FailureKind::NotFound => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(found)
}
