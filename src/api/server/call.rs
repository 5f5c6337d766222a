//! A request on its way to a handler.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::api::server::query::Query;
use crate::api::server::router::ApiVersion;
use crate::api::wire::error::WireError;
use crate::engine::Engine;
use crate::resource::failure::Failure;

/// The longest JSON that is read; files of a spec (secrets, configs) travel in it.
const LONGEST: usize = 64 << 20;

/// So long its JSON may take to come.
const PATIENCE: Duration = Duration::from_secs(120);

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
        let bytes = whole(&mut self.body, PATIENCE).await?;
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

/// Reads a body to its end, which is not too far away and comes within a time.
async fn whole<B>(body: B, patience: Duration) -> Result<Bytes, Failure>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let too_long = || Failure::invalid(format!("the request's body is too large: at most {} MiB of JSON are read", LONGEST >> 20));
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(too_long());
    }
    let late = |_| Failure::invalid(format!("the request's body did not come to its end within {} seconds", patience.as_secs()));
    match tokio::time::timeout(patience, Limited::new(std::pin::pin!(body), LONGEST).collect()).await.map_err(late)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_long()),
        Err(error) => Err(Failure::invalid(format!("cannot read the request's body: {error}"))),
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    #[tokio::test]
    async fn a_body_has_bounds() {
        let read = |body: Full<Bytes>| whole(body, PATIENCE);
        assert_eq!(read(Full::from("{}")).await, Ok(Bytes::from("{}")));
        let too_long = Failure::invalid("the request's body is too large: at most 64 MiB of JSON are read");
        assert_eq!(read(Full::from(vec![b' '; LONGEST + 1])).await, Err(too_long.clone()));
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; 1 << 20])));
        // Its length is not told before, as that of a chunked one.
        let endless = StreamBody::new(stream::repeat_with(piece));
        assert_eq!(whole(endless, PATIENCE).await, Err(too_long));
        let slow = StreamBody::new(stream::iter([piece()]).chain(stream::pending()));
        let late = Failure::invalid("the request's body did not come to its end within 0 seconds");
        assert_eq!(whole(slow, Duration::from_millis(20)).await, Err(late));
    }
}
