//! `WWW-Authenticate` (RFC 9110, 11.6.1): what a registry wants to see before it answers.

use hyper::HeaderMap;
use hyper::header::WWW_AUTHENTICATE;

/// One way to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password, as they are.
    Basic,
    /// A token, from a service of its own.
    Bearer {
        /// The URL of the service.
        realm: String,
        /// Whom the token is for.
        service: Option<String>,
        /// What it must allow.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The same where the scope is for us to say.
    pub(super) fn of_any_scope(self) -> Self {
        match self {
            Self::Bearer { realm, service, .. } => Self::Bearer { realm, service, scope: None },
            Self::Basic => Self::Basic,
        }
    }
}

/// Reads all that a registry offers; what is not understood is left out.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).flat_map(parse).collect()
}

fn parse(text: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut current: Option<(String, Vec<(String, String)>)> = None;
    let mut rest = text.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', ',', '=', '\t']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        // A word with `=` after it is a parameter; any other begins a challenge.
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = value_of(value.trim_start());
            if let Some((_, parameters)) = &mut current {
                parameters.push((word.to_ascii_lowercase(), value));
            }
            rest = after;
        } else {
            found.extend(current.take().and_then(finish));
            current = Some((word.to_ascii_lowercase(), Vec::new()));
            rest = after;
        }
        let next = rest.trim_start_matches([' ', ',', '\t']);
        // What cannot be read ends it; nothing here may go in circles.
        if next.len() == rest.len() && word.is_empty() {
            break;
        }
        rest = next;
    }
    found.extend(current.and_then(finish));
    found
}

/// A token or a quoted string, and what comes after it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, it)| it)),
            _ => value.push(character),
        }
    }
    (value, "")
}

fn finish((scheme, parameters): (String, Vec<(String, String)>)) -> Option<Challenge> {
    let find = |name: &str| parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()).filter(|it| !it.is_empty());
    match scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer { realm: find("realm")?, service: find("service"), scope: find("scope") }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned), scope: scope.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read_as_the_rfc_writes_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull,push""#;
        let expect = bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:library/x:pull,push"));
        assert_eq!(parse(hub), [expect]);
        assert_eq!(parse(r#"Basic realm="a, b""#), [Challenge::Basic]);
        assert_eq!(parse(r#"Negotiate, Basic realm="x", bearer realm = y ,service=z"#), [Challenge::Basic, bearer("y", Some("z"), None)]);
        assert_eq!(parse(r#"Bearer realm="a\"b"#), [bearer("a\"b", None, None)]);
        for text in ["", "=", ",,,", "=\"", "Bearer", "Bearer =x", "Negotiate abc=="] {
            assert_eq!(parse(text), [], "{text}");
        }
    }
}
