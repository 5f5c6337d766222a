//! A shell in the state before a step that failed, with all that the step had: its mounts, its network, its variables.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::Receiver;

use crate::dockerfile::{Network, Run, Step};
use crate::engine::build::Build;
use crate::engine::build::ground::Ground;
use crate::engine::build::run::Ready;
use crate::engine::build::stage::StepError;
use crate::engine::container::attach::{HEAD, length_of};
use crate::engine::container::unlisted::Unlisted;
use crate::engine::runtime::task::Attached;
use crate::resource::build::{BuildEvent, BuildShell, ShellInput};
use crate::resource::container::ContainerSpec;

/// What a shell is where an image says nothing.
const SHELL: &str = "/bin/sh";
/// Bytes that are taken at once.
const PIECE: usize = 32 << 10;

impl Build {
    /// Lets whoever builds look around in the state before a step, if he asked for that. Only the first step that fails is looked at; the
    /// others wait until he has seen enough, for their end is the end of all.
    pub(super) async fn look_around(&self, ground: &Ground, step: Step) {
        let Some(wish) = self.job.spec.shell else { return };
        let mut typed = self.job.supply.typed.lock().await;
        let Some(typed) = typed.take() else { return };
        if let Err(error) = self.shell(ground, step, wish, typed).await {
            self.job.note("DebugShell", format!("there is no shell in the state before the step: {}", error.failure.message)).await;
        }
    }

    async fn shell(&self, ground: &Ground, step: Step, wish: BuildShell, typed: Receiver<ShellInput>) -> Result<(), StepError> {
        let program = ground.document.config.shell.first().map_or(SHELL, String::as_str).to_owned();
        let run = Run { command: vec![program.clone()], files: Vec::new(), ..had(ground, step) };
        let Ready { mut unlisted, spec, effective, lower, mounts, .. } = self.ready(ground, &run).await?;
        let spec = ContainerSpec { tty: wish.terminal.is_some(), stdin_open: true, stdin_once: true, ..spec };
        let Attached { output, input } = unlisted.start(spec, effective, lower, mounts).await.map_err(|(_, failure)| failure)?;
        if let Some(size) = wish.terminal {
            unlisted.resize(size).await;
        }
        let teller = &self.job.teller;
        teller.say(BuildEvent::ShellOpened { program }).await;
        tokio::select! {
            () = self.show(output, wish.terminal.is_some()) => {}
            () = typing(input, typed, &unlisted) => {}
        }
        unlisted.wait().await;
        teller.say(BuildEvent::ShellClosed).await;
        Ok(())
    }

    /// Tells what a shell writes, to its end.
    async fn show(&self, mut output: OwnedReadHalf, is_terminal: bool) {
        let mut piece = vec![0; PIECE];
        if is_terminal {
            while let Ok(length @ 1..) = output.read(&mut piece).await {
                self.job.teller.say(BuildEvent::Shell { error: false, bytes: piece[..length].to_vec() }).await;
            }
            return;
        }
        let mut head = [0; HEAD];
        while output.read_exact(&mut head).await.is_ok() {
            let length = length_of(head);
            let mut bytes = Vec::new();
            match (&mut output).take(length.into()).read_to_end(&mut bytes).await {
                Ok(read) if read == length as usize => self.job.teller.say(BuildEvent::Shell { error: head[0] == 2, bytes }).await,
                _ => return,
            }
        }
    }
}

/// Hands on what is typed. It goes on for ever: the end of a shell is what it writes last.
async fn typing(mut input: OwnedWriteHalf, mut typed: Receiver<ShellInput>, unlisted: &Unlisted) {
    while let Some(what) = typed.recv().await {
        // A shell that does not read any more has ended, or will.
        match what {
            ShellInput::Bytes(bytes) if bytes.is_empty() => drop(input.shutdown().await),
            ShellInput::Bytes(bytes) => drop(input.write_all(&bytes).await),
            ShellInput::Size(size) => unlisted.resize(size).await,
        }
    }
    drop(input.shutdown().await);
    std::future::pending::<()>().await;
}

/// What a step had; one that is no command has the variables, the user and the working folder of its stage.
fn had(ground: &Ground, step: Step) -> Run {
    if let Step::Run(run) = step {
        return run;
    }
    let config = &ground.document.config;
    let pair = |entry: &String| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Run {
        command: Vec::new(),
        shell_form: false,
        files: Vec::new(),
        mounts: Vec::new(),
        network: Network::Default,
        environment: config.env.iter().filter_map(pair).collect(),
        arguments: Vec::new(),
        proxies: Vec::new(),
        working_dir: config.working_dir.clone(),
        user: config.user.clone(),
    }
}
