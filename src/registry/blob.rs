//! A blob while it comes in; what breaks off is taken up where it ended.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{CONTENT_RANGE, HeaderValue, RANGE};
use hyper::{HeaderMap, Method, Response, StatusCode};
use tokio::time::timeout;

use crate::registry::client::{Ask, host_of};
use crate::registry::error::RegistryError;
use crate::registry::manifest::Descriptor;
use crate::registry::session::{Session, Wanted};

/// A connection that gives nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// So often in a row a connection may break without a byte in between.
const FAILURES: u32 = 5;
/// Before another attempt after the first; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(250);

/// A blob that is being read, from its first byte to its last.
#[derive(Debug)]
pub struct Blob<'a> {
    session: &'a Session,
    descriptor: &'a Descriptor,
    host: String,
    body: Option<Incoming>,
    /// Bytes given out.
    at: u64,
    /// Bytes that come once more, from a registry that knows no ranges.
    skip: u64,
    failures: u32,
}

impl<'a> Blob<'a> {
    pub(super) fn new(session: &'a Session, descriptor: &'a Descriptor) -> Self {
        Self { session, descriptor, host: session.host(), body: None, at: 0, skip: 0, failures: 0 }
    }

    /// The next bytes; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            if self.body.is_none() {
                match self.open().await {
                    Ok(()) => {}
                    Err(error) if passes(&error) => {
                        self.broken(error.to_string(), Some(error)).await?;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(body) = &mut self.body else { continue };
            let reason = match timeout(PATIENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => match self.take(data)? {
                        Some(data) => return Ok(Some(data)),
                        None => continue,
                    },
                    Err(_) => continue,
                },
                Ok(None) if self.at == self.descriptor.size => return Ok(None),
                Ok(None) => "it ended early".to_owned(),
                Ok(Some(Err(error))) => error.to_string(),
                Err(_) => format!("nothing came for {} seconds", PATIENCE.as_secs()),
            };
            self.broken(reason, None).await?;
        }
    }

    fn what(&self) -> String {
        Wanted::Blob(&self.descriptor.digest).to_string()
    }

    /// Leaves out what came before, and refuses what is too much.
    fn take(&mut self, mut data: Bytes) -> Result<Option<Bytes>, RegistryError> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(data.len());
        data.advance(known);
        self.skip -= known as u64;
        if data.is_empty() {
            return Ok(None);
        }
        self.at += data.len() as u64;
        self.failures = 0;
        if self.at > self.descriptor.size {
            let (expected, found) = (self.descriptor.size, self.at);
            return Err(RegistryError::WrongSize { host: self.host.clone(), what: self.what(), expected, found });
        }
        Ok(Some(data))
    }

    /// Counts a failure, and waits before the next attempt; the last one is told.
    async fn broken(&mut self, reason: String, error: Option<RegistryError>) -> Result<(), RegistryError> {
        tracing::debug!(host = %self.host, digest = %self.descriptor.digest, at = self.at, reason, "a blob broke off");
        self.body = None;
        self.failures += 1;
        if self.failures >= FAILURES {
            if self.session.give_up(&self.host) {
                self.failures = 0;
                return Ok(());
            }
            let broken = || RegistryError::Broken { host: self.host.clone(), what: self.what(), reason };
            return Err(error.unwrap_or_else(broken));
        }
        if self.failures > 1 {
            tokio::time::sleep(BACK_OFF * 2_u32.pow(self.failures - 2)).await;
        }
        Ok(())
    }

    /// Asks for what is left.
    async fn open(&mut self) -> Result<(), RegistryError> {
        let mut headers = HeaderMap::new();
        if self.at > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.at));
            headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let response = match self.session.ask(Wanted::Blob(&self.descriptor.digest), &headers).await {
            Ok((host, response)) => {
                self.host = host;
                response
            }
            Err(error @ RegistryError::BlobUnknown { .. }) => self.elsewhere(&headers).await.ok_or(error)?,
            Err(error) => return Err(error),
        };
        self.skip = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                self.at.checked_sub(start_of(&response).unwrap_or(self.at)).ok_or_else(|| RegistryError::Answer {
                    host: self.host.clone(),
                    what: self.what(),
                    status: 206,
                    reason: "it begins after the byte asked for".to_owned(),
                })?
            }
            _ => self.at,
        };
        self.body = Some(response.into_body());
        Ok(())
    }

    /// Layers that may not be passed on lie where their manifest says. Nobody is told there who we are.
    async fn elsewhere(&mut self, headers: &HeaderMap) -> Option<Response<Incoming>> {
        for url in &self.descriptor.urls {
            let Ok(uri) = url.parse() else { continue };
            let ask = Ask { method: Method::GET, uri, headers: headers.clone(), body: Bytes::new(), insecure: false };
            match self.session.registries().send(&ask).await {
                Ok(response) if matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT) => {
                    self.host = host_of(&ask.uri);
                    return Some(response);
                }
                Ok(response) => tracing::debug!(url, status = %response.status(), "a foreign layer is not where its manifest says"),
                Err(error) => tracing::debug!(url, %error, "a foreign layer cannot be reached"),
            }
        }
        None
    }
}

/// Whether another attempt may help.
pub(super) fn passes(error: &RegistryError) -> bool {
    match error {
        RegistryError::Unreachable { .. }
        | RegistryError::Broken { .. }
        | RegistryError::BrokenUpload { .. }
        | RegistryError::TooMany { .. } => true,
        RegistryError::Answer { status, .. } => *status >= 500,
        _ => false,
    }
}

/// The first byte of a part (`bytes 5-9/10`).
fn start_of(response: &Response<Incoming>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
