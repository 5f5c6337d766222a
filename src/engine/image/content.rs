//! Blobs by digest: `content/sha256/HEX`. A blob has its name only once every byte was seen and the digest is right.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::engine::image::error::ImageError;
use crate::engine::image::temporary;
use crate::resource::id::Digest;

/// Configurations and manifests are no larger (what registries accept, and Docker reads).
pub(super) const DOCUMENT_LIMIT: u64 = 4 << 20;

/// The blobs of one root.
#[derive(Debug)]
pub(super) struct Content {
    blobs: PathBuf,
    temporary: PathBuf,
}

impl Content {
    /// Opens the folder and sweeps what was never finished.
    pub(super) fn open(data: &Path) -> Result<Self, ImageError> {
        let content = Self { blobs: data.join("content/sha256"), temporary: data.join("content/partial") };
        match fs::remove_dir_all(&content.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ImageError::disk("sweep", &content.temporary)(error)),
            _ => {}
        }
        for folder in [&content.blobs, &content.temporary] {
            fs::create_dir_all(folder).map_err(ImageError::disk("make", folder))?;
        }
        // An image may be one that its registry gives only to some: nobody but root reads it here.
        let folder = data.join("content");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(ImageError::disk("close", &folder))?;
        Ok(content)
    }

    /// Where a blob lies.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// Whether there is such a blob.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Starts a blob.
    pub(super) fn create(&self) -> Result<BlobWriter, ImageError> {
        let path = self.temporary.join(temporary::name());
        let file = File::options().write(true).create_new(true).open(&path).map_err(ImageError::disk("make", &path))?;
        Ok(BlobWriter { blobs: self.blobs.clone(), path, file, hasher: Sha256::new(), size: 0 })
    }

    /// Keeps a document.
    pub(super) fn put(&self, document: &[u8]) -> Result<Digest, ImageError> {
        let digest = digest_of(document);
        if !self.has(&digest) {
            let mut writer = self.create()?;
            writer.write_all(document).map_err(ImageError::disk("write", &self.temporary))?;
            writer.finish(Some(&digest))?;
        }
        Ok(digest)
    }

    /// Reads a document, which a power cut may have spoiled.
    pub(super) fn document(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = self.path(digest);
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(ImageError::disk("open", &path))?;
        file.take(DOCUMENT_LIMIT).read_to_end(&mut bytes).map_err(ImageError::disk("read", &path))?;
        let found = digest_of(&bytes);
        if found != *digest {
            return Err(ImageError::WrongDigest { what: format!("the stored blob {digest}"), expected: *digest, found });
        }
        Ok(bytes)
    }

    /// Opens a blob. Its digest is for the reader to verify.
    pub(super) fn blob(&self, digest: &Digest) -> Result<File, ImageError> {
        let path = self.path(digest);
        File::open(&path).map_err(ImageError::disk("open", &path))
    }

    /// Waits until a blob is on the disk, name and all.
    pub(super) fn settle(&self, digest: &Digest) -> Result<(), ImageError> {
        let path = self.path(digest);
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&path).and_then(|()| sync(&self.blobs)).map_err(ImageError::disk("write", &path))
    }

    /// Removes a blob, if it is there; returns its size.
    pub(super) fn remove(&self, digest: &Digest) -> u64 {
        let path = self.path(digest);
        let size = fs::metadata(&path).map_or(0, |it| it.len());
        match fs::remove_file(&path) {
            Ok(()) => size,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(blob = %digest, %error, "a blob cannot be removed");
                }
                0
            }
        }
    }

    /// Every blob that is as small as a document.
    pub(super) fn documents(&self) -> Result<Vec<Digest>, ImageError> {
        let is_small = |digest: &Digest| fs::metadata(self.path(digest)).is_ok_and(|it| it.len() <= DOCUMENT_LIMIT);
        Ok(self.all()?.into_iter().filter(is_small).collect())
    }

    /// Every blob there is.
    pub(super) fn all(&self) -> Result<Vec<Digest>, ImageError> {
        let wrong = ImageError::disk("list", &self.blobs);
        let entries = fs::read_dir(&self.blobs).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(wrong)?;
        Ok(entries.iter().filter_map(|entry| format!("sha256:{}", entry.file_name().to_str()?).parse().ok()).collect())
    }
}

