//! `exec`: a command in a container that runs, with its input, output, terminal and exit code.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::SignalKind;

use crate::api::client::Client;
use crate::api::client::hijack::{Hijacked, HijackedWriter};
use crate::cli::args::inspect::ExecArgs;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::interrupt::{Interrupt, listen};
use crate::cli::observe;
use crate::compose::plan::{ObservedState, Replica};
use crate::resource::exec::{ExecSpec, TerminalSize};
use crate::resource::id::ExecId;
use crate::resource::log::Stream;
use crate::resource::name::ServiceName;

/// Runs the command.
pub(super) async fn run(args: ExecArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, _) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::project(client, &name, None).await?;
    let container = choose(&observed, &args.service, args.index)?;
    let terminal = std::io::stdin().is_terminal() && context.terminal.stdout_is_terminal();
    let tty = terminal && args.tty && !args.no_tty;
    let variable = |text: &String| match text.split_once('=') {
        Some(_) => Some(text.clone()),
        None => context.environment.variables().get(text).map(|value| format!("{text}={value}")),
    };
    let spec = ExecSpec {
        command: args.command,
        environment: args.env.iter().filter_map(variable).collect(),
        working_dir: args.workdir,
        user: args.user,
        tty: tty && !args.detach,
        privileged: args.privileged,
        stdin: args.interactive && !args.detach,
        stdout: !args.detach,
        stderr: !args.detach,
        detach_keys: None,
        size: tty.then(window).flatten(),
    };
    let id = client.exec_create(&container.info.id.to_string(), &spec).await?;
    let streams = client.exec_start(&id, spec.tty, args.detach).await?;
    let Some(streams) = streams.filter(|_| !args.detach) else { return Ok(0) };
    {
        let _raw = if spec.tty { Some(Raw::enter()?) } else { None };
        relay(context, client, &id, streams, spec.tty, args.interactive).await?;
    }
    context.terminal.flush();
    let code = client.exec_inspect(&id).await?.exit_code.unwrap_or(0);
    Ok(u8::try_from(code & 0xff).unwrap_or(1))
}

/// The container of a service that is meant: that of the number, else the lowest that runs, else a one-off.
pub(super) fn choose<'a>(observed: &'a ObservedState, service: &str, index: u32) -> Result<&'a Replica, CommandError> {
    let name: ServiceName = service.parse().map_err(|error| CommandError::local(format!("{error}")))?;
    let numbered = observed.replicas(&name).iter().filter(|it| it.info.state.is_running());
    let one_offs = observed.one_offs().iter().filter(|it| it.service == name && it.info.state.is_running());
    let found = if index > 0 { numbered.clone().find(|it| it.number == index) } else { numbered.chain(one_offs).next() };
    found.ok_or_else(|| match index {
        0 => CommandError::new(format!("service \"{service}\" is not running")),
        _ => CommandError::new(format!("service \"{service}\" is not running container #{index}")),
    })
}

async fn relay(
    context: &Context,
    client: &Client,
    id: &ExecId,
    streams: Hijacked,
    tty: bool,
    interactive: bool,
) -> Result<(), CommandError> {
    let (mut reader, writer) = streams.split();
    let mut interrupt = Interrupt::listen()?;
    let mut resized = listen(SignalKind::window_change())?;
    // Reading goes on by itself: the command may end while nobody types.
    let input = interactive.then(|| tokio::spawn(send_input(writer)));
    let outcome = loop {
        tokio::select! {
            frame = reader.next() => match frame {
                Some(Ok((Stream::Stderr, bytes))) if !tty => context.terminal.raw_note(&bytes),
                Some(Ok((_, bytes))) => {
                    context.terminal.out(&bytes);
                    context.terminal.flush();
                }
                Some(Err(failure)) => break Err(failure.into()),
                None => break Ok(()),
            },
            _ = resized.recv(), if tty => {
                if let Some(size) = window() {
                    // The command may have ended just now.
                    let _ = client.exec_resize(id, size).await;
                }
            }
            () = interrupt.next() => break Err(CommandError::told(CommandError::INTERRUPTED)),
        }
    };
    if let Some(input) = input {
        input.abort();
    }
    outcome
}

async fn send_input(mut writer: HijackedWriter) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
        if writer.write(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // What fails here fails because the command ended.
    let _ = writer.close().await;
}

fn window() -> Option<TerminalSize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(TerminalSize { rows: size.ws_row, columns: size.ws_col })
}

/// The terminal passes every key on, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self, CommandError> {
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
