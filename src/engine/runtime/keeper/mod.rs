//! The keeper: parent of the engine and holder of what must outlive it. Single-threaded, for as long as anything of its root runs.
//!
//! A client starts one as `gantry keeper` with a pipe as standard output and reads one line from it: `ready`, or why not. A keeper that
//! finds its root served says `ready`, too, and ends. Whether a root is served is told by its socket alone: where a connection is
//! refused, nobody is there.

mod engine;
mod error;
mod group;
mod launder;
mod leave;
mod option;
mod requirement;
mod socket;
mod watch;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::engine::root::Root;
use crate::engine::runtime::estate::Estate;
use crate::engine::runtime::keeper::engine::EngineProcess;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::leave::Predecessor;
pub(super) use crate::engine::runtime::keeper::option::EngineArguments;
use crate::engine::runtime::keeper::option::Options;
use crate::engine::runtime::keeper::socket::Address;
use crate::engine::runtime::keeper::watch::{End, Keeper};
use crate::engine::runtime::note::Note;
use crate::engine::runtime::packet;

/// `gantry keeper`: started by a client, in the background.
pub(super) fn background(arguments: &[OsString]) -> ExitCode {
    launder::close_descriptors();
    match start(arguments, false) {
        Ok(None) => {
            answer("ready\n");
            ExitCode::SUCCESS
        }
        Ok(Some(mut keeper)) => {
            answer("ready\n");
            finish(keeper.run())
        }
        Err(error) => {
            answer(&format!("{}\n", error.chain()));
            ExitCode::FAILURE
        }
    }
}

/// `gantry engine`: keeper and engine in the foreground, until a signal.
pub(super) fn foreground(arguments: &[OsString]) -> ExitCode {
    launder::keep_descriptors_to_itself();
    match start(arguments, true) {
        Ok(Some(mut keeper)) => finish(keeper.run()),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("error: gantry engine: {}\n", error.chain()).as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// The root of this process, or why it has none.
pub(super) fn root() -> Result<Root, String> {
    option::root().map_err(|error| error.chain())
}

/// Undoes what the keeper needs for itself alone and its engine has inherited.
pub(super) fn let_go() {
    // Without it SIGTERM would wait for ever; there is nobody to tell yet.
    let _ = launder::unblock_signals();
}

/// `gantry-keeper`: started by an engine whose keeper died. The estate comes over standard input.
pub(super) fn takeover(arguments: &[OsString]) -> ExitCode {
    launder::close_descriptors();
    finish(inherit(arguments).and_then(|mut keeper| keeper.run()))
}

/// Binds the sockets of a root and starts its engine; `None` when another keeper has it already.
fn start(arguments: &[OsString], foreground: bool) -> Result<Option<Keeper>, KeeperError> {
    let options = Options::read(arguments, foreground)?;
    launder::launder(foreground)?;
    requirement::check()?;
    make_folders(&options.root)?;
    let lock = leave::lock(options.root.run())?;
    let mut estate = Estate::default();
    for passed in options.addresses.iter().filter(|address| address.is_inherited()) {
        listen(&mut estate, passed, &options)?;
    }
    socket::close_the_rest(&options.addresses);
    let is_passed = socket::is_passed(&estate, &options.root);
    if !is_passed && socket::is_served(&options.root.socket()) {
        return if foreground { Err(KeeperError::Running { socket: options.root.socket() }) } else { Ok(None) };
    }
    // A socket at which nobody listens is that of a keeper that was killed; one that was removed has a keeper behind it.
    let before = if !is_passed && options.root.socket().exists() { Predecessor::Dies } else { Predecessor::Lives };
    if !foreground {
        write_to_log(options.root.log())?;
    }
    let claim = leave::claim(&options.root, before)?;
    group::leave_job(options.root.tag());
    let own = Some(Address::Unix(options.root.socket())).filter(|_| !is_passed);
    for address in own.iter().chain(options.addresses.iter().filter(|address| !address.is_inherited())) {
        listen(&mut estate, address, &options)?;
    }
    let mut keeper = Keeper::new(options, estate, None, foreground, claim)?;
    keeper.start_engine()?;
    drop(lock);
    Ok(Some(keeper))
}

fn listen(estate: &mut Estate, address: &Address, options: &Options) -> Result<(), KeeperError> {
    let sockets = address.listen(options.group, options.guard)?;
    estate.listeners.extend(sockets.into_iter().map(|socket| (address.name(), socket)));
    Ok(())
}

/// Takes over from an engine that runs.
fn inherit(arguments: &[OsString]) -> Result<Keeper, KeeperError> {
    let options = Options::taken_over(arguments)?;
    launder::launder(false)?;
    let socket = take_stdin()?;
    write_to_log(options.root.log())?;
    let claim = leave::claim(&options.root, Predecessor::Leaves)?;
    let mut estate = Estate::default();
    let mut pidfd = None;
    loop {
        let failed = |source| KeeperError::Call { step: "take over from the engine", source };
        let packet = packet::receive(&socket, true).map_err(failed)?.ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
        let Some(note) = Note::decode(&packet.bytes) else { continue };
        match estate.apply(note, packet.descriptors) {
            Some((Note::Engine(_), mut descriptors)) => pidfd = descriptors.pop(),
            Some((Note::Begin(permanent), _)) => {
                let pidfd = pidfd.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
                return Keeper::new(options, estate, Some(EngineProcess::adopted(pidfd, socket)), permanent, claim);
            }
            _ => {}
        }
    }
}

fn finish(end: Result<End, KeeperError>) -> ExitCode {
    match end {
        Ok(End::Left) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Err(error) => {
            report(&error.chain());
            ExitCode::FAILURE
        }
    }
}

fn make_folders(root: &Root) -> Result<(), KeeperError> {
    // Others pass through the run directory to reach a socket that is open to them; they list nothing.
    for (folder, mode) in [(root.run(), 0o711), (root.data(), 0o711)] {
        let made = fs::DirBuilder::new().recursive(true).mode(mode).create(folder);
        made.map_err(|source| KeeperError::Path { step: "make the folder", path: folder.to_owned(), source })?;
    }
    Ok(())
}

/// Standard error becomes the engine's log: panics of either, and the keeper's few words.
fn write_to_log(path: PathBuf) -> Result<(), KeeperError> {
    let log = File::options().create(true).append(true).open(&path);
    let log = log.map_err(|source| KeeperError::Path { step: "open", path, source })?;
    dup2_stderr(&log).map_err(error::call("write to the engine's log"))
}

/// Tells whoever started this keeper how it went, and lets go of what came from there.
fn answer(line: &str) {
    let _ = rustix::io::write(rustix::stdio::stdout(), line.as_bytes());
    if let Ok(nowhere) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&nowhere);
        let _ = dup2_stdout(&nowhere);
    }
}

fn take_stdin() -> Result<OwnedFd, KeeperError> {
    let failed = |source| KeeperError::Call { step: "take over from the engine", source };
    let socket = rustix::stdio::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    answer("");
    Ok(socket)
}

/// One line on standard error: the caller's terminal in the foreground, the engine's log else.
fn report(line: &str) {
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("gantry keeper: {line}\n").as_bytes());
}
