//! The client's verbs on the files of containers.

use hyper::Method;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::api::client::call::{ARCHIVE, Call, segment};
use crate::api::client::client_image::payload;
use crate::api::client::{Client, answer};
use crate::api::wire::path;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::path::{PathStat, UnpackOptions};

/// A tar as it comes.
#[derive(Debug)]
pub struct ArchiveStream {
    stream: answer::Stream,
}

impl ArchiveStream {
    pub(super) fn new(stream: answer::Stream) -> Self {
        Self { stream }
    }

    /// Writes it all.
    pub async fn copy(mut self, into: &mut (impl AsyncWrite + Unpin)) -> Result<(), ArchiveError> {
        while let Some(data) = self.stream.next().await {
            into.write_all(&data.map_err(ArchiveError::Engine)?).await.map_err(ArchiveError::Write)?;
        }
        into.flush().await.map_err(ArchiveError::Write)
    }
}

/// Why a tar did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It broke off.
    #[error(transparent)]
    Engine(Failure),
    /// It could not be written.
    #[error("the archive cannot be written: {0}")]
    Write(std::io::Error),
}

impl Client {
    /// Returns what lies at a path in a container, or `None` where nothing does; a link is not followed, unless the path ends in a slash.
    pub async fn path_stat(&self, name: &str, path: &str) -> Result<Option<PathStat>, Failure> {
        let answer = self.transport.send(&archive_at(Method::HEAD, name, path)).await;
        match answer {
            Ok(answer) => {
                let stat = stat_of(&answer)?;
                answer.done().await.map(|()| Some(stat))
            }
            // An answer without a body tells no reason. Nothing can lie below what is no folder.
            Err(failure) if matches!(failure.kind, FailureKind::NotFound | FailureKind::Invalid | FailureKind::Internal) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Takes what lies at a path in a container out, as a tar.
    pub async fn read_archive(&self, name: &str, path: &str) -> Result<(PathStat, ArchiveStream), Failure> {
        let answer = self.transport.send(&archive_at(Method::GET, name, path)).await?;
        let stat = stat_of(&answer)?;
        Ok((stat, ArchiveStream { stream: answer.stream() }))
    }

    /// Unpacks a tar in a folder of a container.
    pub async fn write_archive(
        &self,
        name: &str,
        path: &str,
        archive: impl AsyncRead + Send + Unpin + 'static,
        options: UnpackOptions,
    ) -> Result<(), Failure> {
        let call = archive_at(Method::PUT, name, path).flag("noOverwriteDirNonDir", options.keep_kinds).flag("copyUIDGID", options.own);
        self.transport.send_body(&call, ARCHIVE, payload(archive)).await?.done().await
    }

    /// Takes a container's own root out, as a tar.
    pub async fn export_container(&self, name: &str) -> Result<ArchiveStream, Failure> {
        let answer = self.transport.send(&Call::get(format!("/containers/{}/export", segment(name)))).await?;
        Ok(ArchiveStream { stream: answer.stream() })
    }
}

fn archive_at(method: Method, name: &str, path: &str) -> Call {
    Call::new(method, format!("/containers/{}/archive", segment(name))).query("path", path)
}

fn stat_of(answer: &answer::Answer) -> Result<PathStat, Failure> {
    let header = answer.header(path::HEADER).ok_or_else(|| Failure::internal("the engine did not tell what lies at the path"))?;
    Ok(path::from_header(header)?)
}
