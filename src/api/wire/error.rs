//! What is wrong with a piece of JSON, and how a failure crosses the wire.

use serde_json::{Value, json};

use crate::resource::failure::{Failure, FailureKind};

/// What is wrong with a piece of JSON.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A field has another type or form than Docker's API gives it.
    #[error("`{field}`: {expected} is expected")]
    Malformed {
        /// The field's path.
        field: String,
        /// What should have been there.
        expected: String,
    },
    /// A field asks for something this engine does not do.
    #[error("`{field}` is not supported by this engine (it was {value})")]
    Unsupported {
        /// The field's path.
        field: String,
        /// The value, as JSON.
        value: String,
    },
    /// A field asks for something that dockerd refuses, too, in these words.
    #[error("{message}")]
    Words {
        /// The field's path.
        field: String,
        /// What dockerd says.
        message: String,
    },
    /// A field asks for something that dockerd forbids, in these words.
    #[error("{message}")]
    Denied {
        /// The field's path.
        field: String,
        /// What dockerd says.
        message: String,
    },
    /// A field asks for something that dockerd does not find, in these words.
    #[error("{message}")]
    Missing {
        /// The field's path.
        field: String,
        /// What dockerd says.
        message: String,
    },
    /// The bytes are not JSON.
    #[error("{subject} is not JSON")]
    Syntax {
        /// What was read.
        subject: &'static str,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

impl WireError {
    /// A field of the wrong form.
    pub fn malformed(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Malformed { field: field.into(), expected: expected.into() }
    }

    /// A field that asks for something we do not do.
    pub fn unsupported(field: impl Into<String>, value: &Value) -> Self {
        Self::Unsupported { field: field.into(), value: value.to_string() }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        match &error {
            WireError::Malformed { .. } | WireError::Words { .. } => Self::invalid(error.to_string()),
            WireError::Denied { .. } => Self::denied(error.to_string()),
            WireError::Missing { .. } => Self::not_found(error.to_string()),
            WireError::Unsupported { .. } => Self::unsupported(error.to_string()),
            WireError::Syntax { source, .. } => Self::invalid(format!("{error}: {source}")),
        }
    }
}

/// Returns the HTTP status of a failure.
pub const fn status_of(kind: FailureKind) -> u16 {
    match kind {
        FailureKind::NotFound => 404,
        FailureKind::Conflict => 409,
        FailureKind::Invalid => 400,
        FailureKind::NotModified => 304,
        FailureKind::Denied => 403,
        FailureKind::Unsupported => 501,
        FailureKind::Unavailable => 503,
        FailureKind::Internal => 500,
    }
}

/// Returns the kind of failure that an HTTP status stands for.
pub const fn kind_of(status: u16) -> FailureKind {
    match status {
        404 => FailureKind::NotFound,
        409 => FailureKind::Conflict,
        304 => FailureKind::NotModified,
        401 | 403 => FailureKind::Denied,
        501 | 505 => FailureKind::Unsupported,
        502..=504 => FailureKind::Unavailable,
        400..=499 => FailureKind::Invalid,
        _ => FailureKind::Internal,
    }
}

/// Writes a failure as the body of an answer.
pub fn to_json(failure: &Failure) -> Value {
    json!({ "message": failure.message })
}

/// Reads a failure from an answer's status and body.
pub fn from_body(status: u16, body: &[u8]) -> Failure {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|value| value.get("message")).and_then(Value::as_str);
    let message = match message {
        Some(message) => message.to_owned(),
        None if body.is_empty() => format!("the engine answered with status {status} and no message"),
        None => format!("the engine answered with status {status}: {}", String::from_utf8_lossy(&body[..body.len().min(500)]).trim()),
    };
    Failure { kind: kind_of(status), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_status() {
        use FailureKind::{Conflict, Denied, Internal, Invalid, NotFound, NotModified, Unavailable, Unsupported};
        for kind in [NotFound, Conflict, Invalid, NotModified, Denied, Unsupported, Unavailable, Internal] {
            assert_eq!(kind_of(status_of(kind)), kind);
        }
    }

    #[test]
    fn a_body_without_a_message_is_shown() {
        let check = |status, body: &str, expect: &str| assert_eq!(from_body(status, body.as_bytes()).message, expect);
        check(404, r#"{"message":"No such container: web"}"#, "No such container: web");
        check(502, "<html>", "the engine answered with status 502: <html>");
        check(500, "", "the engine answered with status 500 and no message");
    }
}
