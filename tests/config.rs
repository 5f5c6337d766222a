//! Projects on disk against what `config` prints for them, or the diagnostics. `UPDATE=1` rewrites what is expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry::compose::project::source::FileReader;
use gantry::compose::project::{Sources, emit, load};

#[test]
fn every_case_prints_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/cases");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn sources(case: &Path) -> Sources {
    Sources {
        working_dir: case.to_path_buf(),
        environment: BTreeMap::from([("FROM_SHELL".to_owned(), "shell".to_owned())]),
        home: Some(PathBuf::from("/home/user")),
        ..Sources::default()
    }
}

/// Returns what differs, if anything does.
fn check(case: &Path) -> Option<String> {
    let sources = sources(case);
    let loaded = load(&sources, &FileReader);
    let here = |text: String| text.replace(&case.display().to_string(), "CASE");
    let (name, actual) = match &loaded.project {
        Some(project) => ("expected.yaml", here(emit::to_yaml(project))),
        None => ("expected.stderr", here(loaded.diagnostics.render(false))),
    };
    if let Some(project) = &loaded.project {
        // What is printed is a project itself, and the same one.
        let printed = emit::to_yaml(project);
        let mut again = sources.clone();
        again.files = vec![PathBuf::from("-")];
        again.stdin = Some(printed.clone());
        let reloaded = load(&again, &FileReader);
        let Some(second) = &reloaded.project else {
            return Some(format!("{}: its output does not load:\n{}", case.display(), reloaded.diagnostics.render(false)));
        };
        if emit::to_yaml(second) != printed || second.services != project.services {
            return Some(format!("{}: its output loads to another project", case.display()));
        }
    }
    let file = case.join(name);
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        std::fs::write(&file, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    (actual != expected).then(|| format!("{}/{name}\n--- expected\n{expected}\n--- actual\n{actual}", case.display()))
}
