//! The streams of a container or of a command in it, as Docker carries them over one connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;

use crate::engine::runtime::task::Attached;
use crate::resource::detach::DetachKeys;
use crate::resource::failure::Failure;
use crate::resource::log::Stream;

/// What the process writes: raw bytes of a terminal, else Docker's frames (stream, length, bytes).
pub struct AttachReader {
    inner: Pin<Box<dyn AsyncRead + Send>>,
    multiplexed: bool,
}

impl AttachReader {
    /// Of bytes that are frames already, or a terminal's.
    pub(in crate::engine) fn new(inner: impl AsyncRead + Send + 'static, multiplexed: bool) -> Self {
        Self { inner: Box::pin(inner), multiplexed }
    }

    /// Says one thing, and ends.
    pub(in crate::engine) fn message(text: &str, stream: Stream, tty: bool) -> Self {
        let bytes = if tty { text.as_bytes().to_vec() } else { frame(stream, text.as_bytes()) };
        Self::new(io::Cursor::new(bytes), !tty)
    }

    /// Whether the bytes are Docker's frames; a terminal's are raw.
    pub fn multiplexed(&self) -> bool {
        self.multiplexed
    }
}

impl AsyncRead for AttachReader {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_read(context, buffer)
    }
}

/// What the process reads; a shutdown closes its standard input.
pub struct AttachWriter {
    inner: Pin<Box<dyn AsyncWrite + Send>>,
}

impl AttachWriter {
    /// Of whatever takes the bytes.
    pub(in crate::engine) fn new(inner: impl AsyncWrite + Send + 'static) -> Self {
        Self { inner: Box::pin(inner) }
    }
}

impl AsyncWrite for AttachWriter {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_shutdown(context)
    }
}

/// The bytes before those that a frame carries.
pub(in crate::engine) const HEAD: usize = 8;

/// How many bytes a frame with this head carries.
pub(in crate::engine) const fn length_of(head: [u8; HEAD]) -> u32 {
    u32::from_be_bytes([head[4], head[5], head[6], head[7]])
}

/// One of Docker's frames.
pub(in crate::engine) fn frame(stream: Stream, bytes: &[u8]) -> Vec<u8> {
    let number = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    let mut frame = Vec::with_capacity(HEAD + bytes.len());
    frame.extend([number, 0, 0, 0]);
    frame.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(bytes);
    frame
}

/// A stream that will be there once the container is started; one that never comes is an empty one.
pub(in crate::engine) enum Late<S> {
    /// Not there yet.
    Awaited(oneshot::Receiver<S>),
    /// There.
    Here(S),
    /// It will not come.
    Never,
}

