//! Greets whoever opens the page.

use std::io::{Read, Write};
use std::net::TcpListener;

const GUEST: &str = "world";

fn main() -> std::io::Result<()> {
    for client in TcpListener::bind("0.0.0.0:8080")?.incoming() {
        let mut client = client?;
        // Who only looks whether somebody listens is gone by then.
        if client.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
            let page = format!("{}\n", greeting::greet(GUEST));
            write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}", page.len())?;
        }
    }
    Ok(())
}
