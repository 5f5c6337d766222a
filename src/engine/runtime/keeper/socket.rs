//! The sockets an API is served at: bound, checked, opened to a group, and taken over from a service manager.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::{AsFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, getsockname, sockopt};

use crate::engine::root::Root;
use crate::engine::runtime::estate::Estate;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::settings::TlsFiles;

/// Clients that may wait to be heard. The standard library asks for a queue of 128; a stack of hundreds of containers is started by as many
/// requests at once.
const QUEUE: i32 = 4096;

/// What keeps strangers from a TCP port, for whoever reaches one is root here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Clients show a certificate.
    Certificates,
    /// Nothing does, and that is meant.
    Insecure,
    /// Nothing does.
    Missing,
}

impl Guard {
    /// What follows from the files of TLS and from `--insecure`.
    pub(super) fn of(tls: Option<&TlsFiles>, is_insecure: bool) -> Self {
        match tls {
            Some(TlsFiles { authority: Some(_), .. }) => Self::Certificates,
            _ if is_insecure => Self::Insecure,
            _ => Self::Missing,
        }
    }

    /// Whether who has connected to a socket is known to be let in.
    pub(super) fn lets_in(self, socket: &OwnedFd) -> bool {
        self == Self::Insecure || getsockname(socket).is_ok_and(|address| address.address_family() == AddressFamily::UNIX)
    }

    /// Says why the API is not served at an address.
    fn refusal(self, address: IpAddr) -> Option<&'static str> {
        match self {
            Self::Certificates => None,
            Self::Insecure if address.is_loopback() => None,
            Self::Insecure => Some("a TCP port whose clients show no certificate is served on a loopback address only"),
            Self::Missing => Some(
                "whoever reaches a TCP port is root here: `--tlsverify` with `--tlscacert`, `--tlscert` and `--tlskey` has clients show a \
                 certificate; on loopback, `--insecure` says that an open port is meant",
            ),
        }
    }
}

/// Where an API is served, in the spelling of `-H`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://127.0.0.1:2376`.
    Tcp(SocketAddr),
    /// `fd://`: the sockets a service manager passes; `fd://3`: one of them.
    Inherited(Option<u32>),
}

impl Address {
    /// Reads `-H`'s argument. TCP is refused where nothing guards it.
    pub(super) fn parse(text: &str, guard: Guard) -> Result<Self, KeeperError> {
        let wrong = |reason| KeeperError::Address { address: text.to_owned(), reason };
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(wrong("an absolute path is expected")) };
        }
        if let Some(number) = text.strip_prefix("fd://") {
            return match number {
                "" | "*" => Ok(Self::Inherited(None)),
                _ => match number.parse() {
                    Ok(number) if number >= FIRST_PASSED => Ok(Self::Inherited(Some(number))),
                    _ => {
                        Err(wrong("the number of a descriptor that was passed is expected, which is 3 or more, or nothing for all of them"))
                    }
                },
            };
        }
        let Some(rest) = text.strip_prefix("tcp://") else {
            return Err(wrong("unix:///path, tcp://address:port, fd:// or fd://number is expected"));
        };
        let address: SocketAddr = rest.parse().map_err(|_| wrong("a numeric address and a port are expected"))?;
        match guard.refusal(address.ip()) {
            Some(reason) => Err(wrong(reason)),
            None => Ok(Self::Tcp(address)),
        }
    }

    /// The text under which the engine gets the socket.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Tcp(address) => format!("tcp://{address}"),
            Self::Inherited(None) => PASSED.to_owned(),
            Self::Inherited(Some(number)) => format!("{PASSED}{number}"),
        }
    }

    /// Whether a service manager has bound it.
    pub(super) fn is_inherited(&self) -> bool {
        matches!(self, Self::Inherited(_))
    }

    /// Binds and listens; a socket file nobody listens at is replaced.
    pub(super) fn listen(&self, group: Option<u32>, guard: Guard) -> Result<Vec<OwnedFd>, KeeperError> {
        match self {
            Self::Unix(path) => Ok(vec![bind_unix(path, group)?]),
            Self::Tcp(address) => {
                let failed = |source| KeeperError::Listen { address: self.name(), source };
                let listener = TcpListener::bind(address).map_err(failed)?;
                rustix::net::listen(&listener, QUEUE).map_err(|error| failed(error.into()))?;
                Ok(vec![listener.into()])
            }
            Self::Inherited(wanted) => inherited(*wanted, guard),
        }
    }
}