impl<S: Unpin> Late<S> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Pin<&mut S>>> {
        if let Self::Awaited(coming) = self {
            *self = match ready!(Pin::new(coming).poll(context)) {
                Ok(stream) => Self::Here(stream),
                Err(_) => Self::Never,
            };
        }
        Poll::Ready(match self {
            Self::Here(stream) => Some(Pin::new(stream)),
            _ => None,
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Late<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(Self::poll(&mut self, context)) {
            Some(stream) => stream.poll_read(context, buffer),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Late<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Self::poll(&mut self, context)) {
            Some(stream) => stream.poll_write(context, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Self::poll(&mut self, context)) {
            Some(stream) => stream.poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Self::poll(&mut self, context)) {
            Some(stream) => stream.poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// What the shim will give a client that attaches before the start.
pub(in crate::engine) type LateAttached = (Late<tokio::net::unix::OwnedReadHalf>, Late<tokio::net::unix::OwnedWriteHalf>);

/// The two halves of what will come.
pub(in crate::engine) fn late(coming: oneshot::Receiver<Result<Attached, Failure>>) -> LateAttached {
    let ((output, reader), (input, writer)) = (oneshot::channel(), oneshot::channel());
    tokio::spawn(async move {
        if let Ok(Ok(attached)) = coming.await {
            // A client that left meanwhile takes nothing.
            let _ = output.send(attached.output);
            let _ = input.send(attached.input);
        }
    });
    (Late::Awaited(reader), Late::Awaited(writer))
}

/// The streams of a terminal from which the keys lead away; `left` is called when they did.
pub(in crate::engine) fn guard(
    keys: DetachKeys,
    output: impl AsyncRead + Send + Unpin + 'static,
    mut input: impl AsyncWrite + Send + Unpin + 'static,
    left: impl FnOnce() + Send + 'static,
) -> (AttachReader, AttachWriter) {
    let (client, mut typed) = tokio::io::duplex(4096);
    let (detach, detached) = oneshot::channel();
    tokio::spawn(async move {
        let mut watch = keys.watch();
        let mut buffer = [0; 4096];
        let mut through = Vec::new();
        while let Ok(read @ 1..) = typed.read(&mut buffer).await {
            through.clear();
            let away = watch.pass(&buffer[..read], &mut through);
            if input.write_all(&through).await.is_err() {
                return;
            }
            if away {
                left();
                // Nobody reads any more, if this fails.
                let _ = detach.send(());
                // What is behind the keys stays open: its input does not end.
                return;
            }
        }
        let _ = input.shutdown().await;
    });
    (AttachReader::new(Detachable { output, detached: Some(detached), left: false }, false), AttachWriter::new(client))
}

/// What a terminal shows, until its client leaves by the keys.
struct Detachable<S> {
    output: S,
    /// `None` once it is certain whether the keys came.
    detached: Option<oneshot::Receiver<()>>,
    left: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Detachable<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(detached) = &mut self.detached {
            match Pin::new(detached).poll(context) {
                Poll::Ready(told) => (self.left, self.detached) = (told.is_ok(), None),
                Poll::Pending => {}
            }
        }
        if self.left {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

/// What a command writes; its end is not told before its exit code is known, for that is what a client asks for next.
pub(in crate::engine) struct UntilKnown<S> {
    output: S,
    /// Set at the end of the output.
    drained: bool,
    /// `None` once it has told.
    known: Option<oneshot::Receiver<()>>,
}

impl<S> UntilKnown<S> {
    /// `known` is answered, or loses its sender, when the exit code is on record.
    pub(in crate::engine) const fn new(output: S, known: oneshot::Receiver<()>) -> Self {
        Self { output, drained: false, known: Some(known) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for UntilKnown<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.drained {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.output).poll_read(context, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            self.drained = true;
        }
        if let Some(known) = &mut self.known {
            // A sender that is gone tells as much.
            let _ = ready!(Pin::new(known).poll(context));
            self.known = None;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_keys_lead_away_and_are_not_typed() {
        let (mut shown, output) = tokio::io::duplex(64);
        let (input, mut typed) = tokio::io::duplex(64);
        let (told, left) = oneshot::channel();
        let (mut reader, mut writer) = guard(DetachKeys::default(), output, input, move || assert!(told.send(()).is_ok()));
        shown.write_all(b"$ ").await.expect("room");
        let mut buffer = [0; 2];
        reader.read_exact(&mut buffer).await.expect("shown");
        writer.write_all(&[b'a', 16, b'b', 16, 16, 17, b'z']).await.expect("room");
        left.await.expect("told");
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await.expect("an end");
        assert_eq!(reader.read(&mut [0]).await.expect("an end again"), 0);
        typed.read_to_end(&mut all).await.expect("an end");
        assert_eq!(all, [b'a', 16, b'b', 16]);
    }

    #[tokio::test]
    async fn an_end_is_told_when_the_exit_code_is_known() {
        let (tell, known) = oneshot::channel();
        let mut reader = UntilKnown::new(&b"all"[..], known);
        reader.read_exact(&mut [0; 3]).await.expect("read");
        let reading = tokio::spawn(async move { reader.read(&mut [0; 8]).await });
        tokio::task::yield_now().await;
        assert!(!reading.is_finished());
        tell.send(()).expect("awaited");
        assert_eq!(reading.await.expect("no panic").expect("an end"), 0);
    }

    #[tokio::test]
    async fn what_comes_late_is_waited_for() {
        let (sender, coming) = oneshot::channel();
        let mut late = Late::Awaited(coming);
        let reading = tokio::spawn(async move {
            let mut text = String::new();
            late.read_to_string(&mut text).await.map(|_| text)
        });
        sender.send(&b"first words"[..]).expect("awaited");
        assert_eq!(reading.await.expect("no panic").expect("read"), "first words");
        let (sender, coming) = oneshot::channel::<&[u8]>();
        drop(sender);
        assert_eq!(Late::Awaited(coming).read(&mut [0; 8]).await.expect("an end"), 0);
    }
}
