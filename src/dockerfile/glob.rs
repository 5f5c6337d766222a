//! Patterns of COPY sources: `*`, `?`, `[a-z]` and escapes; `*` and `?` stop at a slash.

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This letter.
    Letter(char),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `[…]`: ranges, and whether it is what they do not hold.
    Class(Vec<(char, char)>, bool),
}

/// Whether a path has letters that make it a pattern.
pub fn is_pattern(path: &str) -> bool {
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' | '?' | '[' => return true,
            '\\' => drop(letters.next()),
            _ => {}
        }
    }
    false
}

/// Whether a pattern matches all of a path; `None` when it is no pattern, a bracket being open for instance.
pub fn glob(pattern: &str, path: &str) -> Option<bool> {
    let path: Vec<char> = path.chars().collect();
    Some(matches(&pieces(pattern)?, &path))
}

/// The pieces of a pattern.
pub(super) fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        pieces.push(match letter {
            '*' => Piece::Star,
            '?' => Piece::Any,
            '\\' => Piece::Letter(letters.next()?),
            '[' => {
                let negated = letters.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || letters.next_if_eq(&']').is_none() {
                    let first = bound(&mut letters)?;
                    let last = if letters.next_if_eq(&'-').is_some() { bound(&mut letters)? } else { first };
                    ranges.push((first, last));
                }
                Piece::Class(ranges, negated)
            }
            letter => Piece::Letter(letter),
        });
    }
    Some(pieces)
}

/// One end of a range.
fn bound(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match letters.next()? {
        '\\' => letters.next(),
        '-' | ']' => None,
        letter => Some(letter),
    }
}

fn matches(pieces: &[Piece], path: &[char]) -> bool {
    let (mut piece, mut letter) = (0, 0);
    // Where the last star stood, and how far it reaches by now.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let fits = match (pieces.get(piece), path.get(letter)) {
            (None, None) => return true,
            (Some(Piece::Star), _) => {
                star = Some((piece, letter));
                piece += 1;
                continue;
            }
            (Some(Piece::Letter(expected)), Some(found)) => expected == found,
            (Some(Piece::Any), Some(found)) => *found != '/',
            (Some(Piece::Class(ranges, negated)), Some(found)) => {
                ranges.iter().any(|(first, last)| (first..=last).contains(&found)) != *negated
            }
            _ => false,
        };
        if fits {
            piece += 1;
            letter += 1;
            continue;
        }
        match star {
            Some((at, reach)) if path.get(reach).is_some_and(|it| *it != '/') => {
                star = Some((at, reach + 1));
                piece = at + 1;
                letter = reach + 1;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let check = |pattern: &str, path: &str, expect: Option<bool>| assert_eq!(glob(pattern, path), expect, "{pattern} {path}");
        check("a*c", "abbc", Some(true));
        check("a*c", "ab/c", Some(false));
        check("*", "a", Some(true));
        check("*", "a/b", Some(false));
        check("*/b", "a/b", Some(true));
        check("a?c", "abc", Some(true));
        check("a?c", "a/c", Some(false));
        check("[a-c]x", "bx", Some(true));
        check("[^a-c]x", "bx", Some(false));
        check("[\\]]", "]", Some(true));
        check("a\\*", "a*", Some(true));
        check("a\\*", "ab", Some(false));
        check("*a*b", "xaxbxb", Some(true));
        check("", "", Some(true));
        check("[", "a", None);
        check("[]a]", "a", None);
        check("[a-]", "a", None);
        check("a\\", "a", None);
    }

    #[test]
    fn patterns_are_told_from_names() {
        for (path, expect) in [("a*", true), ("a[b", true), ("a\\*", false), ("a", false)] {
            assert_eq!(is_pattern(path), expect, "{path}");
        }
    }
}
