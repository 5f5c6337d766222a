//! Hooks: commands of the user's in the life of containers. What they write is shown where somebody looks, and its end where one fails.

use std::collections::VecDeque;

use crate::api::client::Client;
use crate::cli::error::{About, CommandError};
use crate::cli::follow::{self, Clock};
use crate::cli::output::line::LinePrinter;
use crate::compose::plan;
use crate::compose::project::model::Service;
use crate::resource::container::{ContainerSpec, WaitCondition};
use crate::resource::exec::ExecSpec;
use crate::resource::failure::FailureKind;
use crate::resource::log::{LogOptions, Stream};
use crate::resource::name::ContainerName;
use crate::resource::operation::{HookKind, Operation};

/// So many of the last lines of a hook that failed are told.
const LAST_LINES: usize = 10;
/// A line without an end is shown in pieces of so many bytes.
const LONGEST: usize = 1 << 20;

/// A hook, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook<'a> {
    pub(super) service: &'a str,
    pub(super) kind: &'static str,
    pub(super) index: usize,
}

impl<'a> Hook<'a> {
    pub(super) const fn exec(service: &'a str, kind: HookKind, index: usize) -> Self {
        Self { service, kind: kind.word(), index }
    }

    pub(super) const fn pre_start(service: &'a str, index: usize) -> Self {
        Self { service, kind: "pre_start", index }
    }

    fn failed(self, code: i32, lines: &VecDeque<String>) -> CommandError {
        let Self { service, kind, index } = self;
        let error = CommandError::new(format!("service \"{service}\" {kind}[{index}]: hook exited with status {code}"));
        let lines: String = lines.iter().map(|line| format!("| {line}\n")).collect();
        let error = if lines.is_empty() { error } else { error.detail(format!("its last lines:\n{lines}")) };
        self.about(error)
    }

    fn about(self, error: CommandError) -> CommandError {
        error.about(About::Hook(self.service.to_owned(), self.kind))
    }

    fn during(self, error: impl Into<CommandError>) -> CommandError {
        let Self { service, kind, index } = self;
        self.about(error.into().during(&format!("service \"{service}\" {kind}[{index}]")))
    }
}

/// Runs a command in a container that runs.
pub(super) async fn run(
    client: &Client,
    printer: Option<&LinePrinter>,
    container: &str,
    hook: Hook<'_>,
    exec: &ExecSpec,
) -> Result<(), CommandError> {
    let id = match client.exec_create(container, exec).await {
        Ok(id) => id,
        // It ended by itself a moment ago, and is what the stop is to make of it.
        Err(failure) if hook.kind == HookKind::PreStop.word() && matches!(failure.kind, FailureKind::Conflict | FailureKind::NotFound) => {
            return Ok(());
        }
        Err(failure) => return Err(hook.during(failure)),
    };
    let streams = client.exec_start(&id, false, false).await.map_err(|failure| hook.during(failure))?;
    let mut lines = Lines::new(printer, container);
    if let Some(streams) = streams {
        // Half of the connection is no more than that: closed, it would end the other, too.
        let (mut reader, _writer) = streams.split();
        while let Some(frame) = reader.next().await {
            let (stream, bytes) = frame.map_err(|failure| hook.during(failure))?;
            lines.add(stream, &bytes);
        }
    }
    let last = lines.end();
    match client.exec_inspect(&id).await.map_err(|failure| hook.during(failure))?.exit_code {
        Some(0) => Ok(()),
        Some(code) => Err(hook.failed(code, &last)),
        None => Err(hook.during(CommandError::new("the engine does not tell how it ended"))),
    }
}

/// Runs what a service wants to run after a start in a container of a command that runs once, which may be at its end before.
pub(super) async fn after_run(client: &Client, service: &Service, container: &str) -> Result<(), CommandError> {
    for operation in plan::post_start(service, container) {
        let Operation::RunHook { service, kind, index, exec, .. } = operation else { continue };
        let failed = run(client, None, container, Hook::exec(&service, kind, index), &exec).await.err();
        if let Some(error) = failed {
            let runs = client.container(container).await.is_ok_and(|info| info.state.is_running());
            return if runs { Err(error) } else { Ok(()) };
        }
    }
    Ok(())
}

