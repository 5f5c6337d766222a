//! Packets with descriptors over a sequenced-packet socket: how keeper, engine and shim speak.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};

/// The kernel passes at most 253 descriptors at once (`SCM_MAX_FD`).
pub(super) const MOST_DESCRIPTORS: usize = 253;

/// No packet is longer; what is, travels in a memfd.
pub(super) const MOST_BYTES: usize = 64 * 1024;

/// Bytes and the descriptors that came with them.
#[derive(Debug, Default)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Two connected sockets, closed on exec.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one packet; `wait` says whether a full socket blocks or is `WouldBlock`.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>], wait: bool) -> io::Result<()> {
    if bytes.len() > MOST_BYTES {
        return Err(Errno::MSGSIZE.into());
    }
    if bytes.is_empty() || descriptors.len() > MOST_DESCRIPTORS {
        return Err(Errno::INVAL.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let flags = if wait { SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL | SendFlags::DONTWAIT };
    loop {
        match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// Receives one packet; `None` when the other end is gone and all it sent was received. `wait` says whether an empty socket blocks or is `WouldBlock`.
pub(super) fn receive(socket: impl AsFd, wait: bool) -> io::Result<Option<Packet>> {
    let flags = if wait { RecvFlags::CMSG_CLOEXEC } else { RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT };
    // Its length first: most are short, and each process of ours that receives one would pay for the pages of the longest.
    let length = loop {
        match recv(&socket, &mut [0_u8; 0], flags | RecvFlags::PEEK | RecvFlags::TRUNC) {
            // The other end went without having read all it was sent. That is told once, ahead of what it sent itself.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error.into()),
            Ok((_, length)) => break length,
        }
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffer = vec![0; length];
    let message = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags) {
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error.into()),
            Ok(message) => break message,
        }
    };
    let mut descriptors = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = item {
            descriptors.extend(rights);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        // A descriptor is missing when the table is full: better no packet than half of one.
        return Err(io::Error::from(Errno::MFILE));
    }
    if message.bytes == 0 {
        return Ok(None);
    }
    Ok(Some(Packet { bytes: buffer, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel_with_their_bytes() {
        let (left, right) = pair().expect("a socket pair");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        send(&left, b"first", &[writer.as_fd()], true).expect("room");
        send(&left, b"second", &[], true).expect("room");
        drop(writer);
        let first = receive(&right, true).expect("a packet").expect("the first");
        assert_eq!((first.bytes.as_slice(), first.descriptors.len()), (&b"first"[..], 1));
        rustix::io::write(&first.descriptors[0], b"x").expect("the pipe is open");
        drop(first);
        assert_eq!(io::read_to_string(reader).expect("the pipe's text"), "x");
        assert_eq!(receive(&right, true).expect("a packet").expect("the second").bytes, b"second");
        assert!(matches!(receive(&right, false), Err(error) if error.kind() == io::ErrorKind::WouldBlock));
        drop(left);
        assert!(receive(&right, true).expect("the end").is_none());
    }

    #[test]
    fn last_words_of_who_did_not_listen_are_heard() {
        let (left, right) = pair().expect("a socket pair");
        send(&right, b"never read", &[], true).expect("room");
        send(&left, b"last words", &[], true).expect("room");
        drop(left);
        assert_eq!(receive(&right, true).expect("a packet").expect("the last").bytes, b"last words");
        assert!(receive(&right, true).expect("the end").is_none());
    }
}
