//! `.env` files: quotes, escapes, comments, `export`, values over several lines, and interpolation.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::compose::project::interpolate::{ROOM, Scope, TemplateError, expand};

/// A mistake in an environment file. The line it is in says nothing; the others count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where it is, in bytes of the file.
    pub range: Range<usize>,
    /// What is wrong.
    pub reason: String,
    /// The way out.
    pub hint: &'static str,
}

const NAME: &str = "write `NAME=VALUE` lines; a name is made of letters, digits, `_`, `.` and `-`";
const QUOTE: &str = "close the quote, or quote the whole value in the other kind of quotes";
const TEMPLATE: &str = "write `${NAME}`; a dollar that stands for itself is in single quotes, or `$$`";

/// Where a file's variables come from that it does not define: the environment, or the files before it.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parses a file. Where a value refers to a variable, `outer` comes first, then the lines above, then `earlier`; a bare key takes its value
/// from the first or the last.
pub(crate) fn parse(text: &str, outer: Lookup<'_>, earlier: Lookup<'_>, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, String> {
    let at = mark(text);
    let mut parser = Parser { text, at, variables: BTreeMap::new(), room: ROOM, outer, earlier };
    while parser.skip_to_statement() {
        let start = parser.at;
        if let Err(mistake) = parser.statement() {
            mistakes.push(mistake);
            parser.at = parser.line_end(parser.at.max(start));
        }
    }
    parser.variables
}

/// Parses a file as `docker run --env-file` does: no quotes, no interpolation, the whole rest of the line is the value.
pub(crate) fn parse_raw(text: &str, outer: Lookup<'_>, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut start = mark(text);
    for whole in text[start..].split_inclusive('\n') {
        let line = whole.lines().next().unwrap_or_default().trim_start();
        let at = start + whole.len() - whole.trim_start().len();
        start += whole.len();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, outer(line)),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            let reason = format!("variable `{name}` contains whitespaces");
            mistakes.push(Mistake { range: at..at + name.len().max(1), reason, hint: NAME });
        } else if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    }
    variables
}

/// Where a file begins: behind its byte order mark.
fn mark(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    variables: BTreeMap<String, String>,
    room: usize,
    outer: Lookup<'a>,
    earlier: Lookup<'a>,
}

