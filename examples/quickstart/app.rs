//! The quickstart's one program: `web` serves a page, `work` sends it numbers, `prepare` writes what the page greets with.
//! It is compiled by the script `run` beside it, statically, and is all there is in the image.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::Duration;
use std::{env, fs, process, thread};

fn main() {
    let role = env::args().nth(1).unwrap_or_default();
    let outcome = match role.as_str() {
        "prepare" => prepare(),
        "web" => web(),
        "work" => work(),
        "probe" => get("127.0.0.1:8000", "/health").map(|_| ()),
        _ => Err(format!("`{role}` is none of prepare, web, work, probe")),
    };
    if let Err(reason) = outcome {
        eprintln!("{role}: {reason}");
        process::exit(1);
    }
}

/// The one-shot job: the greeting goes to a volume that `web` reads.
fn prepare() -> Result<(), String> {
    let greeting = env::var("GREETING").unwrap_or_else(|_| "Hello".to_owned());
    fs::write("/shared/greeting", &greeting).map_err(|error| format!("/shared/greeting: {error}"))?;
    println!("prepared the greeting `{greeting}`");
    Ok(())
}

/// The web server: a page for people, `/health` for the probe, `/count/N` for the worker.
fn web() -> Result<(), String> {
    let greeting = fs::read_to_string("/shared/greeting").map_err(|error| format!("/shared/greeting: {error}"))?;
    let listener = TcpListener::bind("0.0.0.0:8000").map_err(|error| format!("port 8000: {error}"))?;
    println!("serving on port 8000");
    let count = Mutex::new(0_u64);
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let (greeting, count) = (&greeting, &count);
            scope.spawn(move || {
                let answered = answer(&stream, greeting, count);
                if let Err(error) = answered {
                    eprintln!("web: a visitor left: {error}");
                }
            });
        }
    });
    Ok(())
}

fn answer(mut stream: &TcpStream, greeting: &str, count: &Mutex<u64>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut total = count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (status, body) = if path == "/health" {
        ("200 OK", "well\n".to_owned())
    } else if let Some(number) = path.strip_prefix("/count/").and_then(|text| text.parse::<u64>().ok()) {
        *total += number;
        ("200 OK", format!("{total}\n", total = *total))
    } else if path == "/" {
        let page = format!(
            "<!doctype html><title>Gantry</title><h1>{greeting} from Gantry</h1><p>The worker has counted to {total}.</p>\n",
            total = *total
        );
        ("200 OK", page)
    } else {
        ("404 Not Found", "not here\n".to_owned())
    };
    drop(total);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The worker: finds the server by its service name and adds one a second.
fn work() -> Result<(), String> {
    loop {
        let total = get("web:8000", "/count/1")?;
        println!("counted to {}", total.trim());
        thread::sleep(Duration::from_secs(1));
    }
}

fn get(host: &str, path: &str) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("http://{host}{path}: {error}");
    let mut stream = TcpStream::connect(host).map_err(wrong)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").map_err(wrong)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(wrong)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("http://{host}{path}: no answer"))?;
    if head.starts_with("HTTP/1.1 200") { Ok(body.to_owned()) } else { Err(format!("http://{host}{path}: {}", head.lines().next().unwrap_or(""))) }
}
