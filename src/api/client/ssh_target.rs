//! An engine of another machine, as an address of ssh, and what ssh is told to reach it.

use std::fmt;

use crate::resource::percent;

/// What the far side says once it runs the program that leads to its engine; whatever comes before is chatter of its shell.
pub(super) const READY: &[u8] = b"gantry-ssh-ready\n";

/// What runs on the far side. `docker` is first so that an address means the same engine to `docker` and to us; `$1` is a socket, if one is
/// named. No quote of this kind may be in it: it is put between them for whatever shell the user has there.
const SCRIPT: &str = r#"for program in docker gantry; do if command -v $program >/dev/null 2>&1; then echo gantry-ssh-ready; exec $program ${1:+"--host=unix://$1"} system dial-stdio; fi; done; echo "neither docker nor gantry is in the PATH that ssh gives: install one, or set its PATH there" >&2; exit 127"#;

/// The variable by which `system dial-stdio` of the far side is told that it is not to start an engine.
pub const UNSTARTED: &str = "GANTRY_NO_START";
/// The code with which it then ends where none runs (`EX_UNAVAILABLE` of sysexits.h).
pub const NOBODY: u8 = 69;

/// An engine of another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// The engine's socket there.
    path: Option<String>,
    /// One that does not run may be started.
    starts: bool,
}

/// Why an address of ssh cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Nothing where the host belongs.
    #[error("it names no host, write ssh://user@host")]
    NoHost,
    /// A host that ssh or a shell could take for something else.
    #[error("`{0}` is no name of a host")]
    Host(String),
    /// The same of a user.
    #[error("`{0}` is no name of a user")]
    User(String),
    /// A password.
    #[error("a password in an address is for everybody to see: use a key")]
    Password,
    /// No port.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// `?` or `#`.
    #[error("`{0}` has no meaning in it")]
    Behind(char),
    /// Bad percent-encoding, or what no path has.
    #[error("`{0}` is no path")]
    Path(String),
}

impl SshTarget {
    /// Reads what follows `ssh://`: `[user@]host[:port][/path]`.
    pub(super) fn parse(text: &str) -> Result<Self, SshError> {
        if let Some(mark) = text.chars().find(|mark| matches!(mark, '?' | '#')) {
            return Err(SshError::Behind(mark));
        }
        let (authority, path) = text.find('/').map_or((text, ""), |slash| text.split_at(slash));
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let user = match user {
            Some(user) if user.contains(':') => return Err(SshError::Password),
            Some(user) => {
                let plain = percent::decode(user).filter(|name| is_name(name));
                Some(plain.ok_or_else(|| SshError::User(user.to_owned()))?)
            }
            None => None,
        };
        let (host, port) = split_port(address)?;
        if host.is_empty() {
            return Err(SshError::NoHost);
        }
        let host = percent::decode(host).filter(|name| is_name(name)).ok_or_else(|| SshError::Host(host.to_owned()))?;
        let wrong = || SshError::Path(path.to_owned());
        let socket = percent::decode(path).filter(|path| !path.chars().any(|it| it.is_control() || it == '\\')).ok_or_else(wrong)?;
        let path = (!socket.trim_matches('/').is_empty()).then_some(socket);
        Ok(Self { user, host, port, path, starts: true })
    }

    /// The same engine as one that is not started. `docker` starts none anyhow, and does not look at our variable.
    #[must_use]
    pub fn unstarted(&self) -> Self {
        Self { starts: false, ..self.clone() }
    }

    /// What the program `ssh` is given. Nobody can be asked for a password: the terminal is that of the command.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["-o", "ConnectTimeout=30", "-T"].map(str::to_owned).into();
        if let Some(user) = &self.user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        let socket = self.path.as_deref().map(|path| format!(" '{}'", path.replace('\'', r"'\''"))).unwrap_or_default();
        let told = if self.starts { String::new() } else { format!("env {UNSTARTED}=1 ") };
        arguments.extend(["--".to_owned(), self.host.clone(), format!("exec {told}sh -c '{SCRIPT}' sh{socket}")]);
        arguments
    }
}

