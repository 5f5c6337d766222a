//! The two streams and who may write to them: data on standard output, all else on standard error.
//!
//! Nobody else prints. A reader that went away is no failure: what comes after is dropped, and whoever goes on forever asks
//! [`Terminal::reader_left`] or waits for [`Terminal::listener_left`].

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::cli::environment::Environment;
use crate::resource::exec::TerminalSize;

/// When control codes are written (`--ansi`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ansi {
    /// Where a terminal is.
    #[default]
    Auto,
    /// Nowhere.
    Never,
    /// Everywhere.
    Always,
}

/// The process's standard output and standard error; cheap to clone.
#[derive(Clone)]
pub(crate) struct Terminal {
    inner: Arc<Inner>,
}

struct Inner {
    streams: Mutex<Streams>,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    no_color: bool,
}

#[derive(Default)]
struct Streams {
    ansi: Ansi,
    /// Bytes of standard output that are not written yet.
    pending: Vec<u8>,
    stdout_closed: bool,
    /// Why standard output could not be written, other than that its reader left.
    stdout_failure: Option<io::Error>,
    stderr_closed: bool,
    /// Told when standard error is found to be closed.
    stderr_left: Arc<Notify>,
    /// Lines at the bottom of the terminal that are drawn again and again.
    live: Vec<String>,
    /// How many of them are on the screen.
    drawn: usize,
    /// What goes to standard error goes here instead.
    #[cfg(test)]
    recorded: Option<Arc<Mutex<Vec<u8>>>>,
}

/// Beyond so much, pending output is written even if more is to come.
const BUFFER: usize = 64 * 1024;

impl Terminal {
    /// The process's own streams.
    pub(crate) fn new(environment: &Environment) -> Self {
        let inner = Inner {
            streams: Mutex::default(),
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            no_color: environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb"),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same, but for standard error, which is kept.
    #[cfg(test)]
    pub(crate) fn recording(environment: &Environment) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let (terminal, recorded) = (Self::new(environment), Arc::default());
        terminal.lock().recorded = Some(Arc::clone(&recorded));
        (terminal, recorded)
    }

    /// Chooses when control codes are written.
    pub(crate) fn set_ansi(&self, ansi: Ansi) {
        self.lock().ansi = ansi;
    }

    /// Whether standard output is a terminal.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        self.inner.stdout_is_terminal
    }

    /// Whether standard error is a terminal.
    pub(crate) fn stderr_is_terminal(&self) -> bool {
        self.inner.stderr_is_terminal
    }

    /// Whether standard output takes colours.
    pub(crate) fn stdout_colors(&self) -> bool {
        self.colors(self.inner.stdout_is_terminal)
    }

    /// Whether standard error takes colours.
    pub(crate) fn stderr_colors(&self) -> bool {
        self.colors(self.inner.stderr_is_terminal)
    }

    fn colors(&self, is_terminal: bool) -> bool {
        match self.lock().ansi {
            Ansi::Never => false,
            Ansi::Always => true,
            Ansi::Auto => is_terminal && !self.inner.no_color,
        }
    }

    /// Rows and columns of the terminal behind standard error, else 24 by 80.
    pub(crate) fn size(&self) -> TerminalSize {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(TerminalSize { rows: 24, columns: 80 }, |size| TerminalSize { rows: size.ws_row, columns: size.ws_col })
    }

    /// Adds bytes to standard output; they are written at the next [`Self::flush`], or when many are pending.
    pub(crate) fn out(&self, bytes: &[u8]) {
        let mut streams = self.lock();
        streams.pending.extend_from_slice(bytes);
        if streams.pending.len() >= BUFFER {
            streams.flush();
        }
    }

    /// Adds a line to standard output.
    pub(crate) fn line(&self, text: &str) {
        self.out(format!("{text}\n").as_bytes());
    }

    /// Writes what is pending.
    pub(crate) fn flush(&self) {
        self.lock().flush();
    }

    /// Writes a line to standard error.
    pub(crate) fn note(&self, text: &str) {
        self.raw_note(format!("{text}\n").as_bytes());
    }

    /// Writes bytes to standard error.
    pub(crate) fn raw_note(&self, bytes: &[u8]) {
        let mut streams = self.lock();
        streams.flush();
        streams.erase();
        streams.write_error(bytes);
        streams.draw();
    }

    /// Writes a warning.
    pub(crate) fn warn(&self, text: &str) {
        let word = if self.stderr_colors() { "\x1b[1;33mwarning:\x1b[0m" } else { "warning:" };
        self.note(&format!("{word} {text}"));
    }

    /// Shows these lines below everything else, in the place of the last ones.
    pub(crate) fn show_live(&self, lines: Vec<String>) {
        let mut streams = self.lock();
        streams.live = lines;
        streams.redraw();
    }

    /// Leaves these lines above, for good, in the place of the live ones.
    pub(crate) fn settle(&self, lines: &[String]) {
        let mut streams = self.lock();
        streams.erase();
        streams.live.clear();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        streams.write_error(text.as_bytes());
    }

    /// Writes what is pending for the last time; fails if standard output did not take all that was written, unless its reader left.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let mut streams = self.lock();
        streams.flush();
        streams.stdout_failure.take().map_or(Ok(()), Err)
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn reader_left(&self) -> bool {
        self.lock().stdout_closed
    }

    /// Returns once it is found that nobody reads standard error any more; one waits for it at a time.
    pub(crate) async fn listener_left(&self) {
        let left = Arc::clone(&self.lock().stderr_left);
        left.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.inner.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.erase();
        let bytes = std::mem::take(&mut self.pending);
        if !self.stdout_closed {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
            self.stdout_closed = written.is_err();
            self.stdout_failure = written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
        }
        self.draw();
    }

    fn write_error(&mut self, bytes: &[u8]) {
        #[cfg(test)]
        if let Some(recorded) = &self.recorded {
            recorded.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            return;
        }
        if !self.stderr_closed && !bytes.is_empty() {
            let mut stderr = io::stderr().lock();
            let written = stderr.write_all(bytes).and_then(|()| stderr.flush());
            self.stderr_closed = written.is_err();
            if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                self.stderr_left.notify_one();
            }
        }
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            let codes = format!("\x1b[{}A\r\x1b[J", self.drawn);
            self.drawn = 0;
            self.write_error(codes.as_bytes());
        }
    }

    /// Draws the live lines over those on the screen in one write, between the marks that keep a terminal from showing half of it.
    fn redraw(&mut self) {
        let mut text = String::from("\x1b[?2026h");
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A\r\x1b[J", self.drawn));
        }
        self.live.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text.push_str("\x1b[?2026l");
        self.drawn = self.live.len();
        self.write_error(text.as_bytes());
    }

    fn draw(&mut self) {
        if !self.live.is_empty() {
            self.erase();
            let text: String = self.live.iter().map(|line| format!("{line}\n")).collect();
            self.drawn = self.live.len();
            self.write_error(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_lines_are_drawn_over_in_one_write() {
        let (terminal, recorded) = Terminal::recording(&Environment::default());
        let written = || std::mem::take(&mut *recorded.lock().expect("one thread"));
        terminal.show_live(vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(written(), b"\x1b[?2026hone\ntwo\n\x1b[?2026l");
        terminal.show_live(vec!["three".to_owned()]);
        assert_eq!(written(), b"\x1b[?2026h\x1b[2A\r\x1b[Jthree\n\x1b[?2026l");
        terminal.settle(&["done".to_owned()]);
        assert_eq!(written(), b"\x1b[1A\r\x1b[Jdone\n");
    }
}
