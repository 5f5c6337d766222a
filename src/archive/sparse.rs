//! Contents of files: copied as they come, or spread over the holes of a sparse file.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

use crate::archive::pax::SparseHeader;

/// So many bytes are copied at once.
const CHUNK: usize = 256 * 1024;
/// A run of zeros of this length becomes a hole in a file that is sparse in the archive.
const HOLE: usize = 4096;
/// More pieces than this no honest file has.
const PIECES: u64 = 1 << 20;

/// A buffer for copies, made once a layer.
pub(super) struct Copier {
    buffer: Vec<u8>,
}

impl Copier {
    /// Makes the buffer.
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; CHUNK] }
    }

    /// Copies all there is; returns its length.
    pub(super) fn copy(&mut self, from: &mut impl Read, into: &mut File) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let length = fill(from, &mut self.buffer)?;
            if length == 0 {
                return Ok(total);
            }
            into.write_all(&self.buffer[..length])?;
            total += length as u64;
        }
    }

    /// Copies all there is, leaving holes where whole blocks are zero.
    pub(super) fn copy_with_holes(&mut self, from: &mut impl Read, into: &mut File) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let length = fill(from, &mut self.buffer)?;
            if length == 0 {
                into.set_len(total)?;
                return Ok(total);
            }
            for block in self.buffer[..length].chunks(HOLE) {
                if block.iter().all(|byte| *byte == 0) {
                    into.seek(SeekFrom::Current(i64::try_from(block.len()).unwrap_or(0)))?;
                } else {
                    into.write_all(block)?;
                }
            }
            total += length as u64;
        }
    }

    /// Copies the pieces of a sparse file to their places.
    pub(super) fn copy_pieces(&mut self, header: &SparseHeader, from: &mut impl Read, into: &mut File) -> io::Result<u64> {
        let read;
        let map = match &header.map {
            Some(map) => map,
            None => {
                read = read_map(from)?;
                &read
            }
        };
        let mut end = 0;
        for &(offset, length) in map {
            let after = offset.checked_add(length).filter(|after| offset >= end && *after <= header.size);
            end = after.ok_or_else(|| wrong("the pieces of a sparse file overlap or lie outside of it"))?;
            into.seek(SeekFrom::Start(offset))?;
            if self.copy(&mut from.by_ref().take(length), into)? != length {
                return Err(wrong("a sparse file ends early"));
            }
        }
        into.set_len(header.size)?;
        Ok(header.size)
    }
}

/// Reads until the buffer is full or the source ends.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Reads the map of format 1.0: decimal numbers, one a line, padded to a block.
fn read_map(from: &mut impl Read) -> io::Result<Vec<(u64, u64)>> {
    let mut blocks = Blocks { from, block: [0; 512], at: 512 };
    let pieces = blocks.number()?;
    if pieces > PIECES {
        return Err(wrong("a sparse file has too many pieces"));
    }
    (0..pieces).map(|_| Ok((blocks.number()?, blocks.number()?))).collect()
}

struct Blocks<'a, R> {
    from: &'a mut R,
    block: [u8; 512],
    at: usize,
}

impl<R: Read> Blocks<'_, R> {
    fn number(&mut self) -> io::Result<u64> {
        let mut number: u64 = 0;
        loop {
            if self.at == self.block.len() {
                self.from.read_exact(&mut self.block)?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return Ok(number),
                b'0'..=b'9' => {
                    let next = number.checked_mul(10).and_then(|it| it.checked_add(u64::from(byte - b'0')));
                    number = next.ok_or_else(|| wrong("a number in the map of a sparse file is too large"))?;
                }
                _ => return Err(wrong("the map of a sparse file is not made of numbers")),
            }
        }
    }
}

fn wrong(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn pieces(header: &SparseHeader, data: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = tempfile::tempfile()?;
        Copier::new().copy_pieces(header, &mut &*data, &mut file)?;
        let mut text = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn pieces_go_to_their_places() {
        let header = SparseHeader { name: None, size: 8, map: Some(vec![(1, 2), (5, 1)]) };
        assert_eq!(pieces(&header, b"abc").expect("a good map"), b"\0ab\0\0c\0\0");
        assert!(pieces(&header, b"ab").is_err());
        let outside = SparseHeader { map: Some(vec![(7, 2)]), ..header.clone() };
        assert!(pieces(&outside, b"ab").is_err());
        let mut data = b"2\n1\n2\n5\n1\n".to_vec();
        data.resize(512, 0);
        data.extend_from_slice(b"abc");
        let inline = SparseHeader { map: None, ..header };
        assert_eq!(pieces(&inline, &data).expect("a good map"), b"\0ab\0\0c\0\0");
        assert!(pieces(&inline, &[b'9'; 600]).is_err());
    }

    #[test]
    fn zeros_become_holes() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        let mut data = vec![0; 1 << 20];
        data.push(1);
        let length = Copier::new().copy_with_holes(&mut &*data, &mut file).expect("a copy");
        let metadata = file.metadata().expect("metadata");
        assert_eq!((length, metadata.len()), (data.len() as u64, data.len() as u64));
        assert!(metadata.blocks() * 512 < 64 * 1024);
    }
}
