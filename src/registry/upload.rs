//! A blob, or a manifest, on its way to a registry; what breaks off is taken up where the registry has it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::registry::blob::passes;
use crate::registry::client::{Ask, Payload, is_same_place, resolve};
use crate::registry::error::RegistryError;
use crate::registry::manifest::Descriptor;
use crate::registry::manifest_text::ManifestText;
use crate::registry::session::{Place, Question, Session, Wanted, with};
use crate::resource::id::Digest;

/// Smaller blobs go in one request; larger ones in one that can be taken up, and one that ends them.
const SMALL: u64 = 1 << 20;
/// What is read and sent at a time.
const PIECE: usize = 256 << 10;
/// So often in a row an attempt may break off without the registry having more than before.
const FAILURES: u32 = 5;
/// Before another attempt after the first; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(250);
/// So many other repositories are asked for a blob before it is sent.
pub const OTHERS: usize = 3;

/// Who is told how many bytes went out.
pub type Sending = Arc<dyn Fn(u64) + Send + Sync>;

/// How a blob came to be in its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was there.
    Known,
    /// The registry took it from another of its repositories.
    Mounted(String),
    /// It was sent.
    Sent,
}

impl Session {
    /// Brings a blob of a file into the repository, unless it is there: from one of the `others` that may have it, else over the wire.
    pub async fn upload(&self, blob: &Descriptor, file: &Path, others: &[String], sending: Sending) -> Result<Arrival, RegistryError> {
        match self.has_blob(&blob.digest).await {
            Ok(true) => return Ok(Arrival::Known),
            Ok(false) => {}
            // A registry that does not know for now may take it all the same.
            Err(error) if passes(&error) && !matches!(error, RegistryError::Unreachable { .. }) => {
                tracing::debug!(%error, digest = %blob.digest, "a registry does not say whether it has a blob");
            }
            Err(error) => return Err(error),
        }
        let mut begun = None;
        for other in others {
            match self.begin_upload(&blob.digest, Some(other)).await {
                Ok(None) => return Ok(Arrival::Mounted(other.clone())),
                Ok(Some(upload)) => {
                    if let Some(old) = begun.replace(upload) {
                        self.cancel(&old).await;
                    }
                }
                Err(error @ RegistryError::Unreachable { .. }) => return Err(error),
                // Whoever may not look into another repository can still send.
                Err(error) => tracing::debug!(%error, other, "a blob cannot be taken from another repository"),
            }
        }
        Upload { session: self, blob, file, sending, at: 0, place: begun, failures: 0 }.run().await
    }

    /// Whether the repository has a blob.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let wanted = Wanted::Blob(digest);
        match self.put(Question { method: &Method::HEAD, wanted, headers: &HeaderMap::new(), body: &Bytes::new() }).await {
            Ok(_) => Ok(true),
            Err(RegistryError::BlobUnknown { .. } | RegistryError::NameUnknown { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a manifest, all of whose parts are there, a tag.
    pub async fn put_manifest(&self, tag: &str, manifest: &ManifestText) -> Result<(), RegistryError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(manifest.media_type))]);
        let body = Bytes::from(manifest.bytes.clone());
        let question = Question { method: &Method::PUT, wanted: Wanted::Manifest(tag), headers: &headers, body: &body };
        let mut failures = 0;
        loop {
            match self.put(question).await {
                Ok(_) => return Ok(()),
                Err(error) if passes(&error) && failures + 1 < FAILURES => back_off(&mut failures).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins an upload; `None` where the registry took the blob from the other repository.
    async fn begin_upload(&self, digest: &Digest, other: Option<&str>) -> Result<Option<UploadPlace<'_>>, RegistryError> {
        let wanted = Wanted::Upload(digest, other);
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("0"))]);
        let (place, response) = self.put(Question { method: &Method::POST, wanted, headers: &headers, body: &Bytes::new() }).await?;
        if response.status() == StatusCode::CREATED && other.is_some() {
            return Ok(None);
        }
        let from = self.url(place, wanted)?;
        let uri = location(&from, &response).ok_or_else(|| RegistryError::Answer {
            host: place.endpoint.authority.to_string(),
            what: wanted.to_string(),
            status: response.status().as_u16(),
            reason: "it does not say where the blob is to be sent".to_owned(),
        })?;
        Ok(Some(UploadPlace { place, uri }))
    }

    /// Gives up an upload that nobody needs; a registry that does not hear of it forgets it some day.
    async fn cancel(&self, upload: &UploadPlace<'_>) {
        if let Err(error) = self.ask_at(upload, Method::DELETE, &upload.uri, HeaderMap::new()).await {
            tracing::debug!(%error, "an upload cannot be given up");
        }
    }

    /// Asks where a blob is sent to, and once more with a fresh token: they run out in the middle of a long push.
    async fn ask_at(
        &self,
        upload: &UploadPlace<'_>,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, RegistryError> {
        let used = self.pass(upload.place).await;
        let ask = |pass: Option<&HeaderValue>| upload.ask(method.clone(), uri.clone(), &headers, pass);
        let response = self.registries().send(&ask(used.as_ref())).await?;
        if !upload.is_home(uri) {
            return Ok(response);
        }
        match self.let_in(upload.place, &response, used.as_ref()).await? {
            Some(fresh) => self.registries().send(&ask(Some(&fresh))).await,
            None => Ok(response),
        }
    }
}

