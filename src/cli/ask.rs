//! Questions that are answered with yes or no.

use std::io::IsTerminal as _;

use crate::cli::error::CommandError;
use crate::cli::output::terminal::Terminal;

/// Asks, and reads one line; what is not yes is no.
pub(crate) fn confirm(terminal: &Terminal, question: &str) -> Result<bool, CommandError> {
    terminal.raw_note(format!("{question} [yN] ").as_bytes());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| CommandError::local(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes" | "true" | "1" | "t"))
}

/// Whether somebody sits at the other end of standard input.
pub(crate) fn is_somebody_there() -> bool {
    std::io::stdin().is_terminal()
}
