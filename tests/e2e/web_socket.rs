//! A container's streams over a WebSocket.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio_tungstenite::tungstenite::{self, Message};

use crate::api::request;
use crate::api_container::WAITS;
use crate::bottle::{Bottle, IMAGE};
use crate::docker::docker;
use crate::program::run;

/// A WebSocket on a container's streams.
fn web_socket(bottle: &Bottle, path: &str) -> Result<tungstenite::WebSocket<UnixStream>, String> {
    let stream = UnixStream::connect(bottle.socket()).expect("the engine's socket takes connections");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    tungstenite::client(format!("ws://engine{path}"), stream).map(|(socket, _)| socket).map_err(|error| error.to_string())
}

/// Every message until the end, joined; text and bytes told apart.
fn heard(socket: &mut tungstenite::WebSocket<UnixStream>) -> BTreeMap<&'static str, Vec<u8>> {
    let mut all: BTreeMap<&'static str, Vec<u8>> = BTreeMap::new();
    while let Ok(message) = socket.read() {
        let kind = if message.is_text() { "text" } else { "bytes" };
        if message.is_text() || message.is_binary() {
            all.entry(kind).or_default().extend(message.into_data());
        }
    }
    all
}

#[test]
fn streams_go_over_a_web_socket() {
    let bottle = Bottle::with_image();
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    docker(&["create", "-i", "--name", "aa", IMAGE, "sh", "-c", "read line; echo out $line; echo err $line >&2"]).success();
    let mut socket = web_socket(&bottle, "/containers/aa/attach/ws?stream=1&stdin=1&stdout=1&stderr=1").expect("a web socket");
    docker(&["start", "aa"]).success();
    socket.send(Message::binary("typed\n")).expect("sent");
    let all = heard(&mut socket);
    let text = String::from_utf8_lossy(&all["bytes"]).into_owned();
    // Two streams, no order between them.
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!((lines, all.len()), (vec!["err typed", "out typed"], 1));

    // What was written, of one stream alone; and as text to those who know nothing else.
    let mut socket = web_socket(&bottle, "/containers/aa/attach/ws?logs=1&stdout=1").expect("a web socket");
    assert_eq!(heard(&mut socket), BTreeMap::from([("bytes", b"out typed\n".to_vec())]));
    let mut socket = web_socket(&bottle, "/v1.27/containers/aa/attach/ws?logs=1").expect("a web socket");
    assert_eq!(heard(&mut socket).keys().collect::<Vec<_>>(), [&"text"]);

    assert!(web_socket(&bottle, "/containers/missing/attach/ws?stream=1").expect_err("a refusal").contains("404"));
    assert_eq!(request(&bottle.socket(), "GET", "/containers/aa/attach/ws?stream=1", None).0, 400);
    // A client that closes leaves the container alone.
    docker(&["run", "-d", "--name", "bb", IMAGE, "sh", "-c", WAITS]).success();
    let mut socket = web_socket(&bottle, "/containers/bb/attach/ws?stream=1&stdout=1").expect("a web socket");
    socket.close(None).expect("closed");
    assert!(heard(&mut socket).is_empty());
    assert_eq!(bottle.state("bb"), "running");
}
