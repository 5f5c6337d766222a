//! Truth values as Go reads them.

/// Reads what Go's `strconv.ParseBool` takes for one; the words of a Compose file, of Docker's queries and of its variables are others.
pub fn parse(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_word_is_one() {
        for (text, expect) in [("1", Some(true)), ("True", Some(true)), ("f", Some(false)), ("tRUE", None), ("yes", None), ("", None)] {
            assert_eq!(parse(text), expect, "{text}");
        }
    }
}
