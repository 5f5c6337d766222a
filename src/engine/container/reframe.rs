//! The output of a command in the form that whoever starts it asks for: Docker's frames, or a terminal's bytes. It may not be the command's own.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::engine::container::attach::{HEAD, frame, length_of};
use crate::resource::log::Stream;

/// Bytes that may wait for whoever reads.
const PIECE: usize = 32 << 10;

/// Makes frames of a terminal's output, or bytes of frames, where what is asked for differs from what the command has.
pub(in crate::engine) fn reframe(
    output: impl AsyncRead + Send + Unpin + 'static,
    of_terminal: bool,
    as_terminal: bool,
) -> Box<dyn AsyncRead + Send + Unpin> {
    if of_terminal == as_terminal {
        return Box::new(output);
    }
    let (near, far) = tokio::io::duplex(PIECE);
    let (mut gone, into) = tokio::io::split(near);
    tokio::spawn(async move {
        tokio::select! {
            // Nothing is written at the far end: all that can be read is that it has been let go.
            _ = gone.read_u8() => {}
            _ = convert(output, into, of_terminal) => {}
        }
    });
    Box::new(far)
}

async fn convert(mut output: impl AsyncRead + Unpin, mut into: impl AsyncWrite + Unpin, of_terminal: bool) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        if of_terminal {
            let count = output.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            into.write_all(&frame(Stream::Stdout, &buffer[..count])).await?;
        } else {
            let mut head = [0; HEAD];
            output.read_exact(&mut head).await?;
            tokio::io::copy(&mut (&mut output).take(length_of(head).into()), &mut into).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(output: Vec<u8>, of_terminal: bool, as_terminal: bool) -> Vec<u8> {
        let mut read = Vec::new();
        reframe(io::Cursor::new(output), of_terminal, as_terminal).read_to_end(&mut read).await.expect("read");
        read
    }

    #[tokio::test]
    async fn each_form_becomes_the_other() {
        let frames = [frame(Stream::Stdout, b"one"), frame(Stream::Stderr, b"two")].concat();
        assert_eq!(read(frames.clone(), false, true).await, b"onetwo");
        assert_eq!(read(b"one".to_vec(), true, false).await, frame(Stream::Stdout, b"one"));
        assert_eq!(read(frames.clone(), false, false).await, frames);
        assert_eq!(read(b"one".to_vec(), true, true).await, b"one");
        let large = vec![7; 3 * PIECE];
        assert_eq!(read(frame(Stream::Stdout, &large), false, true).await, large);
    }

    #[tokio::test]
    async fn nothing_is_held_for_who_has_gone() {
        let (writer, output) = tokio::io::duplex(8);
        drop(reframe(output, true, false));
        let mut writer = writer;
        while writer.write_all(b"12345678").await.is_ok() {}
    }
}
