//! Logs in a folder of the test's own, written as a shim writes them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use super::*;
use crate::engine::container::state::Change;
use crate::engine::runtime::rotation;
use crate::resource::time::Timestamp;

struct Log {
    folder: tempfile::TempDir,
    file: File,
    life: watch::Sender<Life>,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = OpenOptions::new().create(true).append(true).open(folder.path().join("log")).expect("a file");
        let mut life = Life::new();
        life.change(Change::Started { pid: 1, at: Timestamp::from_nanos(0) }).expect("a legal change");
        Self { folder, file, life: watch::Sender::new(life) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn write(&mut self, numbers: std::ops::Range<i64>) {
        for number in numbers {
            let (stream, time) = (if number % 2 == 0 { "stdout" } else { "stderr" }, Timestamp::from_nanos(number));
            self.write_raw(&format!("{{\"log\":\"{number}\\n\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n"));
        }
    }

    fn write_raw(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).expect("written");
    }

    fn rotate(&mut self, files: u32) {
        let name = |number| rotation::numbered(&self.path(), number);
        for number in (0..files - 1).rev() {
            let _ = fs::rename(name(number), name(number + 1));
            let _ = fs::rename(rotation::compressed(&name(number)), rotation::compressed(&name(number + 1)));
        }
        self.file = OpenOptions::new().create(true).append(true).open(self.path()).expect("a file");
    }

    async fn open(&self, options: &LogOptions) -> LogReader {
        LogReader::open(&LogWatcher::default(), &self.path(), options, Ended::of(self.life.subscribe())).await.expect("opened")
    }
}

const ALL: LogOptions = LogOptions { stdout: true, stderr: true, follow: false, timestamps: false, tail: None, since: None, until: None };

async fn rest(mut reader: LogReader) -> Vec<i64> {
    let mut numbers = Vec::new();
    let number = |line: LogLine| String::from_utf8(line.text).expect("text").trim_end().parse().expect("a number");
    while let Some(line) = reader.next().await {
        numbers.push(number(line.expect("readable")));
        numbers.extend(std::iter::from_fn(|| reader.ready()).map(number));
    }
    numbers
}

#[tokio::test]
async fn options_select() {
    let mut log = Log::new();
    log.write(0..3);
    log.rotate(3);
    log.write(3..5);
    log.write_raw("damaged\n");
    log.write(5..6);
    log.write_raw("{\"log\":\"half");
    let at = |nanos| Some(Timestamp::from_nanos(nanos));
    let check = async |options: LogOptions, expected: &[i64]| assert_eq!(rest(log.open(&options).await).await, expected, "{options:?}");
    check(ALL, &[0, 1, 2, 3, 4, 5]).await;
    check(LogOptions { stderr: false, ..ALL }, &[0, 2, 4]).await;
    check(LogOptions { tail: Some(4), ..ALL }, &[3, 4, 5]).await;
    check(LogOptions { tail: Some(0), ..ALL }, &[]).await;
    check(LogOptions { since: at(2), ..ALL }, &[2, 3, 4, 5]).await;
    check(LogOptions { since: at(1), until: at(3), ..ALL }, &[1, 2, 3]).await;
    check(LogOptions { follow: true, until: at(3), ..ALL }, &[0, 1, 2, 3]).await;
    rotation::compress(&rotation::numbered(&log.path(), 1)).expect("compressed");
    check(ALL, &[0, 1, 2, 3, 4, 5]).await;
    check(LogOptions { tail: Some(4), ..ALL }, &[3, 4, 5]).await;
    // Who wants no more than the newest file has need not be able to read the others.
    fs::create_dir(rotation::compressed(&rotation::numbered(&log.path(), 2))).expect("no file");
    check(LogOptions { tail: Some(1), ..ALL }, &[5]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_nothing_while_files_rotate() {
    follow_rotations(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_nothing_while_files_are_compressed() {
    follow_rotations(|log| rotation::compress(&rotation::numbered(&log.path(), 1)).expect("compressed")).await;
}

async fn follow_rotations(then: impl Fn(&Log) + Send + 'static) {
    let mut log = Log::new();
    log.write(0..10);
    let options = LogOptions { follow: true, tail: Some(5), ..ALL };
    let reader = tokio::spawn(rest(log.open(&options).await));
    let writer = std::thread::spawn(move || {
        for round in 1..300 {
            log.write(round * 10..round * 10 + 10);
            if round % 7 == 0 {
                // More files than the reader can fall behind in this test.
                log.rotate(1000);
                then(&log);
            }
        }
        log.life.send_modify(|life| life.ends += 1);
        log
    });
    let read = reader.await.expect("no panic");
    let broken = read.windows(2).find(|pair| pair[0] + 1 != pair[1]);
    assert_eq!((read.first(), read.last(), broken), (Some(&5), Some(&2999), None));
    writer.join().expect("no panic");
}

#[tokio::test]
async fn what_was_read_need_not_be_waited_for() {
    let mut log = Log::new();
    log.write(0..6);
    let until = Some(Timestamp::from_nanos(4));
    let mut reader = log.open(&LogOptions { stderr: false, until, ..ALL }).await;
    assert_eq!(reader.ready(), None);
    assert_eq!(reader.next().await.expect("a line").expect("readable").text, b"0\n");
    let ready: Vec<_> = std::iter::from_fn(|| reader.ready()).map(|line| line.text).collect();
    assert_eq!(ready, [b"2\n", b"4\n"]);
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn a_line_comes_whole_and_an_emptied_file_begins_anew() {
    let mut log = Log::new();
    let mut reader = log.open(&LogOptions { follow: true, ..ALL }).await;
    log.write_raw("{\"log\":\"half");
    let waiting = tokio::spawn(async move {
        let line = reader.next().await;
        (line, reader)
    });
    tokio::task::yield_now().await;
    log.write_raw(" and half of a long one\",\"stream\":\"stdout\",\"time\":\"2026-01-31T12:00:00Z\"}\n");
    let (line, reader) = waiting.await.expect("no panic");
    assert_eq!(line.expect("a line").expect("readable").text, b"half and half of a long one");
    let (mut reader, whole) = (reader, log.file.metadata().expect("a file").len());
    let nothing_comes =
        async |reader: &mut LogReader| assert!(tokio::time::timeout(std::time::Duration::from_millis(50), reader.next()).await.is_err());
    log.write_raw("{\"log\":\"this did not fit on the");
    nothing_comes(&mut reader).await;
    log.file.set_len(whole).expect("cut");
    nothing_comes(&mut reader).await;
    log.write(3..4);
    assert_eq!(reader.next().await.expect("a line").expect("readable").text, b"3\n");
    let waiting = tokio::spawn(rest(reader));
    log.file.set_len(0).expect("emptied");
    log.file = OpenOptions::new().append(true).open(log.path()).expect("a file");
    log.write(1..2);
    log.life.send_modify(|life| life.ends += 1);
    assert_eq!(waiting.await.expect("no panic"), [1]);
}
