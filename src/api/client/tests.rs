//! The client against an engine of a few lines.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::*;
use crate::api::wire::container::{read, whole};
use crate::api::wire::{event, frame, network, observation, volume};
use crate::resource::container::{
    AttachOptions, ContainerFilter, ContainerPort, ContainerSpec, EndpointSpec, InjectedFile, NetworkMode, PortBinding, Protocol,
    StopOptions, WaitCondition,
};
use crate::resource::event::{Event, EventFilter, EventKind};
use crate::resource::failure::FailureKind;
use crate::resource::image::ImageReference;
use crate::resource::log::{LogOptions, Stream};
use crate::resource::observation::Observation;
use crate::resource::push::PushTarget;
use crate::resource::time::Timestamp;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An engine that answers every request by a function of its line and body, and what it was asked.
struct Engine {
    _folder: TempDir,
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Engine {
    fn new(answer: impl Fn(&str, &Request<()>, &[u8]) -> Response<Body> + Send + Sync + 'static) -> Self {
        let (folder, socket, listener) = listen();
        let (asked, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<usize>>::default());
        let (answer, log, count) = (Arc::new(answer), asked.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *count.lock().expect("unpoisoned") += 1;
                let (answer, log) = (answer.clone(), log.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, log) = (answer.clone(), log.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.expect("a whole body").to_bytes();
                        let line = format!("{} {}", parts.method, parts.uri);
                        log.lock().expect("unpoisoned").push(line.clone());
                        Ok::<_, Infallible>(answer(&line, &Request::from_parts(parts, ()), &body))
                    }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { _folder: folder, socket, asked, connections }
    }

    async fn client(&self) -> Client {
        Client::connect(&Target::Unix(self.socket.clone()), &CustomHeaders::default()).await.expect("an engine that listens")
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("unpoisoned"))
    }
}

fn listen() -> (TempDir, PathBuf, UnixListener) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    (folder, socket, listener)
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let response = Response::builder().status(status).header("Api-Version", "1.51");
    response.body(Full::new(body.into()).boxed_unsync()).expect("a response")
}

/// A body that goes on for as long as its sender lives.
fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let pieces = futures_util::stream::unfold(receiver, async |mut receiver| Some((Ok(Frame::data(receiver.recv().await?)), receiver)));
    (sender, StreamBody::new(Box::pin(pieces)).boxed_unsync())
}

#[tokio::test]
async fn an_older_engine_is_spoken_to_in_its_version_without_being_asked() {
    let engine = Engine::new(|line, _, _| {
        let mut response = match line {
            "GET /v1.51/volumes" => answer(400, r#"{"message":"client version 1.51 is too new"}"#),
            _ => answer(200, r#"{"Volumes":[]}"#),
        };
        response.headers_mut().insert("api-version", "1.43".parse().expect("a value"));
        response
    });
    let client = engine.client().await;
    for _ in 0..2 {
        assert_eq!(client.volumes(&BTreeMap::new()).await.expect("an answer"), []);
    }
    assert_eq!(engine.asked(), ["GET /v1.51/volumes", "GET /v1.43/volumes", "GET /v1.43/volumes"]);
    assert_eq!(*engine.connections.lock().expect("unpoisoned"), 1);
}

#[tokio::test]
async fn failures_keep_their_words_and_what_needs_no_change_is_none() {
    let engine = Engine::new(|line, _, _| match line {
        "POST /v1.51/containers/web/start" | "POST /v1.51/containers/web/stop?t=2&skip-deaf=1" => answer(304, ""),
        "POST /v1.51/gantry/stop" => answer(404, r#"{"message":"page not found"}"#),
        _ => answer(409, r#"{"message":"name in use"}"#),
    });
    let client = engine.client().await;
    client.start_container("web").await.expect("it runs already");
    let options = StopOptions { timeout: Some(std::time::Duration::from_millis(1500)), signal: None, skip_deaf: true };
    client.stop_container("web", &options).await.expect("it does not run");
    assert_eq!(client.rename_container("web", "db").await, Err(Failure::conflict("name in use")));
    assert_eq!(client.stop_engine().await.expect_err("not ours").kind, FailureKind::Unsupported);
}

#[tokio::test]
async fn every_request_has_the_headers_that_are_wanted() {
    let (_folder, socket, listener) = listen();
    let heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        // A request, and one that takes its connection over.
        for _ in 0..2 {
            let mut text = Vec::new();
            let (mut stream, _) = listener.accept().await.expect("a caller");
            while !text.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut text).await.expect("a request");
            }
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nApi-Version: 1.51\r\nContent-Length: 0\r\n\r\n").await.expect("an answer");
            heard.push(String::from_utf8(text).expect("text"));
        }
        heard
    });
    let headers = CustomHeaders::of_variable("x-token=secret").expect("headers");
    let client = Client::connect(&Target::Unix(socket), &headers).await.expect("somebody listens");
    assert!(client.container("web").await.is_err() && client.attach("web", &AttachOptions::default()).await.is_err());
    for request in heard.await.expect("requests") {
        assert!(request.contains("\r\nx-token: secret\r\n"), "{request}");
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("none.sock");
    let failure = Client::connect(&Target::Unix(socket.clone()), &CustomHeaders::default()).await.expect_err("nobody listens");
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains(&format!("unix://{}", socket.display())), "{failure}");
}

