//! What the process was started with: variables and the folder. Commands see this and never ask the process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// What the process was started with.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    working_dir: Option<PathBuf>,
}

impl Environment {
    /// Takes variables that are text; others cannot be meant for us. The folder may be gone.
    pub fn new(variables: impl Iterator<Item = (OsString, OsString)>, working_dir: io::Result<PathBuf>) -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let mut variables: BTreeMap<String, String> = variables.filter_map(text).collect();
        // The shell knows by which name the folder was entered; a project takes its own name from that.
        let working_dir = working_dir.ok().map(|physical| {
            let entered = variables.get("PWD").map(PathBuf::from).filter(|entered| entered.is_absolute());
            entered.filter(|entered| entered.canonicalize().is_ok_and(|real| real == physical)).unwrap_or(physical)
        });
        if let Some(folder) = working_dir.as_ref().and_then(|folder| folder.to_str()) {
            variables.insert("PWD".to_owned(), folder.to_owned());
        }
        Self { variables, working_dir }
    }

    /// A variable, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a variable says yes, in the words that Docker Compose takes for it.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_yes)
    }

    /// All variables.
    pub const fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The folder the process was started in, if it still exists.
    pub const fn working_dir(&self) -> Option<&PathBuf> {
        self.working_dir.as_ref()
    }

    /// A path that a variable names, absolute.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.working_dir.as_deref().unwrap_or(Path::new("/")).join(path)
    }
}

/// Whether a text says yes (Go's `ParseBool`, and `y`).
pub fn is_yes(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y")
}
