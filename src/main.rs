//! Picks a role before any thread exists: cli, keeper, engine, shim or init.

mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

use gantry::cli::environment::Environment;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = gantry::engine::runtime::role::main(&arguments, serve::serve) {
        return code;
    }
    if let Some(code) = gantry::api::client::ssh::main(&arguments) {
        return code;
    }
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the process environment, for the command line to pass on")]
    let environment = Environment::new(std::env::vars_os(), std::env::current_dir());
    gantry::cli::main(arguments, environment)
}
