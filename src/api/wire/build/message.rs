//! The messages of a build's connection. A client opens it, sends its secrets, and then one context after the other: a listing, and what
//! the engine wants of it; or an archive. Then the build begins, and tells what happens until it ends. Whoever goes ends it for both.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::wire::build::frame::{self, FrameError};
use crate::api::wire::error::{kind_of, status_of};
use crate::api::wire::system::{credentials_from_json, credentials_to_json};
use crate::resource::build::{BuildEvent, BuildSpec, ShellInput};
use crate::resource::context::{self, ContextEntry};
use crate::resource::failure::Failure;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::Credentials;

/// The version of what is said. Two ends of different versions say so and part.
pub const VERSION: u32 = 1;

/// A message that is none.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Its frame is none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its kind is unknown.
    #[error("a message of the unknown kind {0} came")]
    Kind(u8),
    /// It is cut short, or means nothing.
    #[error("a message of the kind {0} came that cannot be understood")]
    Body(u8),
}

/// What a build is, and what will come for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// What is to be built.
    pub spec: BuildSpec,
    /// Where each context comes from; the one without a name is the main one.
    pub contexts: BTreeMap<String, ContextOffer>,
    /// Credentials, by registry.
    pub credentials: BTreeMap<String, Credentials>,
}

/// Where a context comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextOffer {
    /// A folder, of which the engine may have most under this key.
    Folder(Digest),
    /// A tar.
    Archive,
}

/// The JSON of an opening.
#[derive(Serialize, Deserialize)]
struct OpeningText {
    version: u32,
    spec: BuildSpec,
    contexts: BTreeMap<String, ContextOffer>,
    credentials: BTreeMap<String, Value>,
}

/// The JSON of a failure.
#[derive(Serialize, Deserialize)]
struct FailureText {
    status: u16,
    message: String,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum ToEngine {
    /// The first message.
    Open(Box<Opening>),
    /// A secret.
    Secret {
        /// Its id.
        id: String,
        /// What it is.
        value: Vec<u8>,
    },
    /// A piece of a context's listing.
    Listing {
        /// The context.
        context: String,
        /// The next entries.
        entries: Vec<ContextEntry>,
        /// There are no more.
        is_last: bool,
    },
    /// A piece of a context: of what was wanted of a folder, or of an archive.
    Content {
        /// The context.
        context: String,
        /// The piece; an empty one is the last.
        bytes: Vec<u8>,
    },
    /// What is typed into a shell, or how large its terminal is.
    Shell(ShellInput),
    /// What an agent answers; nothing where it hung up.
    Agent {
        /// The connection, as the engine numbers them.
        channel: u32,
        /// What came.
        bytes: Vec<u8>,
    },
}

/// What an engine says.
#[derive(Clone, Debug, PartialEq)]
pub enum ToClient {
    /// What it wants of a context, by numbers in the listing.
    Want {
        /// The context.
        context: String,
        /// Files, in the order of the listing.
        numbers: Vec<u32>,
    },
    /// Something happened.
    Event(BuildEvent),
    /// A step connects to an agent.
    AgentOpen {
        /// The connection's number.
        channel: u32,
        /// The agent.
        id: String,
    },
    /// What a step asks an agent; nothing where it hung up.
    Agent {
        /// The connection.
        channel: u32,
        /// What came.
        bytes: Vec<u8>,
    },
    /// The last message: the image.
    Built(ImageId),
    /// The last message: there is none.
    Failed(Failure),
}

const OPEN: u8 = 1;
const SECRET: u8 = 2;
const LISTING: u8 = 3;
const LISTING_END: u8 = 4;
const CONTENT: u8 = 5;
const AGENT: u8 = 6;
const WANT: u8 = 7;
const EVENT: u8 = 8;
const OUTPUT: u8 = 9;
const AGENT_OPEN: u8 = 10;
const BUILT: u8 = 11;
const FAILED: u8 = 12;
const SHELL: u8 = 13;
const SIZE: u8 = 14;

impl ToEngine {
    /// Writes it as a frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Open(opening) => {
                let Opening { spec, contexts, credentials } = opening.as_ref();
                let credentials = credentials.iter().map(|(registry, it)| (registry.clone(), credentials_to_json(it, registry))).collect();
                json(OPEN, &OpeningText { version: VERSION, spec: spec.clone(), contexts: contexts.clone(), credentials })
            }
            Self::Secret { id, value } => named(SECRET, id, value),
            Self::Listing { context, entries, is_last } => {
                let mut bytes = Vec::new();
                entries.iter().for_each(|entry| context::encode(entry, &mut bytes));
                named(if *is_last { LISTING_END } else { LISTING }, context, &bytes)
            }
            Self::Content { context, bytes } => named(CONTENT, context, bytes),
            Self::Shell(ShellInput::Bytes(bytes)) => frame::encode(SHELL, bytes),
            Self::Shell(ShellInput::Size(size)) => json(SIZE, size),
            Self::Agent { channel, bytes } => frame::encode(AGENT, &[&channel.to_be_bytes(), bytes.as_slice()].concat()),
        }
    }

    /// Reads a frame.
    pub fn decode(kind: u8, message: &[u8]) -> Result<Self, MessageError> {
        let wrong = || MessageError::Body(kind);
        Ok(match kind {
            OPEN => {
                let text: OpeningText = from_json(kind, message)?;
                if text.version != VERSION {
                    return Err(wrong());
                }
                let credentials = text.credentials.into_iter().map(|(registry, value)| {
                    let found = credentials_from_json(value).map_err(|_| wrong())?.ok_or_else(wrong)?;
                    Ok((registry, found))
                });
                let credentials = credentials.collect::<Result<_, MessageError>>()?;
                Self::Open(Box::new(Opening { spec: text.spec, contexts: text.contexts, credentials }))
            }
            SECRET => named_of(kind, message).map(|(id, value)| Self::Secret { id, value: value.to_vec() })?,
            LISTING | LISTING_END => {
                let (context, mut rest) = named_of(kind, message)?;
                let mut entries = Vec::new();
                while !rest.is_empty() {
                    entries.push(context::decode(&mut rest).map_err(|_| wrong())?);
                }
                Self::Listing { context, entries, is_last: kind == LISTING_END }
            }
            SHELL => Self::Shell(ShellInput::Bytes(message.to_vec())),
            SIZE => Self::Shell(ShellInput::Size(from_json(kind, message)?)),
            CONTENT => named_of(kind, message).map(|(context, bytes)| Self::Content { context, bytes: bytes.to_vec() })?,
            AGENT => number_of(kind, message).map(|(channel, bytes)| Self::Agent { channel, bytes: bytes.to_vec() })?,
            _ => return Err(MessageError::Kind(kind)),
        })
    }
}

