//! Showing what containers write, from their first line, through restarts, until they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::api::client::Client;
use crate::cli::output::line::LinePrinter;
use crate::compose::plan::label;
use crate::resource::container::{ContainerInfo, ContainerState, WaitCondition};
use crate::resource::event::{Event, EventKind};
use crate::resource::failure::FailureKind;
use crate::resource::log::{LogLine, LogOptions, Stream};
use crate::resource::time::Timestamp;

/// A line without an end is shown in pieces of so many bytes.
const LONGEST: usize = 1 << 20;

/// Which time stands before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// None.
    Off,
    /// When it arrived here (`up --timestamps`).
    Here,
    /// When the engine read it (`logs -t`).
    Engine,
}

/// Something a follower saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// A container ended and will not start again by itself.
    Exited {
        /// Its service.
        service: String,
        /// Its name.
        container: String,
        /// How.
        code: i32,
    },
    /// Everything that was followed ended.
    AllEnded,
}

struct Ended {
    id: String,
    name: String,
    service: String,
    state: Option<ContainerState>,
}

/// Follows the containers of some services.
pub(crate) struct Follower {
    client: Client,
    printer: LinePrinter,
    events: broadcast::Receiver<Arc<Event>>,
    /// Services that are shown; all when absent.
    services: Option<BTreeSet<String>>,
    hidden: BTreeSet<String>,
    clock: Clock,
    readers: JoinSet<Ended>,
    /// Containers that ended and will start again.
    restarting: BTreeSet<String>,
    /// Containers that were made and have not started: a successor is made before what it replaces ends.
    made: BTreeSet<String>,
    /// When each last ended: what it wrote before has been shown, or is none of this command's business.
    ended: BTreeMap<String, Timestamp>,
    /// How each last ended.
    codes: BTreeMap<String, i32>,
    /// Names of those whose start was heard of.
    started: BTreeSet<String>,
    /// Names of those that were started, though that has not been heard yet.
    unheard: BTreeSet<String>,
    /// Those that are read already when their start is heard of.
    early: BTreeSet<String>,
    /// Nothing more will be started.
    complete: bool,
    told: bool,
}

impl Follower {
    /// A follower that hears of starts through `events`, which were subscribed to before anything is started.
    pub(crate) fn new(
        client: &Client,
        printer: LinePrinter,
        events: broadcast::Receiver<Arc<Event>>,
        services: Option<BTreeSet<String>>,
        hidden: BTreeSet<String>,
        clock: Clock,
    ) -> Self {
        Self {
            client: client.clone(),
            printer,
            events,
            services,
            hidden,
            clock,
            readers: JoinSet::new(),
            restarting: BTreeSet::new(),
            made: BTreeSet::new(),
            ended: BTreeMap::new(),
            codes: BTreeMap::new(),
            started: BTreeSet::new(),
            unheard: BTreeSet::new(),
            early: BTreeSet::new(),
            complete: false,
            told: false,
        }
    }

    /// Takes note of a container that exists already: what it wrote so far is not shown again.
    pub(crate) fn know(&mut self, info: &ContainerInfo) {
        if let ContainerState::Exited { finished_at, .. } | ContainerState::Restarting { finished_at, .. } = &info.state {
            self.ended.insert(info.id.to_string(), *finished_at);
        }
    }

    /// Shows what a running container writes from now on.
    pub(crate) fn join(&mut self, info: &ContainerInfo) {
        let service = info.spec.labels.get(label::SERVICE).cloned().unwrap_or_default();
        if self.shows(&service) {
            self.read(info.id.to_string(), info.name.to_string(), service, Some(0), None);
        }
    }

    /// Shows what a container wrote and, if it runs, goes on writing, as the options say.
    pub(crate) fn replay(&mut self, info: &ContainerInfo, options: &LogOptions) {
        let service = info.spec.labels.get(label::SERVICE).cloned().unwrap_or_default();
        let options = LogOptions { follow: true, ..options.clone() };
        self.spawn(info.id.to_string(), info.name.to_string(), service, options);
    }

    /// Nothing more will be started by this command: when all have ended, that is the end.
    ///
    /// The engine says that it started a container on one connection, and tells everybody on another: those of the `started` that have
    /// not been heard of must not be taken for none.
    pub(crate) fn complete(&mut self, started: BTreeSet<String>) {
        self.complete = true;
        self.unheard = &started - &self.started;
    }

    /// What shows the lines.
    pub(crate) const fn printer(&self) -> &LinePrinter {
        &self.printer
    }

