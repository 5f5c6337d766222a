//! A folder becomes the archive that a classic builder is given.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bytes::Bytes;
use tar::EntryType;
use tokio::sync::mpsc;

use crate::api::client::build::folder;
use crate::api::client::build::selection::Selection;
use crate::api::client::build::walk;
use crate::resource::context::{ContextEntry, EntryKind};
use crate::resource::failure::Failure;

/// Bytes that are written before they become a piece.
const PIECE: usize = 128 << 10;

/// Pieces on their way, for which there is room.
const PIECES: usize = 8;

/// What is put into an archive.
#[derive(Debug)]
pub(super) struct Packing {
    root: Option<OwnedFd>,
    entries: Vec<ContextEntry>,
    /// Files of ours, over those of the folder.
    extra: Vec<(&'static str, String)>,
}

impl Packing {
    /// Lists what is selected of a folder, if there is one. Blocks.
    pub(super) fn list(folder: Option<&Path>, mut selection: Selection, extra: Vec<(&'static str, String)>) -> Result<Self, Failure> {
        let root = folder.map(walk::open).transpose()?;
        let mut entries = match &root {
            Some(root) => walk::list(root.as_fd(), &mut selection)?,
            None => Vec::new(),
        };
        entries.retain(|entry| extra.iter().all(|(name, _)| name.as_bytes() != entry.path));
        Ok(Self { root, entries, extra })
    }

    /// Packs it on a thread of its own. What goes wrong comes as the last piece, and breaks the request off.
    pub(super) fn start(self) -> mpsc::Receiver<io::Result<Bytes>> {
        let (pieces, receiver) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            let writer = PieceWriter { pieces: pieces.clone(), current: Vec::with_capacity(PIECE) };
            if let Err(error) = self.pack(writer) {
                // Nobody listens where that is what went wrong.
                let _ = pieces.blocking_send(Err(error));
            }
        });
        receiver
    }

    fn pack(self, into: impl Write) -> io::Result<()> {
        let mut builder = tar::Builder::new(into);
        for entry in &self.entries {
            let mut header = tar::Header::new_gnu();
            // As Docker's command line has it: a client's users are not the image's.
            header.set_uid(0);
            header.set_gid(0);
            header.set_mode(entry.mode);
            header.set_mtime(u64::try_from(entry.modified / 1_000_000_000).unwrap_or(0));
            header.set_size(0);
            let path = Path::new(OsStr::from_bytes(&entry.path));
            match &entry.kind {
                EntryKind::Folder => {
                    header.set_entry_type(EntryType::Directory);
                    builder.append_data(&mut header, path, io::empty())?;
                }
                EntryKind::Link { target } => {
                    header.set_entry_type(EntryType::Symlink);
                    builder.append_link(&mut header, path, OsStr::from_bytes(target))?;
                }
                EntryKind::Pipe => {
                    header.set_entry_type(EntryType::Fifo);
                    builder.append_data(&mut header, path, io::empty())?;
                }
                EntryKind::File { .. } => {
                    let root = self.root.as_ref().ok_or(io::ErrorKind::NotFound)?;
                    let (file, size) = folder::open(root.as_fd(), &entry.path).map_err(io::Error::other)?;
                    header.set_size(size);
                    let mut exact = file.take(size);
                    builder.append_data(&mut header, path, &mut exact)?;
                    if exact.limit() > 0 {
                        return Err(io::Error::other(folder::changed(&entry.path)));
                    }
                }
            }
        }
        for (name, text) in &self.extra {
            let mut header = tar::Header::new_gnu();
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_mode(0o600);
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, name, text.as_bytes())?;
        }
        builder.into_inner()?.flush()
    }
}

struct PieceWriter {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    current: Vec<u8>,
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.current.extend_from_slice(bytes);
        if self.current.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.current.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.current, Vec::with_capacity(PIECE));
        self.pieces.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::{Extent, Ignore};

    #[tokio::test]
    async fn a_folder_is_packed_as_root_s_with_our_own_files_over_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = "n".repeat(120);
        std::fs::create_dir(folder.path().join("d")).expect("a folder");
        std::fs::write(folder.path().join("d").join(&long), "x".repeat(300_000)).expect("a file");
        std::fs::write(folder.path().join(".dockerignore"), "skipped").expect("a file");
        std::fs::write(folder.path().join("skipped"), "").expect("a file");
        std::os::unix::fs::symlink("d", folder.path().join("l")).expect("a link");
        let selection = Selection::new(&Extent::Everything, Ignore::parse("skipped").expect("patterns"));
        let packing = Packing::list(Some(folder.path()), selection, vec![(".dockerignore", "ours".to_owned())]).expect("listed");
        let mut pieces = packing.start();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.recv().await {
            bytes.extend(piece.expect("a piece"));
        }
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            assert_eq!((entry.header().uid().expect("a user"), entry.header().gid().expect("a group")), (0, 0));
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            found.push((entry.path().expect("a path").display().to_string(), text.len()));
        }
        let expect = [("d", 0), (&format!("d/{long}"), 300_000), ("l", 0), (".dockerignore", 4)];
        assert_eq!(found, expect.map(|(path, length)| (path.to_owned(), length)));
    }
}
