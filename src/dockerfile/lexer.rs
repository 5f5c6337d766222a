//! The shell lexer of Dockerfiles: takes quotes and escapes away and puts the values of variables in.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use super::bound::{DEPTH, Room};
use super::environment::Environment;
use super::substitute;

/// How a text is read; what instructions use is [`Lexer::new`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer {
    /// The escape character of the file.
    pub escape: char,
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// Quotes are letters like others.
    pub plain_quotes: bool,
    /// A variable without a value stays as it is written.
    pub keep_unset: bool,
}

/// What became of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    /// All of it.
    pub text: String,
    /// The same, split at white space that was not quoted.
    pub words: Vec<String>,
    /// Variables that had a value.
    pub matched: BTreeSet<String>,
    /// Variables that had none.
    pub unmatched: BTreeSet<String>,
}

impl Lexer {
    /// The lexer of instructions.
    pub(super) const fn new(escape: char) -> Self {
        Self { escape, raw_quotes: false, raw_escapes: false, plain_quotes: false, keep_unset: false }
    }

    /// Reads a text with the values of an environment, as far as there is room for them, or says why it cannot be read.
    pub(super) fn expand(&self, text: &str, environment: &Environment, room: &mut Room) -> Result<Expanded, String> {
        let mut reader = Reader {
            lexer: *self,
            letters: text.chars().peekable(),
            environment,
            room,
            depth: 0,
            raw_escapes: self.raw_escapes,
            matched: BTreeSet::new(),
            unmatched: BTreeSet::new(),
        };
        let (result, words) = reader.until(None, self.raw_escapes).map_err(|reason| format!("`{text}` cannot be read: {reason}"))?;
        Ok(Expanded { text: result, words, matched: reader.matched, unmatched: reader.unmatched })
    }
}

/// Words as they are collected.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
}

