//! What a container wrote, as it comes.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::api::client::answer;
use crate::api::client::hijack::Framing;
use crate::api::wire::frame::{Channel, Decoder};
use crate::resource::failure::Failure;
use crate::resource::log::{LogLine, Stream};
use crate::resource::time::Timestamp;

/// What a container wrote.
#[derive(Debug)]
pub struct LogStream {
    stream: answer::Stream,
    frames: Option<Decoder>,
    /// A terminal's bytes that are no whole line yet.
    partial: BytesMut,
    ready: VecDeque<LogLine>,
    /// The time of the line before.
    last: Timestamp,
}

impl LogStream {
    /// The lines of a body, each behind its time.
    pub(super) fn new(stream: answer::Stream, framing: Framing) -> Self {
        let frames = (framing == Framing::Frames).then(Decoder::default);
        Self { stream, frames, partial: BytesMut::new(), ready: VecDeque::new(), last: Timestamp::from_nanos(0) }
    }

    /// Returns the next line; `None` at the end. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Result<LogLine, Failure>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            let taken = match &mut self.frames {
                Some(frames) => frames.take(),
                None => Ok(None),
            };
            match taken {
                Ok(Some((Channel::Output(stream), bytes))) => {
                    // One message is one frame; a line is not copied for the sake of an engine that puts several into one.
                    if bytes.len() > 1 && bytes[..bytes.len() - 1].contains(&b'\n') {
                        bytes.split_inclusive(|byte| *byte == b'\n').for_each(|line| self.add(stream, line.to_vec()));
                    } else if !bytes.is_empty() {
                        self.add(stream, bytes);
                    }
                    continue;
                }
                Ok(Some((Channel::Engine, bytes))) => return Some(Err(Failure::internal(String::from_utf8_lossy(&bytes).trim()))),
                Ok(None) => {}
                Err(error) => return Some(Err(Failure::internal(error.to_string()))),
            }
            match self.stream.next().await {
                Some(Ok(data)) => match &mut self.frames {
                    Some(frames) => frames.push(&data),
                    None => self.add_raw(&data),
                },
                Some(Err(failure)) => return Some(Err(failure)),
                None if self.partial.is_empty() => {
                    let end = self.frames.take().map_or(Ok(()), |frames| frames.finish());
                    return end.err().map(|error| Err(Failure::unavailable(error.to_string())));
                }
                None => {
                    let rest = std::mem::take(&mut self.partial);
                    self.add(Stream::Stdout, rest.to_vec());
                }
            }
        }
    }

    fn add_raw(&mut self, data: &[u8]) {
        self.partial.extend_from_slice(data);
        if let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') {
            let whole = self.partial.split_to(end + 1);
            whole.split_inclusive(|byte| *byte == b'\n').for_each(|line| self.add(Stream::Stdout, line.to_vec()));
        }
    }

    /// Takes the time off a line. What has none, as when a terminal's long line comes in parts, goes on with the line before.
    fn add(&mut self, stream: Stream, mut line: Vec<u8>) {
        let space = line.iter().take(40).position(|byte| *byte == b' ');
        if let Some(end) = space
            && let Some(time) = std::str::from_utf8(&line[..end]).ok().and_then(|text| text.parse().ok())
        {
            self.last = time;
            line.drain(..=end);
        }
        self.ready.push_back(LogLine { time: self.last, stream, text: line });
    }
}
