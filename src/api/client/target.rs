//! Which engine is meant, and how it is written.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use crate::api::client::ssh_target::{SshError, SshTarget};
use crate::api::client::tls::TlsFiles;
use crate::engine::root::Root;

/// Where Docker's engine listens unless it is told otherwise.
pub const DOCKERS_SOCKET: &str = "/var/run/docker.sock";
/// Where it listens without TLS when it is told to by `tcp://` alone.
const DOCKERS_ADDRESS: &str = "127.0.0.1:2375";

/// Which engine is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Ours, of this root; it is started when nothing listens.
    Own(Root),
    /// One that listens on a unix socket.
    Unix(PathBuf),
    /// One that listens on `host:port`, without TLS.
    Tcp(String),
    /// One that listens on `host:port`, with TLS.
    Tls(String, TlsFiles),
    /// One of another machine, by the program `ssh`.
    Ssh(SshTarget),
}

/// Why a text names no engine that can be spoken to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A scheme that nobody listens by.
    #[error("cannot speak to the engine `{0}`: unix:///path, tcp://host:port and ssh://user@host are understood")]
    Scheme(String),
    /// A scheme of web pages.
    #[error("cannot speak to the engine `{0}`: write tcp://host:port, with TLS where it has that (`--tlsverify`, DOCKER_TLS_VERIFY)")]
    Web(String),
    /// A pipe of Windows.
    #[error("cannot speak to the engine `{0}`: a pipe of Windows is not to be had on Linux")]
    Pipe(String),
    /// Sockets that an engine inherits.
    #[error("cannot speak to the engine `{0}`: fd:// is for an engine that is given its socket, not for its clients")]
    Descriptor(String),
    /// A path behind the address.
    #[error("cannot speak to the engine `{0}`: an engine below a path of its host is not supported, write tcp://host:port")]
    Path(String),
    /// A user, or a user and a password.
    #[error(
        "cannot speak to the engine `{0}`: a user in an address of TCP reaches nobody, and a password is for everybody to see: write tcp://host:port, \
         with a certificate where one is asked for (`--tlscert`, `--tlskey`)"
    )]
    User(String),
    /// An address of IPv6 that is written otherwise.
    #[error("cannot speak to the engine `{0}`: an address of IPv6 stands in brackets, as in tcp://[::1]:port")]
    Brackets(String),
    /// No port.
    #[error("cannot speak to the engine `{0}`: its port is no number from 1 to 65535")]
    Port(String),
    /// A bad address of ssh.
    #[error("cannot speak to the engine `{text}`: {source}")]
    Ssh {
        /// What was written.
        text: String,
        /// What is wrong with it.
        source: SshError,
    },
}

impl Target {
    /// Reads what `DOCKER_HOST` or a context names; TLS is for addresses of TCP alone.
    pub fn parse(text: &str, tls: Option<TlsFiles>) -> Result<Self, TargetError> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some(split) => split,
            None if text.starts_with('/') => ("unix", text),
            // As Docker: an address alone is one of TCP.
            None => ("tcp", text),
        };
        let told = || without_password(text);
        match scheme {
            "tcp" | "http" | "https" if rest.contains('@') => Err(TargetError::User(told())),
            "unix" => Ok(Self::Unix(if rest.is_empty() { Path::new(DOCKERS_SOCKET) } else { Path::new(rest) }.to_owned())),
            "tcp" => {
                let rest = if rest.is_empty() { DOCKERS_ADDRESS } else { rest };
                let address = rest.trim_end_matches('/');
                if address.contains('/') {
                    return Err(TargetError::Path(text.to_owned()));
                }
                let (host, port) = host_and_port(address).ok_or_else(|| TargetError::Port(text.to_owned()))?;
                if !is_whole(host) {
                    return Err(TargetError::Brackets(text.to_owned()));
                }
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                let address = format!("{host}:{port}");
                Ok(match tls {
                    Some(files) => Self::Tls(address, files),
                    None => Self::Tcp(address),
                })
            }
            "ssh" => SshTarget::parse(rest).map(Self::Ssh).map_err(|source| TargetError::Ssh { text: told(), source }),
            "http" | "https" => Err(TargetError::Web(text.to_owned())),
            "npipe" => Err(TargetError::Pipe(text.to_owned())),
            "fd" => Err(TargetError::Descriptor(text.to_owned())),
            _ => Err(TargetError::Scheme(told())),
        }
    }

    /// The same engine as one that is only spoken to, and not started.
    #[must_use]
    pub fn unstarted(&self) -> Self {
        match self {
            Self::Own(root) => Self::Unix(root.socket()),
            Self::Ssh(target) => Self::Ssh(target.unstarted()),
            other => other.clone(),
        }
    }

    /// Whether the engine sees the files of this machine.
    pub const fn is_here(&self) -> bool {
        matches!(self, Self::Own(_) | Self::Unix(_))
    }
}

