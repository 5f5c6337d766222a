//! `images`: the images that the project's containers were made from.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde::Serialize;

use crate::cli::args::list::{ImagesArgs, ListFormat};
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::follow::now;
use crate::cli::observe;
use crate::cli::output::progress::short_size;
use crate::cli::output::{relative, table};
use crate::compose::plan::Replica;
use crate::resource::failure::FailureKind;
use crate::resource::id::ImageId;
use crate::resource::image::{ImageInfo, ImageReference};

/// A line of the list, in the order of Docker Compose's JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(rename = "ID")]
    id: String,
    container_name: String,
    repository: String,
    tag: String,
    platform: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_tag_time: Option<String>,
    #[serde(skip)]
    since: String,
}

/// Runs the command.
pub(super) async fn run(args: ImagesArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let services = known_names(project.as_ref(), &observed, &args.services.services)?;
    let chosen = |it: &&Replica| services.is_empty() || services.contains(&it.service);
    let mut containers: Vec<&Replica> = observed.all().chain(observed.one_offs()).filter(chosen).collect();
    containers.sort_by(|left, right| left.name().cmp(right.name()));
    let ids: BTreeSet<ImageId> = containers.iter().map(|it| it.info.image).collect();
    let asked = ids.into_iter().map(|id| async move { (id, client.image(&id.to_string()).await) });
    let mut images = BTreeMap::new();
    for (id, answer) in join_all(asked).await {
        match answer {
            Ok(image) => drop(images.insert(id, image)),
            // A container outlives its image's record; its own says what it was made from.
            Err(failure) if failure.kind == FailureKind::NotFound => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    let lines: Vec<Line> = containers.iter().map(|it| line(it, images.get(&it.info.image))).collect();
    if args.quiet {
        let mut seen = BTreeSet::new();
        for line in lines.iter().filter(|line| seen.insert(&line.id)) {
            context.terminal.line(line.id.strip_prefix("sha256:").unwrap_or(&line.id));
        }
        return Ok(0);
    }
    let text = match args.format {
        ListFormat::Json if lines.is_empty() => "null\n".to_owned(),
        ListFormat::Json => serde_json::to_string(&lines).map_err(|error| CommandError::local(error.to_string()))? + "\n",
        ListFormat::Table => {
            let cells: Vec<Vec<String>> = lines.iter().map(cells).collect();
            table::render_wide(&["CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"], &cells)
        }
    };
    context.terminal.out(text.as_bytes());
    Ok(0)
}

fn line(replica: &Replica, image: Option<&ImageInfo>) -> Line {
    let reference: Option<ImageReference> = replica.info.spec.image.parse().ok();
    let platform = |image: &ImageInfo| match &image.variant {
        Some(variant) => format!("{}/{}/{variant}", image.os, image.architecture),
        None => format!("{}/{}", image.os, image.architecture),
    };
    let created = image.and_then(|image| image.created);
    Line {
        id: replica.info.image.to_string(),
        container_name: replica.name().to_owned(),
        repository: reference.as_ref().map(ImageReference::familiar_name).unwrap_or_default(),
        tag: reference.as_ref().and_then(|it| it.tag()).unwrap_or_default().to_owned(),
        platform: image.map(platform).unwrap_or_default(),
        size: image.map_or(0, |image| image.size),
        created: created.map(|time| time.to_string()),
        last_tag_time: image.and_then(|image| image.last_tagged).map(|time| time.to_string()),
        since: created.map_or_else(|| "N/A".to_owned(), |time| format!("{} ago", relative::human(now().since(time)))),
    }
}

fn cells(line: &Line) -> Vec<String> {
    let or_none = |text: &String| if text.is_empty() { "<none>".to_owned() } else { text.clone() };
    let id: String = line.id.strip_prefix("sha256:").unwrap_or(&line.id).chars().take(12).collect();
    vec![
        line.container_name.clone(),
        or_none(&line.repository),
        or_none(&line.tag),
        line.platform.clone(),
        id,
        short_size(line.size),
        line.since.clone(),
    ]
}
