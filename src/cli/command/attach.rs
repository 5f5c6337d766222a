//! `attach`: the input and output of a container that runs already.

use crate::cli::args::one_off::AttachArgs;
use crate::cli::command::exec::choose;
use crate::cli::command::run::ended;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::relay::{self, Parted, Peer, Relay, Signals};
use crate::resource::container::{AttachOptions, ContainerState, WaitCondition};

/// Runs the command.
pub(super) async fn run(args: AttachArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, _) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let info = &choose(&observed, &args.service, args.index)?.info;
    if matches!(info.state, ContainerState::Running { paused: true, .. }) {
        return Err(CommandError::new("You cannot attach to a paused container, unpause it first"));
    }
    let tty = info.spec.tty;
    relay::check_input(tty, !args.no_stdin)?;
    let interactive = !args.no_stdin && info.spec.stdin_open;
    let id = info.id.to_string();
    let mut signals = Signals::listen()?;
    let wait = client.watch_container(&id, WaitCondition::NotRunning).await?;
    let options = AttachOptions {
        stdin: interactive,
        stdout: true,
        stderr: true,
        logs: false,
        stream: true,
        detach_keys: args.detach_keys.as_ref().map(ToString::to_string),
    };
    let streams = client.attach(&id, &options).await?;
    let keys = args.detach_keys.unwrap_or_default();
    let relay = Relay { peer: Peer::Container(id), tty, interactive, proxy: args.sig_proxy && !tty, keys };
    if tty {
        relay.redraw(client).await;
    }
    let parted = relay.carry(&context.terminal, client, streams, &mut signals).await?;
    context.terminal.flush();
    match parted {
        Parted::Detached => Err(CommandError::detached()),
        Parted::Interrupted => Ok(CommandError::INTERRUPTED),
        Parted::Ended if context.terminal.reader_left() => Ok(0),
        Parted::Ended => {
            let status = relay.proxied(client, &mut signals, wait.status()).await?;
            Ok(ended(context, info.name.as_str(), &status))
        }
    }
}
