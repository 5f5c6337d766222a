//! One repository of one registry: who answers for it, and what it takes to be let in.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::registry::blob::Blob;
use crate::registry::challenge::{Challenge, challenges};
use crate::registry::client::{Registries, read_all};
use crate::registry::endpoint::{Endpoint, endpoints};
use crate::registry::error::RegistryError;
use crate::registry::manifest::{ACCEPTED, Descriptor, Manifest};
use crate::registry::token::authorize;
use crate::resource::id::Digest;
use crate::resource::image::{Credentials, ImageReference};

/// Manifests are no larger (what registries accept, and Docker reads).
const DOCUMENT_LIMIT: usize = 4 << 20;
/// What is read of a refusal.
const REFUSAL_LIMIT: usize = 256 << 10;

/// One repository, spoken of with one set of credentials. Requests may be made at the same time.
#[derive(Debug)]
pub struct Session {
    registries: Registries,
    reference: ImageReference,
    credentials: Option<Credentials>,
    places: Vec<Place>,
    /// The place that answered last; those before it have failed.
    current: AtomicUsize,
}

/// A place to ask, and what lets us in there.
#[derive(Debug)]
struct Place {
    endpoint: Endpoint,
    authorization: Mutex<Option<HeaderValue>>,
}

/// A manifest as a registry gave it.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its digest.
    pub digest: Digest,
    /// What it says.
    pub manifest: Manifest,
}

impl Session {
    pub(super) async fn begin(
        registries: Registries,
        reference: ImageReference,
        credentials: Option<Credentials>,
    ) -> Result<Self, RegistryError> {
        let found = endpoints(registries.config(), reference.registry()).await?;
        let places = found.into_iter().map(|endpoint| Place { endpoint, authorization: Mutex::default() }).collect();
        Ok(Self { registries, reference, credentials, places, current: AtomicUsize::new(0) })
    }

    /// Reads the manifest that the reference names: by its digest, if it has one, else by its tag.
    pub async fn manifest(&self) -> Result<Document, RegistryError> {
        match (self.reference.digest(), self.reference.tag()) {
            (None, Some(tag)) => self.document(tag, None).await,
            (Some(digest), _) => self.manifest_of(&digest).await,
            (None, None) => self.document("latest", None).await,
        }
    }

    /// Reads a manifest by digest.
    pub async fn manifest_of(&self, digest: &Digest) -> Result<Document, RegistryError> {
        self.document(&digest.to_string(), Some(digest)).await
    }

    async fn document(&self, name: &str, expected: Option<&Digest>) -> Result<Document, RegistryError> {
        let mut headers = HeaderMap::new();
        for accepted in ACCEPTED {
            headers.append(ACCEPT, HeaderValue::from_static(accepted));
        }
        let wanted = Wanted::Manifest(name);
        let (host, response) = self.ask(wanted, &headers).await?;
        let what = wanted.to_string();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = read_all(response, DOCUMENT_LIMIT, &host, &what).await?;
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        if let Some(expected) = expected.filter(|it| **it != digest) {
            return Err(RegistryError::WrongDigest { host, what, expected: *expected, found: digest });
        }
        let manifest = Manifest::parse(&bytes, content_type.as_deref())
            .map_err(|source| RegistryError::Manifest { reference: self.reference.familiar(), source })?;
        Ok(Document { digest, manifest })
    }

    /// Begins to read a blob. Its digest is for the reader to verify.
    pub fn blob<'a>(&'a self, descriptor: &'a Descriptor) -> Blob<'a> {
        Blob::new(self, descriptor)
    }

