//! Which files a project is made of, where it lives, and what variables its files see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::load::Sources;
use crate::compose::project::path::clean;
use crate::compose::project::source::{Reader, SourceMap};
use crate::compose::project::variable_file::{CODE, VariableFiles};
use crate::resource::truth;

/// Names of a project file, the first wins.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// Names of the file beside it that goes on top.
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The files, absolute; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// The files named by `--env-file` or `COMPOSE_ENV_FILES`, absolute.
    pub env_files: Vec<PathBuf>,
    /// The process environment over what the environment files say.
    pub environment: BTreeMap<String, String>,
}

/// Finds files, folder and variables; nothing when there is no project.
pub(crate) fn discover(sources: &Sources, variables: &mut VariableFiles<'_>) -> Option<Found> {
    let absolute = |path: &Path| clean(&sources.working_dir.join(path));
    let Start { mut environment, env_files, folder: first_folder } = begin(sources, variables);
    let project_directory = sources.project_directory.as_deref().map(absolute);
    let start = project_directory.as_deref().unwrap_or(&sources.working_dir);
    let Some(files) = files(sources, &environment, start, &absolute, variables) else {
        let hint = format!("looked for {} in {} and above; name one with `-f`", NAMES.join(", "), start.display());
        variables.problems.push(Diagnostic::error("no-file", "no configuration file provided: not found").hint(hint));
        return None;
    };
    let first = files.iter().find(|file| !is_stdin(file)).and_then(|file| file.parent());
    let folder = project_directory.clone().or_else(|| first.map(Path::to_path_buf)).unwrap_or_else(|| sources.working_dir.clone());
    // The one beside the first file comes second and overrides nothing.
    if env_files.is_empty() && folder != first_folder {
        read_default(&folder.join(".env"), &mut environment, variables);
    }
    Some(Found { files, folder, env_files, environment })
}

/// The project's name where it is given by hand and there is no file: for commands that can do with labels alone.
pub fn name_without_files(sources: &Sources, reader: &dyn Reader) -> Option<String> {
    // Whoever goes on to load the project hears of what is wrong.
    let (mut map, mut problems) = (SourceMap::default(), Vec::new());
    let mut variables = VariableFiles { reader, map: &mut map, problems: &mut problems, shown_from: &sources.working_dir };
    let start = begin(sources, &mut variables);
    let absolute = |path: &Path| clean(&sources.working_dir.join(path));
    let folder = sources.project_directory.as_deref().map_or_else(|| sources.working_dir.clone(), absolute);
    let none = files(sources, &start.environment, &folder, &absolute, &mut variables).is_none();
    let name = sources.project_name.clone().or_else(|| start.environment.get("COMPOSE_PROJECT_NAME").cloned());
    name.filter(|name| none && !name.is_empty())
}

/// What is known before any project file.
struct Start {
    environment: BTreeMap<String, String>,
    env_files: Vec<PathBuf>,
    /// Where `.env` was looked for.
    folder: PathBuf,
}

fn begin(sources: &Sources, variables: &mut VariableFiles<'_>) -> Start {
    let mut environment = sources.environment.clone();
    let absolute = |path: &Path| clean(&sources.working_dir.join(path));
    let env_files = env_files(sources, &absolute);
    // Where files are named by hand, `.env` is looked for beside the first of them, and not here.
    let named = sources.files.iter().find(|file| !is_stdin(file)).and_then(|file| absolute(file).parent().map(Path::to_path_buf));
    let folder = sources.project_directory.as_deref().map(absolute).or(named).unwrap_or_else(|| sources.working_dir.clone());
    if env_files.is_empty() {
        read_default(&folder.join(".env"), &mut environment, variables);
    } else {
        read_named(&env_files, &mut environment, variables);
    }
    Start { environment, env_files, folder }
}

/// Whether a file stands for standard input.
pub(crate) fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn env_files(sources: &Sources, absolute: &impl Fn(&Path) -> PathBuf) -> Vec<PathBuf> {
    if !sources.env_files.is_empty() {
        return sources.env_files.iter().map(|file| absolute(file)).collect();
    }
    let listed = sources.environment.get("COMPOSE_ENV_FILES").map(String::as_str).unwrap_or_default();
    listed.split(',').map(str::trim).filter(|file| !file.is_empty()).map(|file| absolute(Path::new(file))).collect()
}

