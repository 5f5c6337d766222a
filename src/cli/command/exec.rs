//! `exec`: a command in a container that runs, with its input, output, terminal and exit code.

use std::time::Duration;

use crate::api::client::Client;
use crate::cli::args::inspect::ExecArgs;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::follow;
use crate::cli::observe;
use crate::cli::relay::{self, Parted, Peer, Relay, Signals};
use crate::compose::plan::{ObservedState, Replica};
use crate::resource::detach::DetachKeys;
use crate::resource::event::EventFilter;
use crate::resource::exec::ExecSpec;
use crate::resource::name::ServiceName;
use crate::resource::time::Timestamp;

/// So long an engine has to tell what happened.
const PATIENCE: Duration = Duration::from_secs(1);
/// The code of a command that was killed.
pub(super) const KILLED: i32 = 137;

/// Runs the command.
pub(super) async fn run(args: ExecArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, _) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let container = choose(&observed, &args.service, args.index)?;
    let tty = relay::on_a_terminal(&context.terminal) && args.tty && !args.no_tty && !args.detach;
    let variable = |text: &String| match text.split_once('=') {
        Some(_) => Some(text.clone()),
        None => context.environment.variables().get(text).map(|value| format!("{text}={value}")),
    };
    let spec = ExecSpec {
        command: args.command,
        environment: args.env.iter().filter_map(variable).collect(),
        working_dir: args.workdir,
        user: args.user,
        tty,
        privileged: args.privileged,
        stdin: args.interactive && !args.detach,
        stdout: !args.detach,
        stderr: !args.detach,
        detach_keys: None,
        size: tty.then(relay::window).flatten(),
    };
    let id = client.exec_create(&container.info.id.to_string(), &spec).await?;
    let mut signals = Signals::listen()?;
    let began = follow::now();
    let streams = client.exec_start(&id, spec.tty, args.detach).await?;
    let Some(streams) = streams.filter(|_| !args.detach) else { return Ok(0) };
    let relay = Relay { peer: Peer::Exec(id), tty, interactive: args.interactive, proxy: false, keys: DetachKeys::default() };
    let parted = relay.carry(&context.terminal, client, streams, &mut signals).await?;
    context.terminal.flush();
    match parted {
        Parted::Ended => {
            let code = client.exec_inspect(&id).await?.exit_code.unwrap_or(0);
            if code == KILLED && ran_out_of_memory(client, container.info.id.to_string(), began).await {
                context.terminal.warn(&format!("the kernel killed a process in container {} for want of memory", container.name()));
            }
            Ok(u8::try_from(code & 0xff).unwrap_or(1))
        }
        Parted::Detached => Err(CommandError::detached()),
        Parted::Interrupted => Ok(CommandError::INTERRUPTED),
    }
}

/// Whether the engine told since then of a process of the container that the kernel killed for want of memory. Who cannot tell has not.
pub(super) async fn ran_out_of_memory(client: &Client, container: String, since: Timestamp) -> bool {
    let filters = [("type", "container".to_owned()), ("event", "oom".to_owned()), ("container", container)];
    let filters = filters.into_iter().map(|(key, value)| (key.to_owned(), vec![value])).collect();
    let filter = EventFilter { since: Some(since), until: Some(follow::now()), filters };
    match client.events(&filter).await {
        // An engine whose clock is behind has no end of what it tells.
        Ok(mut events) => matches!(tokio::time::timeout(PATIENCE, events.next()).await, Ok(Some(Ok(_)))),
        Err(_) => false,
    }
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
