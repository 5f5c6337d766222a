//! Both ends of a build's connection, and a builder that only looks at what it was given.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::api::client::build::{self, BuildRequest, ContextSource, Prepared};
use crate::api::server::build_session::{Place, serve};
use crate::engine::build::Supply;
use crate::engine::build::agent::AgentSockets;
use crate::engine::build::context::Contexts;
use crate::engine::root::Root;
use crate::resource::build::{BuildEvent, BuildSpec, DockerfileSource, SecretSource};
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ImageId;
use crate::resource::image::Credentials;

/// An engine's part of a build.
struct Bench {
    folder: tempfile::TempDir,
    contexts: Contexts,
    sockets: AgentSockets,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::new(Some(folder.path()));
        let (contexts, sockets) = (Contexts::open(&root).expect("opened"), AgentSockets::open(&root).expect("opened"));
        Self { folder, contexts, sockets }
    }

    fn place(&self) -> Place<'_> {
        Place { contexts: &self.contexts, sockets: &self.sockets, patience: Duration::from_secs(20) }
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().expect("a folder")).expect("folders");
        fs::write(self.at(path), text).expect("a file");
    }

    /// Builds over a connection; returns how it ended and the events.
    async fn build<F>(
        &self,
        request: BuildRequest,
        builder: impl FnOnce(BuildSpec, Supply, mpsc::Sender<BuildEvent>) -> F,
    ) -> (Result<ImageId, Failure>, Vec<BuildEvent>)
    where
        F: Future<Output = Result<ImageId, Failure>>,
    {
        let (mut client, server) = UnixStream::pair().expect("sockets");
        let serving = serve(Box::new(server) as Box<dyn crate::api::server::listener::Stream>, b"", self.place(), builder);
        let mut events = Vec::new();
        let building = async {
            let mut prepared = Prepared::read(request)?;
            prepared.set_platforms("linux/amd64".to_owned());
            for image in prepared.reach() {
                prepared.tell_triggers(image, Vec::new());
            }
            prepared.reach();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.expect("a head"));
            }
            assert!(head.starts_with(b"HTTP/1.1 101 "));
            let credentials = BTreeMap::from([("r".to_owned(), Credentials::IdentityToken("t".to_owned()))]);
            build::run(client, b"", "here", prepared, credentials, &mut |event| events.push(event)).await
        };
        let (_, built) = tokio::join!(serving, building);
        (built, events)
    }
}

fn request(context: &Path) -> BuildRequest {
    BuildRequest { context: ContextSource::Folder(context.to_owned()), ..BuildRequest::default() }
}

fn output(step: u32, bytes: &[u8]) -> BuildEvent {
    BuildEvent::Output { step, error: false, bytes: bytes.to_vec() }
}

#[tokio::test]
async fn what_a_build_needs_arrives_and_what_it_tells_comes_back() {
    let bench = Bench::new();
    bench.write("c/Dockerfile", "FROM x\nCOPY a d /\nCOPY --from=lib . /");
    bench.write("c/a", "one");
    bench.write("c/d/deep", &"two".repeat(200_000));
    bench.write("c/d/log", "left out");
    bench.write("c/unread", "three");
    bench.write("c/.dockerignore", "**/log");
    bench.write("lib/l", "four");
    bench.write("secret", "five");
    let request = BuildRequest {
        folders: BTreeMap::from([("lib".to_owned(), bench.at("lib"))]),
        secrets: BTreeMap::from([
            ("file".to_owned(), SecretSource::File(bench.at("secret"))),
            ("value".to_owned(), SecretSource::Value(b"six".to_vec())),
        ]),
        ..request(&bench.at("c"))
    };
    let image = ImageId::of(b"built");
    let (built, events) = bench
        .build(request, async |spec, supply: Supply, tell: mpsc::Sender<BuildEvent>| {
            let context = supply.context.expect("a context");
            let read = |path: &str| fs::read_to_string(context.folder().join(path)).ok();
            assert_eq!((read("a").as_deref(), read("d/deep")), (Some("one"), Some("two".repeat(200_000))));
            assert_eq!((read("d/log"), read("unread"), read("Dockerfile")), (None, None, None));
            assert_eq!(fs::read_to_string(supply.named["lib"].folder().join("l")).expect("there"), "four");
            assert_eq!((supply.secrets["file"].as_slice(), supply.secrets["value"].as_slice()), (&b"five"[..], &b"six"[..]));
            assert!(supply.credentials["r"] == Credentials::IdentityToken("t".to_owned()));
            let DockerfileSource::Text { name, text } = spec.dockerfile else { panic!("a text") };
            assert!(name.ends_with("/Dockerfile") && text.starts_with("FROM x"));
            tell.send(BuildEvent::Planned { steps: 1 }).await.expect("heard");
            // A client that is slow gets it all.
            for number in 0..1000_u32 {
                tell.send(output(0, &number.to_be_bytes().repeat(100))).await.expect("heard");
            }
            Ok(image)
        })
        .await;
    assert_eq!(built, Ok(image));
    assert_eq!(events.len(), 1001);
    assert!(events[1..].iter().zip(0_u32..).all(|(event, number)| *event == output(0, &number.to_be_bytes().repeat(100))));
}

