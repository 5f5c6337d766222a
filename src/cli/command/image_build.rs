//! `image build`: an image of a Dockerfile, without a project.

use std::io::Cursor;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::api::client::build::dockerfile_text;
use crate::cli::args::build::{ImageBuildArgs, SecretFlag};
use crate::cli::build::{self, Archive};
use crate::cli::command::build::{arguments, dated, defaults, tell};
use crate::cli::context::Context;
use crate::cli::debug_shell::DebugShell;
use crate::cli::error::CommandError;
use crate::cli::output::build::Steps;
use crate::cli::output::progress::{Status, Style};
use crate::compose::plan;
use crate::resource::build::{BuildSpec, DockerfileSource, ImageBuild, NamedContext, SecretSource};
use crate::resource::id::ImageId;
use crate::resource::image::{ImageReference, Platform};

/// Runs the command.
pub(super) async fn run(args: ImageBuildArgs, context: &Context) -> Result<u8, CommandError> {
    refuse(&args)?;
    let (mut asked, archive) = asked(&args, context).await?;
    // What a dry run would fail at, it tells.
    asked.check |= context.dry_run;
    let client = context.client().await?;
    let style = if args.quiet { Some(Style::Quiet) } else { style(&args, context)? };
    let progress = context.progress_as(style, "build");
    let name = args.tags.first().map_or_else(|| "the image".to_owned(), |tag| format!("image {tag}"));
    let id = args.tags.first().map_or_else(|| "Image".to_owned(), |tag| format!("Image {tag}"));
    let steps = Steps::new(&progress, false);
    let (working, done) = if asked.check { ("Checking", "Checked") } else { ("Building", "Built") };
    progress.tell(&id, Status::Working, working);
    let mut shell = args.debug_shell.then(|| DebugShell::new(&context.terminal, &progress));
    asked.spec.shell = shell.as_ref().map(DebugShell::wish);
    let built = build::run(client, asked, archive, steps.teller(None, &id), shell.as_mut(), &name).await;
    // What was shown was left as it was when a shell came.
    let is_settled = shell.is_some_and(|shell| shell.came);
    match &built {
        _ if is_settled => {}
        Ok(_) => progress.tell(&id, Status::Done, done),
        Err(error) => progress.tell_more(&id, Status::Error, "Error", error.message(), None),
    }
    if !is_settled {
        progress.finish();
    }
    let warnings = steps.warnings();
    match built {
        Ok(_) if context.dry_run && !args.check => {
            context.terminal.line(&format!("build {name} from {}", args.context.display()));
            Ok(0)
        }
        Ok(image) => {
            if !args.quiet || args.check {
                tell(context, &warnings, args.check);
            }
            if let Some(image) = image {
                written(&args, context, image)?;
            }
            Ok(u8::from(args.check && !warnings.is_empty()))
        }
        Err(error) => {
            // What could be better may be what is wrong.
            tell(context, &warnings, false);
            Err(error)
        }
    }
}

/// Refuses what cannot be together.
fn refuse(args: &ImageBuildArgs) -> Result<(), CommandError> {
    let reads = |path: &Path| path.as_os_str() == "-";
    let (context, file) = (reads(&args.context), args.file.as_deref().is_some_and(reads));
    if context && file {
        return Err(CommandError::local("the context and the Dockerfile cannot both come from standard input")
            .hint("name a folder, `.` say, or a file with -f"));
    }
    if args.debug_shell && (context || file) {
        return Err(
            CommandError::local("--debug-shell needs standard input for the shell itself").hint("name a folder, and a file with -f")
        );
    }
    for tag in &args.tags {
        tag.parse::<ImageReference>().map_err(|error| CommandError::local(format!("--tag: {error}")))?;
    }
    if let Some(platform) = &args.platform {
        if platform.contains(',') {
            return Err(CommandError::local(format!("--platform {platform}: one build makes an image for one platform"))
                .hint("build once for each, each with a tag of its own"));
        }
        Platform::wanted(platform).map_err(|error| CommandError::local(format!("--platform: {error}")))?;
    }
    if let Some(entry) = args.cache_from.iter().find(|entry| entry.contains('=') && !entry.starts_with("type=registry,ref=")) {
        return Err(CommandError::local(format!(
            "--cache-from {entry} is not read: steps come from the engine's own cache, and from images"
        ))
        .hint("name an image, or leave it out"));
    }
    Ok(())
}

