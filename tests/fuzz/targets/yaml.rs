//! Whole projects: whatever its files say, it is loaded or refused; what is printed of it loads and prints the same.
//!
//! An input is one file, or several, each below a line `-- NAME --`.
#![no_main]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use gantry::compose::project::source::Reader;
use gantry::compose::project::{Sources, emit, load, load_model};
use libfuzzer_sys::fuzz_target;

/// Where the project is.
const FOLDER: &str = "/project";

fuzz_target!(|text: &str| {
    let files = Files::of(text);
    let sources = Sources {
        environment: BTreeMap::from([("FROM_SHELL".to_owned(), "shell".to_owned())]),
        home: Some(PathBuf::from("/home/user")),
        working_dir: PathBuf::from(FOLDER),
        ..Sources::default()
    };
    if let (Some(model), _) = load_model(&sources, &files) {
        emit::model_to_yaml(&model);
        model.variables();
    }
    let loaded = load(&sources, &files);
    loaded.diagnostics.render(false);
    let Some(project) = loaded.project else { return };
    emit::to_json(&project);
    let printed = emit::to_yaml(&project);
    let again = Sources {
        files: vec![PathBuf::from("-")],
        stdin: Some(printed.clone()),
        // No `.env`: what is printed has no variables.
        env_files: vec![PathBuf::from("/dev/null")],
        profiles: vec!["*".to_owned()],
        ..sources
    };
    let reloaded = load(&again, &files);
    let Some(project) = reloaded.project else {
        panic!("what was printed does not load:\n{printed}\n{}", reloaded.diagnostics.render(false));
    };
    assert_eq!(comparable(&emit::to_yaml(&project)), comparable(&printed), "what was printed loads to another project");
});

/// Evens out where Docker Compose itself prints something else the second time: a key's dollars, doubled each time since only those of values
/// are halved, and negative zero.
fn comparable(printed: &str) -> String {
    let mut characters: Vec<char> = printed.replace(" -0\n", " 0\n").chars().collect();
    characters.dedup_by(|next, before| *next == '$' && *before == '$');
    characters.into_iter().collect()
}

/// The files of an input.
struct Files(BTreeMap<PathBuf, String>);

impl Files {
    /// Cuts an input; what stands before the first name is the project's own file.
    fn of(text: &str) -> Self {
        let mut files = BTreeMap::from([(PathBuf::from("/dev/null"), String::new())]);
        let mut name = "compose.yaml";
        for line in text.split_inclusive('\n') {
            match line.trim_end().strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
                Some(next) => name = next,
                None => files.entry(Path::new(FOLDER).join(name)).or_default().push_str(line),
            }
        }
        Self(files)
    }
}

impl Reader for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file != path && file.starts_with(path))
    }

    fn real(&self, path: &Path) -> Option<PathBuf> {
        self.exists(path).then(|| path.to_path_buf())
    }
}