#[tokio::test]
async fn an_archive_is_a_context_too() {
    let bench = Bench::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(4);
    builder.append_data(&mut header, "d/f", &b"text"[..]).expect("appended");
    let tar = builder.into_inner().expect("a tar");
    let of =
        |bytes: Vec<u8>| BuildRequest { context: ContextSource::Archive(Box::new(std::io::Cursor::new(bytes))), ..BuildRequest::default() };
    let look = async |_, supply: Supply, _| {
        let text = fs::read(supply.context.expect("a context").folder().join("d/f")).expect("a file");
        Ok(ImageId::of(&text))
    };
    assert_eq!(bench.build(of(tar.clone()), look).await.0, Ok(ImageId::of(b"text")));
    let torn = bench.build(of(tar[..700].to_vec()), look).await.0.expect_err("a torn archive");
    assert_eq!(torn.kind, FailureKind::Invalid, "{torn}");
}

#[tokio::test]
async fn a_failure_arrives_with_its_kind() {
    let bench = Bench::new();
    bench.write("c/Dockerfile", "FROM x");
    let (built, events) = bench
        .build(request(&bench.at("c")), async |_, _, tell: mpsc::Sender<BuildEvent>| {
            tell.send(output(3, b"last words")).await.expect("heard");
            Err(Failure::denied("no"))
        })
        .await;
    assert_eq!((built, events), (Err(Failure::denied("no")), vec![output(3, b"last words")]));
}

#[tokio::test]
async fn a_step_asks_the_clients_agent() {
    let bench = Bench::new();
    bench.write("c/Dockerfile", "FROM x");
    let agent = UnixListener::bind(bench.at("agent")).expect("a socket");
    tokio::spawn(async move {
        loop {
            let (mut asker, _) = agent.accept().await.expect("somebody asks");
            let mut question = [0; 4];
            asker.read_exact(&mut question).await.expect("a question");
            asker.write_all(&[b"re:".as_slice(), &question].concat()).await.expect("an answer");
        }
    });
    let request = BuildRequest { ssh: BTreeMap::from([("default".to_owned(), bench.at("agent"))]), ..request(&bench.at("c")) };
    let path = Arc::new(Mutex::new(None));
    let seen = path.clone();
    let (built, _) = bench
        .build(request, async move |spec: BuildSpec, supply: Supply, _| {
            assert_eq!(spec.ssh.len(), 1);
            let path = supply.ssh["default"].clone();
            *seen.lock().expect("unharmed") = Some(path.clone());
            let ask = async |word: &[u8]| {
                let mut socket = UnixStream::connect(&path).await.expect("an agent");
                socket.write_all(word).await.expect("asked");
                let mut answer = Vec::new();
                socket.read_to_end(&mut answer).await.expect("answered");
                answer
            };
            let (one, two) = tokio::join!(ask(b"one?"), ask(b"two?"));
            assert_eq!((one, two), (b"re:one?".to_vec(), b"re:two?".to_vec()));
            Ok(ImageId::of(b"x"))
        })
        .await;
    assert!(built.is_ok());
    // The last holder of the socket is a task that ends by itself.
    let path = path.lock().expect("unharmed").take().expect("a path");
    for _ in 0..10_000 {
        if !path.exists() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the socket is still there");
}

#[tokio::test]
async fn a_build_ends_with_its_client() {
    let bench = Bench::new();
    let (client, server) = UnixStream::pair().expect("sockets");
    let (begun, has_begun) = oneshot::channel();
    let (held, mut is_dropped) = mpsc::channel::<()>(1);
    let server = Box::new(server) as Box<dyn crate::api::server::listener::Stream>;
    let serving = serve(server, b"", bench.place(), async move |_, _, _| {
        let _held = held;
        begun.send(()).expect("waited for");
        std::future::pending().await
    });
    let spec = BuildSpec { dockerfile: DockerfileSource::Text { name: "x".to_owned(), text: "FROM x".to_owned() }, ..BuildSpec::default() };
    let prepared = Prepared::read(BuildRequest { spec, ..BuildRequest::default() }).expect("read");
    let leaving = async {
        let mut client = client;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("a head"));
        }
        let mut ignore = |_| ();
        let building = build::run(client, b"", "here", prepared, BTreeMap::new(), &mut ignore);
        tokio::select! {
            built = building => panic!("it ended: {built:?}"),
            _ = has_begun => {}
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(serving, leaving) });
    assert!(ended.await.is_ok());
    assert_eq!(is_dropped.recv().await, None);
}

