//! The streams of a process, joined to those of this one: bytes both ways unchanged, the terminal's keys, size and signals.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::oneshot;

use crate::api::client::Client;
use crate::api::client::hijack::{Hijacked, HijackedWriter};
use crate::cli::error::CommandError;
use crate::cli::interrupt::listen;
use crate::cli::output::terminal::Terminal;
use crate::resource::detach::{DetachKeys, DetachWatch};
use crate::resource::exec::TerminalSize;
use crate::resource::failure::Failure;
use crate::resource::id::ExecId;
use crate::resource::log::Stream;

/// Whose streams they are.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// A command beside a container's own.
    Exec(ExecId),
    /// A container, by id.
    Container(String),
}

/// How streams are joined.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Whose they are.
    pub(crate) peer: Peer,
    /// It has a terminal; ours passes every key on.
    pub(crate) tty: bool,
    /// Our standard input is sent.
    pub(crate) interactive: bool,
    /// Signals that this process gets go to the container; otherwise they end the relay.
    pub(crate) proxy: bool,
    /// The keys that lead away from a terminal.
    pub(crate) keys: DetachKeys,
}

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parted {
    /// Nothing more is written.
    Ended,
    /// The keys were pressed; what runs goes on.
    Detached,
    /// A signal came that is nobody else's.
    Interrupted,
}

/// The signals of a user that a container gets in our place, by name.
const PROXIED: [(&str, SignalKind); 6] = [
    ("SIGINT", SignalKind::interrupt()),
    ("SIGTERM", SignalKind::terminate()),
    ("SIGHUP", SignalKind::hangup()),
    ("SIGQUIT", SignalKind::quit()),
    ("SIGUSR1", SignalKind::user_defined1()),
    ("SIGUSR2", SignalKind::user_defined2()),
];

/// The size of the terminal behind standard output, if there is one.
pub(crate) fn window() -> Option<TerminalSize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(TerminalSize { rows: size.ws_row, columns: size.ws_col })
}

/// Whether a person sits at both ends of this process.
pub(crate) fn on_a_terminal(terminal: &Terminal) -> bool {
    std::io::stdin().is_terminal() && terminal.stdout_is_terminal()
}

/// Refuses to give a terminal to what gets its input from elsewhere, as Docker does.
pub(crate) fn check_input(tty: bool, interactive: bool) -> Result<(), CommandError> {
    if tty && interactive && !std::io::stdin().is_terminal() {
        return Err(CommandError::local("the input device is not a TTY")
            .hint("leave the terminal out with `-T`, or the input with `--interactive=false`"));
    }
    Ok(())
}

/// Signals as they come in; from its making on they no longer end this process.
pub(crate) struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let listened = PROXIED.into_iter().map(|(name, kind)| Ok((name, listen(kind)?)));
        Ok(Self(listened.collect::<Result<_, CommandError>>()?))
    }

    /// The name of the next that came.
    pub(crate) async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            for (name, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

impl Relay {
    /// Carries bytes until one side has enough.
    pub(crate) async fn carry(
        &self,
        terminal: &Terminal,
        client: &Client,
        streams: Hijacked,
        signals: &mut Signals,
    ) -> Result<Parted, CommandError> {
        let _raw = if self.tty && self.interactive && std::io::stdin().is_terminal() { Some(Raw::enter()?) } else { None };
        let (mut reader, writer) = streams.split();
        let mut resized = listen(SignalKind::window_change())?;
        let (away, mut detached) = oneshot::channel();
        let watch = self.tty.then(|| self.keys.clone().watch());
        // Reading goes on by itself: the command may end while nobody types.
        let input = self.interactive.then(|| tokio::spawn(send_input(writer, watch, away)));
        let mut typing = input.is_some();
        let outcome = loop {
            tokio::select! {
                // The keys come first: the engine ends the streams for them, too.
                biased;
                away = &mut detached, if typing => {
                    typing = false;
                    if away.is_ok() {
                        break Ok(Parted::Detached);
                    }
                }
                _ = resized.recv(), if self.tty => self.resize(client).await,
                signal = signals.next() => {
                    if !self.proxy {
                        break Ok(Parted::Interrupted);
                    }
                    if let Peer::Container(id) = &self.peer {
                        // It may have ended just now.
                        let _ = client.kill_container(id, signal).await;
                    }
                }
                frame = reader.next() => match frame {
                    Some(Ok((Stream::Stderr, bytes))) if !self.tty => terminal.raw_note(&bytes),
                    Some(Ok((_, bytes))) => {
                        terminal.out(&bytes);
                        terminal.flush();
                        // Whoever read it may have left; then nobody misses the rest.
                        if terminal.reader_left() {
                            break Ok(Parted::Ended);
                        }
                    }
                    Some(Err(failure)) => break Err(failure.into()),
                    None => break Ok(Parted::Ended),
                },
            }
        };
        if let Some(input) = input {
            input.abort();
        }
        outcome
    }

    /// Waits for something while signals still go to the container.
    pub(crate) async fn proxied<T>(
        &self,
        client: &Client,
        signals: &mut Signals,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, CommandError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done?),
                signal = signals.next() => match &self.peer {
                    Peer::Container(id) if self.proxy => drop(client.kill_container(id, signal).await),
                    _ => return Err(CommandError::told(CommandError::INTERRUPTED)),
                },
            }
        }
    }

    /// Has what runs draw its screen again, for somebody who did not see it: a program draws when the size changes.
    pub(crate) async fn redraw(&self, client: &Client) {
        let (Peer::Container(id), Some(size)) = (&self.peer, window()) else { return };
        let other = TerminalSize { rows: size.rows.saturating_add(1), columns: size.columns.saturating_add(1) };
        // What it belongs to may have ended just now.
        let _ = client.resize_container(id, other).await;
        self.resize(client).await;
    }

    /// Tells the other terminal how large ours is.
    pub(crate) async fn resize(&self, client: &Client) {
        if let Some(size) = window() {
            // What it belongs to may have ended just now.
            let _ = match &self.peer {
                Peer::Exec(id) => client.exec_resize(id, size).await,
                Peer::Container(id) => client.resize_container(id, size).await,
            };
        }
    }
}

/// Sends what is typed, to its end or to the keys that lead away.
async fn send_input(mut writer: HijackedWriter, mut watch: Option<DetachWatch>, away: oneshot::Sender<()>) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 * 1024];
    let mut through = Vec::new();
    while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
        through.clear();
        let leaves = watch.as_mut().is_some_and(|watch| watch.pass(&buffer[..read], &mut through));
        // The engine looks for the keys, too, and must see them to leave the process's input open.
        if writer.write(&buffer[..read]).await.is_err() {
            return;
        }
        if leaves {
            // Nobody listens if the process ended meanwhile.
            let _ = away.send(());
            return;
        }
    }
    // What fails here fails because the command ended.
    let _ = writer.close().await;
}

/// The terminal passes every key on, until this is dropped.
pub(crate) struct Raw(Termios);

impl Raw {
    /// Has it pass them on.
    pub(crate) fn enter() -> Result<Self, CommandError> {
        let wrong = |error| CommandError::local(format!("cannot make the terminal raw: {error}"));
        let before = tcgetattr(std::io::stdin().as_fd()).map_err(wrong)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &raw).map_err(wrong)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}
