//! What shells are told.

use crate::cli::args::shell::Shell;

/// The name that the scripts complete.
const NAME: &str = "gantry";

/// The script of a shell, for a program of this name.
pub(crate) fn script(shell: Shell, name: &str) -> String {
    let text = match shell {
        Shell::Bash => include_str!("gantry.bash"),
        Shell::Zsh => include_str!("gantry.zsh"),
        Shell::Fish => include_str!("gantry.fish"),
    };
    text.replace(NAME, name)
}