impl Parser<'_> {
    /// Where the line of a byte ends.
    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline)
    }

    /// Skips blank lines and comments; whether anything is left.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            if !self.text[self.at..].starts_with('#') {
                return self.at < self.text.len();
            }
            self.at = self.line_end(self.at);
        }
    }

    fn statement(&mut self) -> Result<(), Mistake> {
        let rest = &self.text[self.at..];
        let exported = rest.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start);
        let statement = exported.unwrap_or(rest);
        self.at += rest.len() - statement.len();
        let line = &statement[..statement.find('\n').unwrap_or(statement.len())];
        let end = line.find(['=', ':']).unwrap_or(line.len());
        let key = line[..end].trim_end();
        if let Some((at, wrong)) = key.char_indices().find(|(_, character)| !is_key(*character)) {
            if wrong.is_whitespace() {
                if end == line.len() && key.contains(" #") {
                    // A bare key with a comment behind it.
                    return self.bare(line);
                }
                return Err(self.spaced(key));
            }
            let at = self.at + at;
            let reason = format!("unexpected character \"{wrong}\" in variable name near \"{}\"", line.trim_end());
            return Err(Mistake { range: at..at + wrong.len_utf8(), reason, hint: NAME });
        }
        if end == line.len() {
            return self.bare(line);
        }
        self.at += end + 1;
        let key = key.to_owned();
        let value = self.value()?;
        self.variables.insert(key, value);
        Ok(())
    }

    fn spaced(&self, key: &str) -> Mistake {
        Mistake { range: self.at..self.at + key.len(), reason: format!("key cannot contain a space: `{key}`"), hint: NAME }
    }

    /// A key alone takes its value from outside, or is left out.
    fn bare(&mut self, line: &str) -> Result<(), Mistake> {
        let key = line.split(" #").next().unwrap_or_default().trim();
        if key.contains(char::is_whitespace) {
            return Err(self.spaced(key));
        }
        if let Some(value) = (self.outer)(key).or_else(|| (self.earlier)(key)) {
            self.variables.insert(key.to_owned(), value);
        }
        self.at += line.len();
        Ok(())
    }

    fn value(&mut self) -> Result<String, Mistake> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let rest = &self.text[self.at..];
        match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            _ => {
                let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
                let start = self.at + line.len() - line.trim_start().len();
                self.at += line.len();
                let value = without_comment(line).trim();
                self.interpolate(value, start..start + value.len())
            }
        }
    }

    /// A value in quotes; what follows it on the line is a comment or another statement.
    fn quoted(&mut self, quote: char) -> Result<String, Mistake> {
        let start = self.at;
        let body = &self.text[start + 1..];
        let mut escaped = false;
        let end = body.find(|character: char| {
            let closes = character == quote && !escaped;
            escaped = character == '\\' && !escaped;
            closes
        });
        let Some(end) = end else {
            let line = body.lines().next().unwrap_or_default();
            let reason = format!("unterminated quoted value {quote}{line}");
            return Err(Mistake { range: start..start + 1 + line.len(), reason, hint: QUOTE });
        };
        let inside = &body[..end];
        self.at = start + 1 + end + 1;
        if quote == '\'' {
            return Ok(inside.replace("\\'", "'"));
        }
        self.interpolate(&unescape(inside), start..self.at)
    }

    fn interpolate(&mut self, value: &str, range: Range<usize>) -> Result<String, Mistake> {
        let lookup = |name: &str| {
            let above = || self.variables.get(name).cloned();
            (self.outer)(name).or_else(above).or_else(|| (self.earlier)(name))
        };
        expand(value, &mut Scope { lookup: &lookup, unset: &mut |_, _| {}, room: &mut self.room }).map_err(|error| {
            let (reason, hint) = match error {
                TemplateError::Missing(_, name, reason) => {
                    (format!("required variable {name} is missing a value: {reason}"), "set it in the lines above, or in the environment")
                }
                TemplateError::Large(_) => (format!("the file's variables stand for more than {} MiB", ROOM >> 20), "let them repeat less"),
                TemplateError::Invalid(_) | TemplateError::Deep(_) => (format!("invalid template: \"{value}\""), TEMPLATE),
            };
            Mistake { range, reason, hint }
        })
    }
}

fn is_key(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '[' | ']')
}

/// Cuts off a comment: `#` after a space, and after something.
fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or(line)
}

