//! One line of comma-separated values (RFC 4180): Docker writes mounts, secrets and headers so.

/// Why a line cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// A quote that no other one ends.
    #[error("a quote is not closed")]
    Open,
    /// Something behind a quoted value that is no comma.
    #[error("something follows a quote")]
    Behind,
    /// A quote within a value that did not begin with one.
    #[error("a quote stands within a value")]
    Within,
}

/// Takes a line apart. A value in double quotes may hold commas, and quotes, which are written twice.
pub fn split(text: &str) -> Result<Vec<String>, CsvError> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let mut value = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (before, behind) = quoted.split_once('"').ok_or(CsvError::Open)?;
                value.push_str(before);
                match behind.strip_prefix('"') {
                    Some(more) => {
                        value.push('"');
                        quoted = more;
                    }
                    None => {
                        rest = behind;
                        break;
                    }
                }
            }
        } else {
            let plain;
            (plain, rest) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            if plain.contains('"') {
                return Err(CsvError::Within);
            }
            value.push_str(plain);
        }
        values.push(value);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(values),
            None => return Err(CsvError::Behind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_and_quotes_keep_together() {
        let check = |text: &str, expect: Result<&[&str], CsvError>| {
            let expect = expect.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
            assert_eq!(split(text), expect, "{text}");
        };
        check("", Ok(&[""]));
        check("a,b=c", Ok(&["a", "b=c"]));
        check("a,,", Ok(&["a", "", ""]));
        check(r#""a,b",c"#, Ok(&["a,b", "c"]));
        check(r#""a""b""#, Ok(&[r#"a"b"#]));
        check(r#"a,"b"#, Err(CsvError::Open));
        check(r#""a"b"#, Err(CsvError::Behind));
        check(r#"a"b""#, Err(CsvError::Within));
    }
}