    /// Whether a service's containers are shown.
    pub(crate) fn shows(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service)) && !self.hidden.contains(service)
    }

    /// Returns what happens next. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> Occurrence {
        loop {
            while let Some(name) = self.unheard.first().cloned() {
                let found = self.client.container(&name).await;
                self.unheard.remove(&name);
                if let Ok(info) = found {
                    self.early.insert(info.id.to_string());
                    let service = info.spec.labels.get(label::SERVICE).cloned().unwrap_or_default();
                    self.read_since_last_end(info.id.to_string(), name, service);
                }
            }
            if self.complete && !self.told && self.readers.is_empty() && self.restarting.is_empty() && self.made.is_empty() {
                self.told = true;
                return Occurrence::AllEnded;
            }
            tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) => self.heard(&event),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    // The engine left: what is still read ends by itself.
                    Err(broadcast::error::RecvError::Closed) => {
                        self.restarting.clear();
                        self.made.clear();
                        match self.readers.join_next().await {
                            Some(Ok(ended)) => if let Some(exited) = self.ended(ended) { return exited },
                            Some(Err(_)) => {}
                            None if self.told => std::future::pending().await,
                            None => self.complete = true,
                        }
                    }
                },
                Some(ended) = self.readers.join_next() => {
                    if let Ok(ended) = ended && let Some(exited) = self.ended(ended) {
                        return exited;
                    }
                }
            }
        }
    }

    fn heard(&mut self, event: &Event) {
        let attribute = |key: &str| event.attributes.get(key).map(String::as_str).unwrap_or_default();
        let service = attribute(label::SERVICE);
        if event.kind != EventKind::Container
            || attribute(label::ONE_OFF) == "True"
            || event.attributes.contains_key(label::HOOK)
            || !self.shows(service)
        {
            return;
        }
        match event.action.as_str() {
            "create" => drop(self.made.insert(event.actor.clone())),
            "start" => {
                self.restarting.remove(&event.actor);
                self.made.remove(&event.actor);
                if self.early.remove(&event.actor) {
                    return;
                }
                self.told = false;
                let (name, service) = (attribute("name").to_owned(), service.to_owned());
                self.started.insert(name.clone());
                self.read_since_last_end(event.actor.clone(), name, service);
            }
            "die" => {
                self.made.remove(&event.actor);
                self.ended.insert(event.actor.clone(), event.time);
                if let Ok(code) = attribute("exitCode").parse() {
                    self.codes.insert(event.actor.clone(), code);
                }
            }
            "stop" | "destroy" => {
                self.restarting.remove(&event.actor);
                self.made.remove(&event.actor);
            }
            _ => {}
        }
    }

    fn ended(&mut self, ended: Ended) -> Option<Occurrence> {
        let Ended { id, name, service, state } = ended;
        let (code, again) = match &state {
            Some(ContainerState::Exited { status, .. }) => (status.code, false),
            Some(ContainerState::Restarting { status, .. }) => (status.code, true),
            Some(ContainerState::Running { .. }) => (self.codes.get(&id).copied().unwrap_or(0), true),
            _ => (self.codes.get(&id).copied()?, false),
        };
        if again {
            self.printer.status(&name, &format!("exited with code {code} (restarting)"));
            if matches!(state, Some(ContainerState::Restarting { .. })) {
                self.restarting.insert(id);
            }
            return None;
        }
        let why = match &state {
            Some(ContainerState::Exited { status, .. }) if status.out_of_memory => " (out of memory)",
            _ => "",
        };
        self.printer.status(&name, &format!("exited with code {code}{why}"));
        Some(Occurrence::Exited { service, container: name, code })
    }

    fn read_since_last_end(&mut self, id: String, name: String, service: String) {
        let since = self.ended.get(&id).map(|time| time.after(Duration::from_nanos(1)));
        self.read(id, name, service, None, since);
    }

    fn read(&mut self, id: String, name: String, service: String, tail: Option<u64>, since: Option<Timestamp>) {
        let timestamps = self.clock == Clock::Engine;
        let options = LogOptions { stdout: true, stderr: true, follow: true, timestamps, tail, since, until: None };
        self.spawn(id, name, service, options);
    }

    fn spawn(&mut self, id: String, name: String, service: String, options: LogOptions) {
        self.printer.register(&name);
        let (client, printer, clock) = (self.client.clone(), self.printer.clone(), self.clock);
        self.readers.spawn(async move {
            show(&client, &printer, &id, &name, &options, clock).await;
            let state = client.container(&id).await.ok().map(|info| info.state);
            Ended { id, name, service, state }
        });
    }
}

