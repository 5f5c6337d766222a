//! A case's options, as the loader has them.

use std::path::PathBuf;

use gantry::compose::project::Sources;

use super::case::Options;

impl Options {
    /// The values of a flag.
    pub(crate) fn values(&self, flag: &str) -> impl Iterator<Item = &str> {
        self.global.iter().filter(move |(name, _)| name == flag).map(|(_, value)| value.as_str())
    }
}

/// What the loader is told of a case.
pub(crate) fn sources(options: &Options) -> Sources {
    let paths = |flag| options.values(flag).map(PathBuf::from).collect();
    Sources {
        files: paths("--file"),
        env_files: paths("--env-file"),
        profiles: options.values("--profile").map(str::to_owned).collect(),
        project_name: options.values("--project-name").last().map(str::to_owned),
        project_directory: options.values("--project-directory").last().map(PathBuf::from),
        environment: options.environment.clone(),
        working_dir: options.folder.clone(),
        home: options.environment.get("HOME").map(PathBuf::from),
        stdin: options.stdin.as_ref().map(|file| std::fs::read_to_string(file).expect("what is read")),
        select: options.select.clone(),
        ..Sources::default()
    }
}
