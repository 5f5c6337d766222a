//! The files of a folder that an engine wants are sent, one after the other.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use crate::api::client::build::prepare::SentFolder;
use crate::api::client::build::walk::{self, printable, unread};
use crate::api::wire::build::connection::{Gone, Outgoing};
use crate::api::wire::build::frame::PIECE;
use crate::api::wire::build::message::ToEngine;
use crate::resource::context::{ContextEntry, EntryKind};
use crate::resource::failure::Failure;

/// Entries of a listing in one message.
const ENTRIES: usize = 4096;

/// Why a context was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// Nobody takes it any more; why is told elsewhere.
    Gone,
    /// It cannot be had.
    Failed(Failure),
}

impl From<Gone> for Unsent {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Unsent {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What an engine wants of a context.
pub(super) type Want = (String, Vec<u32>);

/// Lists a folder, and sends what is wanted of it. Blocks.
pub(super) fn send(mut folder: SentFolder, outgoing: &Outgoing, wants: &mut mpsc::Receiver<Want>) -> Result<(), Unsent> {
    let root = walk::open(&folder.path)?;
    let entries = walk::list(root.as_fd(), &mut folder.selection)?;
    let name = &folder.name;
    let mut pieces = entries.chunks(ENTRIES).peekable();
    loop {
        let (entries, is_last) = (pieces.next().unwrap_or_default().to_vec(), pieces.peek().is_none());
        outgoing.send_blocking(&ToEngine::Listing { context: name.clone(), entries, is_last })?;
        if is_last {
            break;
        }
    }
    let (context, wanted) = wants.blocking_recv().ok_or(Unsent::Gone)?;
    let out_of_turn = || Failure::internal("the engine asked for something that is not in the listing of the build context");
    if context != *name {
        return Err(out_of_turn().into());
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut sender = Sender { name, outgoing, buffer: Vec::with_capacity(PIECE) };
    for number in wanted {
        let entry = entries.get(number as usize).ok_or_else(out_of_turn)?;
        let EntryKind::File { size } = entry.kind else { return Err(out_of_turn().into()) };
        sender.file(root.as_fd(), entry, size)?;
    }
    sender.flush()?;
    Ok(outgoing.send_blocking(&ToEngine::Content { context: name.clone(), bytes: Vec::new() })?)
}

/// Opens a file of a folder, through no link.
pub(super) fn open(root: BorrowedFd<'_>, path: &[u8]) -> Result<(File, u64), Failure> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = loop {
        match rustix::fs::openat2(root, Path::new(OsStr::from_bytes(path)), flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(changed(path)),
            opened => break opened.map_err(|error| unread(path, error))?,
        }
    };
    let stat = rustix::fs::fstat(&file).map_err(|error| unread(path, error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(changed(path));
    }
    Ok((File::from(file), u64::try_from(stat.st_size).unwrap_or(0)))
}

pub(super) fn changed(path: &[u8]) -> Failure {
    Failure::conflict(format!("`{}` of the build context changed while it was sent: build again", printable(path)))
}

/// Puts files together into pieces.
struct Sender<'a> {
    name: &'a str,
    outgoing: &'a Outgoing,
    buffer: Vec<u8>,
}

impl Sender<'_> {
    /// A file, of which no more is sent than was listed: what was added since is for the next build.
    fn file(&mut self, root: BorrowedFd<'_>, entry: &ContextEntry, listed: u64) -> Result<(), Unsent> {
        let (mut file, size) = open(root, &entry.path)?;
        let mut left = size.min(listed);
        self.buffer.extend(left.to_be_bytes());
        while left > 0 {
            if self.buffer.len() >= PIECE {
                self.flush()?;
            }
            let start = self.buffer.len();
            let room = PIECE.saturating_sub(start).min(usize::try_from(left).unwrap_or(usize::MAX)).max(1);
            self.buffer.resize(start + room, 0);
            let read = match file.read(&mut self.buffer[start..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                    self.buffer.truncate(start);
                    continue;
                }
                read => read.map_err(|error| unread(&entry.path, Errno::from_io_error(&error).unwrap_or(Errno::IO)))?,
            };
            self.buffer.truncate(start + read);
            if read == 0 {
                return Err(changed(&entry.path).into());
            }
            left -= read as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.outgoing.send_blocking(&ToEngine::Content { context: self.name.to_owned(), bytes })
    }
}
