//! The engine's verbs on the files of containers.

use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::archive::pack::{PackError, PackedOwner, pack};
use crate::archive::{ExtractError, Owner, Rules, look, unpack};
use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::engine::image::decompress;
use crate::engine::runtime::view::{self, Extent};
use crate::resource::failure::Failure;
use crate::resource::path::{PathStat, UnpackOptions};
use crate::resource::time::Timestamp;

impl Engine {
    /// Returns what lies at a path in a container; a link is not followed, unless the path ends in a slash.
    pub async fn path_stat(&self, name: &str, path: &str) -> Result<PathStat, Failure> {
        let container = self.shared.containers.find(name)?;
        let held = self.hold_files(&container, Extent::Whole).await?;
        let (path, container) = (path.to_owned(), name.to_owned());
        held.work(move |root| stat(root, &path, &container)).await?
    }

    /// Writes what lies at a path in a container as a tar; returns what it is once that is known, while the tar is written.
    pub async fn read_archive(
        &self,
        name: &str,
        path: &str,
        into: impl Write + Send + 'static,
    ) -> Result<(PathStat, JoinHandle<Result<(), Failure>>), Failure> {
        let container = self.shared.containers.find(name)?;
        let held = self.hold_files(&container, Extent::Whole).await?;
        let (tell, told) = oneshot::channel();
        let (path, name) = (path.to_owned(), name.to_owned());
        let engine = self.clone();
        let packing = tokio::spawn(async move {
            held.work(move |root| {
                let found = stat(root, &path, &name)?;
                let (inside, called) = (within(&path), called(&path));
                // Who asked may have gone.
                let _ = tell.send(found);
                pack(root, Path::new(&inside), called.as_bytes(), PackedOwner::Tree, into).map_err(unpacked)
            })
            .await??;
            engine.tell(&container, "archive-path", &[]);
            Ok(())
        });
        match told.await {
            Ok(found) => Ok((found, packing)),
            Err(_) => match packing.await {
                Ok(Err(failure)) => Err(failure),
                _ => Err(Failure::internal("the work on a container's files broke off")),
            },
        }
    }

    /// Unpacks a tar, compressed or not, in a folder of a container.
    pub async fn write_archive(
        &self,
        name: &str,
        path: &str,
        archive: impl Read + Send + 'static,
        options: UnpackOptions,
    ) -> Result<(), Failure> {
        let container = self.shared.containers.find(name)?;
        let (path, name) = (path.to_owned(), name.to_owned());
        self.whole(move |engine| async move {
            let held = engine.hold_files(&container, Extent::Whole).await?;
            let user = container.info().effective.user.clone();
            held.work(move |root| write(root, &path, &name, archive, options, &user)).await??;
            engine.tell(&container, "extract-to-dir", &[]);
            Ok(())
        })
        .await
    }

    /// Writes a container's own root as a tar, without what is mounted in it.
    pub async fn export_container(&self, name: &str, into: impl Write + Send + 'static) -> Result<(), Failure> {
        let container: Arc<Container> = self.shared.containers.find(name)?;
        let held = self.hold_files(&container, Extent::Root).await?;
        held.work(move |root| pack(root, Path::new("/"), b"", PackedOwner::Tree, into).map_err(unpacked)).await??;
        self.tell(&container, "export", &[]);
        Ok(())
    }
}

/// A path seen from the root, whatever it begins with.
fn within(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// What the top of an archive is called: the last part of the path as it was asked for, as Docker calls it.
fn called(path: &str) -> String {
    if path.ends_with("/.") || path == "." {
        return ".".to_owned();
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn stat(root: BorrowedFd<'_>, path: &str, container: &str) -> Result<PathStat, Failure> {
    let failed = |error: std::io::Error| refusal(&error, path, container);
    let inside = within(path);
    let found = look::look(root, Path::new(&inside)).map_err(failed)?;
    let mut stat = PathStat {
        name: called(path),
        size: u64::try_from(found.st_size).unwrap_or(0),
        mode: found.st_mode,
        modified: Timestamp::from_nanos(
            found.st_mtime.saturating_mul(1_000_000_000).saturating_add(i64::try_from(found.st_mtime_nsec).unwrap_or(0)),
        ),
        link_target: String::new(),
    };
    if stat.is_link() {
        let target = look::real_path(root, Path::new(&inside)).map_err(failed)?;
        stat.link_target = target.to_string_lossy().into_owned();
    }
    Ok(stat)
}

fn write(root: BorrowedFd<'_>, path: &str, container: &str, archive: impl Read, options: UnpackOptions, user: &str) -> Result<(), Failure> {
    let inside = within(path);
    let failed = |error: std::io::Error| refusal(&error, path, container);
    if !look::is_folder(root, Path::new(&inside)).map_err(failed)? {
        return Err(Failure::invalid("extraction point is not a directory"));
    }
    let owner = if options.own && !user.is_empty() {
        let (user, group) = view::user_in(root, user)?;
        Owner::Fixed(user, group)
    } else {
        Owner::Archive
    };
    let (_, tar) = decompress::reader(archive).map_err(|error| Failure::invalid(format!("the archive cannot be read: {error}")))?;
    let rules = Rules { owner, keep_kinds: options.keep_kinds, ..Rules::default() };
    unpack(tar, root, Path::new(&inside), rules).map(drop).map_err(|error| not_unpacked(&error))
}

/// Why nothing can be done at a path, in Docker's words where it has some.
fn refusal(error: &std::io::Error, path: &str, container: &str) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!("Could not find the file {path} in container {container}")),
        std::io::ErrorKind::NotADirectory => Failure::invalid(format!("{path} in container {container}: not a directory")),
        _ => Failure::invalid(format!("{path} in container {container}: {error}")),
    }
}

fn unpacked(error: PackError) -> Failure {
    Failure::internal(chain(&error))
}

fn not_unpacked(error: &ExtractError) -> Failure {
    match error {
        ExtractError::Step { source, .. } if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            Failure::denied(format!("{}: the container's root, or the volume mounted there, is read-only", chain(error)))
        }
        ExtractError::Step { .. } | ExtractError::Root { .. } => Failure::internal(chain(error)),
        ExtractError::Read(_) | ExtractError::Name { .. } | ExtractError::Refused { .. } => Failure::invalid(chain(error)),
    }
}

/// An error and what it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_an_archive_is_called_as_it_was_asked_for() {
        for (path, expect) in [("/etc", "etc"), ("/etc/", "etc"), ("/etc/.", "."), ("/", "/"), ("", "/"), ("a/b", "b"), ("/.", ".")] {
            assert_eq!(called(path), expect, "{path}");
        }
        assert_eq!((within("etc"), within("//x/")), ("/etc".to_owned(), "/x/".to_owned()));
    }
}