/// Resolves the escapes of double quotes. `\$` becomes `$$`, which interpolation turns into `$`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('c') => out.push_str("\\c"),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('$') => out.push_str("$$"),
            Some(escaped @ ('\\' | '"')) => out.push(escaped),
            Some('0') => {
                let mut number = 0;
                for _ in 0..3 {
                    let Some(digit) = characters.peek().and_then(|digit| digit.to_digit(8)) else { break };
                    number = number * 8 + digit;
                    characters.next();
                }
                out.extend(char::from_u32(number));
            }
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outer(name: &str) -> Option<String> {
        (name == "OUTER").then(|| "outside".to_owned())
    }

    fn earlier(name: &str) -> Option<String> {
        matches!(name, "EARLIER" | "A").then(|| "earlier".to_owned())
    }

    fn listed(variables: &BTreeMap<String, String>) -> String {
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("|")
    }

    fn shown(text: &str) -> String {
        let mut mistakes = Vec::new();
        let variables = parse(text, &outer, &earlier, &mut mistakes);
        assert_eq!(mistakes, []);
        listed(&variables)
    }

    #[test]
    fn files_parse() {
        for (text, expect) in [
            ("", ""),
            ("\u{feff}A=1\r\nB=2\r\n", "A=1|B=2"),
            ("# comment\n\nexport A=1", "A=1"),
            ("A: 1", "A=1"),
            ("A=1 # comment\nB=1#2", "A=1|B=1#2"),
            ("A=  x  ", "A=x"),
            ("A='$B \\' # x'", "A=$B ' # x"),
            ("A=\"a\\nb\\$C\\\"\" # c", "A=a\nb$C\""),
            ("A=\"two\nlines\"\nB=2", "A=two\nlines|B=2"),
            ("A=1\nB=$A-${C:-d}-$OUTER", "A=1|B=1-d-outside"),
            ("B=$A\nA=1\nC=$A-$EARLIER", "A=1|B=earlier|C=1-earlier"),
            ("OUTER\nNOT_SET", "OUTER=outside"),
            ("A=", "A="),
            ("A=\\n", "A=\\n"),
            ("=x", "=x"),
            ("A.b-[0]=1", "A.b-[0]=1"),
            ("A==1", "A==1"),
            ("OUTER # why\nB=1", "B=1|OUTER=outside"),
            ("A=\"x\" B=3 # c\nC='y'OUTER", "A=x|B=3|C=y|OUTER=outside"),
        ] {
            assert_eq!(shown(text), expect, "{text}");
        }
    }

    #[test]
    fn mistakes_have_a_place_and_the_other_lines_count() {
        for (text, place, reason, rest) in [
            ("A=1\nB C=2\nD=3", "B C", "key cannot contain a space: `B C`", "A=1|D=3"),
            ("\n\nA=\"x\nB=1", "\"x", "unterminated quoted value \"x", "B=1"),
            ("\u{feff}A$=1", "$", "unexpected character \"$\" in variable name near \"A$=1\"", ""),
            ("A=${B:?gone}\nC=", "${B:?gone}", "required variable B is missing a value: gone", "C="),
            ("A=\"${\"; B=1", "\"${\"", "invalid template: \"${\"", ""),
            ("A=\u{b}\u{a0}${B:?gone}", "${B:?gone}", "required variable B is missing a value: gone", ""),
            ("A='x'; B=1\nC=2", ";", "unexpected character \";\" in variable name near \"; B=1\"", "A=x|C=2"),
        ] {
            let mut mistakes = Vec::new();
            assert_eq!(listed(&parse(text, &outer, &earlier, &mut mistakes)), rest, "{text}");
            let found: Vec<_> = mistakes.iter().map(|mistake| (&text[mistake.range.clone()], mistake.reason.as_str())).collect();
            assert_eq!(found, [(place, reason)], "{text}");
        }
    }

    #[test]
    fn variables_do_not_grow_without_end() {
        let doubling = format!("B=xxxxxxxx\n{}", "B=$B$B\n".repeat(40));
        let mut mistakes = Vec::new();
        parse(&doubling, &outer, &earlier, &mut mistakes);
        let first = mistakes.first().map(|mistake| (doubling[..mistake.range.start].lines().count(), mistake.reason.as_str()));
        assert_eq!(first, Some((22, "the file's variables stand for more than 16 MiB")));
    }

    #[test]
    fn raw_files_keep_everything() {
        let mut mistakes = Vec::new();
        let variables = parse_raw("\u{feff}A=\"x\" # y\r\n#c\nOUTER\n  B C=1\n", &outer, &mut mistakes);
        assert_eq!(listed(&variables), "A=\"x\" # y|OUTER=outside");
        assert_eq!(mistakes.iter().map(|mistake| (mistake.range.start, mistake.range.end)).collect::<Vec<_>>(), [(25, 28)]);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A-C=:'\"\\\\$#{} \né]{0,40}") {
            let mut mistakes = Vec::new();
            parse(&text, &outer, &earlier, &mut mistakes);
            parse_raw(&text, &outer, &mut mistakes);
            assert!(mistakes.iter().all(|mistake| text.get(mistake.range.clone()).is_some()));
        }
    }
}
