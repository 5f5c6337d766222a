//! A request on its way to a handler.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::api::server::query::Query;
use crate::api::server::router::ApiVersion;
use crate::api::wire::error::WireError;
use crate::engine::Engine;
use crate::resource::failure::Failure;

/// The longest JSON that is read; files of a spec (secrets, configs) travel in it.
const LONGEST: usize = 64 << 20;

/// A request.
pub(super) struct Call {
    pub(super) engine: Engine,
    pub(super) version: ApiVersion,
    /// The name in the path, where there is one.
    pub(super) name: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
}

impl Call {
    /// Reads the body as JSON; no body is `null`.
    pub(super) async fn json(&mut self) -> Result<Value, Failure> {
        let collected = Limited::new(&mut self.body, LONGEST).collect().await;
        let bytes = collected.map_err(|error| Failure::invalid(format!("cannot read the request's body: {error}")))?.to_bytes();
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        check_type(&self.headers)?;
        Ok(serde_json::from_slice(&bytes).map_err(|source| WireError::Syntax { subject: "the request's body", source })?)
    }

    /// The name in the path, once the query is known to ask for nothing more.
    pub(super) fn only_name(self) -> Result<(Engine, String), Failure> {
        self.query.finish()?;
        Ok((self.engine, self.name))
    }
}

/// JSON must be called JSON, as dockerd insists.
fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.is_empty() || kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::invalid(format!("unsupported Content-Type header ({kind}): must be 'application/json'")))
}