    /// Reads a blob that is a small document, and verifies it.
    pub async fn document_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        let what = Wanted::Blob(&descriptor.digest).to_string();
        let limit = DOCUMENT_LIMIT as u64;
        if descriptor.size > limit {
            return Err(RegistryError::WrongSize { host: self.host(), what, expected: limit, found: descriptor.size });
        }
        let mut blob = self.blob(descriptor);
        let mut bytes = Vec::new();
        while let Some(piece) = blob.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let found = Digest::from_bytes(Sha256::digest(&bytes).into());
        if found != descriptor.digest {
            return Err(RegistryError::WrongDigest { host: self.host(), what, expected: descriptor.digest, found });
        }
        Ok(bytes)
    }

    /// The connections.
    pub(super) fn registries(&self) -> &Registries {
        &self.registries
    }

    /// Host and port of whoever answered last, for messages.
    pub fn host(&self) -> String {
        self.places.get(self.current.load(Ordering::Relaxed)).map_or_else(String::new, |place| place.endpoint.authority.to_string())
    }

    /// Gives a mirror up that cannot finish what it began; tells whether there was one to give up.
    pub(super) fn give_up(&self, host: &str) -> bool {
        let at = self.current.load(Ordering::Relaxed);
        let mirror = self.places.get(at).is_some_and(|place| place.endpoint.mirror && place.endpoint.authority.as_str() == host);
        if mirror {
            self.current.store(at + 1, Ordering::Relaxed);
        }
        mirror
    }

    /// Asks one place after the other; returns who answered well, and what.
    pub(super) async fn ask(&self, wanted: Wanted<'_>, headers: &HeaderMap) -> Result<(String, Response<Incoming>), RegistryError> {
        let mut failed = None;
        for (at, place) in self.places.iter().enumerate().skip(self.current.load(Ordering::Relaxed)) {
            match self.ask_place(place, wanted, headers).await {
                Ok(response) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok((place.endpoint.authority.to_string(), response));
                }
                // Plain HTTP is tried only where TLS did not come about at all; whoever speaks TLS is not asked in the open.
                Err(error) if place.endpoint.mirror || matches!(error, RegistryError::Unreachable { .. }) => {
                    tracing::debug!(%error, endpoint = %place.endpoint.authority, "an endpoint of a registry cannot be used");
                    failed = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(|| RegistryError::Config(format!("there is nobody to ask for {}", self.reference.familiar()))))
    }

    async fn ask_place(&self, place: &Place, wanted: Wanted<'_>, headers: &HeaderMap) -> Result<Response<Incoming>, RegistryError> {
        let path = format!("{}/{}", self.reference.repository(), wanted.path());
        let used = place.authorization.lock().await.clone();
        let response = self.registries.get(&place.endpoint, &path, with(headers, used.as_ref())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.judge(place, wanted, response).await;
        }
        let offered = challenges(response.headers());
        let Some(fresh) = self.let_in(place, &offered, used.as_ref()).await? else {
            return self.judge(place, wanted, response).await;
        };
        let response = self.registries.get(&place.endpoint, &path, with(headers, Some(&fresh))).await?;
        self.judge(place, wanted, response).await
    }

    /// What lets us in, drawn once for all who were refused with the same.
    async fn let_in(&self, place: &Place, offered: &[Challenge], used: Option<&HeaderValue>) -> Result<Option<HeaderValue>, RegistryError> {
        let mut held = place.authorization.lock().await;
        if held.as_ref() != used {
            return Ok(held.clone());
        }
        let credentials = if place.endpoint.mirror { None } else { self.credentials.as_ref() };
        let scope = format!("repository:{}:pull", self.reference.repository());
        let fresh = authorize(&self.registries, offered, &scope, credentials, place.endpoint.insecure).await?;
        held.clone_from(&fresh);
        Ok(fresh)
    }

    /// Tells a good answer from a refusal.
    async fn judge(&self, place: &Place, wanted: Wanted<'_>, response: Response<Incoming>) -> Result<Response<Incoming>, RegistryError> {
        let status = response.status();
        if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Ok(response);
        }
        let host = place.endpoint.authority.to_string();
        let what = wanted.to_string();
        // The status says enough where the rest cannot be read.
        let body = read_all(response, REFUSAL_LIMIT, &host, &what).await.unwrap_or_default();
        let said = complaint(&body);
        let code = said.as_ref().map(|(code, _)| code.as_str()).unwrap_or_default();
        let or = |default: &str| said.as_ref().map_or_else(|| default.to_owned(), |(_, text)| text.clone());
        let repository = self.reference.familiar_name();
        Err(match (status, wanted) {
            (StatusCode::UNAUTHORIZED, _) if self.credentials.is_some() && code != "DENIED" => {
                RegistryError::Unauthorized { host, reason: or("unauthorized: incorrect username or password") }
            }
            (StatusCode::UNAUTHORIZED, _) => RegistryError::Denied { repository, reason: or("no basic auth credentials") },
            (StatusCode::FORBIDDEN, _) => {
                RegistryError::Denied { repository, reason: or("denied: requested access to the resource is denied") }
            }
            (StatusCode::NOT_FOUND, _) if code == "NAME_UNKNOWN" => RegistryError::NameUnknown { repository, reason: or("") },
            (StatusCode::NOT_FOUND, Wanted::Manifest(_)) => {
                RegistryError::ManifestUnknown { reference: self.reference.familiar(), reason: or("manifest unknown: manifest unknown") }
            }
            (StatusCode::NOT_FOUND, Wanted::Blob(_)) => RegistryError::BlobUnknown { host, what, reason: or("blob unknown") },
            (StatusCode::TOO_MANY_REQUESTS, _) => RegistryError::TooMany { host, reason: or("toomanyrequests") },
            _ => {
                RegistryError::Answer { host, what, status: status.as_u16(), reason: or(status.canonical_reason().unwrap_or("no reason")) }
            }
        })
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// A manifest, by tag or digest.
    Manifest(&'a str),
    /// A blob.
    Blob(&'a Digest),
}

impl Wanted<'_> {
    fn path(self) -> String {
        match self {
            Self::Manifest(name) => format!("manifests/{name}"),
            Self::Blob(digest) => format!("blobs/{digest}"),
        }
    }
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(name) => write!(formatter, "manifest {name}"),
            Self::Blob(digest) => write!(formatter, "blob {digest}"),
        }
    }
}

fn with(headers: &HeaderMap, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = headers.clone();
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
    headers
}

/// A registry's word about a refusal (distribution specification, error codes).
#[derive(Deserialize)]
struct Complaints {
    errors: Vec<Complaint>,
}

#[derive(Deserialize)]
struct Complaint {
    code: String,
    #[serde(default)]
    message: String,
}

/// The code of a refusal, and the sentence Docker makes of it.
pub(super) fn complaint(body: &[u8]) -> Option<(String, String)> {
    let complaints: Complaints = serde_json::from_slice(body).ok()?;
    let first = complaints.errors.into_iter().next()?;
    let text = format!("{}: {}", first.code.to_lowercase().replace('_', " "), first.message);
    Some((first.code, text))
}