/// How it is told: as the flag says, else the one before the command, else as Docker's variable says.
fn style(args: &ImageBuildArgs, context: &Context) -> Result<Option<Style>, CommandError> {
    match (args.progress, context.environment.get("BUILDKIT_PROGRESS")) {
        (Some(style), _) => Ok(Some(style)),
        (None, Some("plain")) => Ok(Some(Style::Plain)),
        (None, Some("quiet")) => Ok(Some(Style::Quiet)),
        (None, Some("auto" | "tty") | None) => Ok(None),
        (None, Some(word)) => {
            Err(CommandError::local(format!("BUILDKIT_PROGRESS is `{word}`; one of auto, plain, tty, quiet is expected")))
        }
    }
}

/// What the flags ask for, and the archive where the context comes as one.
async fn asked(args: &ImageBuildArgs, context: &Context) -> Result<(ImageBuild, Option<Archive>), CommandError> {
    let mut options = defaults(context);
    dated(context, &mut options);
    let mut variables = options.default_args;
    variables.extend(arguments(&args.args, context.environment.variables()));
    let mut asked = ImageBuild {
        spec: BuildSpec {
            target: args.target.clone(),
            args: variables,
            labels: args.labels.iter().cloned().collect(),
            tags: args.tags.clone(),
            platform: args.platform.clone().or_else(|| context.environment.get("DOCKER_DEFAULT_PLATFORM").map(str::to_owned)),
            cache_from: args.cache_from.iter().map(|entry| entry.trim_start_matches("type=registry,ref=").to_owned()).collect(),
            no_cache: args.no_cache,
            no_cache_filter: args.no_cache_filter.iter().cloned().collect(),
            pull: args.pull,
            network: args.network.clone(),
            extra_hosts: args.hosts.clone(),
            shm_size: args.shm_size,
            ulimits: args.ulimits.iter().cloned().collect(),
            ..BuildSpec::default()
        },
        check: args.check,
        ..ImageBuild::default()
    };
    for (name, place) in &args.contexts {
        let named = if let Some(image) = place.strip_prefix("docker-image://") {
            image.parse::<ImageReference>().map_err(|error| CommandError::local(format!("--build-context {name}: {error}")))?;
            NamedContext::Image(image.to_owned())
        } else {
            asked.folders.insert(name.clone(), build::folder(place.as_ref(), |path| context.absolute(path))?);
            NamedContext::Folder
        };
        asked.spec.contexts.insert(name.clone(), named);
    }
    for secret in &args.secrets {
        asked.secrets.insert(secret.id.clone(), source(secret, context)?);
    }
    for agent in &args.ssh {
        let own = || context.environment.get("SSH_AUTH_SOCK").map(Path::new);
        let socket = agent.socket.as_deref().or_else(own).ok_or_else(|| {
            CommandError::local(format!("--ssh {}: SSH_AUTH_SOCK names no agent", agent.id)).hint("start one: `eval $(ssh-agent)`")
        })?;
        asked.ssh.insert(agent.id.clone(), context.absolute(socket));
    }
    asked.spec.secrets = asked.secrets.keys().cloned().collect();
    asked.spec.ssh = asked.ssh.keys().cloned().collect();
    let archive = place(args, context, &mut asked).await?;
    Ok((asked, archive))
}

