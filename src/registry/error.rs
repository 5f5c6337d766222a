//! What can go wrong between a registry and us; each says which registry, what was asked for, and the way out.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::registry::manifest::ManifestError;
use crate::resource::failure::FailureKind;
use crate::resource::id::Digest;

/// A failed step of this room.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection came about.
    #[error("cannot reach the registry {host}: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why, and the way out.
        reason: String,
    },
    /// The connection broke off, again and again.
    #[error("the connection to the registry {host} broke off while {what} was read: {reason}")]
    Broken {
        /// Host and port.
        host: String,
        /// What was read.
        what: String,
        /// Why.
        reason: String,
    },
    /// The connection broke off while something was sent, again and again.
    #[error("the connection to the registry {host} broke off while {what} was sent: {reason}")]
    BrokenUpload {
        /// Host and port.
        host: String,
        /// What was sent.
        what: String,
        /// Why.
        reason: String,
    },
    /// Something of ours that was to be sent cannot be read.
    #[error("cannot read {}, which was to be sent", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing may be sent to the repository.
    #[error("push access denied for {repository}: {reason} (log in: `docker login {host}`)")]
    PushDenied {
        /// The repository as people write it.
        repository: String,
        /// The registry's word.
        reason: String,
        /// Host and port.
        host: String,
    },
    /// Docker's words for a repository that is not there or not ours to see: registries do not tell which.
    #[error("pull access denied for {repository}, repository does not exist or may require 'docker login': {reason}")]
    Denied {
        /// The repository as people write it.
        repository: String,
        /// The registry's word.
        reason: String,
    },
    /// The registry, or its token service, does not believe who we say we are.
    #[error("the registry {host} refuses the credentials: {reason} (log in again: `docker login {host}`)")]
    Unauthorized {
        /// Host and port.
        host: String,
        /// Its word.
        reason: String,
    },
    /// There is no such tag or digest.
    #[error("manifest for {reference} not found: {reason}")]
    ManifestUnknown {
        /// The reference as people write it.
        reference: String,
        /// The registry's word.
        reason: String,
    },
    /// There is no such repository.
    #[error("repository {repository} not found: {reason}")]
    NameUnknown {
        /// The repository as people write it.
        repository: String,
        /// The registry's word.
        reason: String,
    },
    /// Something a manifest names is missing.
    #[error("the registry {host} does not have {what}, which the image's manifest names: {reason}")]
    BlobUnknown {
        /// Host and port.
        host: String,
        /// The blob.
        what: String,
        /// The registry's word.
        reason: String,
    },
    /// It asks for patience.
    #[error("the registry {host} takes no more requests for now: {reason}")]
    TooMany {
        /// Host and port.
        host: String,
        /// Its word.
        reason: String,
    },
    /// An answer that makes no sense here.
    #[error("the registry {host} answered {status} when asked for {what}: {reason}")]
    Answer {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
        /// The registry's word.
        reason: String,
    },
    /// Bytes that are not what they were said to be.
    #[error("{what} from the registry {host} has the digest {found}, expected was {expected}")]
    WrongDigest {
        /// Host and port.
        host: String,
        /// What was read.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// More or fewer bytes than were announced.
    #[error("{what} from the registry {host} is not of the size its manifest says: {expected} bytes expected, {found} found")]
    WrongSize {
        /// Host and port.
        host: String,
        /// What was read.
        what: String,
        /// What it should be.
        expected: u64,
        /// What it is, or at least is.
        found: u64,
    },
    /// A manifest we cannot use.
    #[error("the manifest of {reference} cannot be used: {reason}")]
    Manifest {
        /// The reference as people write it.
        reference: String,
        /// What is wrong with it; told here, and so no cause beside.
        reason: ManifestError,
    },
    /// Who asked named no place.
    #[error("`{url}` is not a URL: {reason}")]
    Url {
        /// What was named.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Who asked named no host.
    #[error("`{host}` is not a host with an optional port: {reason}")]
    Address {
        /// What was named.
        host: String,
        /// Why not.
        reason: String,
    },
    /// What we were told of registries makes no sense.
    #[error("{0}")]
    Config(String),
}

impl RegistryError {
    /// What kind of failure it is for whoever asked.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::BrokenUpload { .. } | Self::TooMany { .. } => FailureKind::Unavailable,
            // As Docker: whoever may not see a repository is told that it does not exist.
            Self::Denied { .. } | Self::ManifestUnknown { .. } | Self::NameUnknown { .. } => FailureKind::NotFound,
            Self::Unauthorized { .. } | Self::PushDenied { .. } => FailureKind::Denied,
            Self::Url { .. } | Self::Address { .. } => FailureKind::Invalid,
            Self::BlobUnknown { .. }
            | Self::Answer { .. }
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::Manifest { .. }
            | Self::Source { .. }
            | Self::Config(_) => FailureKind::Internal,
        }
    }
}

/// What may be done about a connection that did not come about, by what stopped it.
pub(super) fn reason_of(error: &(dyn Error + 'static), host: &str) -> String {
    let mut last = error;
    let mut innermost = error;
    loop {
        if let Some(tls) = innermost.downcast_ref::<rustls::Error>() {
            return reason_of_tls(tls, host);
        }
        let inside = innermost.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let Some(next) = inside.map(|it| it as &(dyn Error + 'static)).or_else(|| innermost.source()) else { break };
        last = innermost;
        innermost = next;
    }
    let text = innermost.to_string();
    let kind = innermost.downcast_ref::<io::Error>().or_else(|| last.downcast_ref()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => format!("{text}: nothing listens there"),
        _ => text,
    }
}

fn reason_of_tls(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(_) => format!(
            "its certificate is not to be trusted ({error}): put the certificate of its authority into certs.d/{host}/ca.crt, or name the \
             registry in `insecure-registries`"
        ),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS (server gave HTTP response to HTTPS client): name it in `insecure-registries` if that is meant"
                .to_owned()
        }
        _ => error.to_string(),
    }
}