/// Where a blob is sent.
struct UploadPlace<'a> {
    place: &'a Place,
    uri: Uri,
}

impl UploadPlace<'_> {
    /// Whether a URL is the registry's own. Where a registry has blobs sent elsewhere, nobody is told there who we are.
    fn is_home(&self, uri: &Uri) -> bool {
        let endpoint = &self.place.endpoint;
        endpoint.url("").is_ok_and(|own| is_same_place(&own, uri))
    }

    fn ask(&self, method: Method, uri: Uri, headers: &HeaderMap, pass: Option<&HeaderValue>) -> Ask {
        let endpoint = &self.place.endpoint;
        let pass = pass.filter(|_| self.is_home(&uri));
        let insecure = endpoint.insecure && uri.host() == Some(endpoint.authority.host());
        Ask { method, uri, headers: with(headers, pass), body: Bytes::new(), insecure }
    }
}

/// A blob on its way.
struct Upload<'a> {
    session: &'a Session,
    blob: &'a Descriptor,
    file: &'a Path,
    sending: Sending,
    /// Bytes that the registry has.
    at: u64,
    /// Absent until it was begun, and once what was begun is lost.
    place: Option<UploadPlace<'a>>,
    failures: u32,
}

impl<'a> Upload<'a> {
    async fn run(mut self) -> Result<Arrival, RegistryError> {
        loop {
            let error = match self.attempt().await {
                Ok(()) => return Ok(Arrival::Sent),
                Err(error) => error,
            };
            // An upload that the registry does not know any more can be begun anew.
            let is_lost = self.place.is_some() && matches!(&error, RegistryError::Answer { status: 404 | 416, .. });
            if !(is_lost || passes(&error)) {
                return Err(error);
            }
            tracing::debug!(%error, digest = %self.blob.digest, at = self.at, "an upload broke off");
            if self.failures + 1 >= FAILURES {
                return Err(error);
            }
            back_off(&mut self.failures).await;
            self.take_up(is_lost).await;
        }
    }

    /// Finds out what the registry has of it.
    async fn take_up(&mut self, is_lost: bool) {
        let before = std::mem::take(&mut self.at);
        let Some(upload) = self.place.take().filter(|_| !is_lost) else { return };
        let Ok(response) = self.session.ask_at(&upload, Method::GET, &upload.uri, HeaderMap::new()).await else { return };
        let last = response.status().is_success().then(|| last_of(&response)).flatten();
        // "0-0" is one byte or none: better from the beginning.
        let Some(last) = last.filter(|last| *last > 0 && *last < self.blob.size) else { return };
        let uri = location(&upload.uri, &response).unwrap_or_else(|| upload.uri.clone());
        self.at = last + 1;
        if self.at > before {
            self.failures = 0;
        }
        self.place = Some(UploadPlace { uri, ..upload });
    }

    /// Sends what is left, and ends it.
    async fn attempt(&mut self) -> Result<(), RegistryError> {
        let mut upload = match self.place.take() {
            Some(upload) => upload,
            None => match self.session.begin_upload(&self.blob.digest, None).await? {
                Some(upload) => upload,
                None => return Ok(()),
            },
        };
        let outcome = self.send_rest(&mut upload).await;
        self.place = Some(upload);
        outcome
    }

