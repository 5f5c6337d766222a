//! A connection to an engine as it is, for a program that speaks for itself.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::api::client::custom_header::CustomHeaders;
use crate::api::client::socket::Socket;
use crate::api::client::target::Target;
use crate::api::client::transport::Transport;
use crate::resource::failure::Failure;

/// So much is carried at once.
const PORTION: usize = 64 << 10;

/// A connection to an engine over which nothing was said yet.
pub struct Dialled(Socket);

impl Dialled {
    /// Connects to an engine. Ours is started when nothing listens.
    pub async fn open(target: &Target) -> Result<Self, Failure> {
        Ok(Self(Transport::new(target, &CustomHeaders::default())?.open_socket().await?))
    }

    /// Connects to an engine that runs; none where nobody listens.
    pub async fn running(target: &Target) -> Result<Option<Self>, Failure> {
        Ok(Transport::found(target, &CustomHeaders::default()).await?.map(|(_, socket)| Self(socket)))
    }

    /// Carries bytes both ways until the engine has no more. That there is no more input is told to the engine, which may answer yet; once
    /// the engine is done, input that could still come is of no use.
    pub async fn relay(self, mut input: impl AsyncRead + Unpin, mut output: impl AsyncWrite + Unpin) -> io::Result<()> {
        let (mut read, mut write) = tokio::io::split(self.0);
        let there = async {
            let carried = carry(&mut input, &mut write).await;
            // Why it does not take more, its answer tells.
            let _ = write.shutdown().await;
            carried
        };
        let back = async {
            carry(&mut read, &mut output).await?;
            output.shutdown().await
        };
        tokio::pin!(back);
        tokio::select! {
            ended = &mut back => ended,
            _ = there => back.await,
        }
    }
}

/// Carries bytes one way until their end; what has come is passed on before more is waited for.
async fn carry(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut bytes = vec![0; PORTION];
    loop {
        let length = from.read(&mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..length]).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn either_end_may_be_the_first_to_close() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let target = Target::Unix(socket);
        // Input ends first: the engine sees that, and its answer still comes.
        let (dialled, accepted) = tokio::join!(Dialled::open(&target), listener.accept());
        let engine = async {
            let (mut stream, _) = accepted.expect("a caller");
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.expect("the end of the input");
            stream.write_all(&[b"heard ", heard.as_slice()].concat()).await.expect("an answer");
        };
        let mut output = Vec::new();
        let (relayed, ()) = tokio::join!(dialled.expect("a connection").relay(&b"hello"[..], &mut output), engine);
        relayed.expect("an end");
        assert_eq!(output, b"heard hello");
        // The engine ends first: nobody waits for more input.
        let (dialled, accepted) = tokio::join!(Dialled::open(&target), listener.accept());
        let (_open, silent) = tokio::io::duplex(1);
        let mut output = Vec::new();
        let engine = async { accepted.expect("a caller").0.write_all(b"bye").await.expect("a word") };
        let (relayed, ()) = tokio::join!(dialled.expect("a connection").relay(silent, &mut output), engine);
        relayed.expect("an end");
        assert_eq!(output, b"bye");
    }
}
