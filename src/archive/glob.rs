//! Patterns of names, as Go's `filepath.Match` knows them; and, where it is asked for, with `**` for any folders.
//!
//! All places of the pattern that a name may be at are followed at once, so no pattern takes longer than its length times the name's.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What cannot be a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern ends within `[` or after `\\`")]
pub(super) struct GlobError;

/// A pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Letter(u32),
    /// `?`
    One,
    /// `[a-z]`, `[^a-z]`
    Class {
        ranges: Vec<(u32, u32)>,
        negated: bool,
    },
    /// `*`
    Any,
    /// `**`
    Deep,
    /// `**/`: nothing at all, or what comes next.
    MaybeFolders,
    /// Folders, up to a slash.
    Folders,
}

const SLASH: u32 = '/' as u32;

impl Glob {
    /// Takes a pattern apart; `deep` gives `**` its meaning.
    pub(super) fn parse(pattern: &[u8], deep: bool) -> Result<Self, GlobError> {
        let letters: Vec<u32> = letters(pattern).collect();
        let mut parts = Vec::new();
        let mut rest = &letters[..];
        while let Some((&letter, mut after)) = rest.split_first() {
            let part = match char::from_u32(letter) {
                Some('*') if deep && after.first() == Some(&letter) => {
                    while after.first() == Some(&letter) {
                        after = &after[1..];
                    }
                    if after.first() == Some(&SLASH) {
                        after = &after[1..];
                        parts.push(Part::MaybeFolders);
                        Part::Folders
                    } else {
                        Part::Deep
                    }
                }
                Some('*') => Part::Any,
                Some('?') => Part::One,
                Some('\\') => {
                    let (&letter, rest) = after.split_first().ok_or(GlobError)?;
                    after = rest;
                    Part::Letter(letter)
                }
                Some('[') => class(&mut after)?,
                _ => Part::Letter(letter),
            };
            parts.push(part);
            rest = after;
        }
        Ok(Self { parts })
    }

    /// Whether a whole name fits.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.after(letters(name))[self.parts.len()]
    }

    /// Whether something in a folder of this name may fit.
    pub(super) fn may_match_below(&self, folder: &Path) -> bool {
        self.after(letters(folder.as_os_str().as_bytes()).chain([SLASH])).contains(&true)
    }

    /// The places in the pattern where these letters may lead.
    fn after(&self, letters: impl Iterator<Item = u32>) -> Vec<bool> {
        let mut at = vec![false; self.parts.len() + 1];
        at[0] = true;
        self.skip(&mut at);
        for letter in letters {
            let mut next = vec![false; at.len()];
            for (index, part) in self.parts.iter().enumerate().filter(|(index, _)| at[*index]) {
                match part {
                    Part::Letter(wanted) => next[index + 1] |= *wanted == letter,
                    Part::One => next[index + 1] |= letter != SLASH,
                    Part::Class { ranges, negated } => {
                        let found = ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter));
                        next[index + 1] |= letter != SLASH && found != *negated;
                    }
                    Part::Any => next[index] |= letter != SLASH,
                    Part::Deep => next[index] = true,
                    Part::MaybeFolders => {}
                    Part::Folders => {
                        next[index] = true;
                        next[index + 1] |= letter == SLASH;
                    }
                }
            }
            self.skip(&mut next);
            at = next;
        }
        at
    }

    /// Passes over the parts that may be nothing.
    fn skip(&self, at: &mut [bool]) {
        for (index, part) in self.parts.iter().enumerate() {
            if at[index] {
                match part {
                    Part::Any | Part::Deep => at[index + 1] = true,
                    Part::MaybeFolders => (at[index + 1], at[index + 2]) = (true, true),
                    _ => {}
                }
            }
        }
    }
}

/// Whether a text is a pattern rather than a name.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    let mut escaped = false;
    text.iter().any(|byte| {
        let found = !escaped && matches!(byte, b'*' | b'?' | b'[');
        escaped = !escaped && *byte == b'\\';
        found
    })
}

