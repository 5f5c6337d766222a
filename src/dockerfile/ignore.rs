//! `.dockerignore`, and the patterns of `--exclude`: the last one that matches a path or a folder above it wins.

use regex_lite::Regex;

use super::bound;
use super::glob;
use super::problem::Problem;

/// Patterns of what is left out.
#[derive(Clone, Debug, Default)]
pub struct Ignore(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern {
    /// It began with `!`.
    exception: bool,
    text: String,
    test: Test,
}

/// How a pattern is held against a path.
#[derive(Clone, Debug)]
enum Test {
    Whole,
    /// `folder/**`
    Prefix(String),
    /// `**/name` and `**name`
    Suffix(String),
    /// Everything else; it ends at a slash too, since a path may be long and deep.
    Expression(Regex),
}

impl Ignore {
    /// Reads the text of a `.dockerignore`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().filter(|it| !it.starts_with('#')).map(str::trim).filter(|it| !it.is_empty());
        if lines.clone().nth(bound::PATTERNS).is_some() {
            return Err(Problem::new(format!("there are more than {} patterns", bound::PATTERNS)).hint("leave whole folders out"));
        }
        let patterns = lines.map(|line| {
            let (exception, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            let pattern = clean(pattern);
            Pattern::of(exception, pattern.strip_prefix('/').filter(|it| !it.is_empty()).unwrap_or(&pattern), line)
        });
        patterns.collect::<Result<_, _>>().map(Self)
    }

    /// Takes patterns as `--exclude` has them.
    pub fn of(patterns: &[String]) -> Result<Self, Problem> {
        let patterns = patterns.iter().map(|it| it.trim()).filter(|it| !it.is_empty()).map(|line| match line.strip_prefix('!') {
            Some(pattern) => Pattern::of(true, &clean(pattern), line),
            None => Pattern::of(false, &clean(line), line),
        });
        patterns.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path, relative and without `.` or `..`, is left out.
    pub fn matches(&self, path: &str) -> bool {
        let mut matched = false;
        for pattern in &self.0 {
            // Only what would change the answer is worth a look.
            if pattern.exception == matched && pattern.matches_or_above(path) {
                matched = !pattern.exception;
            }
        }
        matched
    }

    /// Whether a folder need not be looked into: it is left out, and nothing below it can be an exception.
    pub fn can_skip(&self, folder: &str) -> bool {
        self.matches(folder) && !self.0.iter().any(|it| it.exception && it.may_match_below(folder))
    }

    /// Whether some pattern begins with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.0.iter().any(|it| it.exception)
    }

    /// Whether the root as a whole is left out.
    pub(super) fn takes_all(&self) -> bool {
        self.0.iter().any(|it| !it.exception && matches!(it.text.as_str(), "*" | "**" | "**/*"))
    }
}

impl Pattern {
    fn of(exception: bool, text: &str, line: &str) -> Result<Self, Problem> {
        let wrong =
            || Problem::new(format!("`{line}` is not a pattern")).hint("close its brackets, and escape what is meant as it is with `\\`");
        if exception && line.trim_start_matches('!').trim().is_empty() {
            return Err(Problem::new("`!` has no pattern behind it"));
        }
        glob::pieces(text).ok_or_else(wrong)?;
        let test = Test::of(text).ok_or_else(wrong)?;
        Ok(Self { exception, text: text.to_owned(), test })
    }

    fn matches_or_above(&self, path: &str) -> bool {
        match &self.test {
            Test::Whole => path.strip_prefix(&self.text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Test::Prefix(prefix) => path.starts_with(prefix),
            Test::Suffix(suffix) => {
                let mut above = path.match_indices('/').map(|(end, _)| &path[..end]).chain([path]);
                above.any(|path| path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path))
            }
            Test::Expression(expression) => expression.is_match(path),
        }
    }

    /// Whether it may match something below a folder that it does not match; in doubt yes.
    fn may_match_below(&self, folder: &str) -> bool {
        let mut parts = self.text.split('/');
        for name in folder.split('/') {
            let Some(part) = parts.next() else { return false };
            // A slash in brackets or behind an escape is where this cut it.
            if part.contains("**") || part.contains('[') || part.ends_with('\\') {
                return true;
            }
            if glob::glob(part, name) != Some(true) {
                return false;
            }
        }
        parts.next().is_some()
    }
}

impl Test {
    fn of(pattern: &str) -> Option<Self> {
        let mut expression = String::from("^");
        let mut test = Self::Whole;
        let mut plain = true;
        let mut letters = pattern.chars().peekable();
        let mut first = true;
        while let Some(letter) = letters.next() {
            match letter {
                '*' if letters.next_if_eq(&'*').is_some() => {
                    letters.next_if_eq(&'/');
                    if letters.peek().is_none() && plain && matches!(test, Self::Whole) {
                        test = Self::Prefix(pattern.trim_end_matches("**").to_owned());
                    } else if letters.peek().is_none() {
                        expression.push_str(".*");
                        plain = false;
                    } else {
                        expression.push_str("(?:.*/)?");
                        plain = false;
                    }
                    if first {
                        test = Self::Suffix(pattern[2..].to_owned());
                        plain = true;
                    }
                }
                '*' => {
                    expression.push_str("[^/]*");
                    plain = false;
                }
                '?' => {
                    expression.push_str("[^/]");
                    plain = false;
                }
                '\\' => {
                    expression.push_str(&regex_lite::escape(&letters.next()?.to_string()));
                    plain = false;
                }
                '[' => {
                    class(&mut letters, &mut expression)?;
                    plain = false;
                }
                letter => expression.push_str(&regex_lite::escape(&letter.to_string())),
            }
            first = false;
        }
        if plain {
            return Some(test);
        }
        expression.push_str("(?:/|$)");
        Regex::new(&expression).ok().map(Self::Expression)
    }
}

/// A class up to its bracket, with nothing in it that an expression would take for more.
fn class(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, expression: &mut String) -> Option<()> {
    expression.push('[');
    if letters.next_if_eq(&'^').is_some() {
        expression.push('^');
    }
    loop {
        match letters.next()? {
            ']' => break,
            '-' => expression.push('-'),
            '\\' => expression.push_str(&escaped(letters.next()?)),
            letter => expression.push_str(&escaped(letter)),
        }
    }
    expression.push(']');
    Some(())
}

fn escaped(letter: char) -> String {
    if letter.is_ascii_punctuation() { format!("\\{letter}") } else { letter.to_string() }
}

/// Removes needless parts of a path that may be relative.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|it| *it != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, left_out: &[&str], kept: &[&str]) {
        let ignore = Ignore::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        for path in left_out {
            assert!(ignore.matches(path), "{text:?} leaves {path} out");
        }
        for path in kept {
            assert!(!ignore.matches(path), "{text:?} keeps {path}");
        }
    }

    #[test]
    fn patterns_leave_out() {
        check("a", &["a", "a/b", "a/b/c"], &["b/a", "ab"]);
        check("/a/", &["a", "a/b"], &["b/a"]);
        check("./a//b/../c", &["a/c"], &["a/b"]);
        check("*.log", &["x.log"], &["d/x.log", "x.logs"]);
        check("*/*.log", &["d/x.log"], &["x.log", "d/e/x.log"]);
        check("**/*.log", &["x.log", "d/x.log", "d/e/x.log"], &["x.txt"]);
        check("**/node_modules", &["node_modules", "a/node_modules/b"], &["my_node_modules"]);
        check("**name", &["name", "a/myname"], &["names"]);
        check("a/**", &["a/b", "a/b/c"], &["a", "ab"]);
        check("a/**/z", &["a/z", "a/b/z", "a/b/c/z/y"], &["z", "az"]);
        check("**", &["a", "a/b"], &[]);
        check("a?c", &["abc"], &["a/c", "ac"]);
        check("[ab].txt", &["a.txt"], &["c.txt"]);
        check("[^ab].txt", &["c.txt"], &["a.txt"]);
        check("[a&&b].txt", &["&.txt"], &[".txt"]);
        check("a.b", &["a.b"], &["axb"]);
        check("a\\*", &["a*"], &["ab"]);
        check("# a\n #b\n\n  c  \n", &["#b", "c"], &["a", "# a"]);
        check(".", &[], &["a"]);
        check("a+(b)", &["a+(b)"], &["aab"]);
    }

    #[test]
    fn deep_paths_are_matched_in_time() {
        let ignore = Ignore::parse(&("a/**/".repeat(60) + "b")).expect("patterns");
        let start = std::time::Instant::now();
        assert!(!ignore.matches(&"a/".repeat(600)));
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "it took {:?}", start.elapsed());
    }

    #[test]
    fn the_last_match_wins() {
        check("*.md\n!README.md", &["x.md"], &["README.md"]);
        check("*.md\n!README*.md\nREADME-x.md", &["x.md", "README-x.md"], &["README-y.md"]);
        check("a\n!a/b\na/b/c", &["a", "a/x", "a/b/c"], &["a/b", "a/b/d"]);
        check("*\n!src\n!/x/**/y", &["a"], &["src", "src/b", "x/1/2/y"]);
    }

    #[test]
    fn folders_are_skipped_where_nothing_below_is_kept() {
        let skip = |text: &str, folder: &str, expect: bool| {
            assert_eq!(Ignore::parse(text).expect("patterns").can_skip(folder), expect, "{text:?} {folder}");
        };
        skip("a", "a", true);
        skip("a", "b", false);
        skip("a\n!a/b", "a", false);
        skip("a\n!a/b", "a/c", true);
        skip("a\n!b", "a", true);
        skip("a\n!a*/b/c", "a/b", false);
        skip("a\n!a*/b/c", "a/d", true);
        skip("a\n!**/b", "a/c", false);
        skip("a\n!x/**", "a", true);
        skip("!a\na/b", "a/b", true);
        skip("a\n!a\\/b", "a", false);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["[", "!", "a\n[b", "a\\", &"a\n".repeat(bound::PATTERNS + 1)] {
            assert!(Ignore::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn excludes_are_patterns_too() {
        let ignore = Ignore::of(&["*.txt".to_owned(), "!a.txt".to_owned()]).expect("patterns");
        assert!(ignore.matches("b.txt") && !ignore.matches("a.txt") && ignore.has_exceptions());
    }
}
