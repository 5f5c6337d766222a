//! `cp`: files between this machine and a service's containers; and `export`: a container's whole root.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use crate::api::client::Client;
use crate::api::client::client_archive::{ArchiveError, ArchiveStream};
use crate::archive::pack::{PackedOwner, pack};
use crate::archive::{Owner, Rules, open_folder, unpack};
use crate::cli::args::files::{CopyArgs, ExportArgs};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::local::{self, End};
use crate::cli::observe;
use crate::cli::output::progress::{Progress, Status};
use crate::compose::plan::{ObservedState, Replica};
use crate::resource::failure::FailureKind;
use crate::resource::name::ServiceName;
use crate::resource::path::UnpackOptions;

/// One end of a copy as it was written.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    /// On this machine, or a stream.
    Here(&'a str),
    /// In a service's containers.
    Service(&'a str, &'a str),
}

impl<'a> Place<'a> {
    /// `SERVICE:PATH`; a path that begins with `/` or `.` is one of this machine, whatever colons it has.
    fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            Some((service, path)) if !text.starts_with('/') && !service.starts_with('.') && !service.is_empty() => {
                Self::Service(service, path)
            }
            _ => Self::Here(text),
        }
    }
}

/// Runs `cp`.
pub(super) async fn run(args: CopyArgs, context: &Context) -> Result<u8, CommandError> {
    for (text, what) in [(&args.source, "source"), (&args.destination, "destination")] {
        if text.is_empty() {
            return Err(CommandError::local(format!("{what} can not be empty")));
        }
    }
    let (name, _) = context.project_or_name(&[])?;
    match (Place::parse(&args.source), Place::parse(&args.destination)) {
        (Place::Service(..), Place::Service(..)) => Err(CommandError::local("copying between services is not supported")
            .hint("copy to this machine first, or pipe: `gantry cp a:/x - | gantry cp - b:/y`")),
        (Place::Here(_), Place::Here(_)) => {
            Err(CommandError::local("unknown copy direction: neither path is in a container").hint("write SERVICE:PATH for one of them"))
        }
        (Place::Service(service, path), Place::Here(here)) => {
            let client = context.client().await?;
            let observed = observe::replicas(client, &name).await?;
            let containers = containers(&observed, service, &args)?;
            let Some(container) = containers.first() else { return Ok(0) };
            take_out(context, client, container, path, here, &args).await
        }
        (Place::Here(here), Place::Service(service, path)) => {
            let client = context.client().await?;
            let observed = observe::replicas(client, &name).await?;
            put_in(context, client, &containers(&observed, service, &args)?, here, path, &args).await
        }
    }
}

/// The containers that are meant, lowest number first; they need not run.
fn containers<'a>(observed: &'a ObservedState, service: &str, args: &CopyArgs) -> Result<Vec<&'a Replica>, CommandError> {
    let name: ServiceName = service.parse().map_err(|error| CommandError::local(format!("{error}")))?;
    if args.index > 0 {
        let found = observed.replicas(&name).iter().find(|it| it.number == args.index);
        return found
            .map(|it| vec![it])
            .ok_or_else(|| CommandError::new(format!("service \"{service}\" has no container #{}", args.index)));
    }
    let one_offs = observed.one_offs().iter().filter(|it| args.all && it.service == name);
    let found: Vec<&Replica> = observed.replicas(&name).iter().chain(one_offs).collect();
    if found.is_empty() { Err(CommandError::new(format!("no container found for service \"{service}\""))) } else { Ok(found) }
}

/// A copy from a container to this machine.
async fn take_out(
    context: &Context,
    client: &Client,
    container: &Replica,
    path: &str,
    here: &str,
    args: &CopyArgs,
) -> Result<u8, CommandError> {
    let id = container.info.id.to_string();
    let (mut path, mut renamed) = (path.to_owned(), None);
    if args.follow_link
        && let Some(stat) = client.path_stat(&id, &path).await?.filter(|stat| stat.is_link())
    {
        (path, renamed) = local::follow(&path, &stat.link_target);
    }
    let answer = client.read_archive(&id, &path).await;
    let missing = |failure: crate::resource::failure::Failure| match failure.kind {
        FailureKind::NotFound => CommandError::new(format!("there is no `{path}` in container {}", container.name())),
        _ => CommandError::from(failure),
    };
    let (stat, archive) = answer.map_err(missing)?;
    if here == "-" {
        if context.terminal.stdout_is_terminal() {
            return Err(CommandError::local("refusing to write a tar to a terminal").hint("redirect standard output, or name a path"));
        }
        return write_out(context, archive).await.map(|()| 0);
    }
    let source = End { path: path.clone(), exists: true, is_folder: stat.is_folder() };
    let landing = local::land(&source, &local::destination(&context.absolute(Path::new(here)), here)?)?;
    let progress = context.progress("copy");
    let task = format!("{0} copy {0}:{path} to {here}", container.name());
    progress.tell(&task, Status::Working, "Copying");
    // What the archive's top is called, and what it is to be called here; `.` and `/` stand for no part of a name.
    let called = |name: String| if name == "." || name == "/" { OsString::new() } else { name.into() };
    let from = called(local::split(&path).1);
    let rules = Rules {
        owner: if args.archive { Owner::Archive } else { Owner::Own },
        keep_kinds: true,
        rename: landing.name.or(renamed).map(|name| (from, called(name))),
    };
    let unpacked = unpack_here(archive, landing.folder.into(), rules).await;
    finish(progress, &task, unpacked)
}