impl ToClient {
    /// Writes it as a frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Want { context, numbers } => {
                let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
                named(WANT, context, &numbers)
            }
            // What a command wrote is not for JSON.
            Self::Event(BuildEvent::Output { step, error, bytes }) => {
                frame::encode(OUTPUT, &[&step.to_be_bytes(), [u8::from(*error)].as_slice(), bytes].concat())
            }
            Self::Event(BuildEvent::Shell { error, bytes }) => frame::encode(SHELL, &[[u8::from(*error)].as_slice(), bytes].concat()),
            Self::Event(event) => json(EVENT, event),
            Self::AgentOpen { channel, id } => frame::encode(AGENT_OPEN, &[&channel.to_be_bytes(), id.as_bytes()].concat()),
            Self::Agent { channel, bytes } => frame::encode(AGENT, &[&channel.to_be_bytes(), bytes.as_slice()].concat()),
            Self::Built(image) => json(BUILT, image),
            Self::Failed(failure) => json(FAILED, &FailureText { status: status_of(failure.kind), message: failure.message.clone() }),
        }
    }

    /// Reads a frame.
    pub fn decode(kind: u8, message: &[u8]) -> Result<Self, MessageError> {
        let wrong = || MessageError::Body(kind);
        Ok(match kind {
            WANT => {
                let (context, rest) = named_of(kind, message)?;
                let (numbers, odd) = rest.as_chunks::<4>();
                if !odd.is_empty() {
                    return Err(wrong());
                }
                Self::Want { context, numbers: numbers.iter().map(|number| u32::from_be_bytes(*number)).collect() }
            }
            EVENT => Self::Event(from_json(kind, message)?),
            OUTPUT => {
                let (step, rest) = number_of(kind, message)?;
                let (error, bytes) = rest.split_first().ok_or_else(wrong)?;
                Self::Event(BuildEvent::Output { step, error: *error != 0, bytes: bytes.to_vec() })
            }
            SHELL => {
                let (error, bytes) = message.split_first().ok_or_else(wrong)?;
                Self::Event(BuildEvent::Shell { error: *error != 0, bytes: bytes.to_vec() })
            }
            AGENT_OPEN => {
                let (channel, id) = number_of(kind, message)?;
                Self::AgentOpen { channel, id: String::from_utf8(id.to_vec()).map_err(|_| wrong())? }
            }
            AGENT => number_of(kind, message).map(|(channel, bytes)| Self::Agent { channel, bytes: bytes.to_vec() })?,
            BUILT => Self::Built(from_json(kind, message)?),
            FAILED => {
                let FailureText { status, message } = from_json(kind, message)?;
                Self::Failed(Failure { kind: kind_of(status), message })
            }
            _ => return Err(MessageError::Kind(kind)),
        })
    }
}

fn json(kind: u8, value: &impl Serialize) -> Vec<u8> {
    // Plain data with keys of text; no map in it has others.
    frame::encode(kind, &serde_json::to_vec(value).unwrap_or_default())
}

fn from_json<T: DeserializeOwned>(kind: u8, message: &[u8]) -> Result<T, MessageError> {
    serde_json::from_slice(message).map_err(|_| MessageError::Body(kind))
}

