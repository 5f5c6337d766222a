//! Texts as parts of an address.

/// Percent-encodes all but what never needs it (RFC 3986, section 2.3) and what is `kept`.
pub fn encode(text: &str, kept: &[u8], into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            into.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            into.push('%');
            into.push(char::from(DIGITS[usize::from(byte >> 4)]));
            into.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Undoes it; `None` where a `%` has no two digits behind it, or what comes out is no text.
pub fn decode(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).filter(|(digits, _)| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(decode(text).as_deref(), expect, "{text}");
        check("a%20b%2fc+", Some("a b/c+"));
        check("%C3%BC", Some("ü"));
        check("%", None);
        check("%2", None);
        check("%+1", None);
        check("%C3", None);
        let mut encoded = String::new();
        encode("a b/%ü", b"", &mut encoded);
        check(&encoded, Some("a b/%ü"));
    }
}
