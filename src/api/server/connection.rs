//! One connection: requests one after another, until one of them takes the connection for itself.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use crate::api::server::activity::{Activity, UnderWay};
use crate::api::server::answer::{Counted, Outcome};
use crate::api::server::head::{Heads, PATIENCE, Timed};
use crate::api::server::hijack::Takeover;
use crate::api::server::listener::{self, HangUp, Stream};

/// The longest head of a request, and about what is written ahead of a client that does not read. A hundred registries' credentials fit in.
const BUFFER: usize = 256 << 10;

/// Serves a connection until its end. When the client goes, the answer it waits for is dropped. Who has connected is about to ask: that is
/// `arrival`, until the first request.
pub(super) async fn serve<S>(
    stream: S,
    activity: Activity,
    arrival: UnderWay,
    answer: impl Fn(Request<Incoming>) -> BoxFuture<'static, Outcome> + Send + Sync + Unpin,
) where
    S: Stream + 'static,
{
    let arrival = Mutex::new(Some(arrival));
    let heads = Heads::begin(PATIENCE);
    let (sender, mut takeovers) = mpsc::channel::<Takeover>(1);
    let service = service_fn(|request: Request<Incoming>| {
        let under_way = activity.begin();
        heads.came(request.body().is_end_stream());
        drop(arrival.lock().unwrap_or_else(PoisonError::into_inner).take());
        let (answer, sender, heads) = (answer(request), sender.clone(), heads.clone());
        Box::pin(async move {
            let answered = answer.await;
            heads.received();
            match answered {
                Outcome::Response(response) => Ok::<_, Infallible>(response.map(|body| Counted::new(body, under_way, heads))),
                Outcome::Takeover(takeover) => {
                    // The loop below takes the connection away from hyper, and this answer with it.
                    let _ = sender.send(takeover).await;
                    std::future::pending().await
                }
            }
        })
    });
    // A unix socket tells a client that has closed its half, and waits, from one that is gone.
    let hang_up = stream.is_unix().then(|| HangUp::of(&stream));
    // A silent client costs one descriptor; how long it thinks about its next request is its own affair.
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .half_close(hang_up.is_some())
        .serve_connection(TokioIo::new(Timed::new(stream, heads.clone())), service);
    let takeover = tokio::select! {
        ended = &mut connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
            None
        }
        Some(takeover) = takeovers.recv() => Some(takeover),
        () = heads.overdue() => {
            tracing::debug!("a client did not finish the head of its request in time");
            return;
        }
        () = gone(&heads, hang_up) => {
            tracing::debug!("a client has gone before it had its answer");
            return;
        }
    };
    let parts = connection.into_parts();
    let stream = parts.io.into_inner().into_inner();
    let Some(takeover) = takeover else { return listener::linger(stream).await };
    let _under_way = activity.begin();
    if let Err(error) = takeover.carry(stream, parts.read_buf).await {
        tracing::debug!(%error, "a connection that was taken over broke");
    }
}

/// Returns once the client is gone and only its answer was to come. What changes something is done to its end all the same.
async fn gone(heads: &Heads, hang_up: Option<HangUp>) {
    match hang_up {
        Some(hang_up) => hang_up.wait().await,
        None => std::future::pending().await,
    }
    heads.answering().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::server::answer;
    use crate::api::server::hijack::Hijack;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    fn begin(
        answer: impl Fn(Request<Incoming>) -> BoxFuture<'static, Outcome> + Send + Sync + Unpin + 'static,
    ) -> (DuplexStream, Activity) {
        let (client, server) = tokio::io::duplex(4096);
        let activity = Activity::default();
        tokio::spawn(serve(server, activity.clone(), activity.begin(), answer));
        (client, activity)
    }

    #[tokio::test]
    async fn the_head_of_a_stream_comes_before_its_bytes_and_a_client_that_leaves_drops_it() {
        let (dropped, mut was_dropped) = mpsc::channel::<()>(1);
        let (mut client, activity) = begin(move |_| {
            let dropped = dropped.clone();
            let pieces = futures_util::stream::once(async move {
                let _held = dropped;
                std::future::pending::<std::io::Result<Bytes>>().await
            });
            Box::pin(async move { answer::stream("application/json", pieces).into() })
        });
        client.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
        let mut head = [0; 15];
        client.read_exact(&mut head).await.expect("a head");
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        assert_eq!(activity.under_way(), 1);
        drop(client);
        assert_eq!(was_dropped.recv().await, None);
        activity.quiet(std::time::Duration::ZERO).await;
    }

    /// A client whose request is answered once the other end lets it; the last tells when the answer was given up.
    fn ask_slowly() -> (tokio::net::UnixStream, tokio::sync::oneshot::Sender<()>, mpsc::Receiver<()>) {
        let (client, server) = tokio::net::UnixStream::pair().expect("a pair");
        let (held, given_up) = mpsc::channel::<()>(1);
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let once = Mutex::new(Some((held, released)));
        let activity = Activity::default();
        let arrival = activity.begin();
        tokio::spawn(serve(server, activity, arrival, move |_| {
            let (held, released) = once.lock().expect("no panic").take().expect("one request");
            Box::pin(async move {
                let _held = held;
                released.await.expect("a sender");
                answer::stream("text/plain", futures_util::stream::once(async { Ok(Bytes::from_static(b"late")) })).into()
            })
        }));
        (client, release, given_up)
    }

    #[tokio::test]
    async fn a_client_that_has_closed_its_half_has_its_answer_and_one_that_has_gone_needs_none() {
        const REQUEST: &[u8] = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n";
        let (mut client, release, _given_up) = ask_slowly();
        client.write_all(REQUEST).await.expect("written");
        client.shutdown().await.expect("half of it");
        // The other end has its turns to see both.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        release.send(()).expect("somebody waits");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("text");
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("late"), "{answer}");

        let (mut client, _release, mut given_up) = ask_slowly();
        client.write_all(REQUEST).await.expect("written");
        drop(client);
        assert_eq!(given_up.recv().await, None);
    }

    #[tokio::test]
    async fn a_hijacked_connection_carries_what_was_sent_too_early() {
        let (mut client, activity) = begin(|_| {
            let (process, streams) = tokio::io::duplex(64);
            let (mut input, mut output) = tokio::io::split(process);
            tokio::spawn(async move { tokio::io::copy(&mut input, &mut output).await });
            let (reader, writer) = tokio::io::split(streams);
            Box::pin(async { Hijack::of(reader, writer).into() })
        });
        client.write_all(b"POST /attach HTTP/1.1\r\nHost: a\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nearly").await.expect("written");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nearly") {
            assert_ne!(client.read_buf(&mut answer).await.expect("bytes"), 0, "{}", String::from_utf8_lossy(&answer));
        }
        assert_eq!(activity.under_way(), 1);
    }
}