#[tokio::test]
async fn a_client_that_speaks_out_of_turn_is_told_so() {
    use crate::api::wire::build::connection::Incoming;
    use crate::api::wire::build::message::{ContextOffer, Opening, ToClient, ToEngine};
    use crate::resource::context::{ContextEntry, EntryKind};
    let bench = Bench::new();
    let open = |contexts| ToEngine::Open(Box::new(Opening { spec: BuildSpec::default(), contexts, credentials: BTreeMap::new() }));
    let offer = |name: &str| BTreeMap::from([(name.to_owned(), ContextOffer::Folder(ImageId::of(b"key")))]);
    let hostile = ContextEntry { path: b"../x".to_vec(), kind: EntryKind::File { size: 1 }, mode: 0o644, modified: 0, changed: 0 };
    let listing = |context: &str, entries| ToEngine::Listing { context: context.to_owned(), entries, is_last: true };
    let secret = ToEngine::Secret { id: "a".to_owned(), value: Vec::new() };
    let content = ToEngine::Content { context: String::new(), bytes: b"x".to_vec() };
    for (messages, expect) in [
        (vec![secret.clone()], "opens with"),
        (vec![open(offer("")), secret], "before anything else"),
        (vec![open(offer("")), content.clone()], "was announced"),
        (vec![open(offer("lib"))], "`lib` is announced"),
        (vec![open(offer("")), listing("other", Vec::new())], "was announced"),
        (vec![open(offer("")), listing("", vec![hostile])], "leads elsewhere"),
        (vec![open(BTreeMap::new()), content], "only agents"),
    ] {
        let (client, server) = UnixStream::pair().expect("sockets");
        let server = Box::new(server) as Box<dyn crate::api::server::listener::Stream>;
        let serving = serve(server, b"", bench.place(), async |_, _, _| std::future::pending().await);
        let talking = async {
            let (read, mut write) = client.into_split();
            let bytes: Vec<u8> = messages.iter().flat_map(ToEngine::encode).collect();
            write.write_all(&bytes).await.expect("written");
            let mut read = tokio::io::BufReader::new(read);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(read.read_u8().await.expect("a head"));
            }
            Incoming::new(read, b"").next::<ToClient>().await.expect("a message")
        };
        let (_, told) = tokio::join!(serving, talking);
        let Some(ToClient::Failed(failure)) = told else { panic!("{expect}: {told:?}") };
        assert!(failure.message.contains(expect), "{expect}: {failure}");
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_in_its_context_is_not_waited_for() {
    use crate::api::wire::build::connection::Incoming;
    use crate::api::wire::build::message::{ContextOffer, Opening, ToClient, ToEngine};
    use crate::resource::context::{ContextEntry, EntryKind};
    let bench = Bench::new();
    let contexts = BTreeMap::from([(String::new(), ContextOffer::Folder(ImageId::of(b"key")))]);
    let open = ToEngine::Open(Box::new(Opening { spec: BuildSpec::default(), contexts, credentials: BTreeMap::new() }));
    let file = ContextEntry { path: b"x".to_vec(), kind: EntryKind::File { size: 9 }, mode: 0o644, modified: 0, changed: 0 };
    let listing = ToEngine::Listing { context: String::new(), entries: vec![file], is_last: true };
    let half = ToEngine::Content { context: String::new(), bytes: b"half".to_vec() };
    let talks =
        [(vec![], None), (vec![open.clone()], None), (vec![open.clone(), listing.clone()], None), (vec![open, listing], Some(half))];
    for (messages, wanted) in talks {
        let (mut client, server) = UnixStream::pair().expect("sockets");
        let server = Box::new(server) as Box<dyn crate::api::server::listener::Stream>;
        let place = Place { patience: Duration::from_millis(50), ..bench.place() };
        let serving = serve(server, b"", place, async |_, _, _| std::future::pending().await);
        let talking = async {
            for message in &messages {
                client.write_all(&message.encode()).await.expect("written");
            }
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.expect("a head"));
            }
            let (read, mut write) = client.into_split();
            let mut told = Incoming::new(read, b"");
            loop {
                match told.next::<ToClient>().await.expect("a message") {
                    Some(ToClient::Want { .. }) => {
                        if let Some(part) = &wanted {
                            write.write_all(&part.encode()).await.expect("written");
                        }
                    }
                    last => return last,
                }
            }
        };
        let (_, told) = tokio::join!(serving, talking);
        let Some(ToClient::Failed(failure)) = told else { panic!("{} messages: {told:?}", messages.len()) };
        assert!(failure.message.contains("sent nothing of the build's context"), "{failure}");
    }
}
