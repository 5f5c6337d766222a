//! `port`: where a container's port is published.

use crate::cli::args::inspect::PortArgs;
use crate::cli::command::exec;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::resource::container::ContainerPort;

/// Runs the command.
pub(super) async fn run(args: PortArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, _) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let container = exec::choose(&observed, &args.service, args.index)?;
    let wanted = ContainerPort { port: args.private_port, protocol: args.protocol };
    match container.info.published.iter().find(|it| it.container == wanted) {
        Some(port) if port.host_ip.is_ipv6() => context.terminal.line(&format!("[{}]:{}", port.host_ip, port.host_port)),
        Some(port) => context.terminal.line(&format!("{}:{}", port.host_ip, port.host_port)),
        None => {
            let mut has: Vec<String> = container.info.published.iter().map(|it| it.container.to_string()).collect();
            has.dedup();
            let has = if has.is_empty() { "it publishes none".to_owned() } else { format!("it publishes {}", has.join(", ")) };
            return Err(CommandError::new(format!("no port {wanted} for container {}: {has}", container.name())));
        }
    }
    Ok(0)
}