#[tokio::test]
async fn a_refusal_before_the_request_is_told_in_its_words() {
    let (_folder, socket, listener) = listen();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = r#"{"message":"the engine cannot start: no nftables"}"#;
            let head = format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.expect("written");
        }
    });
    let client = Client::connect(&Target::Unix(socket), &CustomHeaders::default()).await.expect("somebody listens");
    assert_eq!(client.ping().await, Err(Failure::unavailable("the engine cannot start: no nftables")));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let (_folder, socket, listener) = listen();
    let served = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 4096];
            let count = stream.read(&mut request).await.expect("a request");
            assert!(request[..count].starts_with(b"POST /v1.51/containers/web/pause HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("written");
        }
    });
    let client = Client::connect(&Target::Unix(socket), &CustomHeaders::default()).await.expect("somebody listens");
    for _ in 0..3 {
        client.pause_container("web").await.expect("an answer");
    }
    served.await.expect("three connections");
}

#[tokio::test]
async fn a_list_that_tells_all_needs_one_request_and_another_one_more_each() {
    let id = "a".repeat(64);
    let image = format!("sha256:{}", "b".repeat(64));
    let whole = json!({ "Id": id, "Name": "/web", "Image": image, "State": { "Status": "created" }, "Config": {}, "HostConfig": {} });
    let ours = [read::from_json(whole.clone()).expect("a container")];
    let ours = String::from_utf8(whole::to_json(ours.iter())).expect("text");
    let dockers = json!([{ "Id": id, "State": "created" }]).to_string();
    let of_another_version = json!([{ "Id": id, "Gantry": { "strange": 1 } }]).to_string();
    for (list, requests) in [(ours, 1), (dockers, 2), (of_another_version, 2)] {
        let whole = whole.clone();
        let engine = Engine::new(move |asked, _, _| match asked {
            "GET /v1.51/containers/json?all=1&whole=1" => answer(200, list.clone()),
            _ => answer(200, whole.to_string()),
        });
        let filter = ContainerFilter { all: true, ..ContainerFilter::default() };
        let found = engine.client().await.containers(&filter).await.expect("a list");
        assert_eq!(found.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["web"]);
        assert_eq!(engine.asked().len(), requests);
    }
}

