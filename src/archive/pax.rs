//! What a PAX header adds to an entry: a finer time, extended attributes, and the map of a sparse file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// Attributes travel under this name (star's, used by everyone).
const XATTR: &[u8] = b"SCHILY.xattr.";

/// What a PAX header adds to an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    /// Seconds and nanoseconds of the last change.
    pub(super) mtime: Option<(i64, i64)>,
    /// Extended attributes, in order.
    pub(super) xattrs: Vec<(OsString, Vec<u8>)>,
    /// A sparse file's map.
    pub(super) sparse: Option<SparseHeader>,
}

/// How GNU tar wrote a sparse file into a PAX archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SparseHeader {
    /// The real name; the header carries a made-up one.
    pub(super) name: Option<Vec<u8>>,
    /// The real size.
    pub(super) size: u64,
    /// Offsets and lengths of the data (formats 0.0 and 0.1); `None`: the map comes before the data (format 1.0).
    pub(super) map: Option<Vec<(u64, u64)>>,
}

impl Extensions {
    /// Gathers records; unknown ones say nothing about a file system. Returns `None` for a malformed one.
    pub(super) fn gather<'a>(records: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let mut result = Self::default();
        let mut sparse = SparseHeader::default();
        let mut is_sparse = false;
        let mut offset = None;
        for (key, value) in records {
            if let Some(name) = key.strip_prefix(XATTR) {
                result.xattrs.push((OsStr::from_bytes(name).to_owned(), value.to_vec()));
                continue;
            }
            let Some(rest) = key.strip_prefix(b"GNU.sparse.") else {
                if key == b"mtime" {
                    result.mtime = Some(parse_time(value)?);
                }
                continue;
            };
            is_sparse = true;
            match rest {
                b"name" => sparse.name = Some(value.to_vec()),
                b"size" | b"realsize" => sparse.size = parse_number(value)?,
                b"map" => sparse.map = Some(parse_map(value)?),
                b"offset" => offset = Some(parse_number(value)?),
                b"numbytes" => sparse.map.get_or_insert_default().push((offset.take()?, parse_number(value)?)),
                _ => {}
            }
        }
        result.sparse = is_sparse.then_some(sparse);
        Some(result)
    }
}

fn parse_number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn parse_map(value: &[u8]) -> Option<Vec<(u64, u64)>> {
    let numbers = value.split(|byte| *byte == b',').map(parse_number).collect::<Option<Vec<u64>>>()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

/// `-?seconds[.fraction]`; nanoseconds are counted upwards from the rounded-down second, as the kernel wants them.
fn parse_time(value: &[u8]) -> Option<(i64, i64)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    if whole.starts_with('-') && nanos > 0 { Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)) } else { Some((seconds, nanos)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(records: &[(&str, &str)]) -> Option<Extensions> {
        Extensions::gather(records.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())))
    }

    #[test]
    fn times_may_be_fine_and_before_the_epoch() {
        let check = |text: &str, expect| assert_eq!(parse_time(text.as_bytes()), expect, "{text}");
        check("12", Some((12, 0)));
        check("12.5", Some((12, 500_000_000)));
        check("12.1234567891", Some((12, 123_456_789)));
        check("-1.25", Some((-2, 750_000_000)));
        check("-0.25", Some((-1, 750_000_000)));
        check("", None);
        check("1.x", None);
    }

    #[test]
    fn all_three_sparse_formats_are_known() {
        let map = |records: &[(&str, &str)]| gather(records).and_then(|it| it.sparse).map(|it| (it.size, it.map));
        let old = [
            ("GNU.sparse.size", "9"),
            ("GNU.sparse.offset", "1"),
            ("GNU.sparse.numbytes", "2"),
            ("GNU.sparse.offset", "5"),
            ("GNU.sparse.numbytes", "1"),
        ];
        assert_eq!(map(&old), Some((9, Some(vec![(1, 2), (5, 1)]))));
        assert_eq!(map(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "1,2,5,1")]), Some((9, Some(vec![(1, 2), (5, 1)]))));
        assert_eq!(map(&[("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9")]), Some((9, None)));
        assert_eq!(map(&[("path", "x")]), None);
        assert_eq!(gather(&[("GNU.sparse.map", "1,2,5")]), None);
    }

    #[test]
    fn attributes_keep_their_bytes() {
        let found = gather(&[("SCHILY.xattr.user.a", "x\n"), ("SCHILY.xattr.security.capability", "\u{1}")]).expect("good records");
        assert_eq!(found.xattrs, [("user.a".into(), b"x\n".to_vec()), ("security.capability".into(), vec![1])]);
    }
}
