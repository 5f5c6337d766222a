//! How the rest of a line is cut: words with their quotes, flags, JSON lists, pairs.

/// White space between words; a line holds no newline any more.
pub(super) const fn blank(letter: char) -> bool {
    matches!(letter, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// Splits at the first run of white space.
pub(super) fn cut(text: &str) -> Option<(&str, &str)> {
    let start = text.find(blank)?;
    Some((&text[..start], text[start..].trim_start_matches(blank)))
}

/// Words, split at white space that is neither quoted nor escaped; quotes and escapes stay.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if quote.is_none() && letter.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        if letter == escape && quote != Some('\'') {
            // An escape at the very end stands for nothing.
            if let Some(next) = letters.next() {
                word.get_or_insert_default().extend([letter, next]);
            }
            continue;
        }
        match quote {
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            Some(open) if open == letter => quote = None,
            _ => {}
        }
        word.get_or_insert_default().push(letter);
    }
    words.extend(word);
    words
}

/// The words at the start that begin with `--`, without quotes and escapes, and what follows them.
pub(super) fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let mut word = String::new();
        let mut quote = None;
        let mut end = rest.len();
        let mut letters = rest.char_indices();
        while let Some((index, letter)) = letters.next() {
            match quote {
                None if letter.is_whitespace() => {
                    end = index;
                    break;
                }
                None if matches!(letter, '\'' | '"') => quote = Some(letter),
                Some(open) if open == letter => quote = None,
                _ if letter == escape => word.extend(letters.next().map(|it| it.1)),
                _ => word.push(letter),
            }
        }
        rest = rest[end..].trim_start();
        if word == "--" {
            break;
        }
        flags.push(word);
    }
    (flags, rest)
}

/// A JSON list of texts; `None` when it is none, an error when it holds something else.
pub(super) fn list(text: &str) -> Result<Option<Vec<String>>, String> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let texts = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        other => Err(format!("`{other}` is not a text, and a JSON list has to hold nothing else")),
    });
    texts.collect::<Result<_, _>>().map(Some)
}

/// A JSON list, or words at white space; quotes mean nothing there.
pub(super) fn list_or_plain(text: &str) -> Result<Vec<String>, String> {
    Ok(match list(text)? {
        Some(words) => words,
        None => text.split(blank).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        let check = |text: &str, expect: &[&str]| assert_eq!(quoted(text, '\\'), expect, "{text}");
        check("a  b", &["a", "b"]);
        check("a=\"b c\" d='e f'", &["a=\"b c\"", "d='e f'"]);
        check("a\\ b c", &["a\\ b", "c"]);
        check("'a\\' b", &["'a\\'", "b"]);
        check("\"a\\\" b\"", &["\"a\\\" b\""]);
        check("a \\", &["a"]);
        check("\"\"", &["\"\""]);
    }

    #[test]
    fn flags_stand_first() {
        let check = |text: &str, expect: &[&str], rest: &str| {
            assert_eq!(flags(text, '\\'), (expect.iter().map(|it| (*it).to_owned()).collect(), rest), "{text}");
        };
        check("--a=b  --c d --e", &["--a=b", "--c"], "d --e");
        check("--a=\"b c\" d", &["--a=b c"], "d");
        check("--a=b\\ c d", &["--a=b c"], "d");
        check("-- --a", &[], "--a");
        check("-a", &[], "-a");
        check("--a", &["--a"], "");
    }

    #[test]
    fn a_json_list_is_one_whole() {
        assert_eq!(list("[\"a\", \"b\"]"), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(list("[\"a\", 'b']"), Ok(None));
        assert_eq!(list("[ -f x ]"), Ok(None));
        assert_eq!(list("a"), Ok(None));
        assert!(list("[1]").is_err());
    }
}
