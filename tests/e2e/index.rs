//! What package managers ask: the files of a folder, on port 8000 of the bottle, for who comes directly and who takes it for a proxy.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::program::top;

/// An index that ends with the test, and remembers what it was asked.
pub(crate) struct Index {
    asked: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Index {
    /// Serves the index of one package manager.
    pub(crate) fn start(manager: &str) -> Self {
        let folder = top().join("target/packages/index").join(manager);
        assert!(folder.exists(), "{} is missing: run tests/run, which makes it", folder.display());
        let listener = TcpListener::bind("0.0.0.0:8000").expect("a port of the bottle");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let (heard, ended) = (Arc::clone(&asked), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok).take_while(|_| !ended.load(Ordering::Relaxed)) {
                let (folder, heard) = (folder.clone(), Arc::clone(&heard));
                // Some open a connection long before they ask.
                std::thread::spawn(move || {
                    // Who goes away in the middle has had enough.
                    let _ = answer(&client, &folder, &heard);
                });
            }
        });
        Self { asked, ends, thread: Some(thread) }
    }

    /// The paths it was asked for since it last told.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Nobody else may come any more.
        let _ = TcpStream::connect("127.0.0.1:8000");
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(client: &TcpStream, folder: &Path, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(client).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(()) };
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // Of a proxy the whole address is asked.
    let path = target.strip_prefix("http://").map_or(target, |address| address.find('/').map_or("/", |at| &address[at..]));
    let path = decode(path.split('?').next().unwrap_or_default());
    heard.lock().expect("no panic").push(path.clone());
    let mut client = client;
    let Some(file) = file(folder, &path) else {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let data = fs::read(&file)?;
    let (kind, age) = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => ("text/html", 0),
        Some("json") => ("application/json", 0),
        Some("whl" | "gz" | "tgz" | "crate" | "deb") => ("application/octet-stream", 1_000_000_000),
        _ => ("text/plain", 0),
    };
    let length = data.len();
    write!(client, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: max-age={age}\r\n")?;
    // pip keeps nothing that has no date; counted from this one, packages may be kept for decades.
    client.write_all(b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n")?;
    if method == "GET" { client.write_all(&data) } else { Ok(()) }
}

/// The file that a path means; of a folder what it is shown by.
fn file(folder: &Path, path: &str) -> Option<PathBuf> {
    let place =
        path.split('/').filter(|name| !name.is_empty() && *name != "." && *name != "..").fold(folder.to_owned(), |at, name| at.join(name));
    [place.clone(), place.join("index.html"), place.join("index.json")].into_iter().find(|place| place.is_file())
}

/// A path with the bytes that `%` and two digits stand for.
fn decode(path: &str) -> String {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).expect("clients encode well");
        bytes.push(u8::from_str_radix(digits, 16).expect("clients encode well"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("the index has names in UTF-8 only")
}