impl fmt::Display for SshTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(formatter, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(formatter, "[{}]", self.host)?;
        } else {
            formatter.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        formatter.write_str(self.path.as_deref().unwrap_or_default())
    }
}

/// Host and port; an IPv6 address stands in brackets, which ssh does not want.
fn split_port(address: &str) -> Result<(&str, Option<u16>), SshError> {
    let (host, port) = match address.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(SshError::Port)?)),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    match port {
        None | Some("") => Ok((host, None)),
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => Ok((host, Some(port))),
            _ => Err(SshError::Port),
        },
    }
}

/// Whether ssh takes it as a name, and no shell that ssh's own configuration hands it to (`ProxyCommand`) sees more in it.
fn is_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || "._-:%+@\\".contains(letter);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_arguments() {
        let check = |text: &str, expect: &[&str], end: &str| {
            let arguments = SshTarget::parse(text).expect("an address").arguments();
            let (script, rest) = arguments.split_last().expect("a script");
            assert_eq!(rest, ["-o", "ConnectTimeout=30", "-T"].iter().chain(expect).copied().collect::<Vec<_>>(), "{text}");
            assert!(script.starts_with("exec sh -c 'for ") && script.ends_with(end), "{script}");
        };
        check("h", &["--", "h"], "127' sh");
        check("h/", &["--", "h"], "127' sh");
        check("me@h:2222", &["-l", "me", "-p", "2222", "--", "h"], "127' sh");
        check("[fe80::1%25eth0]:22", &["-p", "22", "--", "fe80::1%eth0"], "127' sh");
        check("me@corp@h", &["-l", "me@corp", "--", "h"], "127' sh");
        check("do%5Cme@h", &["-l", r"do\me", "--", "h"], "127' sh");
        check("h/run/it's%20here.sock", &["--", "h"], r"127' sh '/run/it'\''s here.sock'");
        let looks = SshTarget::parse("h").expect("an address").unstarted();
        let told = looks.arguments().pop().expect("a script");
        assert!(told.starts_with("exec env GANTRY_NO_START=1 sh -c 'for "), "{told}");
        assert!(!SCRIPT.contains('\''), "the script stands between such quotes");
        assert!(SCRIPT.contains(std::str::from_utf8(READY).expect("text").trim_end()));
    }

    #[test]
    fn what_ssh_could_misread_is_refused() {
        let check = |text: &str, expect: SshError| assert_eq!(SshTarget::parse(text), Err(expect), "{text}");
        check("", SshError::NoHost);
        check("me@", SshError::NoHost);
        check("me@:22", SshError::NoHost);
        check("-oProxyCommand=x", SshError::Host("-oProxyCommand=x".to_owned()));
        check("me@-V", SshError::Host("-V".to_owned()));
        check("a;b", SshError::Host("a;b".to_owned()));
        check("a b", SshError::Host("a b".to_owned()));
        check("-v@h", SshError::User("-v".to_owned()));
        check("$(x)@h", SshError::User("$(x)".to_owned()));
        check("me:secret@h", SshError::Password);
        check("h:0", SshError::Port);
        check("h:ssh", SshError::Port);
        check("[::1]22", SshError::Port);
        check("h?x", SshError::Behind('?'));
        check("h/x#y", SshError::Behind('#'));
        // A backslash is an escape within quotes in some shells.
        check("h/x%5C%27(touch%20y)", SshError::Path("/x%5C%27(touch%20y)".to_owned()));
        check("h/%0a", SshError::Path("/%0a".to_owned()));
        check("h/%zz", SshError::Path("/%zz".to_owned()));
    }

    #[test]
    fn an_address_is_written_as_it_was_read() {
        for text in ["ssh://h", "ssh://me@h:22/run/x.sock", "ssh://[::1]:22"] {
            let target = SshTarget::parse(text.strip_prefix("ssh://").expect("one of ssh")).expect("an address");
            assert_eq!(target.to_string(), text);
        }
    }
}