impl Words {
    fn push(&mut self, letter: char) {
        if !letter.is_whitespace() {
            self.word.push(letter);
        } else if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

struct Reader<'a> {
    lexer: Lexer,
    letters: Peekable<Chars<'a>>,
    environment: &'a Environment,
    room: &'a mut Room,
    /// How many `${` are open.
    depth: usize,
    raw_escapes: bool,
    matched: BTreeSet<String>,
    unmatched: BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads up to a letter that is not quoted, or to the end.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<(String, Vec<String>), String> {
        if self.depth > DEPTH {
            return Err(format!("more than {DEPTH} `${{` stand in each other"));
        }
        self.depth += 1;
        let before = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let outcome = self.read(stop);
        self.raw_escapes = before;
        self.depth -= 1;
        outcome
    }

    fn read(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), String> {
        let mut result = String::new();
        let mut words = Words::default();
        while let Some(&letter) = self.letters.peek() {
            if stop == Some(letter) {
                self.letters.next();
                return Ok((result, words.finish()));
            }
            match letter {
                '$' => {
                    let value = self.dollar()?;
                    value.chars().for_each(|it| words.push(it));
                    result.push_str(&value);
                }
                '<' => {
                    let arrows = self.arrows();
                    words.word.push_str(&arrows);
                    result.push_str(&arrows);
                }
                '\'' | '"' if !self.lexer.plain_quotes => {
                    let quoted = if letter == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    words.word.push_str(&quoted);
                    result.push_str(&quoted);
                }
                letter if letter == self.lexer.escape => {
                    self.letters.next();
                    if self.raw_escapes {
                        words.word.push(letter);
                        result.push(letter);
                    }
                    let Some(next) = self.letters.next() else { break };
                    words.word.push(next);
                    result.push(next);
                }
                letter => {
                    self.letters.next();
                    words.push(letter);
                    result.push(letter);
                }
            }
        }
        match stop {
            Some(stop) => Err(format!("`{stop}` is missing")),
            None => Ok((result, words.finish())),
        }
    }

    /// `<`, or `<<` with the white space behind, so that `<< EOF` is one word.
    fn arrows(&mut self) -> String {
        self.letters.next();
        if self.letters.next_if_eq(&'<').is_none() {
            return "<".to_owned();
        }
        let mut result = "<<".to_owned();
        while let Some(space) = self.letters.next_if(|it| matches!(it, ' ' | '\t' | '\r' | '\n')) {
            result.push(space);
        }
        result
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut result = String::new();
        self.quote(&mut result);
        loop {
            match self.letters.peek() {
                None => return Err("a single quote is not closed".to_owned()),
                Some('\'') => {
                    self.quote(&mut result);
                    return Ok(result);
                }
                Some(_) => result.extend(self.letters.next()),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, String> {
        let mut result = String::new();
        self.quote(&mut result);
        loop {
            match self.letters.peek().copied() {
                None => return Err("a double quote is not closed".to_owned()),
                Some('"') => {
                    self.quote(&mut result);
                    return Ok(result);
                }
                Some('$') => result.push_str(&self.dollar()?),
                Some(letter) if letter == self.lexer.escape => {
                    self.letters.next();
                    if self.raw_escapes {
                        result.push(letter);
                    }
                    match self.letters.next_if(|it| *it == '"' || *it == '$' || *it == self.lexer.escape) {
                        Some(escaped) => result.push(escaped),
                        None if self.letters.peek().is_some() => result.push(letter),
                        None => {}
                    }
                }
                Some(_) => result.extend(self.letters.next()),
            }
        }
    }

    fn quote(&mut self, result: &mut String) {
        let quote = self.letters.next();
        if self.lexer.raw_quotes {
            result.extend(quote);
        }
    }

    /// What stands for `$name` or `${name…}`.
    fn dollar(&mut self) -> Result<String, String> {
        self.letters.next();
        if self.letters.next_if_eq(&'{').is_none() {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.value(&name)? {
                None if self.lexer.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        match self.letters.peek() {
            None => return Err("`}` is missing".to_owned()),
            Some('{' | '}' | ':') => return Err("`${` has no name behind it".to_owned()),
            Some(_) => {}
        }
        let name = self.name();
        let Some(first) = self.letters.next() else { return Err("`}` is missing".to_owned()) };
        match first {
            '}' => Ok(match self.value(&name)? {
                None if self.lexer.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            ':' => match self.letters.next() {
                Some(operator @ ('-' | '+' | '?')) => self.operator(&name, operator, true),
                Some(other) => Err(format!("`:{other}` is not supported in `${{{name}…}}`")),
                None => Err("`}` is missing".to_owned()),
            },
            '-' | '+' | '?' => self.operator(&name, first, false),
            '#' | '%' => self.trim(&name, first),
            '/' => self.replace(&name),
            other => Err(format!("`{other}` is not supported in `${{{name}…}}`")),
        }
    }

    /// `-`, `+` and `?`, each also behind a colon, where an empty value counts as none.
    fn operator(&mut self, name: &str, operator: char, colon: bool) -> Result<String, String> {
        let word = self.until(Some('}'), false)?.0;
        let value = self.value(name)?;
        if value.is_none() && self.lexer.keep_unset {
            return Ok(format!("${{{name}{}{operator}{word}}}", if colon { ":" } else { "" }));
        }
        let usable = value.as_deref().is_some_and(|it| !(colon && it.is_empty()));
        match operator {
            '-' if usable => Ok(value.unwrap_or_default()),
            '-' => Ok(word),
            '+' if usable => Ok(word),
            '+' => Ok(String::new()),
            _ if usable => Ok(value.unwrap_or_default()),
            _ if !word.is_empty() => Err(format!("{name}: {word}")),
            _ if value.is_none() => Err(format!("{name} has no value, and has to have one")),
            _ => Err(format!("{name} is empty, and must not be")),
        }
    }

    /// `#`, `##`, `%` and `%%`.
    fn trim(&mut self, name: &str, operator: char) -> Result<String, String> {
        let word = self.until(Some('}'), true)?.0;
        let value = match self.value(name)? {
            None if self.lexer.keep_unset => return Ok(format!("${{{name}{operator}{word}}}")),
            value => value.unwrap_or_default(),
        };
        let (pattern, longest) = match word.strip_prefix(operator) {
            Some(pattern) => (pattern, true),
            None => (word.as_str(), false),
        };
        self.room.compare(pattern, &value)?;
        if operator == '#' { substitute::trim_start(&value, pattern, longest) } else { substitute::trim_end(&value, pattern, longest) }
    }

    /// `/pattern/replacement`, and `//` for all of them.
    fn replace(&mut self, name: &str) -> Result<String, String> {
        let all = self.letters.next_if_eq(&'/').is_some();
        let pattern = self.until(Some('/'), true)?.0;
        let replacement = self.until(Some('}'), true)?.0;
        match self.value(name)? {
            None if self.lexer.keep_unset => Ok(format!("${{{name}/{pattern}/{replacement}}}")),
            value => substitute::replace(&value.unwrap_or_default(), &pattern, &replacement, all, self.room),
        }
    }

    /// A name, a number, or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        if self.letters.peek().is_some_and(|it| it.is_numeric()) {
            while let Some(digit) = self.letters.next_if(|it| it.is_numeric()) {
                name.push(digit);
            }
            return name;
        }
        if let Some(special) = self.letters.next_if(|it| matches!(it, '@' | '*' | '#' | '?' | '-' | '$' | '!')) {
            return special.to_string();
        }
        while let Some(letter) = self.letters.next_if(|it| it.is_alphanumeric() || *it == '_') {
            name.push(letter);
        }
        name
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let value = self.environment.get(name).map(str::to_owned);
        if value.is_some() {
            self.matched.insert(name.to_owned())
        } else {
            self.unmatched.insert(name.to_owned())
        };
        self.room.take(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let mut environment = Environment::default();
        for (name, value) in [("A", "one"), ("EMPTY", ""), ("TWO", " a  b "), ("PATH", "/usr/local/bin:/bin"), ("FILE", "x.tar.gz")] {
            environment.set(name, value);
        }
        environment
    }

    #[test]
    fn texts_are_expanded() {
        let check = |text: &str, expect: &str| {
            let found = Lexer::new('\\')
                .expand(text, &environment(), &mut Room::default())
                .map_or_else(|reason| format!("wrong: {reason}"), |it| it.text);
            assert_eq!(found, expect, "{text}");
        };
        check("x$A.y${A}z", "xone.yonez");
        check("$", "$");
        check("$.", "$.");
        check("a$1b$@c", "abc");
        check("\\$A \\\\$A \\a", "$A \\one a");
        check("'$A' '\\' \"$A\"", "$A \\ one");
        check("\"a\\\"b\\$A\\c\"", "a\"b$A\\c");
        check("\"'$A'\"", "'one'");
        check("${A:-x}${B:-x}${EMPTY:-x}", "onexx");
        check("${A-x}${B-x}${EMPTY-x}", "onex");
        check("${A:+x}${B:+x}${EMPTY:+x}", "x");
        check("${A+x}${B+x}${EMPTY+x}", "xx");
        check("${B:-${C:-$A}}", "one");
        check("${B:-\"a }\"}", "a }");
        check("${B:-a\\}b}", "a}b");
        check("${A:?no}", "one");
        check("${EMPTY?no}", "");
        check("${FILE%.*}", "x.tar");
        check("${FILE%%.*}", "x");
        check("${FILE#*.}", "tar.gz");
        check("${FILE##*.}", "gz");
        check("${FILE#y}", "x.tar.gz");
        check("${FILE%\\.g?}", "wrong: `${FILE%\\.g?}` cannot be read: the pattern `\\.g?` has the unknown escape `\\.`");
        check("${PATH/bin/sbin}", "/usr/local/sbin:/bin");
        check("${PATH//bin/sbin}", "/usr/local/sbin:/sbin");
        check("${PATH//\\/b*n/}", "/usr/local");
        check("${PATH/$A/x}", "/usr/local/bin:/bin");
        check("${A", "wrong: `${A` cannot be read: `}` is missing");
        check("${}", "wrong: `${}` cannot be read: `${` has no name behind it");
        check("${A:=x}", "wrong: `${A:=x}` cannot be read: `:=` is not supported in `${A…}`");
        check("${A^}", "wrong: `${A^}` cannot be read: `^` is not supported in `${A…}`");
        check("${B:?say it}", "wrong: `${B:?say it}` cannot be read: B: say it");
        check("${B?}", "wrong: `${B?}` cannot be read: B has no value, and has to have one");
        check("${EMPTY:?}", "wrong: `${EMPTY:?}` cannot be read: EMPTY is empty, and must not be");
        check("\"a", "wrong: `\"a` cannot be read: a double quote is not closed");
        check("'a", "wrong: `'a` cannot be read: a single quote is not closed");
    }

    #[test]
    fn what_grows_without_bound_is_refused() {
        let mut environment = environment();
        environment.set("LARGE", &"a".repeat(1 << 16));
        let check = |text: &str, expect: &str| {
            let outcome = Lexer::new('\\').expand(text, &environment, &mut Room::default());
            assert!(outcome.as_ref().is_err_and(|it| it.contains(expect)), "{expect}: {:?}", outcome.map(|it| it.text.len()));
        };
        check(&"$LARGE".repeat(17), "more than 1 MiB");
        check("${LARGE//a/$LARGE}", "more than 1 MiB");
        check(&"${LARGE%*a*b*c*d*e*f}".repeat(9), "more than 1 MiB");
        check(&"${B:-".repeat(100_000), "stand in each other");
        let nested = "${B:-".repeat(100) + "x" + &"}".repeat(100);
        assert!(Lexer::new('\\').expand(&nested, &environment, &mut Room::default()).is_ok_and(|it| it.text == "x"));
    }

    #[test]
    fn words_are_split_where_nothing_is_quoted() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(Lexer::new('\\').expand(text, &environment(), &mut Room::default()).expect("a text").words, expect, "{text}");
        };
        check("a  b\\ c", &["a", "b c"]);
        check("x${TWO}y", &["x", "a", "b", "y"]);
        check("x\"${TWO}\"y", &["x a  b y"]);
        check("$EMPTY $B", &[]);
        check("${B:-a b}c", &["a", "bc"]);
    }

    #[test]
    fn the_escape_character_is_the_files() {
        let expanded = Lexer::new('`').expand("c:\\dir `$A", &environment(), &mut Room::default()).expect("a text");
        assert_eq!(expanded.text, "c:\\dir $A");
    }

    #[test]
    fn quotes_and_unset_variables_stay_where_asked() {
        let lexer = Lexer { raw_quotes: true, keep_unset: true, ..Lexer::new('\\') };
        let text = lexer.expand("\"$A\" '$A' $B ${B} ${B:-x} ${B%x} ${B/x/y}", &environment(), &mut Room::default()).expect("a text").text;
        assert_eq!(text, "\"one\" '$A' $B ${B} ${B:-x} ${B%x} ${B/x/y}");
    }
}
