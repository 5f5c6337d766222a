//! Projects on disk against what `config` prints for them, and the diagnostics. `UPDATE=1` rewrites what is expected.
//!
//! A file `options` in a case says how it is loaded, a word and its value a line: `file`, `env-file`, `profile`, `project`, `directory`,
//! `select`, and `set` for a variable of the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry::compose::project::source::FileReader;
use gantry::compose::project::{Sources, emit, load};

#[test]
fn every_case_prints_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/cases");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let failures: Vec<String> = cases.iter().flat_map(|case| check(case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn sources(case: &Path) -> Sources {
    let mut sources = Sources {
        working_dir: case.to_path_buf(),
        environment: BTreeMap::from([("FROM_SHELL".to_owned(), "shell".to_owned())]),
        home: Some(PathBuf::from("/home/user")),
        ..Sources::default()
    };
    let options = std::fs::read_to_string(case.join("options")).unwrap_or_default();
    for line in options.lines() {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        let owned = value.to_owned();
        match word {
            "file" => sources.files.push(PathBuf::from(value)),
            "env-file" => sources.env_files.push(PathBuf::from(value)),
            "profile" => sources.profiles.push(owned),
            "project" => sources.project_name = Some(owned),
            "directory" => sources.project_directory = Some(PathBuf::from(value)),
            "select" => sources.select.push(owned),
            "set" => {
                let (name, value) = value.split_once('=').expect("NAME=VALUE");
                sources.environment.insert(name.to_owned(), value.to_owned());
            }
            _ => panic!("{}: there is no option `{word}`", case.display()),
        }
    }
    sources
}

/// Returns what differs, if anything does.
fn check(case: &Path) -> Vec<String> {
    let sources = sources(case);
    let loaded = load(&sources, &FileReader);
    let here = |text: String| text.replace(&case.display().to_string(), "CASE");
    let told = here(loaded.diagnostics.render(false));
    let mut differences = Vec::new();
    compare(&case.join("expected.stderr"), &told, &mut differences);
    let Some(project) = &loaded.project else {
        compare(&case.join("expected.yaml"), "", &mut differences);
        return differences;
    };
    let project = project.select(&sources.select, true).expect("services that exist");
    let printed = emit::to_yaml(&project);
    compare(&case.join("expected.yaml"), &here(printed.clone()), &mut differences);
    // What is printed is a project itself, and the same one.
    for printed in [printed.clone(), emit::to_json(&project)] {
        let again = Sources {
            files: vec![PathBuf::from("-")],
            stdin: Some(printed),
            env_files: vec![PathBuf::from("/dev/null")],
            profiles: vec!["*".to_owned()],
            project_directory: None,
            ..sources.clone()
        };
        let reloaded = load(&again, &FileReader);
        let Some(second) = &reloaded.project else {
            differences.push(format!("{}: its output does not load:\n{}", case.display(), reloaded.diagnostics.render(false)));
            continue;
        };
        if second.services != project.services {
            differences.push(format!("{}: its output loads to another project", case.display()));
        }
    }
    differences
}

fn compare(file: &Path, actual: &str, differences: &mut Vec<String>) {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let update = std::env::var_os("UPDATE").is_some();
    if update && actual.is_empty() {
        // There may be none.
        let _ = std::fs::remove_file(file);
    } else if update {
        std::fs::write(file, actual).expect("a file of the case");
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if actual != expected {
        differences.push(format!("{}\n--- expected\n{expected}\n--- actual\n{actual}", file.display()));
    }
}
