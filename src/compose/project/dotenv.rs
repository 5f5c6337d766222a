//! `.env` files: quotes, escapes, comments, `export`, values over several lines, and interpolation.

use std::collections::BTreeMap;

use crate::compose::project::interpolate::{ROOM, Scope, TemplateError, expand};

/// A mistake in an environment file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct DotenvError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The way out of a mistake.
pub(crate) const HINT: &str = "write `NAME=VALUE` lines; quote a value that has quotes, `#` or line breaks in it";

/// Where a file's variables come from that it does not define: the environment, or the files before it.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parses a file. Where a value refers to a variable, `outer` comes first, then the lines above, then `earlier`; a bare key takes its value
/// from the first or the last.
pub(crate) fn parse(text: &str, outer: Lookup<'_>, earlier: Lookup<'_>) -> Result<BTreeMap<String, String>, DotenvError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser { text, at: 0, variables: BTreeMap::new(), room: ROOM, outer, earlier };
    while parser.skip_to_statement() {
        parser.statement()?;
    }
    Ok(parser.variables)
}

/// Parses a file as `docker run --env-file` does: no quotes, no interpolation, the whole rest of the line is the value.
pub(crate) fn parse_raw(text: &str, outer: Lookup<'_>) -> Result<BTreeMap<String, String>, DotenvError> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, outer(line)),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(DotenvError { line: index + 1, reason: format!("variable `{name}` contains whitespaces") });
        }
        if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    }
    Ok(variables)
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
    fn error(&self, at: usize, reason: impl Into<String>) -> DotenvError {
        let before = self.text.get(..at).unwrap_or(self.text);
        DotenvError { line: before.matches('\n').count() + 1, reason: reason.into() }
    }

    /// Skips blank lines and comments; whether anything is left.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            let rest = &self.text[self.at..];
            if !rest.starts_with('#') {
                return !rest.is_empty();
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    fn statement(&mut self) -> Result<(), DotenvError> {
        let start = self.at;
        let rest = &self.text[start..];
        let exported = rest.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start);
        let statement = exported.unwrap_or(rest);
        self.at += rest.len() - statement.len();
        let line = &statement[..statement.find('\n').unwrap_or(statement.len())];
        let end = line.find(['=', ':']).unwrap_or(line.len());
        let key = line[..end].trim_end();
        if let Some(wrong) = key.chars().find(|&character| !is_key(character)) {
            let reason = if wrong.is_whitespace() {
                if end == line.len() && key.contains(" #") {
                    // A bare key with a comment behind it.
                    return self.bare(line);
                }
                format!("key cannot contain a space: `{key}`")
            } else {
                format!("unexpected character \"{wrong}\" in variable name near \"{line}\"")
            };
            return Err(self.error(start, reason));
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

    /// A key alone takes its value from outside, or is left out.
    fn bare(&mut self, line: &str) -> Result<(), DotenvError> {
        let key = line.split(" #").next().unwrap_or_default().trim();
        if key.contains(char::is_whitespace) {
            return Err(self.error(self.at, format!("key cannot contain a space: `{key}`")));
        }
        if let Some(value) = (self.outer)(key).or_else(|| (self.earlier)(key)) {
            self.variables.insert(key.to_owned(), value);
        }
        self.at += line.len();
        Ok(())
    }

    fn value(&mut self) -> Result<String, DotenvError> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let rest = &self.text[self.at..];
        match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            _ => {
                let start = self.at;
                let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
                self.at += line.len();
                self.interpolate(without_comment(line).trim(), start)
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, DotenvError> {
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
            return Err(self.error(start, format!("unterminated quoted value {quote}{line}")));
        };
        let inside = &body[..end];
        self.at = start + 1 + end + 1;
        // What follows the closing quote on the line is a comment or nothing.
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
        if quote == '\'' {
            return Ok(inside.replace("\\'", "'"));
        }
        self.interpolate(&unescape(inside), start)
    }

    fn interpolate(&mut self, value: &str, at: usize) -> Result<String, DotenvError> {
        let lookup = |name: &str| {
            let above = || self.variables.get(name).cloned();
            (self.outer)(name).or_else(above).or_else(|| (self.earlier)(name))
        };
        expand(value, &mut Scope { lookup: &lookup, unset: &mut |_, _| {}, room: &mut self.room }).map_err(|error| match error {
            TemplateError::Missing(_, name, reason) => self.error(at, format!("required variable {name} is missing a value: {reason}")),
            TemplateError::Large(_) => self.error(at, format!("the file's variables stand for more than {} MiB", ROOM >> 20)),
            TemplateError::Invalid(_) | TemplateError::Deep(_) => self.error(at, format!("invalid template: \"{value}\"")),
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

    fn shown(text: &str) -> Result<String, String> {
        let variables = parse(text, &outer, &earlier).map_err(|error| error.to_string())?;
        Ok(variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("|"))
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
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expect), "{text}");
        }
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expect) in [
            ("A=1\nB C=2", "line 2: key cannot contain a space: `B C`"),
            ("\n\nA=\"x", "line 3: unterminated quoted value \"x"),
            ("A$=1", "line 1: unexpected character \"$\" in variable name near \"A$=1\""),
            ("A=${B:?gone}", "line 1: required variable B is missing a value: gone"),
        ] {
            assert_eq!(shown(text), Err(expect.to_owned()), "{text}");
        }
        let doubling = format!("B=xxxxxxxx\n{}", "B=$B$B\n".repeat(40));
        assert_eq!(shown(&doubling), Err("line 22: the file's variables stand for more than 16 MiB".to_owned()));
    }

    #[test]
    fn raw_files_keep_everything() {
        let variables = parse_raw("A=\"x\" # y\n#c\nOUTER\n", &outer).unwrap();
        assert_eq!(variables.get("A").map(String::as_str), Some("\"x\" # y"));
        assert_eq!(variables.get("OUTER").map(String::as_str), Some("outside"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A-C=:'\"\\\\$#{} \né]{0,40}") {
            let _ = parse(&text, &outer, &earlier);
            let _ = parse_raw(&text, &outer);
        }
    }
}
