//! What a container wrote.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use hyper::Response;

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::query::Query;
use crate::api::wire::frame;
use crate::resource::failure::Failure;
use crate::resource::log::{LogLine, LogOptions};
use crate::resource::percent;

/// Lines that are there already go out in pieces of about this size: what a client that does not read leaves waiting is counted in them.
const PIECE: usize = 32 << 10;

/// The lines, framed unless they are a terminal's. With `follow` the head is sent before the first line is there.
pub(super) async fn stream(mut call: Call) -> Result<Response<Body>, Failure> {
    let options = options(&mut call.query)?;
    let is_detailed = call.query.flag("details");
    call.query.finish()?;
    // What the log's options ask for stands before a line; with nothing there is still the space behind it.
    let details = if is_detailed { Some(details(&call.engine.log_details(&call.name).await?)) } else { None };
    let raw = call.engine.container(&call.name).await?.spec.tty;
    let reader = call.engine.logs(&call.name, &options).await?;
    let lines = stream::unfold(reader, |mut reader| async { reader.next().await.map(|line| (line.map_err(io::Error::other), reader)) });
    let pieces = gather(lines, move |piece, line: &LogLine| write(piece, line, options.timestamps, details.as_deref(), raw));
    let framed = !raw && !call.version.is_before(42);
    let kind = if framed { "application/vnd.docker.multiplexed-stream" } else { "application/vnd.docker.raw-stream" };
    Ok(answer::stream(kind, pieces))
}

/// Joins what is there already into pieces. An error follows what came before it: the head has gone out, and a connection that breaks off is
/// what is left to say that this is not the end.
fn gather<T: Send>(
    items: impl Stream<Item = io::Result<T>> + Send,
    write: impl Fn(&mut Vec<u8>, &T) + Clone + Send,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    // What ended while it was looked at for more is asked once more.
    stream::unfold((Box::pin(items.fuse()), None), move |(mut items, failed)| {
        let write = write.clone();
        async move {
            if let Some(error) = failed {
                return Some((Err(error), (items, None)));
            }
            let mut next = items.next().await?;
            let mut piece = Vec::new();
            loop {
                match next {
                    Ok(item) => write(&mut piece, &item),
                    Err(error) if piece.is_empty() => return Some((Err(error), (items, None))),
                    Err(error) => return Some((Ok(piece.into()), (items, Some(error)))),
                }
                if piece.len() >= PIECE {
                    break;
                }
                match items.next().now_or_never() {
                    Some(Some(item)) => next = item,
                    Some(None) | None => break,
                }
            }
            Some((Ok(piece.into()), (items, None)))
        }
    })
}

fn options(query: &mut Query) -> Result<LogOptions, Failure> {
    let options = LogOptions {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        follow: query.flag("follow"),
        timestamps: query.flag("timestamps"),
        // What is no number, or a negative one, is everything.
        tail: query.text("tail").and_then(|text| text.parse().ok()),
        since: query.instant("since")?,
        until: query.instant("until")?,
    };
    if !options.stdout && !options.stderr {
        return Err(Failure::invalid("Bad parameters: you must choose at least one stream"));
    }
    Ok(options)
}

/// What stands beside every line, as dockerd prints it: `a=b,c=d`, each part as Go's `url.QueryEscape` has it.
fn details(found: &BTreeMap<String, String>) -> String {
    let escape = |text: &str| {
        let mut escaped = String::new();
        percent::encode(text, b" ", &mut escaped);
        escaped.replace(' ', "+")
    };
    let mut pairs: Vec<String> = found.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.sort();
    pairs.join(",")
}

fn write(piece: &mut Vec<u8>, line: &LogLine, timestamps: bool, details: Option<&str>, raw: bool) {
    let mut before = if timestamps { line.time.fixed() } else { String::new() };
    if timestamps {
        before.push(' ');
    }
    if let Some(details) = details {
        before.push_str(details);
        before.push(' ');
    }
    if !raw {
        piece.extend_from_slice(&frame::header(line.stream, before.len() + line.text.len()));
    }
    piece.extend_from_slice(before.as_bytes());
    piece.extend_from_slice(&line.text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::log::Stream;
    use crate::resource::time::Timestamp;

    #[tokio::test]
    async fn pieces_are_bounded_and_an_error_comes_last() {
        let lines = stream::iter((0..100).map(|_| Ok(vec![b'x'; 1 << 10])).chain([Err(io::Error::other("torn"))]));
        let pieces: Vec<_> = gather(lines, |piece, line| piece.extend_from_slice(line)).collect().await;
        let sizes: Vec<Option<usize>> = pieces.iter().map(|piece| piece.as_ref().ok().map(Bytes::len)).collect();
        assert_eq!(sizes, [Some(PIECE), Some(PIECE), Some(PIECE), Some(4 << 10), None]);
        let slow = stream::iter([Ok(b"first"), Ok(b"piece")]).chain(stream::pending());
        let mut pieces = Box::pin(gather(slow, |piece, line: &&[u8; 5]| piece.extend_from_slice(*line)));
        assert_eq!(pieces.next().await.expect("a piece").expect("good"), "firstpiece");
        let short = stream::unfold(Some(b"all"), |line| async move { line.map(|line| (Ok(line), None)) });
        let pieces: Vec<_> = gather(short, |piece, line: &&[u8; 3]| piece.extend_from_slice(*line)).collect().await;
        assert_eq!(pieces.len(), 1);
    }

    #[test]
    fn a_query_becomes_options() {
        let read = |text: &str| options(&mut Query::parse(text).expect("a good query"));
        let all = read("stdout=1&follow=1&timestamps=1&tail=5&since=1.5&until=2").expect("good options");
        let at = |nanos| Some(Timestamp::from_nanos(nanos));
        let expect = LogOptions {
            stdout: true,
            stderr: false,
            follow: true,
            timestamps: true,
            tail: Some(5),
            since: at(1_500_000_000),
            until: at(2_000_000_000),
        };
        assert_eq!(all, expect);
        for tail in ["", "&tail=all", "&tail=-1"] {
            assert_eq!(read(&format!("stderr=1{tail}")).expect("good options").tail, None);
        }
        assert_eq!(read("").expect_err("a refusal").message, "Bad parameters: you must choose at least one stream");
    }

    #[test]
    fn lines_are_framed_with_their_time_unless_raw() {
        let line = LogLine { time: Timestamp::from_nanos(1_500_000_000), stream: Stream::Stderr, text: b"no\n".to_vec() };
        let mut piece = Vec::new();
        write(&mut piece, &line, true, None, true);
        assert_eq!(piece, b"1970-01-01T00:00:01.500000000Z no\n");
        piece.clear();
        write(&mut piece, &line, false, None, false);
        assert_eq!(piece, b"\x02\0\0\0\0\0\0\x03no\n");
        piece.clear();
        write(&mut piece, &line, true, Some(""), true);
        assert_eq!(piece, b"1970-01-01T00:00:01.500000000Z  no\n");
        piece.clear();
        let found = BTreeMap::from([("tag", "a b/1"), ("x,y", "ü")].map(|(name, value)| (name.to_owned(), value.to_owned())));
        write(&mut piece, &line, false, Some(&details(&found)), true);
        assert_eq!(piece, b"tag=a+b%2F1,x%2Cy=%C3%BC no\n");
    }
}