/// Copies from this machine to containers.
async fn put_in(
    context: &Context,
    client: &Client,
    containers: &[&Replica],
    here: &str,
    path: &str,
    args: &CopyArgs,
) -> Result<u8, CommandError> {
    if here == "-" && containers.len() > 1 {
        return Err(CommandError::local(format!("standard input can be copied to one container, and there are {}", containers.len()))
            .hint("choose one with --index"));
    }
    let local = match here {
        "-" => None,
        here => Some(local::source(&context.absolute(Path::new(here)), here, args.follow_link)?),
    };
    let progress = context.progress("copy");
    let mut outcome = Ok(0);
    for container in containers {
        let task = format!("{0} copy {here} to {0}:{path}", container.name());
        progress.tell(&task, Status::Working, "Copying");
        let put = put_in_one(client, container, local.as_ref(), path, args).await;
        let status = if put.is_ok() { Status::Done } else { Status::Error };
        progress.tell(&task, status, if put.is_ok() { "Copied" } else { "Error" });
        if let Err(error) = put {
            outcome = Err(error);
            break;
        }
    }
    progress.finish();
    outcome
}

async fn put_in_one(
    client: &Client,
    container: &Replica,
    local: Option<&(End, String)>,
    path: &str,
    args: &CopyArgs,
) -> Result<(), CommandError> {
    let id = container.info.id.to_string();
    let mut destination = End { path: path.to_owned(), ..End::default() };
    let mut stat = client.path_stat(&id, path).await?;
    if let Some(link) = stat.as_ref().filter(|stat| stat.is_link()) {
        destination.path.clone_from(&link.link_target);
        stat = client.path_stat(&id, &destination.path).await?;
    }
    (destination.exists, destination.is_folder) = (stat.is_some(), stat.is_some_and(|stat| stat.is_folder()));
    let options = UnpackOptions { keep_kinds: true, own: args.archive };
    let Some((source, name)) = local else {
        if !destination.is_folder {
            return Err(CommandError::local(format!("destination \"{}:{path}\" must be a directory", container.name())));
        }
        return Ok(client.write_archive(&id, &destination.path, tokio::io::stdin(), options).await?);
    };
    let landing = local::land(source, &destination)?;
    let name = landing.name.unwrap_or_else(|| name.clone());
    let (reader, packing) = pack_here(source.path.clone(), name)?;
    let written = client.write_archive(&id, &landing.folder, reader, options).await;
    let packed = packing.await.unwrap_or_else(|error| Err(CommandError::local(error.to_string())));
    match (written, packed) {
        // The engine tells why it stopped to read; that it did is no news.
        (Err(failure), _) if failure.kind != FailureKind::Unavailable => match failure.kind {
            FailureKind::NotFound => Err(CommandError::new(format!("there is no `{}` in container {}", landing.folder, container.name()))),
            _ => Err(failure.into()),
        },
        (_, Err(error)) => Err(error),
        (written, Ok(())) => Ok(written?),
    }
}

/// Packs something of this machine on a thread of its own; what it writes comes out of the reader.
fn pack_here(path: String, name: String) -> Result<(pipe::Receiver, JoinHandle<Result<(), CommandError>>), CommandError> {
    let (reader, writer) = pipe_pair()?;
    let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(|error| no_pipe(&error))?;
    let packing = tokio::task::spawn_blocking(move || {
        let root = open_folder(Path::new("/")).map_err(|error| chain(&error))?;
        let packed =
            pack(root.as_fd(), Path::new(&path), name.as_bytes(), PackedOwner::Tree, io::BufWriter::with_capacity(256 << 10, writer));
        packed.map_err(|error| chain(&error))
    });
    Ok((reader, packing))
}

/// Unpacks what an engine sends in a folder of this machine.
async fn unpack_here(archive: ArchiveStream, folder: std::path::PathBuf, rules: Rules) -> Result<(), CommandError> {
    let (reader, writer) = pipe_pair()?;
    let mut writer = pipe::Sender::from_owned_fd(OwnedFd::from(writer)).map_err(|error| no_pipe(&error))?;
    let unpacking = tokio::task::spawn_blocking(move || {
        let root = open_folder(&folder).map_err(|error| chain(&error))?;
        unpack(io::BufReader::with_capacity(256 << 10, reader), root.as_fd(), Path::new(""), rules).map(drop).map_err(|error| chain(&error))
    });
    let sent = archive.copy(&mut writer).await;
    drop(writer);
    let unpacked = unpacking.await.unwrap_or_else(|error| Err(CommandError::local(error.to_string())));
    match sent {
        Err(ArchiveError::Engine(failure)) => Err(failure.into()),
        // Whoever reads no more says why.
        Err(ArchiveError::Write(_)) | Ok(()) => unpacked,
    }
}

