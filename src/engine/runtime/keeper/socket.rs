//! The sockets an API is served at: bound, checked, opened to a group, and taken over from a service manager.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};

use crate::engine::root::Root;
use crate::engine::runtime::estate::Estate;
use crate::engine::runtime::keeper::error::KeeperError;

/// Where an API is served, in the spelling of `-H`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://127.0.0.1:2375`; on loopback only, for there is nothing that says who calls.
    Tcp(SocketAddr),
    /// `fd://`: the sockets a service manager passes.
    Inherited,
}

impl Address {
    /// Reads `-H`'s argument. TCP is refused unless `insecure` is spelled out, and then off loopback.
    pub(super) fn parse(text: &str, insecure: bool) -> Result<Self, KeeperError> {
        let wrong = |reason| KeeperError::Address { address: text.to_owned(), reason };
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(wrong("an absolute path is expected")) };
        }
        if text == "fd://" {
            return Ok(Self::Inherited);
        }
        let Some(rest) = text.strip_prefix("tcp://") else {
            return Err(wrong("unix:///path, tcp://address:port or fd:// is expected"));
        };
        let address: SocketAddr = rest.parse().map_err(|_| wrong("a numeric address and a port are expected"))?;
        if !insecure {
            return Err(wrong("whoever reaches a TCP port is root here; `--insecure` says that this is meant"));
        }
        if !address.ip().is_loopback() {
            return Err(wrong("an open TCP port is served on a loopback address only"));
        }
        Ok(Self::Tcp(address))
    }

    /// The text under which the engine gets the socket.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Tcp(address) => format!("tcp://{address}"),
            Self::Inherited => "fd://".to_owned(),
        }
    }

    /// Binds and listens; a socket file nobody listens at is replaced.
    pub(super) fn listen(&self, group: Option<u32>) -> Result<Vec<OwnedFd>, KeeperError> {
        let failed = |source| KeeperError::Listen { address: self.name(), source };
        match self {
            Self::Unix(path) => Ok(vec![bind_unix(path, group)?]),
            Self::Tcp(address) => Ok(vec![TcpListener::bind(address).map_err(failed)?.into()]),
            Self::Inherited => inherited(),
        }
    }
}

/// Whether the root's own socket is one that a service manager passed: it listens there before an engine runs, and after.
pub(super) fn is_passed(estate: &Estate, root: &Root) -> bool {
    let lies_there = |socket: &OwnedFd| {
        let listener = socket.try_clone().map(UnixListener::from).and_then(|listener| listener.local_addr());
        listener.is_ok_and(|address| address.as_pathname() == Some(&root.socket()))
    };
    let passed = Address::Inherited.name();
    estate.listeners.iter().any(|(name, socket)| *name == passed && lies_there(socket))
}

/// Whether somebody listens at a socket.
///
/// A full queue counts: a connection is made without waiting, and `WouldBlock` says that the listener lives.
pub(super) fn is_served(path: &Path) -> bool {
    match UnixStream::connect(path) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

fn bind_unix(path: &Path, group: Option<u32>) -> Result<OwnedFd, KeeperError> {
    let failed = |source| KeeperError::Listen { address: format!("unix://{}", path.display()), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| KeeperError::Path { step: "make the folder", path: parent.to_owned(), source })?;
    }
    if is_served(path) {
        return Err(KeeperError::Running { socket: path.to_owned() });
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // Made without any access: nobody may connect before owner and mode are right.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(failed)?;
    if let Some(group) = group {
        chown(path, None, Some(group)).map_err(failed)?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    // The standard library asks for a queue of 128; a stack of hundreds of containers is started by as many requests at once.
    rustix::net::listen(&listener, 4096).map_err(|error| failed(error.into()))?;
    Ok(listener.into())
}

/// The sockets of `LISTEN_FDS`, if they are meant for this process.
#[expect(clippy::disallowed_methods, reason = "a service manager passes sockets by these two variables, before any command line is read")]
fn inherited() -> Result<Vec<OwnedFd>, KeeperError> {
    let none = || KeeperError::Address { address: "fd://".to_owned(), reason: "no socket was passed to this process (LISTEN_FDS)" };
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Err(none());
    }
    let count = number("LISTEN_FDS").filter(|&count| count > 0).ok_or_else(none)?;
    (3..3 + count)
        .map(|number| {
            let number = i32::try_from(number).map_err(|_| none())?;
            // SAFETY: systemd's protocol gives these descriptors to this process, and it is read once.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            let failed = |error: rustix::io::Errno| KeeperError::Listen { address: format!("fd://{number}"), source: error.into() };
            fcntl_setfd(descriptor.as_fd(), FdFlags::CLOEXEC).map_err(failed)?;
            rustix::io::ioctl_fionbio(descriptor.as_fd(), false).map_err(failed)?;
            Ok(descriptor)
        })
        .collect()
}

/// The number of a group of the host. Read by hand: getgrnam would load the host's NSS into a static binary.
pub(super) fn group_id(groups: &str, wanted: &str) -> Option<u32> {
    if let Ok(number) = wanted.parse() {
        return Some(number);
    }
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == wanted).then_some(())?;
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_port_is_refused_unless_it_is_meant() {
        for (text, insecure, expect) in [
            ("unix:///run/x.sock", false, Some(Address::Unix("/run/x.sock".into()))),
            ("unix://x.sock", false, None),
            ("fd://", false, Some(Address::Inherited)),
            ("tcp://127.0.0.1:2375", false, None),
            ("tcp://127.0.0.1:2375", true, Some(Address::Tcp(([127, 0, 0, 1], 2375).into()))),
            ("tcp://0.0.0.0:2375", true, None),
            ("tcp://localhost:2375", true, None),
            ("http://x", true, None),
        ] {
            assert_eq!(Address::parse(text, insecure).ok(), expect, "{text}");
        }
    }

    #[test]
    fn a_passed_socket_may_be_the_roots_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::new(Some(folder.path()));
        fs::create_dir(root.run()).expect("the run folder");
        let bind = |path: &Path| UnixListener::bind(path).expect("a socket");
        let estate =
            |name: &str, listener: UnixListener| Estate { listeners: vec![(name.to_owned(), listener.into())], ..Estate::default() };
        let own = bind(&root.socket());
        assert!(!is_passed(&estate("unix:///x", own.try_clone().expect("a copy")), &root));
        assert!(is_passed(&estate("fd://", own), &root));
        assert!(!is_passed(&estate("fd://", bind(&folder.path().join("other"))), &root));
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        assert!(!is_passed(&Estate { listeners: vec![("fd://".to_owned(), tcp.into())], ..Estate::default() }, &root));
    }

    #[test]
    fn groups_are_found_by_name_or_number() {
        let groups = "root:x:0:\ngantry:x:998:ann,ben\n";
        for (wanted, expect) in [("gantry", Some(998)), ("root", Some(0)), ("7", Some(7)), ("gant", None)] {
            assert_eq!(group_id(groups, wanted), expect);
        }
    }

    #[test]
    fn a_socket_nobody_listens_at_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/engine.sock");
        let address = Address::Unix(path.clone());
        assert!(!is_served(&path));
        let first = address.listen(None).expect("the first");
        assert!(is_served(&path));
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
        assert!(matches!(address.listen(None), Err(KeeperError::Running { .. })));
        drop(first);
        assert!(!is_served(&path));
        address.listen(None).expect("the second");
    }
}
