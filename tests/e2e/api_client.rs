//! Clients as they come: old ones, slow ones, ones that send too much, ones that leave in the middle, and thousands of them at once.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::api;
use crate::bottle::{Bottle, IMAGE};
use crate::killed::process;

/// Longer than anything here should take, and shorter than a test.
const LONG: Duration = Duration::from_secs(60);

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("the engine's socket takes connections");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_write_timeout(Some(LONG)).expect("a timeout");
    stream
}

/// Sends these bytes and returns all that comes until the engine ends the connection.
fn talk(socket: &Path, request: &str) -> String {
    let mut stream = connect(socket);
    stream.write_all(request.as_bytes()).expect("the engine reads");
    rest(stream)
}

fn rest(mut stream: UnixStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an end of the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads to the end of a head.
fn head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

/// Sends chunks until the engine has had enough of them.
fn send_until_refused(stream: &mut UnixStream) {
    let begun = Instant::now();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    while stream.write_all(&chunk).is_ok() {
        assert!(begun.elapsed() < LONG, "it is listened to for ever");
    }
}

/// Begins a request and reads no more than the head of its answer.
fn begin(socket: &Path, line: &str) -> UnixStream {
    let mut stream = connect(socket);
    write!(stream, "{line} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n").expect("the engine reads");
    let head = head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{line}: {head}");
    stream
}

fn create(bottle: &Bottle, name: &str, spec: &Value) {
    let (status, answer) = api::request(&bottle.socket(), "POST", &format!("/containers/create?name={name}"), Some(spec));
    assert_eq!(status, 201, "{answer}");
}

fn start(bottle: &Bottle, name: &str) {
    assert_eq!(api::request(&bottle.socket(), "POST", &format!("/containers/{name}/start"), None).0, 204);
}

/// A number of the engine's process that /proc tells, such as `VmRSS` in KiB.
fn told(pid: i32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the key");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// Pings some fifty times; each is answered, whoever else has been waiting for whatever. How fast that is depends on what else the machine does.
fn ping(socket: &Path) {
    (0..50).for_each(|_| assert_eq!(api::request(socket, "GET", "/_ping", None).0, 200));
}

/// Lets this process have as many descriptors as it may.
fn raise_limit() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("its own limit");
}

#[test]
fn requests_of_every_form_are_answered() {
    let bottle = Bottle::new();
    bottle.gantry(["image", "ls"]).success();
    let socket = bottle.socket();
    let check = |request: &str, parts: &[&str]| {
        let answer = talk(&socket, request);
        let mut left = answer.as_str();
        for part in parts {
            let place = left.find(part).unwrap_or_else(|| panic!("{request:.200}: no {part:?} in {answer:?}"));
            left = &left[place + part.len()..];
        }
    };
    check("GET /_ping HTTP/1.0\r\n\r\n", &["HTTP/1.0 200 OK\r\n", "\r\n\r\nOK"]);
    check("GET /containers/json HTTP/1.0\r\nConnection: close\r\n\r\n", &["HTTP/1.0 200 OK\r\n", "\r\n\r\n[]\n"]);
    check("GET http://docker/v1.43/_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n", &["HTTP/1.1 200 OK\r\n", "\r\n\r\nOK"]);
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let pipelined = [get("/_ping", ""), get("/nowhere", ""), get("/containers/json", "Connection: close\r\n")].concat();
    check(&pipelined, &["200 OK", "OK", "404 Not Found", "page not found", "200 OK", "[]\n"]);
    check(
        &get("/_ping", "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        &["HTTP/1.1 200 OK\r\n", "\r\n\r\nOK"],
    );
    let chunked = "POST /volumes/create HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
        8\r\n{\"Name\":\r\n7;x=y\r\n \"one\"}\r\n0\r\nLast: word\r\n\r\n";
    check(chunked, &["HTTP/1.1 201 Created\r\n", "\"Name\":\"one\""]);
    check(&get("/_ping", &format!("Connection: close\r\nX-Registry-Config: {}\r\n", "x".repeat(200_000))), &["HTTP/1.1 200 OK"]);
    check("nonsense\r\n\r\n", &["HTTP/1.1 400 Bad Request\r\n"]);
    assert_eq!(bottle.shell("curl -sS --http2 --unix-socket $GANTRY_ROOT/run/engine.sock http://engine/_ping").success(), "OK");
    let long = format!("curl -sS --http1.0 --unix-socket {} http://engine/v1.24/version", socket.display());
    assert!(bottle.shell(&long).success().contains("ApiVersion"));
}

#[test]
fn a_client_that_asks_before_it_sends_its_body_is_told_to() {
    let bottle = Bottle::new();
    bottle.gantry(["image", "ls"]).success();
    let begin = |path: &str| {
        let mut stream = connect(&bottle.socket());
        let kind = "Content-Type: application/json\r\nContent-Length: 14";
        write!(stream, "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{kind}\r\nExpect: 100-continue\r\n\r\n").expect("written");
        stream
    };
    let mut stream = begin("/volumes/create");
    assert_eq!(head(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{\"Name\":\"two\"}").expect("written");
    assert!(rest(stream).starts_with("HTTP/1.1 201 Created\r\n"));
    assert!(rest(begin("/nowhere")).starts_with("HTTP/1.1 404 Not Found\r\n"), "who is not wanted is told before he sends");
}

#[test]
fn a_body_that_nobody_wants_does_not_hide_the_answer() {
    let bottle = Bottle::new();
    bottle.gantry(["image", "ls"]).success();
    let socket = bottle.socket();
    // A client that sends all it has before it reads.
    for path in ["POST /nowhere", "PUT /containers/none/archive?path=/", "POST /volumes/one"] {
        let mut stream = connect(&socket);
        write!(stream, "{path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n", 16 << 20)
            .expect("written");
        let piece = vec![0; 1 << 20];
        (0..16).for_each(|_| stream.write_all(&piece).expect("the engine reads on"));
        assert!(head(&mut stream).starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}");
    }
    // One that never ends is not listened to for ever, and its answer was there before.
    let mut stream = connect(&socket);
    write!(stream, "POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").expect("written");
    send_until_refused(&mut stream);
    assert!(head(&mut stream).starts_with("HTTP/1.1 404 Not Found\r\n"));
}

/// The library dockerode sends the body of some requests as their query, too.
#[test]
fn what_a_query_has_beyond_its_path_is_refused_by_its_name() {
    let bottle = Bottle::new();
    bottle.gantry(["image", "ls"]).success();
    let check = |method: &str, path: &str, body: Option<Value>, status: u16| {
        let (told, answer) = api::request(&bottle.socket(), method, path, body.as_ref());
        assert_eq!(told, status, "{path}: {answer}");
        let named = answer["message"].as_str().is_some_and(|text| text.contains("is not supported by this engine (it was \""));
        assert_eq!(named, status == 501, "{path}: {answer}");
    };
    check("GET", "/containers/json?Image=a", None, 501);
    check("GET", "/plugins", None, 200);
    check("GET", "/plugins?all=1", None, 501);
    check("POST", "/containers/create?name=w&Image=a", Some(json!({ "Image": "a" })), 404);
    check("POST", "/containers/create?name=w&Image=a&Cmd=b", Some(json!({ "Image": "a" })), 501);
    check("POST", "/volumes/create?Name=vol&Driver=local", Some(json!({ "Name": "vol", "Driver": "local" })), 201);
    check("POST", "/volumes/create?Name=vol", Some(json!({})), 501);
    check("POST", "/networks/create?Name=n", Some(json!({ "Name": "n" })), 201);
    check("POST", "/commit?container=none&Cmd=a", Some(json!({ "container": "none", "Cmd": ["a"] })), 404);
    check("POST", "/containers/none/attach?hijack=1&stream=1", None, 404);
    check("POST", "/containers/none/start?hijack=1", None, 501);
}

#[test]
fn json_has_bounds() {
    let bottle = Bottle::new();
    bottle.gantry(["image", "ls"]).success();
    let mut stream = connect(&bottle.socket());
    let length = 200 << 20;
    write!(stream, "POST /containers/create HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
        .expect("written");
    // Not a byte of it is waited for.
    let answer = rest(stream);
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("too large: at most 64 MiB of JSON are read"),
        "{answer}"
    );
    let mut stream = connect(&bottle.socket());
    let kind = "Content-Type: application/json";
    write!(stream, "POST /containers/create HTTP/1.1\r\nHost: a\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n").expect("written");
    send_until_refused(&mut stream);
    let head = head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
}

#[test]
fn a_connection_is_taken_over_as_old_clients_do_and_either_end_may_leave_first() {
    let bottle = Bottle::with_image();
    let socket = bottle.socket();
    let engine = process(&bottle, "engine");
    let attach = |name: &str, more: &str| {
        let mut stream = connect(&socket);
        let path = format!("/containers/{name}/attach?stream=1&stdin=1&stdout=1&stderr=1");
        write!(stream, "POST {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n").expect("written");
        stream
    };
    // Without a word of an upgrade, and with one of HTTP/2 only.
    for more in ["", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"] {
        create(&bottle, "cat", &json!({ "Image": IMAGE, "Cmd": ["sh", "-c", "cat; echo over"], "OpenStdin": true, "StdinOnce": true }));
        let mut stream = attach("cat", more);
        assert_eq!(head(&mut stream), "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n");
        start(&bottle, "cat");
        stream.write_all(b"typed\n").expect("written");
        // Its input is at its end; what it still says is heard.
        stream.shutdown(Shutdown::Write).expect("a half is closed");
        let heard = rest(stream);
        assert!(heard.contains("typed\n") && heard.ends_with("over\n") && heard.starts_with('\u{1}'), "{heard:?}");
        assert_eq!(api::request(&socket, "DELETE", "/containers/cat?force=1", None).0, 204);
    }
    // Clients that go while a silent process runs, whichever way they came.
    create(&bottle, "silent", &json!({ "Image": IMAGE, "Cmd": ["sleep", "1000"], "OpenStdin": true, "StopTimeout": 0 }));
    start(&bottle, "silent");
    let before = descriptors(engine);
    let streams: Vec<UnixStream> = (0..20)
        .map(|number| {
            let mut stream = attach("silent", if number % 2 == 0 { "" } else { "Connection: Upgrade\r\nUpgrade: tcp\r\n" });
            head(&mut stream);
            stream
        })
        .collect();
    assert!(descriptors(engine) >= before + 20);
    drop(streams);
    let deadline = Instant::now() + LONG;
    while descriptors(engine) > before + 2 {
        assert!(Instant::now() < deadline, "{} descriptors, {before} before", descriptors(engine));
        assert_eq!(bottle.state("silent"), "running");
    }
}

#[test]
fn two_thousand_idle_clients_cost_little() {
    raise_limit();
    let bottle = Bottle::new();
    bottle.gantry(["image", "ls"]).success();
    let socket = bottle.socket();
    let engine = process(&bottle, "engine");
    ping(&socket);
    let before = told(engine, "VmRSS");
    let mut streams: Vec<UnixStream> = (0..2000).map(|_| connect(&socket)).collect();
    // Half of them have asked once, and may ask again.
    for stream in streams.iter_mut().take(1000) {
        write!(stream, "GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n").expect("written");
        let mut body = [0; 2];
        head(stream);
        stream.read_exact(&mut body).expect("a body");
    }
    // A head that stops in its middle.
    streams.iter_mut().skip(1000).for_each(|stream| stream.write_all(b"GET /_ping HTTP/1.1\r\nHo").expect("written"));
    ping(&socket);
    let cost = told(engine, "VmRSS").saturating_sub(before);
    assert!(cost < 80 << 10, "{cost} KiB for 2000 connections");
    write!(streams[0], "GET /_ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("written");
    assert!(rest(streams.swap_remove(0)).ends_with("OK"));
}

#[test]
fn listeners_that_do_not_read_cost_little_and_are_told_what_they_missed() {
    raise_limit();
    let bottle = Bottle::with_image();
    let socket = bottle.socket();
    let engine = process(&bottle, "engine");
    // Each event of this one is large, so that all that is remembered passes by soon.
    create(&bottle, "one", &json!({ "Image": IMAGE, "Cmd": ["true"], "Labels": { "large": "x".repeat(64 << 10) } }));
    ping(&socket);
    let before = told(engine, "VmRSS");
    let silent: Vec<UnixStream> = (0..500).map(|_| begin(&socket, "GET /events")).collect();
    let mut attentive = api::Events::subscribe(&socket);
    let mut names = ["one", "two"].into_iter().cycle().zip(["two", "one"].into_iter().cycle());
    for _ in 0..400 {
        let (from, to) = names.next().expect("endless");
        assert_eq!(api::request(&socket, "POST", &format!("/containers/{from}/rename?name={to}"), None).0, 204);
        let event = attentive.next(Instant::now() + LONG).expect("who listens misses nothing");
        assert_eq!((event["Action"].as_str(), event["Actor"]["Attributes"]["name"].as_str()), (Some("rename"), Some(to)));
    }
    ping(&socket);
    let cost = told(engine, "VmRSS").saturating_sub(before);
    assert!(cost < 128 << 10, "{cost} KiB for 500 listeners");
    for stream in silent.into_iter().take(3) {
        let heard = rest(stream);
        let last = &heard[heard.len() - 600..];
        assert!(last.contains("\"Action\":\"lag\"") && last.contains("this listener was too slow: "), "{last}");
        assert!(heard.ends_with("\r\n0\r\n\r\n"), "{last}");
    }
}

#[test]
fn readers_of_a_log_that_do_not_read_hold_nobody_up() {
    let bottle = Bottle::with_image();
    let socket = bottle.socket();
    let engine = process(&bottle, "engine");
    let command = format!("yes {} | head -c 20000000; exec sleep 1000", "x".repeat(15_000));
    create(&bottle, "talks", &json!({ "Image": IMAGE, "Cmd": ["sh", "-c", command], "StopTimeout": 0 }));
    start(&bottle, "talks");
    ping(&socket);
    let before = told(engine, "VmRSS");
    let silent: Vec<UnixStream> = (0..200).map(|_| begin(&socket, "GET /containers/talks/logs?stdout=1&follow=1")).collect();
    // One who reads gets it all meanwhile.
    let mut reader = begin(&socket, "GET /containers/talks/logs?stdout=1&follow=1");
    let mut piece = vec![0; 1 << 16];
    let mut read = 0;
    while read < 20_000_000 {
        read += reader.read(&mut piece).expect("more of the log");
    }
    ping(&socket);
    let cost = told(engine, "VmRSS").saturating_sub(before);
    assert!(cost < 160 << 10, "{cost} KiB for 200 readers");
    assert_eq!(api::request(&socket, "DELETE", "/containers/talks?force=1", None).0, 204);
    drop(silent);
}

#[test]
fn archives_that_stand_still_hold_nobody_up() {
    let bottle = Bottle::with_image();
    let socket = bottle.socket();
    let fill = "head -c 30000000 /dev/zero > /file; exec sleep 1000";
    create(&bottle, "full", &json!({ "Image": IMAGE, "Cmd": ["sh", "-c", fill], "StopTimeout": 0 }));
    start(&bottle, "full");
    bottle.shell("until test $(curl -s --unix-socket $GANTRY_ROOT/run/engine.sock 'http://e/containers/full/archive?path=/file' | wc -c) -gt 30000000; do :; done").success();
    let halves = [
        "PUT /containers/full/archive?path=/tmp",
        "POST /images/load",
        "POST /images/create?fromSrc=-&repo=half&tag=1",
        "POST /build?t=half",
    ];
    let uploads: Vec<UnixStream> = halves
        .iter()
        .cycle()
        .take(40)
        .map(|line| {
            let mut stream = connect(&socket);
            write!(stream, "{line} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-tar\r\nContent-Length: 10240\r\n\r\n")
                .expect("written");
            stream.write_all(&[0; 100]).expect("written");
            stream
        })
        .collect();
    let paths = ["/containers/full/export".to_owned(), "/containers/full/archive?path=/".to_owned(), format!("/images/{IMAGE}/get")];
    // More than there are threads for such work by default.
    let downloads: Vec<UnixStream> = paths.iter().cycle().take(540).map(|path| begin(&socket, &format!("GET {path}"))).collect();
    ping(&socket);
    assert_eq!(bottle.shell("$GANTRY image ls -q").success().lines().count(), 1);
    create(&bottle, "other", &json!({ "Image": IMAGE, "Cmd": ["true"] }));
    start(&bottle, "other");
    bottle.eventually("the other one ends", || bottle.state("other") == "exited");
    for name in ["other", "full"] {
        assert_eq!(api::request(&socket, "DELETE", &format!("/containers/{name}?force=1"), None).0, 204, "{name}");
    }
    drop((uploads, downloads));
    bottle.import_as("after:1");
}
