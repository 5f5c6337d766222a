//! `--debug-shell`: this process's streams, joined to a shell in the state before a step that failed.

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::cli::interrupt::listen;
use crate::cli::output::build::Teller;
use crate::cli::output::progress::Progress;
use crate::cli::output::terminal::Terminal;
use crate::cli::relay::{self, Raw};
use crate::resource::build::{BuildEvent, BuildShell, ShellInput};

/// Pieces that may wait to be sent.
const WAITING: usize = 16;

/// A shell that may come.
pub(crate) struct DebugShell {
    terminal: Terminal,
    progress: Progress,
    /// It has a terminal, as this process has one.
    tty: bool,
    typing: Sender<ShellInput>,
    typed: Option<Receiver<ShellInput>>,
    open: Option<Open>,
    /// It is or was there: of other steps nobody wants to hear any more.
    pub(crate) came: bool,
}

/// What there is while a shell runs.
struct Open {
    _raw: Option<Raw>,
    reading: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl DebugShell {
    /// Prepares for one.
    pub(crate) fn new(terminal: &Terminal, progress: &Progress) -> Self {
        let (typing, typed) = channel(WAITING);
        let tty = relay::on_a_terminal(terminal) && relay::window().is_some();
        Self { terminal: terminal.clone(), progress: progress.clone(), tty, typing, typed: Some(typed), open: None, came: false }
    }

    /// What is asked of the engine.
    pub(crate) fn wish(&self) -> BuildShell {
        BuildShell { terminal: if self.tty { relay::window() } else { None } }
    }

    /// What is typed, once.
    pub(crate) fn typed(&mut self) -> Option<Receiver<ShellInput>> {
        self.typed.take()
    }

    /// Hears what happens; all that is no shell's is handed on.
    pub(crate) fn hear(&mut self, event: BuildEvent, teller: &mut Teller) {
        match event {
            BuildEvent::ShellOpened { program } => {
                self.came = true;
                self.progress.clone().finish();
                self.terminal.note(&format!("a shell in the state before that step: {program}; it goes when you leave"));
                let raw = if self.tty { Raw::enter().ok() } else { None };
                self.open = Some(Open { _raw: raw, reading: tokio::spawn(read(self.typing.clone(), self.tty)) });
            }
            BuildEvent::Shell { error: true, bytes } => self.terminal.raw_note(&bytes),
            BuildEvent::Shell { error: false, bytes } => {
                self.terminal.out(&bytes);
                self.terminal.flush();
            }
            BuildEvent::ShellClosed => self.open = None,
            // The failure that it came for is told already.
            _ if self.came => {}
            event => teller.hear(event),
        }
    }
}

/// Passes on what is typed, to its end, and the size of the window.
async fn read(typing: Sender<ShellInput>, tty: bool) {
    let keys = async {
        let mut stdin = tokio::io::stdin();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = stdin.read(&mut buffer).await.unwrap_or(0);
            if typing.send(ShellInput::Bytes(buffer[..length].to_vec())).await.is_err() || length == 0 {
                return;
            }
        }
    };
    let window = async {
        let Ok(mut resized) = listen(SignalKind::window_change()) else { return };
        while resized.recv().await.is_some() {
            if let (true, Some(size)) = (tty, relay::window())
                && typing.send(ShellInput::Size(size)).await.is_err()
            {
                return;
            }
        }
    };
    tokio::join!(keys, window);
}
