//! From a compressed stream to a folder, on two threads: one inflates (and takes the digest of what comes in), the other takes the digest of
//! the tar and unpacks it. Inflating bounds it; the rest hides behind.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::archive::{self, ExtractError};
use crate::engine::image::content::{Digester, Tee};
use crate::engine::image::decompress;
use crate::resource::id::Digest;

/// Size of the pieces handed over, and how many may wait: an inflater copies 32 KiB after each of them, and all together are to stay in a
/// processor's cache.
const PIECE: usize = 128 * 1024;
const WAITING: usize = 16;

/// The nice value of the inflating thread, which is this thread's alone (setpriority(2), Linux).
const FIRST: i32 = -5;

/// What a stream turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// The digest of the tar.
    pub(super) diff: Digest,
    /// Bytes of the tar.
    pub(super) tar_size: u64,
    /// Bytes of its files.
    pub(super) size: u64,
}

/// Unpacks a stream, compressed or not, into an empty folder; reads it to its end.
pub(super) fn unpack(mut source: impl Read + Send, into: &Path) -> Result<Unpacked, ExtractError> {
    let (pieces, incoming) = sync_channel::<io::Result<Vec<u8>>>(WAITING);
    let (used, free) = channel::<Vec<u8>>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // All others wait for this thread, so it goes first where processors are few. Who may not say so does without.
            let _ = rustix::process::setpriority_process(None, FIRST);
            if let Err(error) = inflate(&mut source, &pieces, &free) {
                // Nobody listens any more where the other side failed first.
                let _heard = pieces.send(Err(error));
            }
        });
        let mut tar = Tee::new(Incoming { incoming, used, piece: Vec::new(), at: 0 }, Digester::new());
        let size = archive::unpack_layer(&mut tar, into)?;
        let (diff, tar_size) = tar.into_copy().finish();
        Ok(Unpacked { diff, tar_size, size })
    })
}

fn inflate(source: &mut impl Read, pieces: &SyncSender<io::Result<Vec<u8>>>, free: &Receiver<Vec<u8>>) -> io::Result<()> {
    {
        let (_, mut reader) = decompress::reader(&mut *source)?;
        loop {
            let mut piece = free.try_recv().unwrap_or_default();
            piece.resize(PIECE, 0);
            let mut length = 0;
            while length < PIECE {
                match reader.read(&mut piece[length..]) {
                    Ok(0) => break,
                    Ok(read) => length += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if length == 0 {
                break;
            }
            piece.truncate(length);
            if pieces.send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
    }
    // The digest of the blob covers what follows the compressed stream, too.
    io::copy(source, &mut io::sink()).map(drop)
}

/// The other end of the pieces, as a reader.
struct Incoming {
    incoming: Receiver<io::Result<Vec<u8>>>,
    used: Sender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let Ok(piece) = self.incoming.recv() else { return Ok(0) };
            let old = std::mem::replace(&mut self.piece, piece?);
            self.at = 0;
            // The inflating thread may be done already.
            let _taken = self.used.send(old);
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::image::content::digest_of;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for number in 0..50 {
            let mut header = tar::Header::new_gnu();
            header.set_size(10_000);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("folder/{number}"), &[number; 10_000][..]).expect("an entry");
        }
        builder.into_inner().expect("an archive")
    }

    #[test]
    fn a_stream_is_unpacked_and_measured() {
        let tar = archive();
        let compressed = zstd::encode_all(&*tar, 1).expect("an encoder");
        for stream in [&tar, &compressed] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let unpacked = unpack(&**stream, folder.path()).expect("a good stream");
            assert_eq!(unpacked, Unpacked { diff: digest_of(&tar), tar_size: tar.len() as u64, size: 500_000 });
            assert_eq!(std::fs::read(folder.path().join("folder/49")).expect("a file"), [49; 10_000]);
        }
    }

    #[test]
    fn either_side_may_fail() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let compressed = zstd::encode_all(&*archive(), 1).expect("an encoder");
        assert!(unpack(&compressed[..compressed.len() - 30], folder.path()).is_err());
        let noise: Vec<u8> = (0..4_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 1).collect();
        assert!(unpack(&*noise, folder.path()).is_err());
    }
}