    async fn send_rest(&mut self, upload: &mut UploadPlace<'a>) -> Result<(), RegistryError> {
        if self.at == 0 && self.blob.size <= SMALL {
            let uri = finished(&upload.uri, &self.blob.digest)?;
            return self.send(upload, Method::PUT, uri).await.map(drop);
        }
        if self.at < self.blob.size {
            let response = self.send(upload, Method::PATCH, upload.uri.clone()).await?;
            if let Some(uri) = location(&upload.uri, &response) {
                upload.uri = uri;
            }
            self.at = self.blob.size;
        }
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("0"))]);
        let response = self.session.ask_at(upload, Method::PUT, &finished(&upload.uri, &self.blob.digest)?, headers).await?;
        self.session.judge(upload.place, Wanted::Upload(&self.blob.digest, None), response).await.map(drop)
    }

    /// Sends the bytes that the registry has not got.
    async fn send(&self, upload: &UploadPlace<'_>, method: Method, uri: Uri) -> Result<Response<Incoming>, RegistryError> {
        let unreadable = |source| RegistryError::Source { path: self.file.to_owned(), source };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.blob.size - self.at));
        if self.at > 0 {
            let range = HeaderValue::from_str(&format!("{}-{}", self.at, self.blob.size - 1));
            headers.extend(range.ok().map(|range| (CONTENT_RANGE, range)));
        }
        let mut pass = self.session.pass(upload.place).await;
        let mut is_second = false;
        loop {
            let mut file = File::open(self.file).await.map_err(unreadable)?;
            file.seek(io::SeekFrom::Start(self.at)).await.map_err(unreadable)?;
            let sent = Arc::new(AtomicU64::new(self.at));
            let ask = upload.ask(method.clone(), uri.clone(), &headers, pass.as_ref());
            let body = payload(file, Arc::clone(&sent), Arc::clone(&self.sending));
            let response = match self.session.registries().send_payload(&ask, body, &sent).await {
                Ok(response) => response,
                Err(RegistryError::Unreachable { host, reason }) => {
                    return Err(RegistryError::BrokenUpload { host, what: format!("blob {}", self.blob.digest), reason });
                }
                Err(error) => return Err(error),
            };
            // A token may run out in the middle of a long push.
            if !is_second && upload.is_home(&uri) {
                let fresh = self.session.let_in(upload.place, &response, pass.as_ref()).await?;
                if fresh.is_some() {
                    (pass, is_second) = (fresh, true);
                    continue;
                }
            }
            return self.session.judge(upload.place, Wanted::Upload(&self.blob.digest, None), response).await;
        }
    }
}

/// A file as it is read.
fn payload(file: File, sent: Arc<AtomicU64>, sending: Sending) -> Payload {
    let pieces = stream::unfold((file, BytesMut::new(), sent, sending), async |(mut file, mut buffer, sent, sending)| {
        buffer.reserve(PIECE);
        let piece = match file.read_buf(&mut buffer).await {
            Ok(0) => return None,
            Ok(read) => {
                sending(sent.fetch_add(read as u64, Ordering::Relaxed) + read as u64);
                Ok(Frame::data(buffer.split().freeze()))
            }
            Err(error) => Err(error),
        };
        Some((piece, (file, buffer, sent, sending)))
    });
    StreamBody::new(Box::pin(pieces)).boxed_unsync()
}

async fn back_off(failures: &mut u32) {
    *failures += 1;
    if *failures > 1 {
        tokio::time::sleep(BACK_OFF * 2_u32.pow(*failures - 2)).await;
    }
}

fn location(from: &Uri, response: &Response<Incoming>) -> Option<Uri> {
    resolve(from, response.headers().get(LOCATION)?.to_str().ok()?)
}

/// The last byte that the registry has (`0-1023`).
fn last_of(response: &Response<Incoming>) -> Option<u64> {
    let range = response.headers().get(RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?.parse().ok()
}

/// Where an upload is ended: the place, with the digest of the blob.
fn finished(uri: &Uri, digest: &Digest) -> Result<Uri, RegistryError> {
    let sign = if uri.query().is_some() { '&' } else { '?' };
    let text = format!("{uri}{sign}digest={digest}");
    text.parse().map_err(|error| RegistryError::Config(format!("`{text}` is not a URL: {error}")))
}
