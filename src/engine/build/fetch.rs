//! Files behind URLs, for ADD.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OnceCell, mpsc};

use crate::engine::build::Build;
use crate::engine::build::stage::StepError;
use crate::engine::build::teller::ToldStep;
use crate::engine::image::workshop::Scratch;
use crate::resource::build::StepEnd;
use crate::resource::failure::Failure;
use crate::resource::id::Digest;

/// The name of what has none in its URL (BuildKit's).
const UNNAMED: &str = "__unnamed__";
/// Pieces that may wait for the disk; then the server waits.
const PIECES: usize = 8;
/// The permission bits of what was fetched (Docker's).
const MODE: u32 = 0o600;

/// What a URL calls its file.
pub(super) fn name_of(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("" | "." | "..") => UNNAMED.to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// Addresses that are fetched at a time before anybody needs them.
const AT_ONCE: usize = 4;

/// What was fetched: a file in a folder of its own.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) scratch: Arc<Scratch>,
    pub(super) name: String,
    pub(super) digest: Digest,
}

/// What a build fetches, each address once.
pub(super) type Fetches = BTreeMap<String, OnceCell<Result<Fetched, Failure>>>;

impl Build {
    /// Fetches what steps will need whatever comes before them. What goes wrong is told where it is needed.
    pub(super) async fn fetch_ahead(&self) {
        let urls = futures_util::stream::iter(self.fetched.keys());
        urls.for_each_concurrent(AT_ONCE, |url| async move { drop(self.fetched(url).await) }).await;
    }

    /// What lies behind a URL, fetched once.
    pub(super) async fn fetched(&self, url: &str) -> Result<Fetched, Failure> {
        let fetch = || async {
            let told = self.job.teller.begin(&format!("[internal] fetch {url}")).await;
            let fetched = Box::pin(self.fetch_into_scratch(url, &told)).await;
            told.end(if fetched.is_ok() { StepEnd::Done } else { StepEnd::Cancelled }).await;
            fetched.map_err(|error| error.failure)
        };
        match self.fetched.get(url) {
            Some(cell) => cell.get_or_init(fetch).await.clone(),
            None => fetch().await,
        }
    }

    /// Fetches what lies behind a URL into a folder of its own.
    pub(super) async fn fetch_into_scratch(&self, url: &str, told: &ToldStep) -> Result<Fetched, StepError> {
        let scratch = Arc::new(self.job.workshop.scratch()?);
        let name = name_of(url);
        let digest = self.fetch(url, &scratch.upper().join(&name), told).await?;
        Ok(Fetched { scratch, name, digest })
    }

    /// Reads what lies behind a URL into a new file, which has the time the server says; returns the digest of it.
    async fn fetch(&self, url: &str, into: &Path, told: &ToldStep) -> Result<Digest, StepError> {
        let mut download = self.job.workshop.download(url).await?;
        let modified = u64::try_from(download.modified().unwrap_or(0)).unwrap_or(0);
        let (total, mut current) = (download.length(), 0);
        let (sender, pieces) = mpsc::channel(PIECES);
        let path = into.to_owned();
        let writing = tokio::task::spawn_blocking(move || write(&path, pieces, modified));
        while let Some(bytes) = download.next().await.map_err(crate::engine::image::error::ImageError::from)? {
            current += bytes.len() as u64;
            // Who writes no more says why.
            if sender.send(bytes).await.is_err() {
                break;
            }
            told.progress(url, current, total);
        }
        drop(sender);
        let failed = |error: &dyn std::fmt::Display| Failure::internal(format!("cannot write {}: {error}", into.display()));
        Ok(writing.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?)
    }
}

/// Writes what comes into a new file; returns the digest of it. Blocks.
fn write(path: &Path, mut pieces: mpsc::Receiver<Bytes>, modified: u64) -> std::io::Result<Digest> {
    let mut file = File::create_new(path)?;
    let mut hasher = Sha256::new();
    while let Some(bytes) = pieces.blocking_recv() {
        file.write_all(&bytes)?;
        hasher.update(&bytes);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(modified))?;
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

/// The digest that a fetched file has to have.
pub(super) fn checksum(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("the checksum `{text}` is not `sha256:` and 64 hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_its_url_ends() {
        for (url, expect) in [
            ("https://x.example/a/b.tar.gz?x=/y", "b.tar.gz"),
            ("http://x.example/a/", "a"),
            ("http://x.example", UNNAMED),
            ("http://x.example/", UNNAMED),
            ("http://x.example/a/..", UNNAMED),
        ] {
            assert_eq!(name_of(url), expect, "{url}");
        }
    }
}
