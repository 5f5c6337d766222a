//! One repository of one registry: who answers for it, and what it takes to be let in.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LINK};
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::registry::blob::Blob;
use crate::registry::challenge::{Challenge, challenges};
use crate::registry::client::{Ask, Elsewhere, Registries, read_all};
use crate::registry::endpoint::{Endpoint, endpoints};
use crate::registry::error::RegistryError;
use crate::registry::manifest::{ACCEPTED, Descriptor, Manifest};
use crate::registry::token::authorize;
use crate::resource::id::Digest;
use crate::resource::image::{Credentials, ImageReference};
use crate::resource::percent;

/// Manifests are no larger (what registries accept, and Docker reads).
const DOCUMENT_LIMIT: usize = 4 << 20;
/// So many tags are asked for at a time.
const TAGS: usize = 1000;
/// What is read of a refusal.
const REFUSAL_LIMIT: usize = 256 << 10;

/// One repository, spoken of with one set of credentials. Requests may be made at the same time.
#[derive(Debug)]
pub struct Session {
    registries: Registries,
    reference: ImageReference,
    credentials: Option<Credentials>,
    right: Right,
    places: Vec<Place>,
    /// The place that answered last; those before it have failed.
    current: AtomicUsize,
}

/// What is to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// To read.
    Pull,
    /// To write, too, and to take blobs from other repositories of the registry.
    Push {
        /// Their names there.
        others: Vec<String>,
    },
}

/// A place to ask, and what lets us in there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    authorization: Mutex<Option<HeaderValue>>,
}

/// One request of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) method: &'a Method,
    pub(super) wanted: Wanted<'a>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
}

/// A manifest as a registry gave it.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Bytes,
    /// What the registry calls it, where it says so.
    pub content_type: Option<String>,
    /// What it says.
    pub manifest: Manifest,
}

impl Session {
    pub(super) async fn begin(
        registries: Registries,
        reference: ImageReference,
        credentials: Option<Credentials>,
        right: Right,
    ) -> Result<Self, RegistryError> {
        let mut found = endpoints(registries.config(), reference.registry()).await?;
        found.retain(|endpoint| right == Right::Pull || !endpoint.mirror);
        let places = found.into_iter().map(|endpoint| Place { endpoint, authorization: Mutex::default() }).collect();
        Ok(Self { registries, reference, credentials, right, places, current: AtomicUsize::new(0) })
    }

    /// Reads the manifest that the reference names: by its digest, if it has one, else by its tag.
    pub async fn manifest(&self) -> Result<Document, RegistryError> {
        self.manifest_at(&self.reference).await
    }

    /// Reads the manifest that another reference to the same repository names.
    pub async fn manifest_at(&self, reference: &ImageReference) -> Result<Document, RegistryError> {
        match (reference.digest(), reference.tag()) {
            (None, Some(tag)) => self.document(reference, tag, None).await,
            (Some(digest), _) => self.document(reference, &digest.to_string(), Some(&digest)).await,
            (None, None) => self.document(reference, "latest", None).await,
        }
    }

