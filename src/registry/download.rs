//! A file behind a URL, by the proxies and authorities that registries are reached by.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, LAST_MODIFIED};
use hyper::http::uri::InvalidUri;
use hyper::{HeaderMap, Method, Response, Uri};
use tokio::time::timeout;

use crate::registry::client::{Ask, Registries, host_of};
use crate::registry::error::RegistryError;

/// A server that sends nothing for so long has died.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file that is being read.
#[derive(Debug)]
pub struct Download {
    host: String,
    what: String,
    response: Response<Incoming>,
}

impl Registries {
    /// Begins to read what lies behind a URL of http or https.
    pub async fn download(&self, url: &str) -> Result<Download, RegistryError> {
        let wrong = |error: InvalidUri| RegistryError::Url { url: url.to_owned(), reason: error.to_string() };
        let uri: Uri = url.parse().map_err(wrong)?;
        let ask = Ask { method: Method::GET, uri: uri.clone(), headers: HeaderMap::new(), body: Bytes::new(), insecure: false };
        let response = self.send(&ask).await?;
        let (host, what) = (host_of(&uri), uri.path().to_owned());
        if !response.status().is_success() {
            let (status, reason) =
                (response.status().as_u16(), response.status().canonical_reason().unwrap_or("it says no more").to_owned());
            return Err(RegistryError::Answer { host, what, status, reason });
        }
        Ok(Download { host, what, response })
    }
}

impl Download {
    /// Its length, where the server says it.
    pub fn length(&self) -> Option<u64> {
        self.response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// When it was last changed, in seconds since 1970, where the server says it.
    pub fn modified(&self) -> Option<i64> {
        let text = self.response.headers().get(LAST_MODIFIED)?.to_str().ok()?;
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(jiff::Timestamp::as_second)
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let broken = |reason: String| RegistryError::Broken { host: self.host.clone(), what: self.what.clone(), reason };
            match timeout(PATIENCE, self.response.body_mut().frame()).await {
                Err(_) => return Err(broken("nothing came any more".to_owned())),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(broken(error.to_string())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}
