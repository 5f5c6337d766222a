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
    /// bzip2, of one stream or several.
    Bzip2,
    /// xz, of one stream or several.
    Xz,
}

impl Compression {
    /// Tells by the first bytes; names what is known and not read.
    fn of(head: &[u8]) -> Result<Self, &'static str> {
        match head {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A frame, or a frame to be skipped (RFC 8878).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [b'B', b'Z', b'h', ..] => Ok(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Self::Xz),
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
        io::Error::new(io::ErrorKind::Unsupported, format!("it is compressed with {name}: gzip, zstd, bzip2, xz or a plain tar is read"))
    })?;
    let whole = io::Cursor::new(head).take(length as u64).chain(archive);
    Ok((
        compression,
        match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(128 * 1024, whole))),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
            Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(whole)),
            Compression::Xz => Box::new(lzma_rust2::XzReader::new(whole, true)),
        },
    ))
}

/// Where a tar's header says what it is, and how (POSIX ustar, and GNU's own).
const MAGIC: std::ops::Range<usize> = 257..262;

/// Whether a file is a tar, compressed or not; what it is compressed with may be something that is known and not read.
pub(crate) fn is_archive(file: impl Read) -> bool {
    let mut file = file.take(1 << 20);
    let mut head = [0; 6];
    if file.read_exact(&mut head).is_err() {
        return false;
    }
    match Compression::of(&head) {
        Err(_) => false,
        Ok(_) => {
            let Ok((_, mut tar)) = reader(io::Cursor::new(head).chain(file)) else { return false };
            let mut block = [0; 512];
            tar.read_exact(&mut block).is_ok() && block[MAGIC] == *b"ustar"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// `abc`, as bzip2(1) and xz(1) have it.
    const BZIP2: &[u8] = &[
        0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x64, 0x8c, 0xbb, 0x73, 0x00, 0x00, 0x00, 0x01, 0x00, 0x38, 0x00, 0x20,
        0x00, 0x21, 0x98, 0x19, 0x84, 0x61, 0x77, 0x24, 0x53, 0x85, 0x09, 0x06, 0x48, 0xcb, 0xb7, 0x30,
    ];
    const XZ: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16, 0x00, 0x00, 0x00, 0x74, 0x2f,
        0xe5, 0xa3, 0x01, 0x00, 0x02, 0x61, 0x62, 0x63, 0x00, 0x00, 0x27, 0x76, 0x27, 0x1a, 0x4a, 0x09, 0xd8, 0x2c, 0x00, 0x01, 0x1b, 0x03,
        0x0b, 0x2f, 0xb9, 0x10, 0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];

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
        check(&BZIP2.repeat(2), Compression::Bzip2, b"abcabc");
        check(&XZ.repeat(2), Compression::Xz, b"abcabc");
        let error = reader(&b"PK\x03\x04...."[..]).err().expect("zip is not read");
        assert!(error.to_string().contains("zip"), "{error}");
    }

    #[test]
    fn an_archive_is_told_from_other_files() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        builder.append_data(&mut header, "file", &b"abc"[..]).expect("an entry");
        let tar = builder.into_inner().expect("an archive");
        let zstd = zstd::encode_all(&*tar, 1).expect("an encoder");
        for (bytes, expect) in [(&tar[..], true), (&gzip(&tar), true), (&zstd, true), (&gzip(b"abc"), false), (BZIP2, false), (b"", false)]
        {
            assert_eq!(is_archive(bytes), expect);
        }
    }

    #[test]
    fn a_torn_archive_is_an_error() {
        let whole = gzip(&[7; 5000]);
        let (_, mut reader) = reader(&whole[..whole.len() - 4]).expect("a known compression");
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
    }
}
