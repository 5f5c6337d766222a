//! Picks a role before any thread exists: cli, keeper, engine, shim or init.

mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = gantry::engine::runtime::role::main(&arguments, serve::serve) {
        return code;
    }
    ExitCode::SUCCESS
}
