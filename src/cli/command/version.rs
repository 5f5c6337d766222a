//! `version`: Gantry's own, and that of the engine if one can be reached without starting it.

use crate::cli::args::inspect::{VersionArgs, VersionFormat};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::resource::system::EngineVersion;

/// Runs the command.
pub(super) async fn run(args: VersionArgs, context: &Context) -> Result<u8, CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    if args.short {
        context.terminal.line(version);
        return Ok(0);
    }
    let name = context.target()?.to_string();
    let engine = running(context, &name).await;
    match args.format {
        VersionFormat::Json => {
            let mut object = serde_json::json!({ "version": version });
            if let Ok(engine) = &engine {
                object["engine"] =
                    serde_json::json!({ "host": name, "name": engine.name, "version": engine.version, "apiVersion": engine.api_version });
            }
            context.terminal.line(&object.to_string());
        }
        VersionFormat::Pretty => {
            context.terminal.line(&format!("Gantry version v{version}"));
            context.terminal.line(&match engine {
                Ok(engine) => format!("Engine: {} {} (API {}) at {name}", engine.name, engine.version, engine.api_version),
                Err(why) => format!("Engine: {why}"),
            });
        }
    }
    Ok(0)
}

/// The engine that runs, or why there is none to be told of. Asking for a version starts none.
async fn running(context: &Context, name: &str) -> Result<EngineVersion, String> {
    match context.running().await {
        Ok(Some(client)) => client.version().await.map_err(|failure| failure.message),
        Ok(None) => Err(format!("none runs at {name}")),
        Err(error) => Err(error.message().to_owned()),
    }
}
