//! `image cache`: what builds keep for builds to come.

use serde_json::{Value, json};

use crate::cli::args::engine::{CacheCommand, CachePruneArgs};
use crate::cli::ask;
use crate::cli::command::image::filters;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::follow::now;
use crate::cli::output::listing::Listing;
use crate::cli::output::progress::{short_size, size};
use crate::cli::output::relative;
use crate::resource::build::{BuildCache, BuildPrune};

const LISTING: Listing<'static> = Listing {
    fields: &["ID", "Type", "InUse", "LastUsedSince", "Size", "Description"],
    columns: &[
        ("CACHE ID", "ID"),
        ("TYPE", "Type"),
        ("IN USE", "InUse"),
        ("LAST USED", "LastUsedSince"),
        ("SIZE", "Size"),
        ("DESCRIPTION", "Description"),
    ],
};
/// So many digits of an id are shown, as of an image's.
const SHORT: usize = 12;

/// Runs the command.
pub(super) async fn run(command: CacheCommand, context: &Context) -> Result<(), CommandError> {
    match command {
        CacheCommand::Ls { format } => {
            let listing = LISTING.parse(&format)?;
            let rows: Vec<Value> = context.client().await?.build_cache().await?.iter().map(row).collect();
            context.terminal.out(listing.render(&rows).as_bytes());
            Ok(())
        }
        CacheCommand::Prune(args) => prune(&args, context).await,
    }
}

fn row(cache: &BuildCache) -> Value {
    json!({
        "ID": cache.id.get(..SHORT).unwrap_or(&cache.id),
        "Type": if cache.mount { "exec.cachemount" } else { "regular" },
        "InUse": cache.in_use.to_string(),
        "LastUsedSince": format!("{} ago", relative::human(now().since(cache.used))),
        "Size": short_size(cache.size),
        "Description": cache.name,
    })
}

async fn prune(args: &CachePruneArgs, context: &Context) -> Result<(), CommandError> {
    let prune = BuildPrune { all: args.all, keep: None, filters: filters(&args.filter)? };
    if !args.force {
        let what = if args.all { "everything that builds keep" } else { "what builds keep and no image has" };
        context.terminal.note(&format!("WARNING! This will remove {what}."));
        if !ask::confirm(&context.terminal, "Are you sure you want to continue?").await? {
            return Ok(());
        }
    }
    let (removed, reclaimed) = context.client().await?.prune_build_cache(&prune).await?;
    removed.iter().for_each(|id| context.terminal.line(id.get(..SHORT).unwrap_or(id)));
    context.terminal.line(&format!("Total reclaimed space: {}", size(reclaimed)));
    Ok(())
}