impl fmt::Display for Target {
    /// Writes it as `DOCKER_HOST` would.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(root) => write!(formatter, "unix://{}", root.socket().display()),
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(address) | Self::Tls(address, _) => write!(formatter, "tcp://{address}"),
            Self::Ssh(target) => write!(formatter, "{target}"),
        }
    }
}

/// An address as it can be shown to everybody.
fn without_password(text: &str) -> String {
    let start = text.find("://").map_or(0, |end| end + 3);
    let password = text[start..].rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host)));
    password.map_or_else(|| text.to_owned(), |(user, host)| format!("{}{user}:…@{host}", &text[..start]))
}

/// Whether colons are in brackets, and an address of IPv6 is in them; its zone may come behind.
fn is_whole(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.contains(['[', ']', ':']),
    }
}

/// Host and port; Docker's own where none is written.
pub(super) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    const DOCKERS: u16 = 2375;
    let is_bare = text.starts_with('[') && text.ends_with(']');
    match text.rsplit_once(':').filter(|_| !is_bare) {
        None => Some((text, DOCKERS)),
        Some((host, "")) => Some((host, DOCKERS)),
        Some((host, port)) => Some((host, port.parse().ok().filter(|port| *port != 0)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_left_out() {
        let check = |text: &str, expect| assert_eq!(host_and_port(text), expect, "{text}");
        check("docker", Some(("docker", 2375)));
        check("docker:", Some(("docker", 2375)));
        check("127.0.0.1:80", Some(("127.0.0.1", 80)));
        check("[::1]", Some(("[::1]", 2375)));
        check("[::1]:80", Some(("[::1]", 80)));
        check("docker:x", None);
        check("docker:0", None);
        check("docker:65536", None);
    }

    #[test]
    fn engines_are_read_as_docker_reads_them() {
        let check = |text: &str, expect: &str| {
            assert_eq!(Target::parse(text, None).map_or_else(|error| error.to_string(), |target| target.to_string()), expect, "{text}");
        };
        check("unix:///run/x.sock", "unix:///run/x.sock");
        check("/run/x.sock", "unix:///run/x.sock");
        check("unix://", "unix:///var/run/docker.sock");
        check("tcp://h:1", "tcp://h:1");
        check("tcp://h:1/", "tcp://h:1");
        check("tcp://h", "tcp://h:2375");
        check("tcp://", "tcp://127.0.0.1:2375");
        check("tcp://[::1]:99", "tcp://[::1]:99");
        check("tcp://[fe80::1%eth0]", "tcp://[fe80::1%eth0]:2375");
        check("tcp://:99", "tcp://127.0.0.1:99");
        check(" h:1 ", "tcp://h:1");
        check("ssh://me@h:22/run/x.sock", "ssh://me@h:22/run/x.sock");
        for (text, word) in [
            ("http://h", "tcp://host:port"),
            ("https://h:1", "--tlsverify"),
            ("npipe:////./pipe/docker_engine", "Windows"),
            ("fd://", "given its socket"),
            ("ftp://h", "unix:///path"),
            ("tcp://h:1/docker", "below a path"),
            ("tcp://h:x", "port"),
            ("ssh://", "no host"),
            ("tcp://u@h:1", "certificate"),
            ("tcp://[::1", "brackets"),
            ("tcp://::1", "brackets"),
            ("tcp://[::1]x:1", "brackets"),
            ("tcp://[h]:1", "brackets"),
        ] {
            let told = Target::parse(text, None).expect_err("no engine").to_string();
            assert!(told.contains(text) && told.contains(word), "{told}");
        }
    }

    #[test]
    fn a_password_is_not_told() {
        for text in ["tcp://u:secret@h:1", "u:secret@h:1", "tcp://u:secret@h:1/x", "https://u:secret@h", "ssh://u:secret@h/x"] {
            let told = Target::parse(text, None).expect_err("no engine").to_string();
            assert!(told.contains("u:…@h") && told.contains("password") && !told.contains("secret"), "{told}");
        }
        let told = Target::parse("sssh://u:secret@h", None).expect_err("no engine").to_string();
        assert!(told.contains("u:…@h") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn tls_is_for_tcp() {
        let files = || Some(TlsFiles { authority: None, certificate: None, key: None, verify: true });
        assert!(matches!(Target::parse("tcp://h:1", files()), Ok(Target::Tls(..))));
        assert_eq!(Target::parse("unix:///x", files()), Ok(Target::Unix("/x".into())));
    }
}