/// A blob that is being written; gone again when it is dropped unfinished.
#[derive(Debug)]
pub(super) struct BlobWriter {
    blobs: PathBuf,
    path: PathBuf,
    file: File,
    hasher: Sha256,
    size: u64,
}

impl BlobWriter {
    /// The digest of what was written so far.
    pub(super) fn digest(&self) -> Digest {
        Digest::from_bytes(self.hasher.clone().finalize().into())
    }

    /// Gives the blob its name, if it has the digest it should have. Returns digest and size.
    pub(super) fn finish(self, expected: Option<&Digest>) -> Result<(Digest, u64), ImageError> {
        let found = self.digest();
        if let Some(expected) = expected.filter(|it| **it != found) {
            return Err(ImageError::WrongDigest { what: "the blob".to_owned(), expected: *expected, found });
        }
        let place = self.blobs.join(found.hex());
        fs::rename(&self.path, &place).map_err(ImageError::disk("name", &place))?;
        Ok((found, self.size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // Renamed away when it was finished.
        let _gone = fs::remove_file(&self.path);
    }
}

/// The digest of bytes in memory.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// Copies what is read from it elsewhere, or only takes its digest.
pub(super) struct Tee<R, W> {
    inner: R,
    into: W,
}

impl<R: Read, W: Write> Tee<R, W> {
    /// Joins a source and a copy of it.
    pub(super) fn new(inner: R, into: W) -> Self {
        Self { inner, into }
    }

    /// The copy.
    pub(super) fn into_copy(self) -> W {
        self.into
    }
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.into.write_all(&buffer[..read])?;
        Ok(read)
    }
}

/// Writes to two places.
pub(super) struct Fork<A, B> {
    one: A,
    other: B,
}

impl<A: Write, B: Write> Fork<A, B> {
    /// Joins the two.
    pub(super) fn new(one: A, other: B) -> Self {
        Self { one, other }
    }

    /// The two.
    pub(super) fn into_both(self) -> (A, B) {
        (self.one, self.other)
    }
}

impl<A: Write, B: Write> Write for Fork<A, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.one.write_all(bytes)?;
        self.other.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.one.flush()?;
        self.other.flush()
    }
}

/// Takes the digest and the length of what is written to it.
pub(super) struct Digester {
    hasher: Sha256,
    size: u64,
}

impl Digester {
    /// Starts with nothing.
    pub(super) fn new() -> Self {
        Self { hasher: Sha256::new(), size: 0 }
    }

    /// Digest and length.
    pub(super) fn finish(self) -> (Digest, u64) {
        (Digest::from_bytes(self.hasher.finalize().into()), self.size)
    }
}

impl Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_has_its_name_only_when_it_is_right() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let content = Content::open(folder.path()).expect("a store");
        let digest = digest_of(b"text");
        for (bytes, good) in [(&b"other"[..], false), (b"text", true)] {
            let mut writer = content.create().expect("a writer");
            writer.write_all(bytes).expect("a write");
            assert_eq!(writer.finish(Some(&digest)).is_ok(), good);
            assert_eq!(content.has(&digest), good);
            assert_eq!(fs::read_dir(folder.path().join("content/partial")).expect("a folder").count(), 0);
        }
        assert_eq!(content.document(&digest).expect("the document"), b"text");
        assert_eq!(content.all().expect("a list"), [digest]);
        let mode = fs::metadata(folder.path().join("content")).expect("the folder").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can read what only some may pull");
    }

    #[test]
    fn what_was_never_finished_is_swept_and_what_was_spoiled_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let content = Content::open(folder.path()).expect("a store");
        let left = folder.path().join("content/partial/left");
        fs::write(&left, "half").expect("a file");
        let digest = content.put(b"text").expect("a blob");
        fs::write(content.path(&digest), "tex\0").expect("a file");
        let content = Content::open(folder.path()).expect("a store");
        assert!(!left.exists());
        assert!(matches!(content.document(&digest), Err(ImageError::WrongDigest { .. })));
    }
}
