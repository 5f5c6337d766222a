//! Frames of a build's connection: one byte of kind, four of length in network order, and so many bytes.

/// Bytes before those of the message.
pub const HEADER: usize = 5;

/// The longest message that is believed: a Dockerfile and a piece of a listing are far shorter.
pub const MAXIMUM: usize = 16 << 20;

/// The longest piece of a stream that is put into one message.
pub const PIECE: usize = 128 << 10;

/// Bytes that are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is absurd.
    #[error("a message of {0} bytes was announced; at most {MAXIMUM} are read")]
    Length(usize),
    /// The end came in the middle.
    #[error("the connection ended in the middle of a message")]
    Truncated,
}

/// Writes a frame.
pub fn encode(kind: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + message.len());
    bytes.push(kind);
    bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// Bytes as they come, out of which frames are taken.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next frame's kind and message; `None` until it is whole.
    pub fn take(&mut self) -> Result<Option<(u8, &[u8])>, FrameError> {
        let Some((header, rest)) = self.buffer[self.start..].split_first_chunk::<HEADER>() else { return Ok(None) };
        let [kind, a, b, c, d] = *header;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > MAXIMUM {
            return Err(FrameError::Length(length));
        }
        let Some(message) = rest.get(..length) else { return Ok(None) };
        self.start += HEADER + length;
        Ok(Some((kind, message)))
    }

    /// Says whether the end may come here.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.start == self.buffer.len() { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_come_out_however_the_bytes_arrive(frames in proptest::collection::vec(any::<(u8, Vec<u8>)>(), 0..6), step in 1..40_usize) {
            let wire: Vec<u8> = frames.iter().flat_map(|(kind, message)| encode(*kind, message)).collect();
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            for piece in wire.chunks(step) {
                decoder.push(piece);
                while let Some((kind, message)) = decoder.take().expect("good frames") {
                    found.push((kind, message.to_vec()));
                }
            }
            prop_assert_eq!(found, frames);
            prop_assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(b"HTTP/1.1 200 OK");
        assert_eq!(decoder.take(), Err(FrameError::Length(0x5454_502f)));
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0]);
        assert_eq!(decoder.take(), Ok(None));
        assert_eq!(decoder.finish(), Err(FrameError::Truncated));
    }
}
