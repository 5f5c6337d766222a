//! `image`: the engine's images.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::AsyncRead;

use crate::cli::args::engine::{
    ImageCommand, ImageImportArgs, ImageListArgs, ImageLoadArgs, ImagePruneArgs, ImagePullArgs, ImagePushArgs, ImageSaveArgs,
};
use crate::cli::ask;
use crate::cli::command::{cp, image_build, image_cache};
use crate::cli::context::{Context, Filters};
use crate::cli::error::CommandError;
use crate::cli::follow::now;
use crate::cli::output::listing::Listing;
use crate::cli::output::progress::{Status, short_size, size};
use crate::cli::output::relative;
use crate::resource::failure::Failure;
use crate::resource::image::{ImageInfo, ImageProgress, ImageReference, ImageRemoval};
use crate::resource::push::PushTarget;

const LISTING: Listing<'static> = Listing {
    fields: &["Repository", "Tag", "ID", "Digest", "CreatedSince", "CreatedAt", "Size"],
    columns: &[("REPOSITORY", "Repository"), ("TAG", "Tag"), ("IMAGE ID", "ID"), ("CREATED", "CreatedSince"), ("SIZE", "Size")],
};

/// Runs the command.
pub(super) async fn run(command: ImageCommand, context: &Context) -> Result<u8, CommandError> {
    match command {
        ImageCommand::Build(args) => return image_build::run(*args, context).await,
        ImageCommand::Cache(command) => image_cache::run(command, context).await?,
        ImageCommand::Ls(args) => list(&args, context).await?,
        ImageCommand::Import(args) => import(args, context).await?,
        ImageCommand::Load(args) => load(args, context).await?,
        ImageCommand::Pull(args) => pull(args, context).await?,
        ImageCommand::Push(args) => push(args, context).await?,
        ImageCommand::Rm(args) => {
            let client = context.client().await?;
            for name in &args.names {
                for removal in client.remove_image(name, args.force).await? {
                    context.terminal.line(&match removal {
                        ImageRemoval::Untagged(name) => format!("Untagged: {name}"),
                        ImageRemoval::Deleted(digest) => format!("Deleted: {digest}"),
                    });
                }
            }
        }
        ImageCommand::Save(args) => save(&args, context).await?,
        ImageCommand::Prune(args) => prune(&args, context).await?,
        ImageCommand::Tag(args) => context.client().await?.tag_image(&args.source, &reference(&args.target)?).await?,
    }
    Ok(0)
}

fn reference(text: &str) -> Result<ImageReference, CommandError> {
    text.parse().map_err(|error| CommandError::local(format!("{error}")))
}

async fn list(args: &ImageListArgs, context: &Context) -> Result<(), CommandError> {
    let listing = LISTING.parse(&args.format)?;
    let images = context.client().await?.images(&Filters::new()).await?;
    if args.quiet {
        let id = |image: &ImageInfo| if args.no_trunc { image.id.to_string() } else { image.id.short() };
        images.iter().for_each(|image| context.terminal.line(&id(image)));
        return Ok(());
    }
    let rows: Vec<Value> = images.iter().flat_map(|image| rows(image, args.no_trunc)).collect();
    context.terminal.out(listing.render(&rows).as_bytes());
    Ok(())
}

/// A row for each name of an image; one without a name has one, too.
fn rows(image: &ImageInfo, whole: bool) -> Vec<Value> {
    let names: Vec<(String, String)> = if image.tags.is_empty() {
        vec![("<none>".to_owned(), "<none>".to_owned())]
    } else {
        let split =
            |name: &String| name.rsplit_once(':').map_or((name.clone(), "<none>".to_owned()), |(it, tag)| (it.to_owned(), tag.to_owned()));
        image.tags.iter().map(split).collect()
    };
    let digest = image.repo_digests.first().and_then(|it| it.split_once('@')).map_or("<none>", |(_, digest)| digest);
    let since = image.created.map_or_else(|| "N/A".to_owned(), |time| format!("{} ago", relative::human(now().since(time))));
    let row = |(repository, tag): (String, String)| {
        json!({
            "Repository": repository,
            "Tag": tag,
            "ID": if whole { image.id.to_string() } else { image.id.short() },
            "Digest": digest,
            "CreatedSince": since,
            "CreatedAt": image.created.map(relative::instant),
            "Size": short_size(image.size),
        })
    };
    names.into_iter().map(row).collect()
}

/// A file of the command line, or standard input.
async fn open(context: &Context, path: Option<&Path>) -> Result<Box<dyn AsyncRead + Send + Unpin>, CommandError> {
    match path.filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let path = context.absolute(path);
            let file = tokio::fs::File::open(&path).await;
            let file = file.map_err(|error| CommandError::local(format!("cannot open {}: {error}", path.display())))?;
            Ok(Box::new(file))
        }
        None => Ok(Box::new(tokio::io::stdin())),
    }
}

async fn save(args: &ImageSaveArgs, context: &Context) -> Result<(), CommandError> {
    let path = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    if path.is_none() && context.terminal.stdout_is_terminal() {
        return Err(CommandError::local("refusing to write an archive to a terminal").hint("name a file with -o, or redirect"));
    }
    let archive = context.client().await?.save_image(&args.names).await?;
    match path {
        Some(path) => cp::write_file(context, path, archive).await,
        None => cp::write_out(context, archive).await,
    }
}