    /// Reads the tags of the repository, in the registry's order.
    pub async fn tags(&self) -> Result<Vec<String>, RegistryError> {
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().cloned();
            let wanted = Wanted::Tags(last.as_deref());
            let (host, response) = self.ask(wanted, &HeaderMap::new()).await?;
            let goes_on = response.headers().contains_key(LINK);
            let bytes = read_all(response, DOCUMENT_LIMIT, &host, "the list of tags").await?;
            let page: Tags = serde_json::from_slice(&bytes).map_err(|error| RegistryError::Answer {
                host,
                what: wanted.to_string(),
                status: 200,
                reason: format!("it is malformed: {error}"),
            })?;
            let page = page.tags.unwrap_or_default();
            let is_last = !goes_on || page.is_empty() || page.last() == last.as_ref();
            tags.extend(page);
            if is_last {
                return Ok(tags);
            }
        }
    }

    /// Reads a manifest by digest.
    pub async fn manifest_of(&self, digest: &Digest) -> Result<Document, RegistryError> {
        self.document(&self.reference, &digest.to_string(), Some(digest)).await
    }

    async fn document(&self, reference: &ImageReference, name: &str, expected: Option<&Digest>) -> Result<Document, RegistryError> {
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
            .map_err(|reason| RegistryError::Manifest { reference: reference.familiar(), reason })?;
        Ok(Document { digest, bytes, content_type, manifest })
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

    /// Asks one place after the other for something to read; returns who answered well, and what.
    pub(super) async fn ask(&self, wanted: Wanted<'_>, headers: &HeaderMap) -> Result<(String, Response<Incoming>), RegistryError> {
        let (place, response) = self.put(Question { method: &Method::GET, wanted, headers, body: &Bytes::new() }).await?;
        Ok((place.endpoint.authority.to_string(), response))
    }

    /// Puts a question to one place after the other; returns who answered well, and what.
    pub(super) async fn put(&self, question: Question<'_>) -> Result<(&Place, Response<Incoming>), RegistryError> {
        let mut failed = None;
        for (at, place) in self.places.iter().enumerate().skip(self.current.load(Ordering::Relaxed)) {
            match self.ask_place(place, question).await {
                Ok(response) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok((place, response));
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

    async fn ask_place(&self, place: &Place, question: Question<'_>) -> Result<Response<Incoming>, RegistryError> {
        let uri = self.url(place, question.wanted)?;
        let ask = |authorization: Option<&HeaderValue>| Ask {
            method: question.method.clone(),
            uri: uri.clone(),
            headers: with(question.headers, authorization),
            body: question.body.clone(),
            insecure: place.endpoint.insecure,
        };
        let used = self.pass(place).await;
        let response = self.registries.send(&ask(used.as_ref())).await?;
        // A right that a fresh token does not give, another one does not give either.
        let is_extra = matches!(question.wanted, Wanted::Upload(_, Some(_))) && used.is_some();
        let fresh = if is_extra { None } else { self.let_in(place, &response, used.as_ref()).await? };
        let response = match fresh {
            Some(fresh) => self.registries.send(&ask(Some(&fresh))).await?,
            None => response,
        };
        self.judge(place, question.wanted, response).await
    }

    /// Where something lies at a place.
    pub(super) fn url(&self, place: &Place, wanted: Wanted<'_>) -> Result<Uri, RegistryError> {
        place.endpoint.url(&format!("{}/{}", self.reference.repository(), wanted.path()))
    }

    /// What let us in at a place last.
    pub(super) async fn pass(&self, place: &Place) -> Option<HeaderValue> {
        place.authorization.lock().await.clone()
    }

    /// What lets us in after a refusal, drawn once for all who were refused with the same; nothing where it was no refusal, or not the
    /// registry's own.
    pub(super) async fn let_in(
        &self,
        place: &Place,
        response: &Response<Incoming>,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        if response.status() != StatusCode::UNAUTHORIZED || response.extensions().get::<Elsewhere>().is_some() {
            return Ok(None);
        }
        let mut held = place.authorization.lock().await;
        if held.as_ref() != used {
            return Ok(held.clone());
        }
        let credentials = if place.endpoint.mirror { None } else { self.credentials.as_ref() };
        let mut offered = challenges(response.headers());
        let mut scope = format!("repository:{}:pull", self.reference.repository());
        if let Right::Push { others } = &self.right {
            scope.push_str(",push");
            others.iter().for_each(|other| scope.push_str(&format!(" repository:{other}:pull")));
            // One token for all there is to do: a registry asks for what the request at hand needs.
            offered = offered.into_iter().map(Challenge::of_any_scope).collect();
        }
        let fresh = authorize(&self.registries, &offered, &scope, credentials, place.endpoint.insecure).await?;
        held.clone_from(&fresh);
        Ok(fresh)
    }

    /// Tells a good answer from a refusal.
    pub(super) async fn judge(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>, RegistryError> {
        let status = response.status();
        if status.is_success() {
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
        let pushes = self.right != Right::Pull;
        Err(match (status, wanted) {
            (StatusCode::UNAUTHORIZED, _) if pushes && self.credentials.is_none() => {
                // Docker's words: the registry's are the same for whoever shows nothing and whoever shows the wrong thing.
                RegistryError::PushDenied { repository, reason: "no basic auth credentials".to_owned(), host }
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) if pushes => {
                RegistryError::PushDenied { repository, reason: or("denied: requested access to the resource is denied"), host }
            }
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
    /// The upload of a blob, which another repository may have.
    Upload(&'a Digest, Option<&'a str>),
    /// All tags, after this one where there is one.
    Tags(Option<&'a str>),
}

impl Wanted<'_> {
    fn path(self) -> String {
        match self {
            Self::Manifest(name) => format!("manifests/{name}"),
            Self::Blob(digest) => format!("blobs/{digest}"),
            Self::Upload(_, None) => "blobs/uploads/".to_owned(),
            Self::Upload(digest, Some(other)) => {
                let mut path = format!("blobs/uploads/?mount={digest}&from=");
                percent::encode(other, b"", &mut path);
                path
            }
            Self::Tags(None) => "tags/list".to_owned(),
            Self::Tags(Some(last)) => format!("tags/list?last={last}&n={TAGS}"),
        }
    }
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(name) => write!(formatter, "manifest {name}"),
            Self::Blob(digest) => write!(formatter, "blob {digest}"),
            Self::Upload(digest, None) => write!(formatter, "the upload of blob {digest}"),
            Self::Upload(digest, Some(other)) => write!(formatter, "blob {digest} from the repository {other}"),
            Self::Tags(_) => formatter.write_str("the list of tags"),
        }
    }
}

pub(super) fn with(headers: &HeaderMap, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = headers.clone();
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
    headers
}

/// A page of a repository's tags.
#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
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
