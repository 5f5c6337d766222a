//! Lines of the file to instructions not yet understood: continuations joined, comments taken out, heredocs behind.

use super::bound;
use super::directive;
use super::heredoc::Heredoc;
use super::problem::{Place, Problem};
use super::words;

/// One instruction as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Its lines in the file.
    pub place: Place,
    /// All of it on one line, heredocs apart.
    pub text: String,
    /// What its `<<` words stand for.
    pub heredocs: Vec<Heredoc>,
    /// The comments right above it, without their `#`: those with `check=`, and the last one.
    pub comments: Vec<String>,
    /// An empty line stands between its lines.
    pub gap: bool,
}

/// Reads the lines from one on.
pub(super) fn read(lines: &[&str], start: usize, escape: char) -> (Vec<Line>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut comments: Vec<String> = Vec::new();
    let mut index = start;
    for (above, line) in lines.iter().enumerate() {
        let place = Place { line: super::number(above + 1), column: 1, end_line: super::number(above + 1) };
        problems.extend(bound::line(line).err().map(|problem| problem.at(place)));
    }
    // One more than a file may have is enough to refuse it.
    while index < lines.len() && found.len() <= bound::INSTRUCTIONS {
        let first = lines[index].trim_end_matches(['\r', '\n']);
        let content = first.trim_start();
        index += 1;
        if let Some(comment) = content.strip_prefix('#') {
            match comment.trim() {
                "" => comments.clear(),
                comment => {
                    comments.pop_if(|above| directive::split(above).is_none_or(|it| it.0 != "check"));
                    comments.push(comment.to_owned());
                }
            }
            continue;
        }
        if content.is_empty() {
            comments.clear();
            continue;
        }
        let column = super::number(first.chars().count() - content.chars().count() + 1);
        let mut line = Line { place: Place { line: super::number(index), column, end_line: 0 }, ..Line::default() };
        let mut piece = content;
        loop {
            let Some(before) = continued(piece, escape) else {
                line.text.push_str(piece);
                break;
            };
            line.text.push_str(before);
            let Some(next) = next(lines, &mut index, &mut line.gap) else { break };
            piece = next;
        }
        line.place.end_line = super::number(index);
        if line.text.contains("<<") && takes_heredocs(&line.text, escape) {
            for heredoc in Heredoc::all(&line.text) {
                match body(heredoc, lines, &mut index) {
                    Ok(heredoc) => line.heredocs.push(heredoc),
                    Err(name) => problems.push(
                        Problem::new(format!("the heredoc `{name}` does not end"))
                            .hint(format!("put `{name}` on a line of its own behind it"))
                            .at(line.place),
                    ),
                }
            }
            line.place.end_line = super::number(index);
        }
        line.comments = std::mem::take(&mut comments);
        // A continuation before nothing but blanks is nothing.
        if !line.text.trim().is_empty() {
            found.push(line);
        }
    }
    (found, problems)
}

/// The next line of a continuation: neither a comment nor empty.
fn next<'a>(lines: &[&'a str], index: &mut usize, gap: &mut bool) -> Option<&'a str> {
    loop {
        let line = lines.get(*index)?.trim_end_matches(['\r', '\n']);
        *index += 1;
        match line.trim_start() {
            "" => *gap = true,
            content if content.starts_with('#') => {}
            _ => return Some(line),
        }
    }
}

/// What stands before the escape that ends a line; `None` when the line ends there.
fn continued(line: &str, escape: char) -> Option<&str> {
    line.trim_end_matches([' ', '\t']).strip_suffix(escape).filter(|before| !before.ends_with(escape))
}

/// The lines of a heredoc, or its name when it does not end.
fn body(mut heredoc: Heredoc, lines: &[&str], index: &mut usize) -> Result<Heredoc, String> {
    while let Some(line) = lines.get(*index) {
        *index += 1;
        if heredoc.ends(line) {
            return Ok(heredoc);
        }
        heredoc.content.push_str(line);
    }
    Err(heredoc.name)
}

/// Whether `<<` means something: in `RUN`, `COPY` and `ADD` unless they are a JSON list, and in triggers of those.
pub(super) fn takes_heredocs(text: &str, escape: char) -> bool {
    let Some((word, rest)) = words::cut(text.trim()) else { return false };
    match word.to_ascii_uppercase().as_str() {
        "ONBUILD" => words::cut(rest).is_some_and(|(word, _)| !word.eq_ignore_ascii_case("ONBUILD")) && takes_heredocs(rest, escape),
        "RUN" | "COPY" | "ADD" => !matches!(words::list(words::flags(rest, escape).1), Ok(Some(_))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(u32, u32, &str)]) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (found, problems) = read(&lines, 0, '\\');
        assert!(problems.is_empty(), "{text}");
        assert_eq!(found.iter().map(|it| (it.place.line, it.place.end_line, it.text.as_str())).collect::<Vec<_>>(), expect, "{text}");
    }

    #[test]
    fn lines_are_joined() {
        check("FROM a\nRUN b", &[(1, 1, "FROM a"), (2, 2, "RUN b")]);
        check("  FROM \\\n  a\r\n\nRUN b", &[(1, 2, "FROM   a"), (4, 4, "RUN b")]);
        check("RUN a \\\n# comment\n\n  # more \\\n  b\n", &[(1, 5, "RUN a   b")]);
        check("RUN a\\  \nb", &[(1, 2, "RUN ab")]);
        check("RUN a\\\\\nRUN b", &[(1, 1, "RUN a\\\\"), (2, 2, "RUN b")]);
        check("RUN a \\", &[(1, 1, "RUN a ")]);
        check("# only\n\n", &[]);
        check("\\\n\nRUN a", &[(1, 3, "RUN a")]);
    }

    #[test]
    fn heredocs_belong_to_their_line() {
        let heredocs = |text: &str| -> Vec<String> {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            read(&lines, 0, '\\').0.remove(0).heredocs.into_iter().map(|it| it.content).collect()
        };
        assert_eq!(heredocs("RUN cat <<A && cat <<B\na\n# no comment\nA\nb\\\nB\n"), ["a\n# no comment\n", "b\\\n"]);
        assert_eq!(heredocs("RUN cat <<A \\\n  <<-B\na\nA\n\tb\n\tB\n"), ["a\n", "\tb\n"]);
        assert_eq!(heredocs("ONBUILD COPY <<A /x\na\nA\n"), ["a\n"]);
        assert_eq!(heredocs("ENV a=<<A\n"), [""; 0]);
        assert_eq!(heredocs("RUN [\"cat\", \"<<A\"]\n"), [""; 0]);
        let lines = ["COPY <<A /x\n", "a\n"];
        assert_eq!(read(&lines, 0, '\\').1.len(), 1);
    }

    #[test]
    fn comments_above_are_kept() {
        let lines = ["# a\n", "\n", "# b\n", "#\n", "# c\n", "RUN x \\\n", "\n", " y\n"];
        let line = read(&lines, 0, '\\').0.remove(0);
        assert_eq!(line.comments, ["c"]);
        assert!(line.gap);
    }
}
