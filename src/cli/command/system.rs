//! `system`: what leads to the engine.

use crate::cli::args::engine::SystemCommand;
use crate::cli::context::Context;
use crate::cli::error::CommandError;

/// Runs the command.
pub(super) async fn run(command: SystemCommand, context: &Context) -> Result<u8, CommandError> {
    let SystemCommand::DialStdio = command;
    let dialled = context.dial().await?;
    let carried = dialled.relay(tokio::io::stdin(), tokio::io::stdout()).await;
    carried.map_err(|error| CommandError::new(format!("the connection broke off: {error}")))?;
    Ok(0)
}