/// Runs a container to its end. It goes, but where it failed: then it stays, to be looked at.
pub(super) async fn run_container(
    client: &Client,
    printer: Option<&LinePrinter>,
    name: &ContainerName,
    hook: Hook<'_>,
    spec: &ContainerSpec,
) -> Result<(), CommandError> {
    let name = name.as_str();
    client.create_container(Some(name), spec).await.map_err(|failure| hook.during(failure))?;
    let end = client.watch_container(name, WaitCondition::NextExit).await.map_err(|failure| hook.during(failure))?;
    if let Err(failure) = client.start_container(name).await {
        // What never ran shows nothing to whoever looks.
        let _ = client.remove_container(name, true, true).await;
        return Err(hook.during(failure));
    }
    if let Some(printer) = printer {
        let options = LogOptions { follow: true, ..last_lines(None) };
        follow::show(client, printer, name, &format!("{name} ->"), &options, Clock::Off).await;
    }
    let status = end.status().await.map_err(|failure| hook.during(failure))?;
    if status.code == 0 {
        return client.remove_container(name, true, true).await.map_err(|failure| hook.during(failure));
    }
    let mut lines = VecDeque::new();
    if let Ok(mut log) = client.logs(name, &last_lines(Some(LAST_LINES as u64))).await {
        while let Some(Ok(line)) = log.next().await {
            lines.push_back(String::from_utf8_lossy(&line.text).trim_end().to_owned());
        }
    }
    let kept = format!("container {name} is kept to be looked at; the next `up` or `down` removes it");
    Err(hook.failed(status.code, &lines).detail(kept))
}

const fn last_lines(tail: Option<u64>) -> LogOptions {
    LogOptions { stdout: true, stderr: true, follow: false, timestamps: false, tail, since: None, until: None }
}

/// What a hook writes, line by line, and the last of it.
struct Lines<'a> {
    printer: Option<&'a LinePrinter>,
    name: String,
    /// Of each output what has no end yet.
    open: [Vec<u8>; 2],
    last: VecDeque<String>,
}

impl<'a> Lines<'a> {
    fn new(printer: Option<&'a LinePrinter>, container: &str) -> Self {
        // Docker Compose's mark of what a hook writes.
        Self { printer, name: format!("{container} ->"), open: Default::default(), last: VecDeque::new() }
    }

    fn add(&mut self, stream: Stream, bytes: &[u8]) {
        let place = usize::from(stream == Stream::Stderr);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open[place].extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.open[place].len() >= LONGEST {
                let line = std::mem::take(&mut self.open[place]);
                self.show(stream, &line);
            }
        }
        if let Some(printer) = self.printer {
            printer.terminal().flush();
        }
    }

    fn show(&mut self, stream: Stream, line: &[u8]) {
        if let Some(printer) = self.printer {
            printer.line(&self.name, stream, None, line);
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned());
    }

    fn end(mut self) -> VecDeque<String> {
        for (place, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            let line = std::mem::take(&mut self.open[place]);
            if !line.is_empty() {
                self.show(stream, &line);
            }
        }
        if let Some(printer) = self.printer {
            printer.terminal().flush();
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines_and_the_last_of_them_are_kept() {
        let mut lines = Lines::new(None, "p-web-1");
        lines.add(Stream::Stdout, b"be");
        lines.add(Stream::Stderr, b"wrong\r\n");
        lines.add(Stream::Stdout, b"gun\nand ");
        lines.add(Stream::Stdout, b"on");
        assert_eq!(lines.end(), ["wrong", "begun", "and on"]);
        let mut many = Lines::new(None, "p-web-1");
        (0..30).for_each(|number| many.add(Stream::Stdout, format!("{number}\n").as_bytes()));
        assert_eq!(many.end(), (20..30).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
