//! `engine`: looks after the engine that runs. In the foreground it is run by `main`, before any thread exists.

use crate::cli::args::engine::{EngineArgs, EngineCommand};
use crate::cli::context::Context;
use crate::cli::error::CommandError;

/// Runs the command.
pub(super) async fn run(args: EngineArgs, context: &Context) -> Result<u8, CommandError> {
    let name = context.target()?.to_string();
    // No question here is a reason to start one.
    let client = context.running().await?;
    match args.command {
        Some(EngineCommand::Status) => {
            let Some(client) = client else {
                context.terminal.line(&format!("no engine runs at {name}"));
                return Ok(CommandError::FAILURE);
            };
            let (version, info) = tokio::try_join!(client.version(), client.info())?;
            context.terminal.line(&format!("{} {} runs at {name}", version.name, version.version));
            context.terminal.line(&format!("containers: {} running, {} paused, {} stopped", info.running, info.paused, info.stopped));
            context.terminal.line(&format!("images: {}", info.images));
            context.terminal.line(&format!("data: {}", info.data_root));
            for warning in &info.warnings {
                context.terminal.warn(warning);
            }
            Ok(0)
        }
        Some(EngineCommand::Logs) => {
            let Some(client) = client else {
                return Err(CommandError::local(format!("no engine runs at {name}, so none can be asked for its log")));
            };
            context.terminal.out(&client.engine_log().await?);
            Ok(0)
        }
        Some(EngineCommand::Stop) => {
            let Some(client) = client else {
                context.terminal.note(&format!("no engine runs at {name}"));
                return Ok(0);
            };
            client.stop_engine().await?;
            Ok(0)
        }
        None => {
            Err(CommandError::local("the engine in the foreground is `gantry engine` with no flags before it; use GANTRY_ROOT to move it"))
        }
    }
}