/// Where a secret is: without a word about that, in a variable of its name, else in a file of its name.
fn source(secret: &SecretFlag, context: &Context) -> Result<SecretSource, CommandError> {
    let known = |name: &str| context.environment.variables().get(name).map(|value| SecretSource::Value(value.clone().into_bytes()));
    match (&secret.file, &secret.variable) {
        (Some(file), _) => Ok(SecretSource::File(context.absolute(file))),
        (None, Some(name)) => known(name)
            .ok_or_else(|| CommandError::local(format!("--secret {}: the environment has no variable {name}", secret.id)).hint("set it")),
        (None, None) => Ok(known(&secret.id).unwrap_or_else(|| SecretSource::File(context.absolute(secret.id.as_ref())))),
    }
}

/// Finds the context and the Dockerfile, on standard input if need be.
async fn place(args: &ImageBuildArgs, context: &Context, asked: &mut ImageBuild) -> Result<Option<Archive>, CommandError> {
    if args.context.as_os_str() != "-" {
        let folder = build::folder(&args.context, |path| context.absolute(path))?;
        match args.file.as_deref() {
            Some(file) if file.as_os_str() == "-" => {
                asked.spec.dockerfile = DockerfileSource::Text { name: "Dockerfile".to_owned(), text: read_text().await? };
            }
            Some(file) => asked.spec.dockerfile = plan::place_dockerfile(&folder, &context.absolute(file)),
            None => {}
        }
        asked.context = Some(folder);
        return Ok(None);
    }
    let mut stdin = tokio::io::stdin();
    let mut head = vec![0; 512];
    let mut filled = 0;
    while filled < head.len() {
        match stdin.read(&mut head[filled..]).await.map_err(|error| unread(&error))? {
            0 => break,
            more => filled += more,
        }
    }
    head.truncate(filled);
    if is_archive(&head) {
        if let Some(file) = &args.file {
            asked.spec.dockerfile = DockerfileSource::InContext(file.to_string_lossy().into_owned());
        }
        let whole: Archive = Box::new(Cursor::new(head).chain(stdin));
        return Ok(Some(whole));
    }
    let text = text_of(Cursor::new(head).chain(stdin)).await?;
    asked.spec.dockerfile = DockerfileSource::Text { name: "Dockerfile".to_owned(), text };
    Ok(None)
}

fn unread(error: &std::io::Error) -> CommandError {
    CommandError::local(format!("cannot read standard input: {error}"))
}

async fn read_text() -> Result<String, CommandError> {
    text_of(tokio::io::stdin()).await
}

async fn text_of(mut input: impl AsyncRead + Unpin) -> Result<String, CommandError> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).await.map_err(|error| unread(&error))?;
    let text = dockerfile_text("Dockerfile", bytes)?;
    if text.trim().is_empty() {
        return Err(CommandError::local("nothing was read from standard input, where the Dockerfile is to come from"));
    }
    Ok(text)
}

/// Whether bytes begin a tar, plain or compressed.
fn is_archive(head: &[u8]) -> bool {
    let compressed: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0"];
    compressed.iter().any(|magic| head.starts_with(magic)) || head.get(257..262) == Some(b"ustar")
}

/// Writes the image's id where it was asked for.
fn written(args: &ImageBuildArgs, context: &Context, image: ImageId) -> Result<(), CommandError> {
    if let Some(file) = &args.iidfile {
        let path = context.absolute(file);
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, image.to_string().as_bytes()))
            .map_err(|error| CommandError::local(format!("cannot write the image's id to {}: {error}", path.display())))?;
    }
    if args.quiet {
        context.terminal.line(&image.to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_told_from_dockerfiles() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (head, expect) in
            [(tar.as_slice(), true), (b"\x1f\x8b\x08", true), (b"\x28\xb5\x2f\xfd", true), (b"FROM scratch\n", false), (b"", false)]
        {
            assert_eq!(is_archive(head), expect);
        }
    }
}
