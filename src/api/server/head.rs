//! How long a request's head may take: a client that stops in the middle of one would hold a connection for ever, and an engine awake.

use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::server::listener::Stream;

/// From a connection's begin to the end of its first head, and from the first byte of a later one to its end. It is dockerd's, and as there
/// a client may think about its next request for as long as it likes.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// The deadline of the head that is awaited, if there is one; cheap to clone.
#[derive(Clone)]
pub(super) struct Heads {
    patience: Duration,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A head is to be whole by then.
    Due(Instant),
    /// A request's body may still come.
    Receiving,
    /// A request is answered, and needs nothing more of its client; what comes now is the next one's head before its turn.
    Answering,
    /// Nothing has come of the next head.
    Idle,
}

impl Heads {
    /// A connection has begun.
    pub(super) fn begin(patience: Duration) -> Self {
        Self { patience, state: Arc::new(watch::Sender::new(State::Due(Instant::now() + patience))) }
    }

    /// A head is whole, and maybe all of the request.
    pub(super) fn came(&self, is_all: bool) {
        self.state.send_replace(if is_all { State::Answering } else { State::Receiving });
    }

    /// Whoever answers has read what he wanted of the body.
    pub(super) fn received(&self) {
        self.state.send_if_modified(|state| {
            let was = *state == State::Receiving;
            if was {
                *state = State::Answering;
            }
            was
        });
    }

    /// The answer to it is written.
    pub(super) fn answered(&self) {
        self.state.send_replace(State::Idle);
    }

    /// Returns once a client only waits for an answer.
    pub(super) async fn answering(&self) {
        // Its sender is here, so it cannot end.
        let _ = self.state.subscribe().wait_for(|state| *state == State::Answering).await;
    }

    fn heard(&self) {
        let due = State::Due(Instant::now() + self.patience);
        self.state.send_if_modified(|state| {
            let begins = *state == State::Idle;
            if begins {
                *state = due;
            }
            begins
        });
    }

    /// Returns when a head has taken too long.
    pub(super) async fn overdue(&self) {
        let mut watch = self.state.subscribe();
        loop {
            let state = *watch.borrow_and_update();
            // Its sender is here, so it cannot end.
            match state {
                State::Due(deadline) => match tokio::time::timeout_at(deadline, watch.changed()).await {
                    Ok(_) => {}
                    Err(_elapsed) => return,
                },
                State::Receiving | State::Answering | State::Idle => _ = watch.changed().await,
            }
        }
    }
}

/// A connection whose heads are timed.
pub(super) struct Timed<S> {
    stream: S,
    heads: Heads,
}

impl<S> Timed<S> {
    /// The connection itself.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Stream> Timed<S> {
    pub(super) fn new(stream: S, heads: Heads) -> Self {
        Self { stream, heads }
    }
}

impl<S: Stream> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.heads.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: Stream> Stream for Timed<S> {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.stream.descriptor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_head_that_has_begun_is_due() {
        let patience = Duration::from_millis(20);
        let is_overdue = |heads: Heads| async move { tokio::time::timeout(5 * patience, heads.overdue()).await.is_ok() };
        let heads = Heads::begin(patience);
        assert!(is_overdue(heads.clone()).await, "the first one is, before a byte of it has come");
        heads.came(true);
        heads.heard();
        assert!(!is_overdue(heads.clone()).await, "a body is no head");
        heads.answered();
        assert!(!is_overdue(heads.clone()).await, "a client may think");
        heads.heard();
        assert!(is_overdue(heads).await);
    }
}
