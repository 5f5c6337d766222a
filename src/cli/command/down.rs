//! `down`: the project's containers and networks go, and with `-v` its volumes.

use std::collections::BTreeMap;

use crate::api::client::Client;
use crate::cli::args::lifecycle::{DownArgs, ImageRemoval};
use crate::cli::command::{label_names, seconds};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::{command::up, observe};
use crate::compose::plan::{self, DownOptions, ImageScope, label};
use crate::resource::name::ProjectName;

/// Runs the command.
pub(super) async fn run(args: DownArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::project(client, &name, project.as_ref()).await?;
    let options = DownOptions {
        services: label_names(project.as_ref(), &args.services.services)?,
        volumes: args.volumes,
        remove_orphans: args.remove_orphans || context.says(project.as_ref(), "COMPOSE_REMOVE_ORPHANS"),
        images: match args.rmi {
            Some(which) => Some(image_scope(client, &name, which).await?),
            None => None,
        },
        timeout: seconds(args.timeout),
    };
    let plan = plan::down(&name, project.as_ref(), &observed, &options)?;
    if plan.is_empty() {
        context.terminal.warn(&format!("No resource found to remove for project \"{name}\"."));
        return Ok(0);
    }
    up::apply(context, client, &name, &plan, "down").await?;
    Ok(0)
}

/// What the flag means, with the images that were built for the project.
async fn image_scope(client: &Client, project: &ProjectName, which: ImageRemoval) -> Result<ImageScope, CommandError> {
    // Docker Compose leaves images without a name alone, and so do we.
    let filters: BTreeMap<String, Vec<String>> = label::project_filter(project.as_str());
    let built = client.images(&filters).await?.into_iter().filter_map(|image| {
        let service = image.config.labels.get(label::SERVICE).cloned().unwrap_or_default();
        Some((image.tags.into_iter().next()?, service))
    });
    Ok(ImageScope { all: which == ImageRemoval::All, built: built.collect() })
}
