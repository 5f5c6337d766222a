//! `system`: what leads to the engine.

use crate::api::client::ssh_target::{NOBODY, UNSTARTED};
use crate::cli::args::engine::SystemCommand;
use crate::cli::context::Context;
use crate::cli::error::CommandError;

/// Runs the command.
pub(super) async fn run(command: SystemCommand, context: &Context) -> Result<u8, CommandError> {
    let SystemCommand::DialStdio = command;
    let starts = !context.environment.is_true(UNSTARTED);
    let Some(dialled) = context.dial(starts).await? else {
        return Err(CommandError::local(format!("no engine runs at {}", context.target()?)).code(NOBODY));
    };
    let carried = dialled.relay(tokio::io::stdin(), tokio::io::stdout()).await;
    carried.map_err(|error| CommandError::new(format!("the connection broke off: {error}")))?;
    Ok(0)
}
