//! `volumes`: the project's volumes.

use serde_json::{Value, json};

use crate::cli::args::list::VolumesArgs;
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::output::listing::Listing;
use crate::compose::plan::label;
use crate::resource::volume::VolumeInfo;

const LISTING: Listing<'static> = Listing {
    fields: &["Availability", "Driver", "Group", "Labels", "Links", "Mountpoint", "Name", "Scope", "Size", "Status"],
    columns: &[("DRIVER", "Driver"), ("VOLUME NAME", "Name")],
};

/// Runs the command.
pub(super) async fn run(args: VolumesArgs, context: &Context) -> Result<u8, CommandError> {
    let rows = LISTING.parse(&args.format)?;
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let (observed, volumes) = (observe::replicas(client, &name).await?, client.volumes(&label::project_filter(name.as_str())).await?);
    let services = known_names(project.as_ref(), &observed, &args.services.services)?;
    let mounts = |volume: &VolumeInfo| {
        let users = observed.all().chain(observed.one_offs()).filter(|it| services.contains(&it.service));
        users.flat_map(|it| &it.info.mounts).any(|mount| mount.name.as_deref() == Some(volume.name.as_str()))
    };
    let shown: Vec<&VolumeInfo> = volumes.iter().filter(|volume| services.is_empty() || mounts(volume)).collect();
    if args.quiet {
        shown.iter().for_each(|volume| context.terminal.line(volume.name.as_str()));
        return Ok(0);
    }
    let shown: Vec<Value> = shown.into_iter().map(row).collect();
    context.terminal.out(rows.render(&shown).as_bytes());
    Ok(0)
}

/// A row, with all that Docker's formatter has a word for.
fn row(volume: &VolumeInfo) -> Value {
    let labels: Vec<String> = volume.spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let driver = if volume.spec.driver.is_empty() { "local" } else { &volume.spec.driver };
    json!({
        "Availability": "N/A",
        "Driver": driver,
        "Group": "N/A",
        "Labels": labels.join(","),
        "Links": "N/A",
        "Mountpoint": volume.mountpoint.display().to_string(),
        "Name": volume.name.as_str(),
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    })
}