#[tokio::test]
async fn a_look_takes_one_request_and_elsewhere_several() {
    let id = "a".repeat(64);
    let image = format!("sha256:{}", "b".repeat(64));
    let inspected = json!({ "Id": id, "Name": "/web", "Image": image, "State": { "Status": "created" }, "Config": {}, "HostConfig": {} });
    let seen = Observation {
        containers: vec![read::from_json(inspected.clone()).expect("a container")],
        networks: vec![network::from_json(json!({ "Id": id, "Name": "net", "Driver": "bridge" })).expect("a network")],
        volumes: vec![volume::from_json(json!({ "Name": "vol", "Driver": "local" })).expect("a volume")],
        images: BTreeMap::from([("x".to_owned(), image.parse().expect("an id"))]),
    };
    let ours = String::from_utf8(observation::to_json(seen.clone())).expect("text");
    let of_another_version = json!({ "containers": [{ "strange": 1 }] }).to_string();
    let (unknown, guarded) = (r#"{"message":"page not found"}"#.to_owned(), "<h1>403 Forbidden</h1>".to_owned());
    for (status, first, requests) in [(200, ours, 1), (404, unknown, 7), (403, guarded, 7), (200, of_another_version, 7)] {
        let (id, image, inspected) = (id.clone(), image.clone(), inspected.clone());
        let engine = Engine::new(move |asked, _, _| match asked {
            "GET /v1.51/gantry/observation?image=x&image=y" => answer(status, first.clone()),
            "GET /v1.51/containers/json?all=1&whole=1" => answer(200, json!([{ "Id": id }]).to_string()),
            "GET /v1.51/networks" => answer(200, json!([{ "Id": id, "Name": "net", "Driver": "bridge" }]).to_string()),
            "GET /v1.51/volumes" => answer(200, json!({ "Volumes": [{ "Name": "vol", "Driver": "local" }] }).to_string()),
            "GET /v1.51/images/x/json" => answer(200, json!({ "Id": image }).to_string()),
            "GET /v1.51/images/y/json" => answer(404, r#"{"message":"no such image"}"#.to_owned()),
            _ => answer(200, inspected.to_string()),
        });
        let found = engine.client().await.observe(&BTreeMap::new(), &BTreeSet::from(["x", "y"])).await.expect("a look");
        assert_eq!(found, seen);
        assert_eq!(engine.asked().len(), requests);
    }
}

fn event_of(number: u64) -> Event {
    Event {
        number,
        time: Timestamp::from_nanos(1_700_000_000_000_000_000),
        kind: EventKind::Container,
        action: "start".to_owned(),
        actor: "a".repeat(64),
        attributes: BTreeMap::from([("image".to_owned(), "x".to_owned())]),
    }
}

#[tokio::test]
async fn events_come_however_their_bytes_arrive_and_a_wait_can_be_given_up() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let engine = Engine::new(move |_, _, _| {
        let (body, channel) = channel();
        let _ = sender.lock().expect("unpoisoned").take().expect("one subscription").send(body);
        Response::new(channel)
    });
    let client = engine.client().await;
    let mut events = client.events(&EventFilter::default()).await.expect("the answer began");
    let body = receiver.await.expect("the engine's end");
    assert!(futures_util::FutureExt::now_or_never(events.next()).is_none());
    let bytes = format!("{}\n{{\"Type\":\"plugin\"}}\r\n\n{}\n", event::to_json(&event_of(1)), event::to_json(&event_of(2)));
    let sending = tokio::spawn(async move {
        for piece in bytes.as_bytes().chunks(7) {
            body.send(Bytes::copy_from_slice(piece)).await.expect("somebody listens");
        }
    });
    assert_eq!(events.next().await, Some(Ok(event_of(1))));
    assert_eq!(events.next().await, Some(Ok(event_of(2))));
    sending.await.expect("all was sent");
    assert_eq!(events.next().await, None);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_wait_has_begun_before_it_is_waited_for() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let engine = Engine::new(move |line, _, _| {
        assert_eq!(line, "POST /v1.51/containers/job/wait?condition=next-exit");
        let (body, channel) = channel();
        let _ = sender.lock().expect("unpoisoned").take().expect("one wait").send(body);
        Response::new(channel)
    });
    let wait = engine.client().await.watch_container("job", WaitCondition::NextExit).await.expect("it began");
    let body = receiver.await.expect("the engine's end");
    body.send(Bytes::from_static(b"{\"StatusCode\":3}\n")).await.expect("somebody waits");
    drop(body);
    assert_eq!(wait.status().await.expect("a status").code, 3);
}

#[tokio::test]
async fn logs_come_with_their_times_from_pipes_and_from_terminals() {
    let all = LogOptions { stdout: true, stderr: true, follow: false, timestamps: false, tail: Some(5), since: None, until: None };
    let line = |text: &str| format!("2026-01-31T12:00:00.000000001Z {text}");
    let mut frames = frame::encode(Stream::Stdout, line("one\n").as_bytes());
    frames.extend(frame::encode(Stream::Stderr, line("two").as_bytes()));
    let terminal = format!("{}{}", line("one\r\n"), line("two")).into_bytes();
    for (media, body, expect) in [
        ("application/vnd.docker.multiplexed-stream", frames, [(Stream::Stdout, "one\n"), (Stream::Stderr, "two")]),
        ("application/vnd.docker.raw-stream", terminal, [(Stream::Stdout, "one\r\n"), (Stream::Stdout, "two")]),
    ] {
        let engine = Engine::new(move |asked, _, _| {
            assert_eq!(asked, "GET /v1.51/containers/web/logs?stdout=1&stderr=1&timestamps=1&tail=5");
            let mut response = answer(200, body.clone());
            response.headers_mut().insert("content-type", media.parse().expect("a value"));
            response
        });
        let mut log = engine.client().await.logs("web", &all).await.expect("a log");
        let mut lines = Vec::new();
        while let Some(line) = log.next().await {
            let line = line.expect("a line");
            assert_eq!(line.time.to_string(), "2026-01-31T12:00:00.000000001Z");
            lines.push((line.stream, String::from_utf8(line.text).expect("text")));
        }
        assert_eq!(lines, expect.map(|(stream, text)| (stream, text.to_owned())));
    }
}

#[tokio::test]
async fn closing_standard_input_leaves_the_output_open() {
    let (_folder, socket, listener) = listen();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.expect("a request");
            request.truncate(count);
            if request.starts_with(b"GET /_ping") {
                let answer = b"HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";
                stream.write_all(answer).await.expect("written");
                continue;
            }
            let text = String::from_utf8(request).expect("text");
            assert!(text.starts_with("POST /v1.51/containers/web/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\n"), "{text}");
            assert!(text.contains("\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"), "{text}");
            let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n";
            let mut answer = head.as_bytes().to_vec();
            answer.extend(frame::encode(Stream::Stderr, b"ready"));
            stream.write_all(&answer).await.expect("written");
            let mut input = Vec::new();
            stream.read_to_end(&mut input).await.expect("the end of standard input");
            stream.write_all(&frame::encode(Stream::Stdout, &input)).await.expect("written");
        }
    });
    let client = Client::connect(&Target::Unix(socket), &CustomHeaders::default()).await.expect("somebody listens");
    let options = AttachOptions { stdin: true, stdout: true, stream: true, ..AttachOptions::default() };
    let (mut reader, mut writer) = client.attach("web", &options).await.expect("streams").split();
    assert_eq!(reader.next().await, Some(Ok((Stream::Stderr, b"ready".to_vec()))));
    writer.write(b"hello").await.expect("written");
    writer.close().await.expect("closed");
    assert_eq!(reader.next().await, Some(Ok((Stream::Stdout, b"hello".to_vec()))));
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn a_pull_sends_stored_credentials_and_tells_its_steps_and_its_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    // ben:secret in base64.
    std::fs::write(folder.path().join("config.json"), r#"{"auths":{"127.0.0.1:5000":{"auth":"YmVuOnNlY3JldA=="}}}"#).expect("written");
    let engine = Engine::new(|line, request, _| {
        assert_eq!(line, "POST /v1.51/images/create?fromImage=127.0.0.1%3A5000%2Fapp&tag=7&platform=linux%2Farm64");
        let header = request.headers()["x-registry-auth"].to_str().expect("text");
        let sent = crate::api::wire::system::credentials_from_header(header).expect("good").expect("some");
        assert!(sent == crate::resource::image::Credentials::Password { username: "ben".to_owned(), password: "secret".to_owned() });
        answer(200, "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"code\":404,\"message\":\"no app\"},\"error\":\"no app\"}\r\n")
    });
    let client = engine.client().await.with_docker_config(Some(folder.path().to_owned()));
    let reference: ImageReference = "127.0.0.1:5000/app:7".parse().expect("a reference");
    let mut steps = Vec::new();
    let failed = client.pull_image(&reference, Some("linux/arm64"), None, |step| steps.push(step.status)).await;
    assert_eq!(failed, Err(Failure::not_found("no app")));
    assert_eq!(steps, ["Pulling"]);
}

