//! What a container wrote.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::Response;

use crate::api::server::answer::{self, Body};
use crate::api::server::call::Call;
use crate::api::server::query::Query;
use crate::api::wire::frame;
use crate::engine::container::log::LogReader;
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
    let pieces = gather(reader, move |piece, line: &LogLine| write(piece, line, options.timestamps, details.as_deref(), raw));
    let framed = !raw && !call.version.is_before(42);
    let kind = if framed { "application/vnd.docker.multiplexed-stream" } else { "application/vnd.docker.raw-stream" };
    Ok(answer::stream(kind, pieces))
}

/// What comes item by item, some of it without being waited for.
trait Source: Send {
    type Item: Send;

    /// The next item; `None` at the end, however often it is asked for.
    fn next(&mut self) -> impl Future<Output = Option<Result<Self::Item, Failure>>> + Send;

    /// The next item, if it is there already.
    fn ready(&mut self) -> Option<Self::Item>;
}

impl Source for LogReader {
    type Item = LogLine;

    fn next(&mut self) -> impl Future<Output = Option<Result<LogLine, Failure>>> + Send {
        Self::next(self)
    }

    fn ready(&mut self) -> Option<LogLine> {
        Self::ready(self)
    }
}

/// Joins what is there already into pieces. An error follows what came before it: the head has gone out, and a connection that breaks off is
/// what is left to say that this is not the end.
fn gather<S: Source>(source: S, write: impl Fn(&mut Vec<u8>, &S::Item) + Send) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold((source, write), |(mut source, write)| async move {
        let first = match source.next().await? {
            Ok(item) => item,
            Err(failure) => return Some((Err(io::Error::other(failure)), (source, write))),
        };
        let mut piece = Vec::new();
        write(&mut piece, &first);
        while piece.len() < PIECE
            && let Some(item) = source.ready()
        {
            write(&mut piece, &item);
        }
        Some((Ok(piece.into()), (source, write)))
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
        until: query.until()?,
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
    use futures_util::StreamExt as _;

    use super::*;
    use crate::resource::log::Stream;
    use crate::resource::time::Timestamp;

    /// Items, of which the first of each group has to be waited for, and what comes after all of them.
    struct Given(Vec<Vec<Vec<u8>>>, Option<Failure>);

    impl Source for Given {
        type Item = Vec<u8>;

        async fn next(&mut self) -> Option<Result<Vec<u8>, Failure>> {
            self.0.retain(|group| !group.is_empty());
            match self.0.first_mut() {
                Some(group) => Some(Ok(group.remove(0))),
                None => self.1.take().map(Err),
            }
        }

        fn ready(&mut self) -> Option<Vec<u8>> {
            self.0.first_mut().filter(|group| !group.is_empty()).map(|group| group.remove(0))
        }
    }

    #[tokio::test]
    async fn pieces_are_bounded_and_an_error_comes_last() {
        let groups = vec![vec![vec![b'x'; 1 << 10]; 100], vec![b"first".to_vec(), b"piece".to_vec()]];
        for (end, last) in [(Some(Failure::internal("torn")), &[None][..]), (None, &[][..])] {
            let pieces = gather(Given(groups.clone(), end), |piece, item: &Vec<u8>| piece.extend_from_slice(item));
            let pieces: Vec<_> = pieces.collect().await;
            let sizes: Vec<Option<usize>> = pieces.iter().map(|piece| piece.as_ref().ok().map(Bytes::len)).collect();
            let whole = [Some(PIECE), Some(PIECE), Some(PIECE), Some(4 << 10), Some(10)];
            assert_eq!(sizes, [&whole[..], last].concat());
        }
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
