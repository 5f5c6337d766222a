//! Starts our own engine: its keeper, a process that outlives this one.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::engine::root::Root;
use crate::resource::failure::Failure;

/// The variable that moves a root.
const VARIABLE: &str = "GANTRY_ROOT";

/// Starts a keeper and returns once it serves the root, or another does. It leaves this session, group and folder by itself.
pub(super) async fn start(root: &Root) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "it runs this very program in another role")]
    let mut command = tokio::process::Command::new("/proc/self/exe");
    command.arg0("gantry").arg("keeper").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    match moved(root) {
        Some(moved) => command.env(VARIABLE, moved),
        None => command.env_remove(VARIABLE),
    };
    let failed = |error| Failure::unavailable(format!("the engine cannot be started: {error}"));
    let mut keeper = command.spawn().map_err(failed)?;
    let mut line = String::new();
    if let Some(output) = keeper.stdout.take() {
        BufReader::new(output).read_line(&mut line).await.map_err(failed)?;
    }
    match line.trim_end() {
        "ready" => Ok(()),
        "" => {
            let status = keeper.wait().await.map_err(failed)?;
            Err(Failure::unavailable(format!("the engine cannot be started: its keeper ended without a word ({status})")))
        }
        reason => Err(Failure::unavailable(format!("the engine cannot be started: {reason}"))),
    }
}

/// The value of `GANTRY_ROOT` that leads to a root; none for the machine's own.
fn moved(root: &Root) -> Option<&Path> {
    if *root == Root::new(None) { None } else { root.run().parent() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_found_again() {
        for path in [None, Some(Path::new("/tmp/x")), Some(Path::new("below"))] {
            let root = Root::new(path);
            assert_eq!(Root::new(moved(&root)), root);
        }
    }
}
