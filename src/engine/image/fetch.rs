//! One layer of a pull: from the registry into the store and, in the same breath, into its folder.

use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use tokio::sync::{mpsc, watch};

use crate::archive::ExtractError;
use crate::engine::image::content::BlobWriter;
use crate::engine::image::error::ImageError;
use crate::engine::image::handle::{Shared, blocking, joined};
use crate::engine::image::layer::Layer;
use crate::engine::image::pipeline;
use crate::engine::image::pull::Progress;
use crate::engine::image::work::Work;
use crate::registry::manifest::Descriptor;
use crate::registry::session::Session;
use crate::resource::id::Digest;
use crate::resource::image::ImageProgress;

/// A layer tells of its bytes no more often.
pub(super) const PACE: Duration = Duration::from_millis(100);
/// So many pieces may lie between the network and the thread that keeps them, and between that one and the inflating thread.
const WAITING: usize = 8;

/// A layer to be brought in.
pub(super) struct Fetch {
    /// The digest of its tar.
    pub(super) diff: Digest,
    /// What it comes in.
    pub(super) blob: Descriptor,
    /// Where from.
    pub(super) session: Arc<Session>,
    /// Who is told.
    pub(super) teller: Teller,
}

impl Fetch {
    /// Brings it in, unless it is there, or somebody else does. Nothing of it stays when that fails, or when all is `stopped`.
    pub(super) async fn run(self, work: Work, mut stopped: watch::Receiver<bool>) -> Result<(), ImageError> {
        let shared = Arc::clone(work.shared());
        let given_up = || ImageError::GivenUp(self.diff.short());
        let turn = tokio::select! {
            turn = shared.layers.reserve(&self.diff) => turn,
            _ = stopped.wait_for(|stop| *stop) => return Err(given_up()),
        };
        if shared.layers.unpacked(&self.diff).is_some() {
            self.teller.say("Already exists");
            return Ok(());
        }
        let (diff, blob, name) = (self.diff, self.blob.digest, self.diff.short());
        if shared.content.has(&blob) {
            self.teller.bytes("Extracting", self.blob.size, self.blob.size);
            let unpack = move || {
                let _turn = turn;
                work.shared().unpack_blob(&diff, &blob).map(drop)
            };
            blocking(&name, unpack).await?;
        } else {
            let (pieces, incoming) = mpsc::channel(WAITING);
            let host = self.session.host();
            // It begins before the first byte is there.
            let unpacking = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                work.shared().unpack_incoming(incoming, &diff, &blob, &host)
            });
            let downloaded = tokio::select! {
                downloaded = self.download(pieces) => downloaded,
                _ = stopped.wait_for(|stop| *stop) => Err(given_up()),
            };
            let unpacked = joined(&name, unpacking.await);
            downloaded.and(unpacked)?;
        }
        self.teller.say("Pull complete");
        Ok(())
    }

    /// Hands over what comes, and at last that it was all.
    async fn download(&self, pieces: mpsc::Sender<Piece>) -> Result<(), ImageError> {
        let mut blob = self.session.blob(&self.blob);
        let mut done = 0;
        let mut told: Option<Instant> = None;
        while let Some(piece) = blob.next().await? {
            done += piece.len() as u64;
            if pieces.send(Piece::Bytes(piece)).await.is_err() {
                // Whoever unpacks gave up, and says why.
                return Ok(());
            }
            if told.is_none_or(|at| at.elapsed() >= PACE) {
                self.teller.bytes("Downloading", done, self.blob.size);
                told = Some(Instant::now());
            }
        }
        self.teller.say("Download complete");
        self.teller.bytes("Extracting", done, self.blob.size);
        // As above.
        let _heard = pieces.send(Piece::End).await;
        Ok(())
    }
}

impl Shared {
    /// Keeps a blob while it is unpacked; both are right, or neither stays. The caller has reserved the layer.
    ///
    /// Keeping has a thread of its own: inflating takes longest of all, and is not to wait for a digest or a file.
    fn unpack_incoming(&self, incoming: mpsc::Receiver<Piece>, diff: &Digest, blob: &Digest, host: &str) -> Result<(), ImageError> {
        let partial = self.layers.begin()?;
        let writer = self.content.create()?;
        let (onward, pieces) = sync_channel(WAITING);
        let (kept, unpacked) = std::thread::scope(|scope| {
            let keeping = scope.spawn(move || keep(incoming, writer, &onward));
            let mut source = Incoming { pieces, piece: Bytes::new(), ended: false };
            let unpacked = pipeline::unpack(&mut source, partial.path());
            if let Err(ExtractError::Read(_)) = &unpacked {
                // What cannot be read is most likely not what was sent: the digest of all of it tells.
                let _rest = io::copy(&mut source, &mut io::sink());
            }
            // Else whoever keeps would wait for ever to hand on what nobody wants.
            drop(source);
            (keeping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), unpacked)
        });
        let (writer, complete) = kept.map_err(|source| ImageError::disk("write", partial.path())(source))?;
        let found = writer.digest();
        let wrong = |what: String, expected: &Digest, found| ImageError::WrongDigest { what, expected: *expected, found };
        if complete && found != *blob {
            return Err(wrong(format!("the blob that the registry {host} sent"), blob, found));
        }
        let unpacked = unpacked.map_err(|source| ImageError::Layer { layer: blob.short(), source })?;
        if unpacked.diff != *diff {
            return Err(wrong(format!("the layer in blob {}", blob.short()), diff, unpacked.diff));
        }
        writer.finish(Some(blob))?;
        self.layers.commit(partial, Layer { diff: *diff, blob: *blob, tar_size: unpacked.tar_size, size: unpacked.size })
    }
}

/// Writes what comes into the blob, and hands it on; says whether all of it came.
fn keep(mut incoming: mpsc::Receiver<Piece>, mut writer: BlobWriter, onward: &SyncSender<Piece>) -> io::Result<(BlobWriter, bool)> {
    while let Some(piece) = incoming.blocking_recv() {
        let is_last = matches!(piece, Piece::End);
        if let Piece::Bytes(bytes) = &piece {
            writer.write_all(bytes)?;
        }
        let is_wanted = onward.send(piece).is_ok();
        if is_last || !is_wanted {
            return Ok((writer, is_last));
        }
    }
    Ok((writer, false))
}

/// What is handed over from the network.
enum Piece {
    Bytes(Bytes),
    /// There is no more. Without it the download was broken off.
    End,
}

/// The other end of the pieces, as a reader.
struct Incoming {
    pieces: Receiver<Piece>,
    piece: Bytes,
    ended: bool,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.recv() {
                Ok(Piece::Bytes(piece)) => self.piece = piece,
                Ok(Piece::End) => self.ended = true,
                Err(_) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the download broke off")),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece[..length]);
        self.piece.advance(length);
        Ok(length)
    }
}

/// Tells of one thing.
pub(super) struct Teller {
    id: String,
    progress: Progress,
}

impl Teller {
    pub(super) fn new(id: &str, progress: &Progress) -> Self {
        Self { id: id.to_owned(), progress: Arc::clone(progress) }
    }

    pub(super) fn say(&self, status: impl Into<String>) {
        (self.progress)(ImageProgress { id: self.id.clone(), status: status.into(), current: None, total: None });
    }

    pub(super) fn bytes(&self, status: &str, current: u64, total: u64) {
        let (current, total) = (Some(current), Some(total));
        (self.progress)(ImageProgress { id: self.id.clone(), status: status.to_owned(), current, total });
    }
}