#[tokio::test]
async fn a_push_tells_what_the_registry_has_now() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let aux = format!(r#"{{"progressDetail":{{}},"aux":{{"Tag":"7","Digest":"{digest}","Size":527}}}}"#);
    let engine = Engine::new(move |line, request, _| {
        assert!(line == "POST /v1.51/images/app/push?tag=7" || line == "POST /v1.51/images/app/push", "{line}");
        // Nobody is logged in, and the header is there all the same.
        assert_eq!(request.headers()["x-registry-auth"], "e30=");
        answer(200, format!("{{\"status\":\"Pushed\",\"id\":\"ab\"}}\r\n{aux}\r\n"))
    });
    let client = engine.client().await;
    for all in [false, true] {
        let target = PushTarget { reference: "app:7".parse().expect("a reference"), all };
        let mut steps = Vec::new();
        let pushed = client.push_image(&target, None, |step| steps.push(step.status)).await.expect("pushed");
        assert_eq!((pushed.len(), pushed[0].tag.as_str(), pushed[0].digest.to_string()), (1, "7", digest.clone()));
        assert_eq!(steps, ["Pushed"]);
    }
}

#[tokio::test]
async fn an_archive_is_sent_as_it_is_read_and_its_images_are_named() {
    let archive = vec![7; 700 << 10];
    let expect = archive.clone();
    let engine = Engine::new(move |line, _, body| match line {
        "GET /_ping" => answer(200, "OK"),
        _ => {
            assert!(line == "POST /v1.51/images/load?quiet=0" && body == expect, "{line}");
            answer(200, "{\"stream\":\"Loaded image: app:7\\n\"}\n{\"stream\":\"Loaded image ID: sha256:00\\n\"}\n")
        }
    });
    let loaded = engine.client().await.load_image(std::io::Cursor::new(archive), |_| ()).await;
    assert_eq!(loaded.expect("loaded"), ["app:7", "sha256:00"]);
}