/// A name and what belongs to it.
fn named(kind: u8, name: &str, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes();
    frame::encode(kind, &[&length, name.as_bytes(), bytes].concat())
}

fn named_of(kind: u8, message: &[u8]) -> Result<(String, &[u8]), MessageError> {
    let wrong = || MessageError::Body(kind);
    let (length, rest) = number_of(kind, message)?;
    let (name, rest) = rest.split_at_checked(length as usize).ok_or_else(wrong)?;
    Ok((String::from_utf8(name.to_vec()).map_err(|_| wrong())?, rest))
}

fn number_of(kind: u8, message: &[u8]) -> Result<(u32, &[u8]), MessageError> {
    let (number, rest) = message.split_first_chunk().ok_or(MessageError::Body(kind))?;
    Ok((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::api::wire::build::frame::HEADER;
    use crate::resource::build::{DockerfileSource, NamedContext, StepEnd, StepFailure};
    use crate::resource::context::EntryKind;
    use crate::resource::exec::TerminalSize;

    #[test]
    fn what_a_client_says_survives() {
        let text = |text: &str| text.to_owned();
        let spec = BuildSpec {
            dockerfile: DockerfileSource::Text { name: text("Dockerfile"), text: text("FROM x\n") },
            contexts: BTreeMap::from([(text("lib"), NamedContext::Folder), (text("base"), NamedContext::Image(text("a:1")))]),
            ..BuildSpec::default()
        };
        let opening = Opening {
            spec,
            contexts: BTreeMap::from([(String::new(), ContextOffer::Folder(Digest::of(b"a"))), (text("lib"), ContextOffer::Archive)]),
            credentials: BTreeMap::from([(text("127.0.0.1:5000"), Credentials::IdentityToken(text("t")))]),
        };
        let entry = ContextEntry { path: b"a\xff".to_vec(), kind: EntryKind::Pipe, mode: 0o600, modified: 1, changed: 2 };
        for message in [
            ToEngine::Open(Box::new(opening)),
            ToEngine::Secret { id: text("token"), value: b"\0\xff".to_vec() },
            ToEngine::Listing { context: text(""), entries: vec![entry.clone(), entry], is_last: false },
            ToEngine::Listing { context: text("lib"), entries: Vec::new(), is_last: true },
            ToEngine::Content { context: text(""), bytes: b"abc".to_vec() },
            ToEngine::Agent { channel: 7, bytes: Vec::new() },
            ToEngine::Shell(ShellInput::Bytes(Vec::new())),
            ToEngine::Shell(ShellInput::Bytes(b"ls\n".to_vec())),
            ToEngine::Shell(ShellInput::Size(TerminalSize { rows: 24, columns: 80 })),
        ] {
            let frame = message.encode();
            assert_eq!(ToEngine::decode(frame[0], &frame[HEADER..]).expect("a message"), message);
        }
    }

    #[test]
    fn what_an_engine_says_survives() {
        let failure = StepFailure { message: "no".to_owned(), code: Some(2), place: None };
        let ended = BuildEvent::Ended { step: 3, end: StepEnd::Failed(failure), took: Duration::from_millis(5) };
        for message in [
            ToClient::Want { context: String::new(), numbers: vec![0, 70_000] },
            ToClient::Event(ended),
            ToClient::Event(BuildEvent::Output { step: 2, error: true, bytes: b"\xff\n".to_vec() }),
            ToClient::AgentOpen { channel: 1, id: "default".to_owned() },
            ToClient::Agent { channel: 1, bytes: b"x".to_vec() },
            ToClient::Event(BuildEvent::ShellOpened { program: "sh".to_owned() }),
            ToClient::Event(BuildEvent::Shell { error: true, bytes: b"\xff".to_vec() }),
            ToClient::Event(BuildEvent::ShellClosed),
            ToClient::Built(Digest::of(b"image")),
            ToClient::Failed(Failure::denied("no")),
        ] {
            let frame = message.encode();
            assert_eq!(ToClient::decode(frame[0], &frame[HEADER..]).expect("a message"), message);
        }
    }

    #[test]
    fn another_version_is_refused() {
        let opening = Opening { spec: BuildSpec::default(), contexts: BTreeMap::new(), credentials: BTreeMap::new() };
        let frame = ToEngine::Open(Box::new(opening)).encode();
        let text = String::from_utf8(frame[HEADER..].to_vec()).expect("JSON").replace("\"version\":1", "\"version\":2");
        assert!(matches!(ToEngine::decode(OPEN, text.as_bytes()), Err(MessageError::Body(OPEN))));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(kind in 0..14_u8, message in any::<Vec<u8>>()) {
            if let Ok(read) = ToEngine::decode(kind, &message) {
                let frame = read.encode();
                prop_assert_eq!(ToEngine::decode(frame[0], &frame[HEADER..]).expect("a message"), read);
            }
            if let Ok(read) = ToClient::decode(kind, &message) {
                let frame = read.encode();
                prop_assert_eq!(ToClient::decode(frame[0], &frame[HEADER..]).expect("a message"), read);
            }
        }
    }
}
