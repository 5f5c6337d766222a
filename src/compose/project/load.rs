//! The way from file names to a project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::compose::project::diagnostic::Diagnostics;
use crate::compose::project::model::Project;
use crate::compose::project::source::Reader;

/// What the caller says about where a project is.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files named by `-f`, in order; `-` is standard input. `COMPOSE_FILE` and discovery when empty.
    pub files: Vec<PathBuf>,
    /// Files named by `--env-file`; they replace the default `.env`.
    pub env_files: Vec<PathBuf>,
    /// `--project-directory`.
    pub project_directory: Option<PathBuf>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--profile`; `COMPOSE_PROFILES` when empty.
    pub profiles: Vec<String>,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub working_dir: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// What `-` reads.
    pub stdin: Option<String>,
    /// Services named on the command line: they turn their own profiles on. Nothing else is selected here.
    pub select: Vec<String>,
}

/// What came of a load: a project unless there are errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The project.
    pub project: Option<Project>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// Loads a project: every problem of all its files at once, or the project and warnings.
pub fn load(_sources: &Sources, _reader: &dyn Reader) -> Loaded {
    todo!("lands next")
}
