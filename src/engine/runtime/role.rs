//! Which of the roles this process has; chosen by name before any thread exists.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the role that the arguments name, or returns `None` for a command line of the user.
///
/// `gantry keeper` (what the client starts), `gantry-engine`, `gantry-shim` and `gantry-init` (what those start) are never typed by hand.
/// `gantry engine`, without one of its subcommands, is keeper and engine in the foreground.
pub fn main(arguments: &[OsString]) -> Option<ExitCode> {
    let _ = arguments;
    None
}
