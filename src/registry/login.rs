//! Whether a registry lets somebody in.

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, StatusCode};

use crate::registry::challenge::challenges;
use crate::registry::client::{Registries, read_all};
use crate::registry::endpoint::{Endpoint, endpoints};
use crate::registry::error::RegistryError;
use crate::registry::session::complaint;
use crate::registry::token::authorize;
use crate::resource::image::Credentials;

/// What is read of an answer.
const LIMIT: usize = 256 << 10;

impl Registries {
    /// Asks a registry, never a mirror of it, whether credentials are good.
    pub async fn login(&self, registry: &str, credentials: &Credentials) -> Result<(), RegistryError> {
        let mut outcome = Ok(());
        for endpoint in endpoints(self.config(), registry).await?.iter().filter(|endpoint| !endpoint.mirror) {
            outcome = self.login_at(endpoint, credentials).await;
            // A registry on this machine may speak plain HTTP.
            if !matches!(outcome, Err(RegistryError::Unreachable { .. })) {
                break;
            }
        }
        outcome
    }

    async fn login_at(&self, endpoint: &Endpoint, credentials: &Credentials) -> Result<(), RegistryError> {
        let host = endpoint.authority.to_string();
        let mut headers = HeaderMap::new();
        let first = self.get(endpoint, "", headers.clone()).await?;
        // Who asks nobody believes everybody.
        if first.status().is_success() {
            return Ok(());
        }
        if first.status() == StatusCode::UNAUTHORIZED {
            let wanted = challenges(first.headers());
            if let Some(value) = authorize(self, &wanted, "", Some(credentials), endpoint.insecure).await? {
                headers.insert(AUTHORIZATION, value);
            }
        }
        let second = self.get(endpoint, "", headers).await?;
        let status = second.status();
        let body = read_all(second, LIMIT, &host, "an answer").await?;
        let reason = complaint(&body).map(|(_, text)| text);
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RegistryError::Unauthorized { host, reason: reason.unwrap_or_else(|| "incorrect username or password".to_owned()) })
            }
            status => {
                let reason = reason.unwrap_or_else(|| "it is no registry".to_owned());
                Err(RegistryError::Answer { host, what: "/v2/".to_owned(), status: status.as_u16(), reason })
            }
        }
    }
}
