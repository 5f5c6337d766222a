//! The client's end of a build's connection.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::api::client::build::ContextSource;
use crate::api::client::build::folder::{self, Unsent, Want};
use crate::api::client::build::prepare::{Prepared, SentFolder};
use crate::api::wire::build::connection::{Channels, Incoming, Outgoing, write};
use crate::api::wire::build::frame::PIECE;
use crate::api::wire::build::message::{ContextOffer, Opening, ToClient, ToEngine};
use crate::resource::build::{BuildEvent, ShellInput};
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::Credentials;

/// Builds over a connection of which the engine sent some bytes already. Dropped, it ends the build. `name` is the engine's.
pub(in crate::api) async fn run<S: AsyncRead + AsyncWrite>(
    stream: S,
    early: &[u8],
    name: &str,
    mut prepared: Prepared,
    credentials: BTreeMap<String, Credentials>,
    events: &mut impl FnMut(BuildEvent),
) -> Result<ImageId, Failure> {
    let typed = prepared.typed.take();
    let (read, mut to_engine) = tokio::io::split(stream);
    let (outgoing, frames) = Outgoing::new();
    let (want, wants) = mpsc::channel(1);
    let agents = prepared.ssh.clone();
    let writing = async {
        // Why nothing can be written is told by what is read, or by its end.
        drop(write(frames, &mut to_engine).await);
        std::future::pending::<Failure>().await
    };
    let supplying = async {
        match supply(prepared, credentials, outgoing.clone(), wants).await {
            Err(Unsent::Failed(failure)) => failure,
            Ok(()) | Err(Unsent::Gone) => std::future::pending().await,
        }
    };
    let typing = pass_on(typed, outgoing.clone());
    let hearing = hear(Incoming::new(read, early), name, &outgoing, &agents, want, events);
    tokio::select! {
        heard = hearing => heard,
        failure = supplying => Err(failure),
        failure = writing => Err(failure),
        failure = typing => Err(failure),
    }
}

/// Passes on what is typed into a shell. It ends with the build.
async fn pass_on(typed: Option<mpsc::Receiver<ShellInput>>, outgoing: Outgoing) -> Failure {
    if let Some(mut typed) = typed {
        while let Some(input) = typed.recv().await {
            if outgoing.send(&ToEngine::Shell(input)).await.is_err() {
                break;
            }
        }
    }
    std::future::pending().await
}

/// Hears what happens until the end.
async fn hear(
    mut incoming: Incoming<impl AsyncRead + Unpin>,
    name: &str,
    outgoing: &Outgoing,
    agents: &BTreeMap<String, PathBuf>,
    want: mpsc::Sender<Want>,
    events: &mut impl FnMut(BuildEvent),
) -> Result<ImageId, Failure> {
    let broken = |why: String| Failure::unavailable(format!("the build's connection to the engine at {name} broke off{why}"));
    let mut channels = Channels::default();
    loop {
        let message = tokio::select! {
            message = incoming.next::<ToClient>() => message.map_err(|error| broken(format!(": {error}")))?,
            () = channels.ended() => continue,
        };
        match message.ok_or_else(|| broken(String::new()))? {
            ToClient::Want { context, numbers } => {
                // One is waited for at a time, and there is room for it.
                want.try_send((context, numbers)).map_err(|_| broken(": it asked for a context out of turn".to_owned()))?;
            }
            ToClient::Event(event) => events(event),
            ToClient::AgentOpen { channel, id } => {
                let socket = match agents.get(&id).filter(|_| !channels.is_full()) {
                    Some(path) => UnixStream::connect(path).await.ok(),
                    None => None,
                };
                match socket {
                    Some(socket) => channels.open::<ToEngine>(channel, socket, outgoing.clone()),
                    None => channels.refuse::<ToEngine>(channel, outgoing.clone()),
                }
            }
            ToClient::Agent { channel, bytes } => channels.deliver(channel, bytes),
            ToClient::Built(image) => return Ok(image),
            ToClient::Failed(failure) => return Err(failure),
        }
    }
}

/// Sends all that a build needs.
async fn supply(
    prepared: Prepared,
    credentials: BTreeMap<String, Credentials>,
    outgoing: Outgoing,
    mut wants: mpsc::Receiver<Want>,
) -> Result<(), Unsent> {
    let (prepared, folders) = blocking(move || {
        let folders = prepared.sent_folders();
        Ok((prepared, folders))
    })
    .await?;
    let archive = match prepared.context {
        ContextSource::Archive(archive) => Some(archive),
        ContextSource::None | ContextSource::Folder(_) => None,
    };
    let offer = |folder: &SentFolder| (folder.name.clone(), ContextOffer::Folder(folder.key));
    let mut contexts: BTreeMap<String, ContextOffer> = folders.iter().map(offer).collect();
    contexts.extend(archive.is_some().then(|| (String::new(), ContextOffer::Archive)));
    let opening = Opening { spec: prepared.spec, contexts, credentials };
    outgoing.send(&ToEngine::Open(Box::new(opening))).await?;
    for (id, value) in prepared.secrets {
        outgoing.send(&ToEngine::Secret { id, value }).await?;
    }
    if let Some(mut archive) = archive {
        let mut bytes = Vec::with_capacity(PIECE);
        loop {
            let read = (&mut archive).take(PIECE as u64).read_buf(&mut bytes).await;
            let read = read.map_err(|error| Failure::invalid(format!("the build context cannot be read: {error}")))?;
            let bytes = std::mem::replace(&mut bytes, Vec::with_capacity(PIECE));
            // The empty one at the end says that it is the end.
            outgoing.send(&ToEngine::Content { context: String::new(), bytes }).await?;
            if read == 0 {
                break;
            }
        }
    }
    blocking(move || folders.into_iter().try_for_each(|folder| folder::send(folder, &outgoing, &mut wants))).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Unsent> + Send + 'static) -> Result<T, Unsent> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Failure::internal(format!("the work on the build context broke off: {error}")).into()),
    }
}