/// Each address once: a descriptor that was passed has one owner.
pub(super) fn without_repeats(addresses: Vec<Address>) -> Vec<Address> {
    let has_all = addresses.contains(&Address::Inherited(None));
    let mut kept: Vec<Address> = Vec::new();
    for address in addresses {
        let is_among_all = has_all && matches!(address, Address::Inherited(Some(_)));
        if !is_among_all && !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}

/// What the names of sockets begin with that were passed, and the number of the first such descriptor.
const PASSED: &str = "fd://";
const FIRST_PASSED: u32 = 3;

/// Whether the root's own socket is one that a service manager passed: it listens there before an engine runs, and after.
pub(super) fn is_passed(estate: &Estate, root: &Root) -> bool {
    let lies_there = |socket: &OwnedFd| {
        let listener = socket.try_clone().map(UnixListener::from).and_then(|listener| listener.local_addr());
        listener.is_ok_and(|address| address.as_pathname() == Some(&root.socket()))
    };
    estate.listeners.iter().any(|(name, socket)| name.starts_with(PASSED) && lies_there(socket))
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
    rustix::net::listen(&listener, QUEUE).map_err(|error| failed(error.into()))?;
    Ok(listener.into())
}

/// The numbers of the descriptors that a service manager passed, if they are meant for this process.
#[expect(clippy::disallowed_methods, reason = "a service manager passes sockets by these two variables, before any command line is read")]
fn passed() -> Range<u32> {
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    let is_ours = number("LISTEN_PID") == Some(std::process::id());
    let count = number("LISTEN_FDS").filter(|_| is_ours).unwrap_or(0);
    FIRST_PASSED..FIRST_PASSED.saturating_add(count)
}

/// Takes what was passed under a number; `None` where no descriptor has it.
fn take(number: u32) -> Option<OwnedFd> {
    let number = i32::try_from(number).ok()?;
    // SAFETY: systemd's protocol gives these descriptors to this process, and each is taken once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes what was passed and is not among the addresses: who connects there is to be refused, and not to wait for ever.
pub(super) fn close_the_rest(addresses: &[Address]) {
    let wanted: Vec<u32> =
        addresses.iter().filter_map(|address| if let Address::Inherited(number) = address { *number } else { None }).collect();
    if !wanted.is_empty() {
        passed().filter(|number| !wanted.contains(number)).for_each(|number| drop(take(number)));
    }
}

/// All sockets that were passed, or one of them.
fn inherited(wanted: Option<u32>, guard: Guard) -> Result<Vec<OwnedFd>, KeeperError> {
    let missing = |reason| KeeperError::Address { address: Address::Inherited(wanted).name(), reason };
    let passed = passed();
    if passed.is_empty() {
        return Err(missing("no socket was passed to this process (LISTEN_FDS)"));
    }
    let numbers = match wanted {
        None => passed,
        Some(number) if passed.contains(&number) => number..number + 1,
        Some(_) => return Err(missing("fewer sockets were passed to this process (LISTEN_FDS)")),
    };
    numbers
        .map(|number| {
            let descriptor = take(number).ok_or_else(|| missing("no descriptor has such a number"))?;
            let failed = |error: rustix::io::Errno| KeeperError::Listen { address: format!("{PASSED}{number}"), source: error.into() };
            fcntl_setfd(descriptor.as_fd(), FdFlags::CLOEXEC).map_err(failed)?;
            if let Some(reason) = objection(&descriptor, guard).map_err(failed)? {
                return Err(KeeperError::Passed { number, reason });
            }
            rustix::io::ioctl_fionbio(descriptor.as_fd(), false).map_err(failed)?;
            Ok(descriptor)
        })
        .collect()
}

/// What speaks against serving at a socket that was passed: a TCP port needs its guard whoever has bound it.
fn objection(socket: &OwnedFd, guard: Guard) -> rustix::io::Result<Option<&'static str>> {
    if sockopt::socket_type(socket)? != SocketType::STREAM || !sockopt::socket_acceptconn(socket)? {
        return Ok(Some("nobody can connect to it: a stream socket that listens is expected"));
    }
    let address = getsockname(socket)?;
    Ok(match SocketAddr::try_from(address.clone()) {
        Ok(address) => guard.refusal(address.ip()),
        Err(_) if address.address_family() == AddressFamily::UNIX => None,
        Err(_) => Some("it is neither of a unix path nor of TCP"),
    })
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
        use Guard::{Certificates, Insecure, Missing};
        let tcp = |address: [u8; 4]| Some(Address::Tcp((address, 2376).into()));
        for (text, guard, expect) in [
            ("unix:///run/x.sock", Missing, Some(Address::Unix("/run/x.sock".into()))),
            ("unix://x.sock", Missing, None),
            ("fd://", Missing, Some(Address::Inherited(None))),
            ("fd://*", Missing, Some(Address::Inherited(None))),
            ("fd://4", Missing, Some(Address::Inherited(Some(4)))),
            ("fd://2", Missing, None),
            ("fd://name", Missing, None),
            ("tcp://127.0.0.1:2376", Missing, None),
            ("tcp://127.0.0.1:2376", Insecure, tcp([127, 0, 0, 1])),
            ("tcp://0.0.0.0:2376", Insecure, None),
            ("tcp://0.0.0.0:2376", Certificates, tcp([0, 0, 0, 0])),
            ("tcp://[::1]:2376", Insecure, Some(Address::Tcp("[::1]:2376".parse().expect("an address")))),
            ("tcp://localhost:2376", Insecure, None),
            ("tcp://127.0.0.1", Certificates, None),
            ("http://x", Certificates, None),
        ] {
            assert_eq!(Address::parse(text, guard).ok(), expect, "{text} {guard:?}");
        }
    }

    #[test]
    fn certificates_guard_only_where_clients_show_them() {
        let files = TlsFiles { certificate: "/c".into(), key: "/k".into(), authority: None };
        let mutual = TlsFiles { authority: Some("/a".into()), ..files.clone() };
        for (tls, is_insecure, expect) in [
            (None, false, Guard::Missing),
            (None, true, Guard::Insecure),
            (Some(&files), false, Guard::Missing),
            (Some(&files), true, Guard::Insecure),
            (Some(&mutual), false, Guard::Certificates),
            (Some(&mutual), true, Guard::Certificates),
        ] {
            assert_eq!(Guard::of(tls, is_insecure), expect, "{tls:?} {is_insecure}");
        }
    }

    #[test]
    fn a_passed_port_needs_its_guard_and_somebody_who_can_connect() {
        let objects = |socket: OwnedFd, guard| objection(&socket, guard).expect("a socket").is_some();
        let port = |address: &str| OwnedFd::from(TcpListener::bind(address).expect("a port"));
        assert!(objects(port("127.0.0.1:0"), Guard::Missing));
        assert!(!objects(port("127.0.0.1:0"), Guard::Insecure));
        assert!(objects(port("0.0.0.0:0"), Guard::Insecure));
        assert!(!objects(port("0.0.0.0:0"), Guard::Certificates));
        assert!(!Guard::Certificates.lets_in(&port("127.0.0.1:0")));
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!objects(UnixListener::bind(folder.path().join("s")).expect("a socket").into(), Guard::Missing));
        assert!(objects(UnixStream::pair().expect("sockets").0.into(), Guard::Certificates));
        assert!(objects(std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").into(), Guard::Certificates));
    }

    #[test]
    fn a_descriptor_has_one_owner() {
        let all = Address::Inherited(None);
        let (third, fourth, path) = (Address::Inherited(Some(3)), Address::Inherited(Some(4)), Address::Unix("/x".into()));
        let check = |given: &[&Address], expect: &[&Address]| {
            let given = given.iter().map(|it| (*it).clone()).collect();
            assert_eq!(without_repeats(given).iter().collect::<Vec<_>>(), expect);
        };
        check(&[&third, &path, &third, &fourth, &path], &[&third, &path, &fourth]);
        check(&[&third, &all, &path, &all], &[&all, &path]);
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
        let listen = || address.listen(None, Guard::Missing);
        let first = listen().expect("the first");
        assert!(is_served(&path));
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen(), Err(KeeperError::Running { .. })));
        drop(first);
        assert!(!is_served(&path));
        listen().expect("the second");
    }
}
