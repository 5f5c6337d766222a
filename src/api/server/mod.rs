//! Routes over the `Engine` handle; no state, no decision.

use std::io;

use tokio::net::UnixListener;

use crate::engine::Engine;

/// Serves the API of an engine to everyone who connects; returns only when the listener fails.
pub async fn serve(engine: Engine, listener: UnixListener) -> io::Result<()> {
    let _ = (engine, listener);
    todo!()
}
