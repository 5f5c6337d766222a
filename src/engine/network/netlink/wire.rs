//! Netlink messages and attributes as bytes: a writer, and a reader that gives up nothing but what is whole (netlink(7)).

/// `NLM_F_REQUEST`.
pub(in crate::engine::network) const REQUEST: u16 = 1;
/// `NLM_F_ACK`.
pub(in crate::engine::network) const ACK: u16 = 4;
/// `NLM_F_ROOT | NLM_F_MATCH`.
pub(in crate::engine::network) const DUMP: u16 = 0x300;
/// `NLM_F_EXCL`.
pub(in crate::engine::network) const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`.
pub(in crate::engine::network) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub(in crate::engine::network) const APPEND: u16 = 0x800;

/// `NLMSG_ERROR`: an error, or with code 0 an acknowledgement.
pub(in crate::engine::network) const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(in crate::engine::network) const DONE: u16 = 3;

const NESTED: u16 = 0x8000;
const HEADER: usize = 16;

const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// Messages one after the other.
#[derive(Debug, Default)]
pub(in crate::engine::network) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// The bytes written.
    pub(in crate::engine::network) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes a message: the header of its family, then what `body` writes.
    pub(in crate::engine::network) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        family: &[u8],
        body: impl FnOnce(&mut Self),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(family);
        self.pad();
        body(self);
        let length = u32::try_from(self.bytes.len() - start).expect("a message of ours is far below 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Adds a flag to the message that begins at `start`.
    pub(in crate::engine::network) fn add_flag(&mut self, start: usize, flag: u16) {
        let flags = u16::from_ne_bytes([self.bytes[start + 6], self.bytes[start + 7]]) | flag;
        self.bytes[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// Where the next message begins.
    pub(in crate::engine::network) fn position(&self) -> usize {
        self.bytes.len()
    }

    /// Writes an attribute.
    pub(in crate::engine::network) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).expect("an attribute of ours is far below 64 KiB");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    /// Writes attributes that were written elsewhere.
    pub(in crate::engine::network) fn raw(&mut self, attributes: &[u8]) {
        self.bytes.extend_from_slice(attributes);
    }

    /// Writes a text with its final zero.
    pub(in crate::engine::network) fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes);
    }

    /// Writes a number in network order, as every number of nf_tables is.
    pub(in crate::engine::network) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Writes an attribute made of attributes.
    pub(in crate::engine::network) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start).expect("a nest of ours is far below 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }
}

/// One received message.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::network) struct Message<'a> {
    /// Its type.
    pub(in crate::engine::network) kind: u16,
    /// Its number, the request's.
    pub(in crate::engine::network) sequence: u32,
    /// The socket whose request caused it.
    pub(in crate::engine::network) port: u32,
    /// What follows the header.
    pub(in crate::engine::network) payload: &'a [u8],
    /// Header and payload.
    pub(in crate::engine::network) whole: &'a [u8],
}

impl Message<'_> {
    /// The error number of an `NLMSG_ERROR` (0 is an acknowledgement) or of the end of a dump.
    pub(in crate::engine::network) fn error(&self) -> i32 {
        match self.payload.first_chunk::<4>() {
            Some(code) if matches!(self.kind, ERROR | DONE) => -i32::from_ne_bytes(*code),
            _ => 0,
        }
    }
}

/// The messages of one datagram.
pub(in crate::engine::network) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_ne_bytes([header[0], header[1], header[2], header[3]])).ok()?;
        let whole = bytes.get(..length)?;
        let message = Message {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            port: u32::from_ne_bytes([header[12], header[13], header[14], header[15]]),
            payload: whole.get(HEADER..)?,
            whole,
        };
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes of a message or a nest: type without flags, and value.
pub(in crate::engine::network) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = bytes.get(4..length)?;
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The attribute of this type.
pub(in crate::engine::network) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|&(found, _)| found == kind).map(|(_, value)| value)
}

/// A text without its final zeros.
pub(in crate::engine::network) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A number in network order.
pub(in crate::engine::network) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|chunk| u32::from_be_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = Writer::default();
        writer.message(10, REQUEST, 7, &[1, 0, 0, 0], |body| {
            body.text(1, "lo");
            body.nest(2, |nest| nest.number(3, 0x0102_0304));
        });
        writer.message(11, REQUEST | ACK, 8, &[], |_| {});
        let bytes = writer.into_bytes();
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read.iter().map(|message| (message.kind, message.sequence)).collect::<Vec<_>>(), [(10, 7), (11, 8)]);
        let body = &read[0].payload[4..];
        assert_eq!(attribute(body, 1).map(text), Some("lo".to_owned()));
        assert_eq!(attribute(body, 2).and_then(|nest| attribute(nest, 3)).and_then(number), Some(0x0102_0304));
    }

    #[test]
    fn a_broken_length_ends_the_reading() {
        for length in [0_u32, 3, 15, 17, u32::MAX] {
            let mut bytes = vec![0; 16];
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0, "{length}");
        }
        assert_eq!(attributes(&[0, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[9, 0, 1, 0, 1]).count(), 0);
    }
}