/// Shows a container's lines until they end; pieces of one line are put together first.
pub(crate) async fn show(client: &Client, printer: &LinePrinter, id: &str, name: &str, options: &LogOptions, clock: Clock) {
    let mut place = Place::beginning(options);
    let mut log = match client.logs(id, options).await {
        Ok(log) => log,
        Err(failure) => {
            printer.terminal().warn(&format!("cannot show what {name} writes: {failure}"));
            // Whose output goes nowhere has an end all the same.
            if options.follow && failure.kind == FailureKind::Unsupported {
                let _ = client.wait_container(id, WaitCondition::NotRunning).await;
            }
            return;
        }
    };
    let mut pieces = Pieces::default();
    loop {
        // What is there is written at once; standard output is flushed when there is nothing more for now.
        let line = {
            let mut next = std::pin::pin!(log.next());
            match futures_util::poll!(next.as_mut()) {
                Poll::Ready(line) => line,
                Poll::Pending => {
                    printer.terminal().flush();
                    next.await
                }
            }
        };
        match line {
            Some(Ok(line)) => {
                if place.has_passed(&line) {
                    continue;
                }
                if let Some(line) = pieces.add(line) {
                    print(printer, name, &line, clock);
                }
                if printer.terminal().reader_left() {
                    return;
                }
            }
            // The engine was killed. Its successor, which is waited for like any that starts, has the same log.
            Some(Err(failure)) if failure.kind == FailureKind::Unavailable && options.follow => {
                match client.logs(id, &place.resume(options)).await {
                    Ok(resumed) => log = resumed,
                    Err(failure) => {
                        printer.terminal().warn(&format!("cannot show any more of what {name} writes: {failure}"));
                        break;
                    }
                }
            }
            Some(Err(failure)) => {
                printer.terminal().warn(&format!("cannot show any more of what {name} writes: {failure}"));
                break;
            }
            None => break,
        }
    }
    for line in pieces.rest() {
        print(printer, name, &line, clock);
    }
    printer.terminal().flush();
}

/// How far a log was read, so that it can be gone on with elsewhere. Lines that were read at once have the same time.
struct Place {
    time: Option<Timestamp>,
    /// So many lines of that time were read.
    count: usize,
    /// So many lines of that time come again, and are passed over.
    again: usize,
}

impl Place {
    fn beginning(options: &LogOptions) -> Self {
        // Whoever wants no more than the last lines wants all that follow.
        Self { time: options.tail.map(|_| now()).or(options.since), count: 0, again: 0 }
    }

    /// Counts a line in; says whether it was read before.
    fn has_passed(&mut self, line: &LogLine) -> bool {
        if self.again > 0 && self.time == Some(line.time) {
            self.again -= 1;
            return true;
        }
        self.again = 0;
        if self.time != Some(line.time) {
            (self.time, self.count) = (Some(line.time), 0);
        }
        self.count += 1;
        false
    }

    fn resume(&mut self, options: &LogOptions) -> LogOptions {
        self.again = self.count;
        LogOptions { since: self.time, tail: None, ..options.clone() }
    }
}

/// Writes one line.
pub(crate) fn print(printer: &LinePrinter, name: &str, line: &LogLine, clock: Clock) {
    let time = match clock {
        Clock::Off => None,
        Clock::Here => Some(now()),
        Clock::Engine => Some(line.time),
    };
    printer.line(name, line.stream, time, &line.text);
}

/// This machine's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_nanos(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
}

/// Puts together lines that came in pieces, each stream's apart.
#[derive(Default)]
pub(crate) struct Pieces {
    stdout: Option<LogLine>,
    stderr: Option<LogLine>,
}

impl Pieces {
    /// Takes a line or a piece of one; returns the line when it is whole.
    pub(crate) fn add(&mut self, line: LogLine) -> Option<LogLine> {
        let open = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let whole = match open.take() {
            Some(mut begun) => {
                begun.text.extend_from_slice(&line.text);
                begun
            }
            None => line,
        };
        if whole.text.ends_with(b"\n") || whole.text.len() >= LONGEST {
            return Some(whole);
        }
        *open = Some(whole);
        None
    }

    /// Lines that never ended.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = LogLine> {
        self.stdout.take().into_iter().chain(self.stderr.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_where_it_broke_off() {
        let all = LogOptions { stdout: true, stderr: true, follow: true, timestamps: false, tail: None, since: None, until: None };
        let line = |time, text: &str| LogLine { time: Timestamp::from_nanos(time), stream: Stream::Stdout, text: text.as_bytes().to_vec() };
        let mut place = Place::beginning(&all);
        let shown = |place: &mut Place, lines: &[LogLine]| -> String {
            lines.iter().filter(|line| !place.has_passed(line)).map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
        };
        assert_eq!(shown(&mut place, &[line(1, "a"), line(2, "b"), line(2, "c")]), "abc");
        assert_eq!(place.resume(&all).since, Some(Timestamp::from_nanos(2)));
        assert_eq!(shown(&mut place, &[line(2, "b"), line(2, "c"), line(2, "d"), line(3, "e")]), "de");
    }

    #[test]
    fn pieces_become_lines() {
        let piece = |stream, text: &str| LogLine { time: Timestamp::from_nanos(0), stream, text: text.as_bytes().to_vec() };
        let mut pieces = Pieces::default();
        assert_eq!(pieces.add(piece(Stream::Stdout, "a")), None);
        assert_eq!(pieces.add(piece(Stream::Stderr, "x\n")), Some(piece(Stream::Stderr, "x\n")));
        assert_eq!(pieces.add(piece(Stream::Stdout, "b\n")), Some(piece(Stream::Stdout, "ab\n")));
        assert_eq!(pieces.add(piece(Stream::Stdout, "rest")), None);
        assert_eq!(pieces.rest().collect::<Vec<_>>(), [piece(Stream::Stdout, "rest")]);
    }
}
