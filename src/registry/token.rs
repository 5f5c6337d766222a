//! Tokens: what a registry's token service gives for credentials, or for nothing (distribution's token and OAuth2 specifications).

use base64::Engine as _;
use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use serde::Deserialize;

use crate::registry::challenge::Challenge;
use crate::registry::client::{Ask, Registries, host_of, read_all};
use crate::registry::error::RegistryError;
use crate::registry::session::complaint;
use crate::resource::image::Credentials;
use crate::resource::percent;

/// Tokens are smaller.
const LIMIT: usize = 1 << 20;

/// What the service answers; `token` and `access_token` are the same.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// The value of `Authorization` that answers a registry's challenges, with credentials or without. `None` when there is no answer to them.
pub(super) async fn authorize(
    registries: &Registries,
    challenges: &[Challenge],
    scope: &str,
    credentials: Option<&Credentials>,
    insecure: bool,
) -> Result<Option<HeaderValue>, RegistryError> {
    if let Some(Credentials::RegistryToken(token)) = credentials {
        return secret(&format!("Bearer {token}")).map(Some);
    }
    let bearer = challenges.iter().find_map(|challenge| match challenge {
        Challenge::Bearer { realm, service, scope } => Some((realm, service.as_deref(), scope.as_deref())),
        Challenge::Basic => None,
    });
    if let Some((realm, service, wanted)) = bearer {
        let token = Service { registries, realm, service, scope: wanted.unwrap_or(scope), insecure }.ask(credentials).await?;
        return secret(&format!("Bearer {token}")).map(Some);
    }
    match credentials {
        Some(Credentials::Password { username, password }) if challenges.contains(&Challenge::Basic) => {
            secret(&basic(username, password)).map(Some)
        }
        _ => Ok(None),
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

/// A header's value that no log shows.
fn secret(text: &str) -> Result<HeaderValue, RegistryError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| RegistryError::Config("the token or the password has characters that no header may have".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A token service, and what is wanted of it.
struct Service<'a> {
    registries: &'a Registries,
    realm: &'a str,
    service: Option<&'a str>,
    scope: &'a str,
    insecure: bool,
}

impl Service<'_> {
    async fn ask(&self, credentials: Option<&Credentials>) -> Result<String, RegistryError> {
        let ask = self.request(credentials)?;
        let host = host_of(&ask.uri);
        let response = self.registries.send(&ask).await?;
        let status = response.status();
        let what = "a token";
        let body = read_all(response, LIMIT, &host, what).await?;
        let wrong = |reason: String| RegistryError::Answer { host: host.clone(), what: what.to_owned(), status: status.as_u16(), reason };
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST if credentials.is_some() => {
                let reason = complaint(&body).map_or_else(|| "incorrect username or password".to_owned(), |(_, text)| text);
                return Err(RegistryError::Unauthorized { host, reason });
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let reason = complaint(&body).map_or_else(|| "toomanyrequests".to_owned(), |(_, text)| text);
                return Err(RegistryError::TooMany { host, reason });
            }
            _ => return Err(wrong(complaint(&body).map_or_else(|| String::from_utf8_lossy(&body).into_owned(), |(_, text)| text))),
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| wrong(format!("it is malformed: {error}")))?;
        let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if token.is_empty() { Err(wrong("there is none in it".to_owned())) } else { Ok(token) }
    }

    fn request(&self, credentials: Option<&Credentials>) -> Result<Ask, RegistryError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut fields = Vec::new();
        fields.extend(self.service.map(|service| ("service", service)));
        let (method, realm, body) = match credentials {
            Some(Credentials::IdentityToken(token)) => {
                // Who only shows himself wants nothing.
                fields.extend(Some(("scope", self.scope)).filter(|(_, scope)| !scope.is_empty()));
                fields.extend([("grant_type", "refresh_token"), ("client_id", "gantry"), ("refresh_token", token)]);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                (Method::POST, self.realm.to_owned(), form(&fields))
            }
            _ => {
                // Here each scope is a field of its own; there they are one text.
                fields.extend(self.scope.split(' ').filter(|scope| !scope.is_empty()).map(|scope| ("scope", scope)));
                if let Some(Credentials::Password { username, password }) = credentials {
                    fields.push(("account", username));
                    headers.insert(AUTHORIZATION, secret(&basic(username, password))?);
                }
                let sign = if self.realm.contains('?') { '&' } else { '?' };
                (Method::GET, format!("{}{sign}{}", self.realm, form(&fields)), String::new())
            }
        };
        let wrong = || RegistryError::Config(format!("the registry names `{}` as its token service, which is no URL", self.realm));
        let uri: Uri = realm.parse().map_err(|_| wrong())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(wrong());
        }
        Ok(Ask { method, uri, headers, body: Bytes::from(body), insecure: self.insecure })
    }
}

/// `application/x-www-form-urlencoded`
fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        percent::encode(value, b"", &mut text);
    }
    text
}