#[tokio::test]
async fn files_of_a_container_reach_another_engine_as_an_archive() {
    let id = "a".repeat(64);
    let path = format!("PUT /v1.51/containers/{id}/archive?path=%2F");
    let engine = Engine::new(move |line, _, body| match line {
        "GET /_ping" => answer(200, "OK"),
        "POST /v1.51/containers/create?name=web" => answer(201, json!({ "Id": id }).to_string()),
        "GET /v1.51/version" => answer(200, r#"{"Platform":{"Name":"Docker Engine - Community"}}"#),
        _ => {
            assert_eq!(line, path);
            let mut archive = tar::Archive::new(body);
            let mut entry = archive.entries().expect("a tar").next().expect("an entry").expect("a whole one");
            assert_eq!(entry.path().expect("a path").to_string_lossy(), "run/secrets/key");
            assert_eq!((entry.header().mode().expect("bits"), entry.header().uid().expect("an owner")), (0o400, 7));
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).expect("text");
            assert_eq!(text, "secret");
            answer(200, "")
        }
    });
    let file = InjectedFile { target: "/run/secrets/key".to_owned(), content: b"secret".to_vec(), uid: 7, gid: 7, mode: 0o400 };
    let spec = ContainerSpec { image: "x".to_owned(), files: vec![file], ..ContainerSpec::default() };
    engine.client().await.create_container(Some("web"), &spec).await.expect("made");
    assert_eq!(engine.asked().len(), 4);
}

#[tokio::test]
async fn an_older_engine_is_told_of_networks_one_by_one_and_refused_what_it_would_leave_out() {
    let id = "1".repeat(64);
    let made = json!({ "Id": id }).to_string();
    let engine = Engine::new(move |line, _, body| {
        let mut response = match line {
            "GET /_ping" => answer(200, "OK"),
            "POST /v1.43/containers/create?name=web" => {
                let body: Value = serde_json::from_slice(body).expect("JSON");
                assert_eq!(body["ExposedPorts"], json!({ "80/tcp": {} }), "Docker publishes nothing else");
                assert_eq!(body["NetworkingConfig"]["EndpointsConfig"].as_object().expect("networks").keys().collect::<Vec<_>>(), ["a"]);
                answer(201, made.clone())
            }
            "POST /v1.43/networks/b/connect" => answer(200, ""),
            _ => answer(404, r#"{"message":"page not found"}"#),
        };
        response.headers_mut().insert("api-version", "1.43".parse().expect("a value"));
        response
    });
    let container = ContainerPort { port: 80, protocol: Protocol::Tcp };
    let spec = ContainerSpec {
        network: NetworkMode::Named("a".to_owned()),
        endpoints: ["a", "b"].map(|name| (name.to_owned(), EndpointSpec::default())).into(),
        ports: vec![PortBinding { container, host_ip: None, host_port: 8080, host_port_end: 8080 }],
        ..ContainerSpec::default()
    };
    let client = engine.client().await;
    client.create_container(Some("web"), &spec).await.expect("made");
    assert_eq!(engine.asked(), ["GET /_ping", "POST /v1.43/containers/create?name=web", "POST /v1.43/networks/b/connect"]);
    let elsewhere = ContainerSpec { platform: Some("linux/amd64".to_owned()), ..ContainerSpec::default() };
    let client = client.speaking("1.40").expect("a version");
    let failure = client.create_container(None, &elsewhere).await.expect_err("too old");
    assert!(failure.kind == FailureKind::Unsupported && failure.message.contains("`platform`) takes 1.41"), "{failure}");
    assert!(client.speaking("1.23").is_err() && engine.asked().is_empty());
}
