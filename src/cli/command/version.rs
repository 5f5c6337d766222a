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
    let engine = running(context).await;
    let name = context.target().to_string();
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
                Err(why) => format!("Engine: {why} at {name}"),
            });
        }
    }
    Ok(0)
}

/// The engine that runs. Asking for a version starts none: a socket nobody listens on is told as that.
async fn running(context: &Context) -> Result<EngineVersion, String> {
    match context.running().await {
        Ok(Some(client)) => client.version().await.map_err(|_| "none answers".to_owned()),
        Ok(None) => Err("none runs".to_owned()),
        Err(_) => Err("none that this user may use".to_owned()),
    }
}