/// Reads a `.env` that nobody named: it may be missing, and `COMPOSE_DISABLE_ENV_FILE` turns it off.
fn read_default(file: &Path, environment: &mut BTreeMap<String, String>, variables: &mut VariableFiles<'_>) {
    // Go's words, which are not those of a Compose file.
    let said = environment.get("COMPOSE_DISABLE_ENV_FILE").map(String::as_str).unwrap_or_default();
    let Some(off) = truth::parse(said).or_else(|| said.is_empty().then_some(false)) else {
        let problem = Diagnostic::error(CODE, format!("COMPOSE_DISABLE_ENV_FILE: `{said}` is neither true nor false"));
        variables.problems.push(problem.hint("set it to true or false, or not at all"));
        return;
    };
    if !off && variables.reader.exists(file) && !variables.reader.is_dir(file) {
        let read = variables.read(file, None, &|name| environment.get(name).cloned(), &|_| None);
        add(read, environment);
    }
}

/// Reads the files of `--env-file`: they must exist, and a later one wins.
fn read_named(files: &[PathBuf], environment: &mut BTreeMap<String, String>, variables: &mut VariableFiles<'_>) {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        if !variables.reader.exists(file) {
            let problem = Diagnostic::error(CODE, format!("couldn't find env file: {}", file.display()));
            variables.problems.push(problem.hint("make the file, or name another with `--env-file`"));
        } else if variables.reader.is_dir(file) {
            let problem = Diagnostic::error(CODE, format!("{} is a directory, not an env file", file.display()));
            variables.problems.push(problem.hint("name the file in it"));
        } else {
            let read = variables.read(file, None, &|name| environment.get(name).cloned(), &|name| all.get(name).cloned());
            all.extend(read);
        }
    }
    add(all, environment);
}

fn add(variables: BTreeMap<String, String>, environment: &mut BTreeMap<String, String>) {
    for (name, value) in variables {
        environment.entry(name).or_insert(value);
    }
}

fn files(
    sources: &Sources,
    environment: &BTreeMap<String, String>,
    start: &Path,
    absolute: &impl Fn(&Path) -> PathBuf,
    VariableFiles { reader, problems, .. }: &mut VariableFiles<'_>,
) -> Option<Vec<PathBuf>> {
    let keep_stdin = |file: &Path| if is_stdin(file) { file.to_path_buf() } else { absolute(file) };
    if !sources.files.is_empty() {
        return Some(sources.files.iter().map(|file| keep_stdin(file)).collect());
    }
    if let Some(listed) = environment.get("COMPOSE_FILE").filter(|listed| !listed.is_empty()) {
        let separator = environment.get("COMPOSE_PATH_SEPARATOR").filter(|separator| !separator.is_empty()).map_or(":", String::as_str);
        let mut listed = listed.split(separator).filter(|file| !file.is_empty()).map(Path::new).peekable();
        if listed.peek().is_none() {
            let problem = Diagnostic::error("no-file", "no compose file specified: COMPOSE_FILE is set, and names none");
            problems.push(problem.hint("unset it, or name a file"));
        }
        return Some(listed.map(|file| if is_stdin(file) { file.to_path_buf() } else { clean(&start.join(file)) }).collect());
    }
    for folder in start.ancestors() {
        let present: Vec<PathBuf> =
            NAMES.iter().map(|name| folder.join(name)).filter(|file| reader.exists(file) && !reader.is_dir(file)).collect();
        let Some(first) = present.first() else { continue };
        warn_of_several("config", &present, problems);
        let above: Vec<PathBuf> =
            OVERRIDES.iter().map(|name| folder.join(name)).filter(|file| reader.exists(file) && !reader.is_dir(file)).collect();
        warn_of_several("override", &above, problems);
        return Some(std::iter::once(first.clone()).chain(above.into_iter().next()).collect());
    }
    None
}

fn warn_of_several(kind: &str, files: &[PathBuf], problems: &mut Vec<Diagnostic>) {
    if let [first, _, ..] = files {
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let message = format!("Found multiple {kind} files with supported names: {}; using {}", names.join(", "), first.display());
        problems.push(Diagnostic::warning("several-files", message));
    }
}