fn class(after: &mut &[u32]) -> Result<Part, GlobError> {
    let letter = |after: &mut &[u32]| {
        let (&letter, rest) = after.split_first().ok_or(GlobError)?;
        *after = rest;
        Ok(letter)
    };
    let escaped = |after: &mut &[u32]| match letter(after)? {
        it if it == u32::from('\\') => letter(after),
        it => Ok(it),
    };
    let is = |after: &[u32], wanted: char| after.first() == Some(&u32::from(wanted));
    let negated = is(after, '^');
    if negated {
        letter(after)?;
    }
    let mut ranges = Vec::new();
    while ranges.is_empty() || !is(after, ']') {
        let low = escaped(after)?;
        let high = if is(after, '-') {
            letter(after)?;
            escaped(after)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    letter(after)?;
    Ok(Part::Class { ranges, negated })
}

/// The letters of a name; a byte that is part of none is one of its own.
fn letters(name: &[u8]) -> impl Iterator<Item = u32> + '_ {
    name.utf8_chunks()
        .flat_map(|chunk| chunk.valid().chars().map(u32::from).chain(chunk.invalid().iter().map(|byte| 0x11_0000 + u32::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_in_go() {
        let check = |pattern: &str, name: &str, expect: Result<bool, GlobError>| {
            assert_eq!(Glob::parse(pattern.as_bytes(), false).map(|it| it.matches(name.as_bytes())), expect, "{pattern} {name}");
        };
        for (pattern, name, expect) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*b*c*d*e*", "axbxcxdxexxx", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a?b", "aüb", true),
            ("a[^a]b", "aüb", true),
            ("a???b", "aüb", false),
            ("a?b", "a/b", false),
            ("a[^x]b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[x\\-]", "-", true),
            ("arr[[]0].txt", "arr[0].txt", true),
            ("**", "a/b", false),
            ("*", "", true),
        ] {
            check(pattern, name, Ok(expect));
        }
        for pattern in ["[", "[^", "[^bc", "a[", "a\\", "[]a"] {
            check(pattern, "a", Err(GlobError));
        }
    }

    #[test]
    fn two_stars_are_any_folders() {
        let check = |pattern: &str, name: &str, expect: bool| {
            assert_eq!(Glob::parse(pattern.as_bytes(), true).expect("a pattern").matches(name.as_bytes()), expect, "{pattern} {name}");
        };
        for (pattern, name, expect) in [
            ("**/f", "f", true),
            ("**/f", "a/b/f", true),
            ("**/f", "a/bf", false),
            ("a/**/f", "a/f", true),
            ("a/**/f", "a/b/c/f", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a**c", "a/b/c", true),
            ("*/f", "a/b/f", false),
        ] {
            check(pattern, name, expect);
        }
        let below =
            |pattern: &str, folder: &str| Glob::parse(pattern.as_bytes(), true).expect("a pattern").may_match_below(Path::new(folder));
        assert!(below("a/b/*.c", "a") && below("a/b/*.c", "a/b") && below("**/x", "any/where") && below("a/*/c", "a/x"));
        assert!(!below("a/b/*.c", "b") && !below("a/b", "a/b") && !below("a/*/c", "a/x/c"));
    }

    #[test]
    fn no_pattern_takes_long() {
        let glob = Glob::parse("a*".repeat(60).as_bytes(), true).expect("a pattern");
        assert!(!glob.matches(&[b"a".repeat(2_000), b"/".to_vec()].concat()));
    }

    #[test]
    fn patterns_are_told_from_names() {
        for (text, expect) in [("a*", true), ("a?", true), ("[a]", true), ("a\\*", false), ("a\\\\*", true), ("plain", false)] {
            assert_eq!(is_pattern(text.as_bytes()), expect, "{text}");
        }
    }
}
