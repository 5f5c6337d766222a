//! Docker's frames: both outputs of a process over one connection.
//!
//! Each is eight bytes (the stream, three zeros, the length in network order) and the bytes.

use crate::resource::log::Stream;

/// Bytes before those of the process.
pub const HEADER: usize = 8;

/// The longest frame that is believed; dockerd's are at most 32 KiB, a log line 16 KiB and its time.
pub const MAXIMUM: usize = 16 << 20;

/// Bytes that are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stream is none of Docker's.
    #[error("the engine sent a frame of the unknown stream {0}")]
    Stream(u8),
    /// The length is absurd.
    #[error("the engine sent a frame of {0} bytes")]
    Length(usize),
    /// The end came in the middle.
    #[error("the connection ended in the middle of a frame")]
    Truncated,
}

/// Where a frame's bytes were written. Docker's fourth stream carries an error of the engine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// An output of the process.
    Output(Stream),
    /// A message of the engine, which ends the stream.
    Engine,
}

/// Writes a frame.
pub fn encode(stream: Stream, bytes: &[u8]) -> Vec<u8> {
    [header(stream, bytes.len()).as_slice(), bytes].concat()
}

/// What stands before so many bytes.
pub fn header(stream: Stream, length: usize) -> [u8; HEADER] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [channel_number(stream), 0, 0, 0, a, b, c, d]
}

const fn channel_number(stream: Stream) -> u8 {
    match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    }
}

/// Takes frames out of bytes that arrive in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > 64 << 10 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next whole frame.
    pub fn take(&mut self) -> Result<Option<(Channel, Vec<u8>)>, FrameError> {
        let rest = &self.buffer[self.start..];
        let Some((header, body)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let channel = match header[0] {
            // Docker writes stream 0 for the echo of standard input; it belongs to standard output.
            0 | 1 => Channel::Output(Stream::Stdout),
            2 => Channel::Output(Stream::Stderr),
            3 => Channel::Engine,
            other => return Err(FrameError::Stream(other)),
        };
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if length > MAXIMUM {
            return Err(FrameError::Length(length));
        }
        let Some(bytes) = body.get(..length) else { return Ok(None) };
        let bytes = bytes.to_vec();
        self.start += HEADER + length;
        Ok(Some((channel, bytes)))
    }

    /// Says whether the end may come here.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.start == self.buffer.len() { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_however_the_bytes_arrive() {
        let mut wire = encode(Stream::Stdout, b"hello\n");
        wire.extend(encode(Stream::Stderr, b""));
        wire.extend(encode(Stream::Stderr, b"no\n"));
        for step in 1..=wire.len() {
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            for piece in wire.chunks(step) {
                decoder.push(piece);
                while let Some((channel, bytes)) = decoder.take().expect("good frames") {
                    frames.push((channel, String::from_utf8(bytes).expect("text")));
                }
            }
            let output = Channel::Output;
            let expect = [
                (output(Stream::Stdout), "hello\n".to_owned()),
                (output(Stream::Stderr), String::new()),
                (output(Stream::Stderr), "no\n".to_owned()),
            ];
            assert_eq!(frames, expect);
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |bytes: &[u8], expect| {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert_eq!(decoder.take(), Err(expect));
        };
        check(b"HTTP/1.1", FrameError::Stream(b'H'));
        check(&[1, 0, 0, 0, 255, 0, 0, 0], FrameError::Length(0xff00_0000));
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0]);
        assert_eq!(decoder.finish(), Err(FrameError::Truncated));
    }
}
