//! The files of a rotated log: `log` is the newest, `log.1` the one before it, and so on; `log.1.gz` where that one was compressed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use rustix::fs::{Mode, OFlags};

use crate::engine::runtime::kernel;

/// What tells a file of a log from all others, whatever its name is now, and also once it was compressed: its inode, and the generation of
/// it, for a number is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Identity {
    inode: u64,
    generation: i64,
}

impl Identity {
    /// Of an open file.
    pub(in crate::engine) fn of(file: &File) -> io::Result<Self> {
        Ok(Self { inode: file.metadata()?.ino(), generation: kernel::generation(file.as_fd()) })
    }

    fn read(text: &[u8]) -> Option<Self> {
        let (inode, generation) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self { inode: inode.parse().ok()?, generation: generation.parse().ok()? })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.inode, self.generation)
    }
}

/// The name of the file before so many others.
pub(in crate::engine) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 { path.to_owned() } else { with(path, &format!(".{number}")) }
}

/// The name of a file once it was compressed.
pub(in crate::engine) fn compressed(path: &Path) -> PathBuf {
    with(path, ".gz")
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The number in the name of a file of the log `log`.
pub(in crate::engine) fn number(log: &str, name: &str) -> Option<u32> {
    let number = name.strip_prefix(log)?.strip_prefix('.')?;
    number.strip_suffix(".gz").unwrap_or(number).parse().ok()
}

/// Compresses a file, which then has another name. At every moment one of the two is there, and whole.
pub(in crate::engine) fn compress(path: &Path) -> io::Result<()> {
    let mut source = File::open(path)?;
    let partial = with(path, ".partial");
    // Of one who was killed.
    is_there(fs::remove_file(&partial))?;
    let target = File::options().write(true).create_new(true).mode(0o640).open(&partial)?;
    let comment = Identity::of(&source)?.to_string();
    let mut encoder = GzBuilder::new().comment(comment).write(target, Compression::fast());
    let written = io::copy(&mut source, &mut encoder).and_then(|_| encoder.finish()?.sync_all());
    written.inspect_err(|_| drop(fs::remove_file(&partial)))?;
    fs::rename(&partial, compressed(path))?;
    fs::remove_file(path)
}

/// Opens a file of a log, compressed or not; none where neither is there. What was compressed is read into a file without a name.
pub(in crate::engine) fn open(path: &Path) -> io::Result<Option<(File, Identity)>> {
    if let Some(file) = is_there(File::open(path))? {
        let identity = Identity::of(&file)?;
        return Ok(Some((file, identity)));
    }
    let Some((mut decoder, identity)) = open_compressed(path)? else { return Ok(None) };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = File::from(rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR)?);
    match io::copy(&mut decoder, &mut file) {
        Ok(_) => {}
        // Damage to one file keeps nobody from the others.
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            tracing::warn!(path = %compressed(path).display(), %error, "a damaged file of a log is read as far as it can be");
        }
        Err(error) => return Err(error),
    }
    Ok(Some((file, identity)))
}

/// What a file of a log is, compressed or not; none where neither is there.
pub(in crate::engine) fn identity(path: &Path) -> io::Result<Option<Identity>> {
    match is_there(File::open(path))? {
        Some(file) => Identity::of(&file).map(Some),
        None => Ok(open_compressed(path)?.map(|(_, identity)| identity)),
    }
}

fn open_compressed(path: &Path) -> io::Result<Option<(GzDecoder<BufReader<File>>, Identity)>> {
    let Some(file) = is_there(File::open(compressed(path)))? else { return Ok(None) };
    let own = Identity::of(&file)?;
    let decoder = GzDecoder::new(BufReader::new(file));
    let identity = decoder.header().and_then(|header| Identity::read(header.comment()?));
    Ok(Some((decoder, identity.unwrap_or(own))))
}

/// None for what is not there.
pub(in crate::engine) fn is_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_file_stays_what_it_is_when_it_is_compressed() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let first = numbered(&log, 1);
        fs::write(&first, "line\n".repeat(1000)).expect("a file");
        let before = identity(&first).expect("looked").expect("is there");
        compress(&first).expect("compressed");
        let names: Vec<_> = fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(names, ["log.1.gz"]);
        // A new file may get the old number.
        fs::write(&log, "").expect("a file");
        assert_ne!(identity(&log).expect("looked"), Some(before));
        assert_eq!(identity(&first).expect("looked"), Some(before));
        let (mut file, found) = open(&first).expect("opened").expect("is there");
        let mut text = String::new();
        io::Seek::rewind(&mut file).expect("at its beginning");
        file.read_to_string(&mut text).expect("read");
        assert_eq!((found, text.len()), (before, 5000));
        assert_eq!((number("log", "log.12.gz"), number("log", "log.3"), number("log", "log.3.partial")), (Some(12), Some(3), None));
        assert!(open(&numbered(&log, 2)).expect("looked").is_none());
        // Half of it is worth more than nothing.
        let whole = fs::read(compressed(&first)).expect("read");
        fs::write(compressed(&first), &whole[..whole.len() - 9]).expect("cut");
        assert!(open(&first).expect("opened").is_some());
    }
}
