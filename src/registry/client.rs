//! HTTP as registries need it: connections kept for each host, redirects followed without carrying secrets elsewhere, bounded answers.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, LOCATION, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::registry::config::RegistryConfig;
use crate::registry::dial::Dial;
use crate::registry::endpoint::{Endpoint, check_mirror};
use crate::registry::error::{RegistryError, reason_of};
use crate::registry::proxy::Proxies;
use crate::registry::session::{Right, Session};
use crate::registry::tls;
use crate::resource::image::{Credentials, DOCKER_HUB, ImageReference};

/// How long an answer may take to begin. Registries that fetch what they mirror first are slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// A connection nobody uses is kept so long.
const IDLE: Duration = Duration::from_secs(30);
/// So many times an answer may send us elsewhere.
const REDIRECTS: usize = 10;

/// The body of a request, whole or as it is read.
pub(super) type Payload = UnsyncBoxBody<Bytes, io::Error>;

type Http = Client<HttpsConnector<Dial>, Payload>;

/// All registries, as an engine is configured to reach them: cheap to clone, every clone the same connections.
#[derive(Clone, Debug)]
pub struct Registries {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RegistryConfig,
    proxies: Arc<Proxies>,
    /// By host and port, and whether any certificate will do.
    clients: Mutex<BTreeMap<(String, bool), Http>>,
}

/// One request, as it is repeated at every redirect.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Any certificate will do, at the host asked first.
    pub(super) insecure: bool,
}

impl Registries {
    /// Takes up a configuration, and says what is wrong with it.
    pub fn new(config: RegistryConfig) -> Result<Self, RegistryError> {
        config.mirrors.iter().try_for_each(|mirror| check_mirror(mirror).map(drop))?;
        let proxies = Arc::new(Proxies::new(&config)?);
        Ok(Self { shared: Arc::new(Shared { config, proxies, clients: Mutex::default() }) })
    }

    /// Begins to speak of one repository.
    pub async fn session(&self, reference: &ImageReference, credentials: Option<Credentials>) -> Result<Session, RegistryError> {
        Session::begin(self.clone(), reference.clone(), credentials, Right::Pull).await
    }

    /// Begins to speak of one repository that something is sent to, with what others of its registry have. Mirrors are not spoken to.
    pub async fn push_session(
        &self,
        reference: &ImageReference,
        credentials: Option<Credentials>,
        others: &[String],
    ) -> Result<Session, RegistryError> {
        Session::begin(self.clone(), reference.clone(), credentials, Right::Push { others: others.to_vec() }).await
    }

    /// The configuration.
    pub fn config(&self) -> &RegistryConfig {
        &self.shared.config
    }

    fn client(&self, host: &str, insecure: bool) -> Result<Http, RegistryError> {
        let key = (host.to_owned(), insecure);
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let names: &[&str] = if host.ends_with(".docker.io") { &[host, DOCKER_HUB] } else { &[host] };
        let tls = tls::client_config(&self.shared.config, names, insecure)?;
        let dial = Dial::new(Arc::clone(&self.shared.proxies));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(dial);
        let client: Http = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            // Blobs come in few large reads instead of many small ones.
            .http1_max_buf_size(128 << 10)
            .build(connector);
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// Asks, and follows where the answer leads. What proves who we are goes to no other host than the one asked first.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response<Incoming>, RegistryError> {
        let mut ask = ask.clone();
        let mut is_elsewhere = false;
        for _ in 0..REDIRECTS {
            let mut response = self.send_once(&ask).await?;
            let to = match response.status() {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => response.headers().get(LOCATION),
                _ => None,
            };
            let Some(to) = to else {
                if is_elsewhere {
                    response.extensions_mut().insert(Elsewhere);
                }
                return Ok(response);
            };
            let next = to.to_str().ok().and_then(|to| resolve(&ask.uri, to)).ok_or_else(|| RegistryError::Answer {
                host: host_of(&ask.uri),
                what: ask.uri.path().to_owned(),
                status: response.status().as_u16(),
                reason: format!("it leads to {to:?}, which is no place"),
            })?;
            // A redirect from TLS to plain HTTP would show everybody what only the registry is to know.
            if !is_same_place(&next, &ask.uri) {
                is_elsewhere = true;
                ask.headers.remove(AUTHORIZATION);
                ask.insecure = ask.insecure && next.host() == ask.uri.host();
            }
            ask.uri = next;
        }
        let reason = format!("it leads elsewhere more than {REDIRECTS} times");
        Err(RegistryError::Answer { host: host_of(&ask.uri), what: ask.uri.path().to_owned(), status: 302, reason })
    }

