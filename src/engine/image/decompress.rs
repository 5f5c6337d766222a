//! What an archive is compressed with is told by its first bytes, not by what somebody called it.

use std::io::{self, BufReader, Read};

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
}

impl Compression {
    /// Tells by the first bytes; names what is known and not read.
    fn of(head: &[u8]) -> Result<Self, &'static str> {
        match head {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A frame, or a frame to be skipped (RFC 8878).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [b'B', b'Z', b'h', ..] => Err("bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err("xz"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Err("lz4"),
            [b'P', b'K', 0x03, 0x04, ..] => Err("zip"),
            _ => Ok(Self::None),
        }
    }
}

/// Reads an archive as it was before it was compressed.
pub(crate) fn reader<'a>(mut archive: impl Read + 'a) -> io::Result<(Compression, Box<dyn Read + 'a>)> {
    let mut head = [0; 6];
    let mut length = 0;
    while length < head.len() {
        match archive.read(&mut head[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let compression = Compression::of(&head[..length]).map_err(|name| {
        io::Error::new(io::ErrorKind::Unsupported, format!("it is compressed with {name}: gzip, zstd or a plain tar is read"))
    })?;
    let whole = io::Cursor::new(head).take(length as u64).chain(archive);
    Ok((
        compression,
        match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(128 * 1024, whole))),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
        },
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("a write");
        encoder.finish().expect("the end")
    }

    fn check(bytes: &[u8], compression: Compression, expect: &[u8]) {
        let (found, mut reader) = reader(bytes).expect("a known compression");
        let mut text = Vec::new();
        reader.read_to_end(&mut text).expect("a whole archive");
        assert_eq!((found, text.as_slice()), (compression, expect));
    }

    #[test]
    fn the_first_bytes_tell() {
        check(b"", Compression::None, b"");
        check(b"abc", Compression::None, b"abc");
        check(&gzip(b"abc"), Compression::Gzip, b"abc");
        check(&[gzip(b"abc"), gzip(b"def")].concat(), Compression::Gzip, b"abcdef");
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("an encoder");
        check(&[zstd(b"abc"), zstd(b"def")].concat(), Compression::Zstd, b"abcdef");
        let error = reader(&b"\xfd7zXZ\0...."[..]).err().expect("xz is not read");
        assert!(error.to_string().contains("xz"), "{error}");
    }

    #[test]
    fn a_torn_archive_is_an_error() {
        let whole = gzip(&[7; 5000]);
        let (_, mut reader) = reader(&whole[..whole.len() - 4]).expect("a known compression");
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
    }
}