/// Filters as the command line has them.
pub(super) fn filters(written: &[String]) -> Result<Filters, CommandError> {
    let mut filters = Filters::new();
    for filter in written {
        let (key, value) = match filter.split_once('=') {
            // `label!=x` is a key of its own.
            Some((key, value)) if !key.is_empty() && !value.is_empty() => (key, value),
            _ => return Err(CommandError::local(format!("--filter is `{filter}`; KEY=VALUE is expected"))),
        };
        filters.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    Ok(filters)
}

async fn prune(args: &ImagePruneArgs, context: &Context) -> Result<(), CommandError> {
    let mut filters = filters(&args.filter)?;
    let dangling = if args.all { "false" } else { "true" };
    filters.entry("dangling".to_owned()).or_insert_with(|| vec![dangling.to_owned()]);
    if !args.force {
        let what = if args.all { "all images without at least one container associated to them" } else { "all dangling images" };
        context.terminal.note(&format!("WARNING! This will remove {what}."));
        if !ask::confirm(&context.terminal, "Are you sure you want to continue?").await? {
            return Ok(());
        }
    }
    let pruned = context.client().await?.prune_images(&filters).await?;
    if !pruned.removed.is_empty() {
        context.terminal.line("Deleted Images:");
        for removal in &pruned.removed {
            context.terminal.line(&match removal {
                ImageRemoval::Untagged(name) => format!("untagged: {name}"),
                ImageRemoval::Deleted(digest) => format!("deleted: {digest}"),
            });
        }
        context.terminal.line("");
    }
    context.terminal.line(&format!("Total reclaimed space: {}", size(pruned.reclaimed)));
    Ok(())
}

/// Says which archive the engine could not take.
fn untaken(failure: Failure, verb: &str, path: Option<&Path>) -> CommandError {
    let name = path.filter(|path| path.as_os_str() != "-").map_or("standard input".to_owned(), |path| path.display().to_string());
    CommandError::from(failure).during(&format!("cannot {verb} {name}"))
}

async fn import(args: ImageImportArgs, context: &Context) -> Result<(), CommandError> {
    let name = args.name.as_deref().map(reference).transpose()?;
    let archive = open(context, Some(&args.file)).await?;
    let imported = context.client().await?.import_image(archive, name.as_ref(), &args.change, &args.message).await;
    let id = imported.map_err(|failure| untaken(failure, "import", Some(&args.file)))?;
    context.terminal.line(&id.to_string());
    Ok(())
}

async fn load(args: ImageLoadArgs, context: &Context) -> Result<(), CommandError> {
    let archive = open(context, args.input.as_deref()).await?;
    let client = context.client().await?;
    let progress = context.progress("load");
    let tell = |step: ImageProgress| {
        if !args.quiet {
            progress.layer(&step);
        }
    };
    let loaded = client.load_image(archive, tell).await;
    progress.finish();
    let loaded = loaded.map_err(|failure| untaken(failure, "load", args.input.as_deref()));
    loaded?.iter().for_each(|name| context.terminal.line(&format!("Loaded image: {name}")));
    Ok(())
}

async fn push(args: ImagePushArgs, context: &Context) -> Result<(), CommandError> {
    let client = context.client().await?;
    let mut pushed = Vec::new();
    let progress = context.progress("push");
    let mut outcome = Ok(());
    for name in &args.names {
        let target = PushTarget { reference: reference(name)?, all: args.all_tags };
        progress.tell(name, Status::Working, "Pushing");
        let layers = |step: ImageProgress| {
            if !args.quiet {
                progress.layer(&step);
            }
        };
        match client.push_image(&target, None, layers).await {
            Ok(tags) => pushed.extend(tags),
            Err(failure) => {
                progress.tell_more(name, Status::Error, "Error", &failure.message, None);
                outcome = Err(CommandError::from(failure).during(&format!("cannot push image {name}")));
                break;
            }
        }
        progress.tell(name, Status::Done, "Pushed");
    }
    progress.finish();
    pushed.iter().for_each(|tag| context.terminal.line(&format!("{}: digest: {} size: {}", tag.tag, tag.digest, tag.size)));
    outcome
}

async fn pull(args: ImagePullArgs, context: &Context) -> Result<(), CommandError> {
    let client = context.client().await?;
    let progress = context.progress("pull");
    let mut outcome = Ok(());
    for name in &args.names {
        let id = format!("Image {name}");
        progress.tell(&id, Status::Working, "Pulling");
        let layers = |step: ImageProgress| {
            if !args.quiet {
                progress.layer(&step);
            }
        };
        let pulled = client.pull_image(&reference(name)?, args.platform.as_deref(), None, layers).await;
        if let Err(failure) = pulled {
            progress.tell_more(&id, Status::Error, "Error", &failure.message, None);
            outcome = Err(CommandError::from(failure).during(&format!("cannot pull image {name}")));
            break;
        }
        progress.tell(&id, Status::Done, "Pulled");
    }
    progress.finish();
    outcome
}
