//! Why a request to an engine failed: what every room's error becomes before it crosses the API.

/// The kind of a failure; it decides the HTTP status and what a caller may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The named thing does not exist (404).
    NotFound,
    /// It exists already, is in use, or is in the wrong state (409).
    Conflict,
    /// The request itself is wrong (400).
    Invalid,
    /// Nothing to change: already started, already stopped (304).
    NotModified,
    /// The caller may not do this (403), or a registry refused the credentials (401).
    Denied,
    /// Not implemented by this engine (501).
    Unsupported,
    /// The engine, or something behind it, cannot be reached (503).
    Unavailable,
    /// Anything else (500).
    Internal,
}

/// A failed request: a kind for programs and one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What failed, naming the thing, and the way out where there is one.
    pub message: String,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident, $doc:literal;)*) => { $(
        #[doc = $doc]
        pub fn $name(message: impl Into<String>) -> Self {
            Self { kind: FailureKind::$kind, message: message.into() }
        }
    )* };
}

impl Failure {
    constructors! {
        not_found => NotFound, "The named thing does not exist.";
        conflict => Conflict, "It exists already, is in use, or is in the wrong state.";
        invalid => Invalid, "The request itself is wrong.";
        not_modified => NotModified, "There is nothing to change.";
        denied => Denied, "The caller may not do this.";
        unsupported => Unsupported, "This engine does not do that.";
        unavailable => Unavailable, "The engine, or something behind it, cannot be reached.";
        internal => Internal, "Anything else.";
    }

    /// The same failure, told as what came of doing something.
    #[must_use]
    pub fn within(self, what: &str) -> Self {
        Self { kind: self.kind, message: format!("{what}: {}", self.message) }
    }
}
