//! Why a configuration file cannot be obeyed: one sentence with its place and the way out.

use std::io;
use std::path::PathBuf;

use crate::resource::reason;

/// A configuration file that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read at all.
    #[error("cannot read the engine's configuration {}: {}", path.display(), reason::plain(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says something that cannot be.
    #[error("{place}: {message}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Wrong {
        /// `FILE:LINE:COLUMN`.
        place: String,
        /// What.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
}