fn pipe_pair() -> Result<(PipeReader, PipeWriter), CommandError> {
    io::pipe().map_err(|error| no_pipe(&error))
}

fn no_pipe(error: &io::Error) -> CommandError {
    CommandError::local(format!("cannot make a pipe: {error}"))
}

/// An error and what it comes from, as one sentence.
fn chain(error: &dyn std::error::Error) -> CommandError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    CommandError::local(text)
}

/// Writes a tar to standard output.
pub(super) async fn write_out(context: &Context, archive: ArchiveStream) -> Result<(), CommandError> {
    context.terminal.flush();
    match archive.copy(&mut tokio::io::stdout()).await {
        Ok(()) => Ok(()),
        Err(ArchiveError::Engine(failure)) => Err(failure.into()),
        // A reader that has seen enough is no failure.
        Err(ArchiveError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandError::local(error.to_string())),
    }
}

fn finish(progress: Progress, task: &str, outcome: Result<(), CommandError>) -> Result<u8, CommandError> {
    match &outcome {
        Ok(()) => progress.tell(task, Status::Done, "Copied"),
        Err(_) => progress.tell(task, Status::Error, "Error"),
    }
    progress.finish();
    outcome.map(|()| 0)
}

/// Runs `export`.
pub(super) async fn export(args: ExportArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, _) = context.project_or_name(&[])?;
    let to_file = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    if to_file.is_none() && context.terminal.stdout_is_terminal() {
        return Err(CommandError::local("output option is required when exporting to terminal").hint("name a file with -o, or redirect"));
    }
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let service: ServiceName = args.service.parse().map_err(|error| CommandError::local(format!("{error}")))?;
    let mut replicas = observed.replicas(&service).iter();
    let container = if args.index > 0 { replicas.find(|it| it.number == args.index) } else { replicas.next() };
    let container = container.ok_or_else(|| match args.index {
        0 => CommandError::new(format!("no container found for service \"{service}\"")),
        index => CommandError::new(format!("service \"{service}\" has no container #{index}")),
    })?;
    let id = container.info.id.to_string();
    let Some(path) = to_file else { return write_out(context, client.export_container(&id).await?).await.map(|()| 0) };
    let progress = context.progress("export");
    let task = format!("{0} export {0} to {1}", container.name(), path.display());
    progress.tell(&task, Status::Working, "Exporting");
    let written = async { write_file(context, path, client.export_container(&id).await?).await }.await;
    progress.tell(&task, if written.is_ok() { Status::Done } else { Status::Error }, if written.is_ok() { "Exported" } else { "Error" });
    progress.finish();
    written.map(|()| 0)
}

/// Writes a tar to a file, which appears under its name only once it is whole.
pub(super) async fn write_file(context: &Context, path: &Path, archive: ArchiveStream) -> Result<(), CommandError> {
    let path = context.absolute(path);
    let failed = |error: io::Error| CommandError::local(format!("cannot write {}: {error}", path.display()));
    if path.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    // Something that is no file, such as /dev/null or a pipe, cannot be replaced by one.
    let direct = std::fs::metadata(&path).is_ok_and(|found| !found.is_file());
    let partial = if direct { None } else { Some(Partial::of(&path)) };
    let place = partial.as_ref().map_or(&path, |partial| &partial.0);
    let mut file = tokio::fs::File::create(place).await.map_err(failed)?;
    match archive.copy(&mut file).await {
        Ok(()) => partial.map_or(Ok(()), |partial| std::fs::rename(&partial.0, &path)).map_err(failed),
        Err(ArchiveError::Engine(failure)) => Err(failure.into()),
        Err(ArchiveError::Write(error)) => Err(failed(error)),
    }
}

/// Half an archive, which is of no use to anyone: unless it got its name, it goes with this value, also when an interrupt ends the command.
struct Partial(PathBuf);

impl Partial {
    fn of(path: &Path) -> Self {
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        Self(partial.into())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_service_or_here() {
        for (text, expect) in [
            ("web:/etc", Place::Service("web", "/etc")),
            ("web:rel", Place::Service("web", "rel")),
            ("web:", Place::Service("web", "")),
            ("/a:b", Place::Here("/a:b")),
            ("./a:b", Place::Here("./a:b")),
            ("file", Place::Here("file")),
            (":/x", Place::Here(":/x")),
            ("-", Place::Here("-")),
        ] {
            assert_eq!(Place::parse(text), expect, "{text}");
        }
    }
}
