//! What keeper and engine tell each other: a tag, a text and descriptors. Without serde, for the keeper is to stay small.

use std::path::PathBuf;

use crate::engine::runtime::link::Leaving;

/// One message; descriptors travel beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A listening socket, by the address it listens at. One descriptor.
    Listener(String),
    /// What is held under a key from now on. Descriptors.
    Hold(String),
    /// More of what is held under it. Descriptors.
    HoldMore(String),
    /// Nothing is held under it any more.
    Release(String),
    /// A shim runs, and its container's control group is there. A pidfd.
    Shim(i32, PathBuf),
    /// A shim has ended and been dealt with.
    ShimGone(i32),
    /// The engine, told to the keeper it started. A pidfd.
    Engine(i32),
    /// All of the state has been handed over; `true` when the keeper stays for good.
    Begin(bool),
    /// The engine is to stop cleanly.
    Stop,
    /// The engine leaves of its own will.
    Leaving(Leaving),
    /// The engine cannot start, and says why.
    Failed(String),
}

impl Note {
    /// The packet's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, text) = match self {
            Self::Listener(name) => (b'L', name.clone().into_bytes()),
            Self::Hold(key) => (b'H', key.clone().into_bytes()),
            Self::HoldMore(key) => (b'h', key.clone().into_bytes()),
            Self::Release(key) => (b'R', key.clone().into_bytes()),
            Self::Shim(pid, group) => (b'S', [format!("{pid}\0").as_bytes(), group.as_os_str().as_encoded_bytes()].concat()),
            Self::ShimGone(pid) => (b'G', pid.to_string().into_bytes()),
            Self::Engine(pid) => (b'E', pid.to_string().into_bytes()),
            Self::Begin(permanent) => (b'B', if *permanent { b"permanent".to_vec() } else { Vec::new() }),
            Self::Stop => (b'Q', Vec::new()),
            Self::Leaving(Leaving::Idle) => (b'I', Vec::new()),
            Self::Leaving(Leaving::Stopped) => (b'X', Vec::new()),
            Self::Failed(reason) => (b'F', reason.clone().into_bytes()),
        };
        std::iter::once(tag).chain(text).collect()
    }

    /// The message in a packet; `None` for one of another version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let text = || String::from_utf8(rest.to_vec()).ok();
        let number = || std::str::from_utf8(rest).ok()?.parse().ok();
        Some(match tag {
            b'L' => Self::Listener(text()?),
            b'H' => Self::Hold(text()?),
            b'h' => Self::HoldMore(text()?),
            b'R' => Self::Release(text()?),
            b'S' => {
                use std::os::unix::ffi::OsStringExt as _;
                let end = rest.iter().position(|&byte| byte == 0)?;
                let pid = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
                Self::Shim(pid, PathBuf::from(std::ffi::OsString::from_vec(rest[end + 1..].to_vec())))
            }
            b'G' => Self::ShimGone(number()?),
            b'E' => Self::Engine(number()?),
            b'B' => Self::Begin(!rest.is_empty()),
            b'Q' => Self::Stop,
            b'I' => Self::Leaving(Leaving::Idle),
            b'X' => Self::Leaving(Leaving::Stopped),
            b'F' => Self::Failed(text()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_its_bytes() {
        let notes = [
            Note::Listener("tcp://127.0.0.1:2375".to_owned()),
            Note::Hold("port 80".to_owned()),
            Note::HoldMore("port 80".to_owned()),
            Note::Release(String::new()),
            Note::Shim(17, PathBuf::from("/sys/fs/cgroup/a b")),
            Note::ShimGone(17),
            Note::Engine(3),
            Note::Begin(true),
            Note::Begin(false),
            Note::Stop,
            Note::Leaving(Leaving::Idle),
            Note::Leaving(Leaving::Stopped),
            Note::Failed("no room".to_owned()),
        ];
        for note in notes {
            assert_eq!(Note::decode(&note.encode()), Some(note));
        }
        for bytes in [&b""[..], b"?", b"G", b"Gx", b"S17", b"H\xff"] {
            assert_eq!(Note::decode(bytes), None);
        }
    }
}
