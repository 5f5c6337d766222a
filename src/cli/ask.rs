//! Questions to whoever sits at the terminal. The answer is waited for on a thread of its own, so that an interrupt is still heard.

use std::io::IsTerminal as _;

use crate::cli::error::CommandError;
use crate::cli::output::terminal::Terminal;

/// Asks, and reads one line; what is not yes is no.
pub(crate) async fn confirm(terminal: &Terminal, question: &str) -> Result<bool, CommandError> {
    let answer = line(terminal, &format!("{question} [yN] ")).await?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes" | "true" | "1" | "t"))
}

/// Shows a prompt, and reads one line, without its end.
pub(crate) async fn line(terminal: &Terminal, prompt: &str) -> Result<String, CommandError> {
    terminal.raw_note(prompt.as_bytes());
    let line = read(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    Ok(line.await?.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads standard input to its end.
pub(crate) async fn everything() -> Result<String, CommandError> {
    read(|| std::io::read_to_string(std::io::stdin())).await
}

async fn read(from: impl FnOnce() -> std::io::Result<String> + Send + 'static) -> Result<String, CommandError> {
    let read = tokio::task::spawn_blocking(from).await.map_err(std::io::Error::other).flatten();
    read.map_err(|error| CommandError::local(format!("cannot read standard input: {error}")))
}

/// Whether somebody sits at the other end of standard input.
pub(crate) fn is_somebody_there() -> bool {
    std::io::stdin().is_terminal()
}