    async fn send_once(&self, ask: &Ask) -> Result<Response<Incoming>, RegistryError> {
        let request = self.request(ask, Full::new(ask.body.clone()).map_err(|never| match never {}).boxed_unsync())?;
        match timeout(PATIENCE, request).await {
            Ok(answered) => answered,
            Err(_) => Err(silent(host_of(&ask.uri))),
        }
    }

    /// Sends a body as it is read, to no other place than the one asked. `sent` tells that it goes on.
    pub(super) async fn send_payload(&self, ask: &Ask, payload: Payload, sent: &AtomicU64) -> Result<Response<Incoming>, RegistryError> {
        let mut request = pin!(self.request(ask, payload)?);
        loop {
            let before = sent.load(Ordering::Relaxed);
            match timeout(PATIENCE, &mut request).await {
                Ok(answered) => return answered,
                // However long all of it takes: something goes out.
                Err(_) if sent.load(Ordering::Relaxed) != before => {}
                Err(_) => return Err(silent(host_of(&ask.uri))),
            }
        }
    }

    /// What is sent, and the answer to it when it begins.
    fn request(
        &self,
        ask: &Ask,
        payload: Payload,
    ) -> Result<impl Future<Output = Result<Response<Incoming>, RegistryError>> + Send + use<>, RegistryError> {
        let host = host_of(&ask.uri);
        let client = self.client(&host, ask.insecure)?;
        let mut request = Request::new(payload);
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.uri.clone();
        *request.headers_mut() = ask.headers.clone();
        let headers = request.headers_mut();
        headers.remove(HOST);
        headers.insert(USER_AGENT, hyper::header::HeaderValue::from_static(concat!("gantry/", env!("CARGO_PKG_VERSION"))));
        let plain_proxy = self.shared.proxies.of(&ask.uri).filter(|_| ask.uri.scheme_str() == Some("http"));
        if let Some(value) = plain_proxy.and_then(|proxy| proxy.authorization.as_deref()?.parse().ok()) {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        let answered = client.request(request);
        Ok(async move { answered.await.map_err(|error| RegistryError::Unreachable { reason: reason_of(&error, &host), host }) })
    }

    /// Asks an endpoint for something below `/v2/`.
    pub(super) async fn get(&self, endpoint: &Endpoint, path: &str, headers: HeaderMap) -> Result<Response<Incoming>, RegistryError> {
        let ask = Ask { method: Method::GET, uri: endpoint.url(path)?, headers, body: Bytes::new(), insecure: endpoint.insecure };
        self.send(&ask).await
    }
}

fn silent(host: String) -> RegistryError {
    RegistryError::Unreachable { host, reason: format!("it does not answer within {} seconds", PATIENCE.as_secs()) }
}

/// Says of an answer that another host than the one that was asked gave it: what it wants to know of us it is not told.
#[derive(Clone, Copy)]
pub(super) struct Elsewhere;

/// Whether two URLs are of one host, port and scheme, however they write them.
pub(super) fn is_same_place(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().or_else(|| (uri.scheme_str() == Some("https")).then_some(443)).unwrap_or(80);
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

/// Host and port of a URL, for messages.
pub(super) fn host_of(uri: &Uri) -> String {
    uri.authority().map_or_else(String::new, |authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned())
}

/// Where a `Location` leads from a URL; only to HTTP.
pub(super) fn resolve(from: &Uri, to: &str) -> Option<Uri> {
    let to = to.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str()?;
    let whole = if to.contains("://") {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{}{to}", from.authority()?)
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{}{folder}/{to}", from.authority()?)
    };
    let uri: Uri = whole.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).then_some(uri)
}

/// Reads a whole answer that may not be larger than `limit`.
pub(super) async fn read_all(response: Response<Incoming>, limit: usize, host: &str, what: &str) -> Result<Bytes, RegistryError> {
    let broken = |reason: String| RegistryError::Broken { host: host.to_owned(), what: what.to_owned(), reason };
    match timeout(PATIENCE, Limited::new(response.into_body(), limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) => Err(broken(error.to_string())),
        Err(_) => Err(broken("nothing came any more".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_browsers_go() {
        let check = |to: &str, expect: Option<&str>| {
            let from: Uri = "https://r.example:5000/v2/a/blobs/x?y".parse().expect("a URL");
            assert_eq!(resolve(&from, to).map(|uri| uri.to_string()).as_deref(), expect, "{to}");
        };
        check("https://cdn.example/x?sig=1", Some("https://cdn.example/x?sig=1"));
        check("/other", Some("https://r.example:5000/other"));
        check("//cdn.example/x", Some("https://cdn.example/x"));
        check("z", Some("https://r.example:5000/v2/a/blobs/z"));
        check("file:///etc/passwd", None);
        check("http://", None);
    }
}
