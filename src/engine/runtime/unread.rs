//! How much of what was written to a socket its reader has not taken.

use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Whether the reader of a unix socket has taken all that was written. While the kernel tells the writer of its last byte it counts one more
/// (`sock_wfree`), and nothing is ever kept in as little as one.
pub fn is_all_read(socket: BorrowedFd<'_>) -> bool {
    let mut left: libc::c_int = 0;
    // SAFETY: the kernel writes an int (`SIOCOUTQ`) to a variable that has room for it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut left) };
    result < 0 || left <= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_lies_in_the_socket_is_unread() {
        let (mut writer, mut reader) = UnixStream::pair().expect("a pair");
        assert!(is_all_read(writer.as_fd()));
        writer.write_all(b"ab").expect("written");
        assert!(!is_all_read(writer.as_fd()));
        let mut byte = [0];
        reader.read_exact(&mut byte).expect("read");
        assert!(!is_all_read(writer.as_fd()));
        reader.read_exact(&mut byte).expect("read");
        assert!(is_all_read(writer.as_fd()));
        writer.write_all(b"c").expect("written");
        drop(reader);
        assert!(is_all_read(writer.as_fd()));
    }
}
