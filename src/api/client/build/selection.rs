//! Which of a folder's files a build is given: what its Dockerfile can read, without what `.dockerignore` leaves out.

use std::collections::BTreeSet;

use crate::dockerfile::{Extent, Ignore, glob};

/// Which files of a folder are sent.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    patterns: Option<Vec<Vec<String>>>,
    ignore: Ignore,
}

/// What of a folder is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything in it.
    All,
    /// What these patterns say, by their numbers.
    Some(Vec<usize>),
}

impl Selection {
    /// An extent, without what patterns leave out.
    pub(super) fn new(extent: &Extent, ignore: Ignore) -> Self {
        let patterns: Option<Vec<Vec<String>>> = match extent {
            Extent::Everything => None,
            // Two stars may stand for any folders: all that is below them is sent.
            Extent::Paths(paths) => {
                Some(paths.iter().map(|path| pieces(path).into_iter().take_while(|piece| piece != "**").collect()).collect())
            }
        };
        let patterns = patterns.filter(|patterns| !patterns.iter().any(Vec::is_empty));
        Self { patterns, ignore }
    }

    /// What of the folder itself is selected.
    pub(super) fn top(&self) -> Part {
        match &self.patterns {
            None => Part::All,
            Some(patterns) => Part::Some((0..patterns.len()).collect()),
        }
    }

    /// What is selected of something in a folder so many folders down, of which a part is; nothing where it is not.
    pub(super) fn part(&self, part: &Part, depth: usize, name: &str) -> Option<Part> {
        let (Part::Some(numbers), Some(patterns)) = (part, &self.patterns) else { return Some(Part::All) };
        let fits = |number: &&usize| patterns[**number].get(depth).is_some_and(|piece| piece == name || glob(piece, name) == Some(true));
        let fitting: Vec<usize> = numbers.iter().filter(fits).copied().collect();
        if fitting.iter().any(|number| patterns[*number].len() == depth + 1) {
            return Some(Part::All);
        }
        (!fitting.is_empty()).then_some(Part::Some(fitting))
    }

    /// Whether a path is left out.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        self.ignore.matches(path)
    }

    /// Whether a folder need not be looked into.
    pub(super) fn skips(&self, folder: &str) -> bool {
        self.ignore.can_skip(folder)
    }

    /// A pattern leads through a link: what that names is read too. Returns whether that is news.
    pub(super) fn follow(&mut self, part: &Part, link: &str, depth: usize, target: &str) -> bool {
        let Part::Some(numbers) = part else { return false };
        let Some(patterns) = &mut self.patterns else { return false };
        let mut base: Vec<String> = if target.starts_with('/') { Vec::new() } else { pieces(link) };
        base.pop();
        for piece in target.split('/') {
            match piece {
                "" | "." => {}
                ".." => drop(base.pop()),
                // What a link says is no pattern.
                piece => base.push(escape(piece)),
            }
        }
        let known: BTreeSet<Vec<String>> = patterns.iter().cloned().collect();
        let mut news = false;
        for number in numbers {
            let rest = patterns[*number].get(depth + 1..).unwrap_or_default();
            let whole: Vec<String> = base.iter().chain(rest).cloned().collect();
            if whole.is_empty() {
                // It leads to the top.
                self.patterns = None;
                return true;
            }
            if !known.contains(&whole) && !patterns.contains(&whole) {
                patterns.push(whole);
                news = true;
            }
        }
        news
    }

    /// The patterns of a part that a name fits, whole ones among them.
    pub(super) fn fitting(&self, part: &Part, depth: usize, name: &str) -> Part {
        let (Part::Some(numbers), Some(patterns)) = (part, &self.patterns) else { return Part::All };
        let fits = |number: &&usize| patterns[**number].get(depth).is_some_and(|piece| piece == name || glob(piece, name) == Some(true));
        Part::Some(numbers.iter().filter(fits).copied().collect())
    }

    /// Two selections that say the same select the same.
    pub(super) fn identity(&self) -> String {
        let mut patterns: Option<Vec<_>> = self.patterns.clone();
        if let Some(patterns) = &mut patterns {
            patterns.sort();
        }
        format!("{patterns:?}")
    }
}

fn pieces(path: &str) -> Vec<String> {
    path.split('/').filter(|piece| !piece.is_empty() && *piece != ".").map(str::to_owned).collect()
}

fn escape(piece: &str) -> String {
    piece.chars().flat_map(|letter| if "*?[\\".contains(letter) { vec!['\\', letter] } else { vec![letter] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(paths: &[&str]) -> Selection {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Selection::new(&Extent::Paths(paths), Ignore::default())
    }

    /// Whether a path is selected, or a folder looked into.
    fn selects(selection: &Selection, path: &str) -> Option<Part> {
        path.split('/').enumerate().try_fold(selection.top(), |part, (depth, name)| selection.part(&part, depth, name))
    }

    #[test]
    fn patterns_select_paths_and_all_below() {
        let some = selection(&["a/*.c", "b", "d/e/f"]);
        for path in ["a/x.c", "b", "b/x/y", "d/e/f", "d/e/f/g"] {
            assert_eq!(selects(&some, path), Some(Part::All), "{path}");
        }
        for folder in ["a", "d", "d/e"] {
            assert!(matches!(selects(&some, folder), Some(Part::Some(_))), "{folder}");
        }
        for path in ["a/x.h", "a/x/y.c", "c", "d/x", "bb"] {
            assert_eq!(selects(&some, path), None, "{path}");
        }
        assert_eq!(selects(&Selection::new(&Extent::Everything, Ignore::default()), "x/y"), Some(Part::All));
        assert_eq!(selects(&selection(&["x/**/g"]), "x/1/2/g"), Some(Part::All));
        assert_eq!(selects(&selection(&["**/g"]), "y"), Some(Part::All));
    }

    #[test]
    fn what_a_link_names_is_selected_too() {
        let check = |pattern: &str, link: &str, target: &str, expect: &[&str]| {
            let mut selection = selection(&[pattern]);
            let depth = link.matches('/').count();
            let part = selection.fitting(&selection.top(), depth, link.rsplit('/').next().unwrap_or_default());
            assert!(selection.follow(&part, link, depth, target), "{pattern} {target}");
            assert!(!selection.follow(&part, link, depth, target), "{pattern} {target}");
            for path in expect {
                assert_eq!(selects(&selection, path), Some(Part::All), "{path}");
            }
        };
        check("l", "l", "a/b", &["a/b", "l"]);
        check("l/x/*", "l", "./a", &["a/x/y"]);
        check("d/l", "d/l", "../a", &["a"]);
        check("d/l", "d/l", "/etc/x", &["etc/x"]);
        check("l", "l", "../../..", &["anything"]);
        check("l", "l", "a*", &["a*"]);
    }
}
