//! Which of the roles this process has; chosen by name before any thread exists.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::engine::root::Root;
use crate::engine::runtime::keeper::EngineArguments;
use crate::engine::runtime::link::KeeperLink;
use crate::engine::runtime::{keeper, kernel, shim};
use crate::engine::settings::{Settings, TlsFiles};
use crate::resource::failure::Failure;

/// What an engine is started with.
#[derive(Debug)]
pub struct EngineStart {
    /// Where it keeps things.
    pub root: Root,
    /// Its keeper.
    pub keeper: KeeperLink,
    /// What its configuration file says.
    pub settings: Settings,
    /// What TLS is made with at its TCP ports.
    pub tls: Option<TlsFiles>,
    /// Where it logs to.
    pub log: PathBuf,
}

/// The subcommands of `gantry engine` that speak to one that runs; all else is the engine itself.
const ENGINE_COMMANDS: [&str; 4] = ["status", "stop", "logs", "help"];

/// Runs the role that the arguments name, or returns `None` for a command line of the user.
///
/// `gantry keeper` (what the client starts), `gantry-engine`, `gantry-shim` and `gantry-init` (what those start) are never typed by hand.
/// `gantry engine`, without one of its subcommands, is keeper and engine in the foreground. `serve` is the engine: this room cannot name it.
pub fn main(arguments: &[OsString], serve: fn(EngineStart) -> Result<(), Failure>) -> Option<ExitCode> {
    let (program, rest) = arguments.split_first()?;
    match Path::new(program).file_name()?.to_str()? {
        "gantry-keeper" => return Some(keeper::takeover(rest)),
        "gantry-engine" => return Some(engine(rest, serve)),
        "gantry-shim" => return Some(shim::main()),
        _ => {}
    }
    let (command, rest) = rest.split_first()?;
    match command.to_str()? {
        "keeper" => Some(keeper::background(rest)),
        "engine" if is_foreground(rest) => Some(keeper::foreground(rest)),
        _ => None,
    }
}

fn is_foreground(arguments: &[OsString]) -> bool {
    let asks_for_help = arguments.iter().any(|argument| argument == "-h" || argument == "--help");
    let first = arguments.first().and_then(|argument| argument.to_str());
    !asks_for_help && !first.is_some_and(|first| ENGINE_COMMANDS.contains(&first))
}

/// The engine, started by its keeper.
fn engine(arguments: &[OsString], serve: fn(EngineStart) -> Result<(), Failure>) -> ExitCode {
    keeper::let_go();
    kernel::share_one_heap();
    let keeper = match KeeperLink::begin(arguments) {
        Ok(keeper) => keeper,
        Err(error) => {
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("gantry: {error}\n").as_bytes());
            return ExitCode::FAILURE;
        }
    };
    let arguments = EngineArguments::read(arguments);
    let started = keeper::root().map_err(Failure::internal).and_then(|root| {
        let settings = Settings::read(arguments.configuration.as_deref(), root.configuration());
        let settings = settings.map_err(|error| Failure::invalid(error.to_string()))?;
        let root = arguments.moved(root);
        let log = root.log();
        serve(EngineStart { root, keeper: keeper.clone(), settings, tls: arguments.tls, log })
    });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            keeper.fail(&failure.message);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_in_the_foreground_is_told_from_its_subcommands() {
        for (line, expect) in [
            ("", true),
            ("-H unix:///x", true),
            ("--config=/x", true),
            ("status", false),
            ("stop", false),
            ("logs -f", false),
            ("--help", false),
            ("-H fd:// -h", false),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(is_foreground(&arguments), expect, "{line}");
        }
    }
}
