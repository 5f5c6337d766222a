//! Routes over the `Engine` handle; no state, no decision.

pub mod activity;
mod answer;
mod archive;
mod attach;
mod body;
mod build;
pub(super) mod build_session;
mod build_settings;
mod buildkit;
mod call;
mod change;
mod connection;
mod container;
mod event;
mod exec;
mod head;
mod hijack;
mod image;
pub mod listener;
mod log;
mod network;
mod older;
mod older_create;
mod progress;
mod query;
mod reception;
mod router;
pub mod seat;
mod shared_stream;
mod stats;
mod swarm;
mod system;
#[cfg(test)]
mod tests;
pub mod tls;
mod volume;
mod web_socket;

use std::io;
use std::time::Duration;

use crate::api::server::activity::Activity;
use crate::api::server::listener::{Arrival, Listener};
use crate::api::server::seat::{Seat, Seats};
use crate::engine::Engine;

/// So long an engine without a free descriptor waits for one, unless a request ends before.
const BREATH: Duration = Duration::from_secs(1);

/// Serves the API of an engine to everyone who connects; returns only when the listener fails.
pub async fn serve(engine: Engine, listener: Listener, activity: Activity, seats: Seats) -> io::Result<()> {
    loop {
        match seats.admit(&listener).await {
            Ok((arrival, seat)) => _ = tokio::spawn(attend(engine.clone(), arrival, activity.clone(), seat)),
            Err(error) => match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    tracing::warn!(%error, "a client has to wait");
                    let _ = tokio::time::timeout(BREATH, activity.changed()).await;
                }
                Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP) => return Err(error),
                // Linux tells here what became of the connection meanwhile (accept(2)).
                _ => tracing::debug!(%error, "a client has gone before it was answered"),
            },
        }
    }
}

/// Serves a client; how long it takes to show who it is holds nobody else up.
async fn attend(engine: Engine, arrival: Arrival, activity: Activity, _seat: Seat) {
    let under_way = activity.begin();
    let Some(stream) = arrival.greet().await else { return };
    let answer = move |request| Box::pin(router::answer(engine.clone(), request)) as _;
    connection::serve(stream, activity, under_way, answer).await;
}
